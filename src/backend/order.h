/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_ORDER_H
#define VT_BACKEND_ORDER_H

#include "backend/backend.h"

/* In which order back ends are tried, and what came of it. */

#define VT_DEFAULT_ORDER "tensorrt,cuda,cpu"

enum { VT_MOST_BACKENDS = 3 };

struct vt_backend_order {
    const char *names[VT_MOST_BACKENDS]; /* live as long as the program */
    size_t count;
};

/*
 * Reads names separated by commas; blanks beside them and a name said twice are fine. "trt" and
 * "onnx", InsightFace-REST's words, stand for "tensorrt,cuda,cpu" and "cuda,cpu". INVALID for another word, or none.
 */
enum vultus_status vt_backend_order_read(const char *text, struct vt_backend_order *out, struct vultus_error *error);

bool vt_backend_order_has(const struct vt_backend_order *order, const char *name);

struct vt_backend_skipped {
    const char *name;
    char reason[VT_BACKEND_REASON];
    bool absent; /* as of the report */
};

struct vt_backend_choice {
    const struct vt_backend *backend; /* the first usable one; NULL: none is */
    struct vt_backend_skipped skipped[VT_MOST_BACKENDS];
    size_t n_skipped;
};

/* Probes the back ends of the order until one is usable. Those behind it are not touched. */
void vt_backend_choose(const struct vt_backend_order *order, struct vt_backend_choice *out);

/* What the back end of that name says of itself; of one that this build does not have, that it is absent. */
void vt_backend_probe(const char *name, struct vt_backend_report *report);

/* "tensorrt (this build does not include it), cuda (...)". */
void vt_backend_describe_skipped(const struct vt_backend_choice *choice, char *text, size_t size);

#endif
