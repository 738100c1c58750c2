/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_ONNX_ONNX_H
#define VT_ONNX_ONNX_H

#include "base/digest.h"
#include "base/file.h"
#include "graph/graph.h"

/* What a reader refuses to exceed; zero fields take the defaults. */
struct vt_onnx_limits {
    size_t arena_bytes;    /* memory for the graph and what had to be copied: 256 MiB and the files' sizes */
    size_t nodes;          /* 65,536 */
    size_t external_bytes; /* of all files of external data together: 4 GiB */
    /* Where files of external data may lie, the model's own folder; NULL: nowhere, such models are refused. */
    const char *folder;
};

/*
 * Reads an ONNX model (onnx.proto3, opset 7 to 22 of the default domain) from `bytes`, trusting nothing. Weights are
 * not copied: the graph points into `bytes`, which must outlive it (unaligned raw data is copied). Old operator forms
 * are rewritten to the newest opset's, functions of the model replaced by their nodes. `name` is used in error
 * sentences. On success the caller destroys *out.
 */
enum vultus_status vt_onnx_read(const uint8_t *bytes, size_t size, const char *name,
    const struct vt_onnx_limits *limits, struct vt_graph **out, struct vultus_error *error);

/*
 * The SHA-256 of a model, as hexadecimal: of its bytes alone, or, where they name files of external data in `folder`,
 * of those files too. Bytes that cannot be parsed have the SHA-256 of themselves; a named file that cannot be read is
 * an error.
 */
enum vultus_status vt_onnx_sha256(const uint8_t *bytes, size_t size, const char *name, const char *folder,
    char hex[VT_SHA256_HEX], struct vultus_error *error);

/* Whether the bytes look like an ONNX model at all, for telling files apart (a plan has its own magic). */
bool vt_onnx_probe(const uint8_t *bytes, size_t size);

#endif
