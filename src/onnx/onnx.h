/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_ONNX_ONNX_H
#define VT_ONNX_ONNX_H

#include "base/file.h"
#include "graph/graph.h"

/* What a reader refuses to exceed; zero fields take the defaults. */
struct vt_onnx_limits {
    size_t arena_bytes; /* memory for the graph and what had to be copied: 256 MiB and the file's size */
    size_t nodes;       /* 65,536 */
};

/*
 * Reads an ONNX model (onnx.proto3, opset 7 to 22 of the default domain) from `bytes`, trusting nothing. Weights are
 * not copied: the graph points into `bytes`, which must outlive it (unaligned raw data is copied). Old operator forms
 * are rewritten to the newest opset's. `name` is used in error sentences. On success the caller destroys *out.
 */
enum vultus_status vt_onnx_read(const uint8_t *bytes, size_t size, const char *name,
    const struct vt_onnx_limits *limits, struct vt_graph **out, struct vultus_error *error);

/* Whether the bytes look like an ONNX model at all, for telling files apart (a plan has its own magic). */
bool vt_onnx_probe(const uint8_t *bytes, size_t size);

#endif
