/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_FAKE_ENGINE_H
#define VT_TESTS_FAKE_ENGINE_H

#include "exec/session.h"

enum { FAKE_MOST_OUTPUTS = 9 };

/* Stands in for a network: shapes as told, numbers by a function. */
struct vt_engine {
    struct vt_plan plan;                                /* model, n_inputs, n_outputs, max_batch */
    struct vt_tensor input, outputs[FAKE_MOST_OUTPUTS]; /* of one item; dims[0] is the batch where batch_axis */
    bool batch_axis;
    /* Fills the outputs of one item; `input` is that item's. */
    void (*run)(struct vt_engine *engine, const float *input, float *const *outputs);
    int runs, items, largest_batch; /* counted */
    int fail_run;                   /* the run of this number fails, counted from 1 */
    const struct vt_photo_backend *photos;
    int executables; /* made and not destroyed; they are the engine itself */
};

/* One picture input, 127.5 +- 127.5 normalisation, no outputs yet. */
struct vt_engine fake_engine(int width, int height, int64_t max_batch);
void fake_output(struct vt_engine *engine, int64_t rows, int64_t columns);

#endif
