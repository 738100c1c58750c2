/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_LAYERS_H
#define VT_TOOLS_LAYERS_H

#include <jansson.h>

#include "vultus/vultus.h"

/* Where the time of a network goes: a row for each step of its plan. */
struct vt_layer {
    struct vultus_step_info info; /* texts belong to the session */
    double ms;                    /* median, of the whole batch */
};

struct vt_layers {
    struct vt_layer *rows;
    size_t count;
    int64_t batch;
    double ms;         /* of all rows */
    double peak_flops; /* what the same threads reach in registers */
};

/*
 * Times every step on random input for at least `seconds` and five runs. Release it with vt_layers_fini either way,
 * before the session is closed.
 */
enum vultus_status vt_layers_time(
    struct vultus_session *session, int64_t batch, double seconds, struct vt_layers *out, struct vultus_error *error);
void vt_layers_fini(struct vt_layers *layers);

/* Rows, then sums by provider, on standard output. */
void vt_layers_print(const struct vt_layers *layers);
/* Adds "layers" and "providers" to a result; false when out of memory. */
bool vt_layers_add_json(const struct vt_layers *layers, json_t *result);

#endif
