/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_ONNX_READING_H
#define VT_TESTS_ONNX_READING_H

#include "encoder.h"
#include "onnx/onnx.h"

/* A model made by hand, and what became of reading it. The graph points into the bytes. */
struct reading {
    struct encoder model;
    struct vt_graph *graph; /* NULL after a failure */
    enum vultus_status status;
    struct vultus_error error;
};

/* Reads what model_of(graph, opset) gives; `graph` is released. */
struct reading read_model(struct encoder *graph, int64_t opset);
void reading_fini(struct reading *reading);

/* The same, but the test fails unless it works / unless it fails with all `parts` (separated by '|') in its sentence.
 */
struct reading read_good(struct encoder *graph, int64_t opset);
void read_bad(struct encoder *graph, int64_t opset, enum vultus_status status, const char *parts);

/* All of `parts`, separated by '|', must be in the text. */
void expect_parts(const char *text, const char *parts);
/* The inferred graph's printed form must contain all of `parts`. */
void expect_graph(struct reading *reading, const char *parts);

#endif
