/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/plane.h"

/* Borders of fewer elements than this are cheaper to fill than to share out. */
#define ALONE_ELEMENTS 32768

struct border_job {
    const struct vt_plan_value *value;
    const struct vt_plane_kernels *kernels;
    uint8_t *data;
    const float *border;
    struct vt_plane_border shape;
};

static void fill_block(void *context, size_t unit, int thread) {
    (void)thread;
    static const float zeros[VT_PLANE_MAX_LANES];
    const struct border_job *job = context;
    const struct vt_plan_value *v = job->value;
    int64_t blocks = vt_cpu_blocks(v), item = (int64_t)unit / blocks, block = (int64_t)unit % blocks;
    uint8_t *at = job->data + (uint64_t)item * v->bytes;
    at += block * vt_cpu_plane(v) * (int64_t)vt_dtype_size(v->dtype);
    job->kernels->border(at, &job->shape, job->border ? job->border + block * v->block : zeros);
}

void vt_cpu_fill_border(
    const struct vt_plan_value *v, void *data, const float *border, int64_t batch, struct vt_pool *pool) {
    if ((v->pad[0] | v->pad[1] | v->pad[2] | v->pad[3]) == 0) return;
    struct border_job job = {.value = v,
        .kernels = vt_plane_kernels_find(v->dtype, v->block),
        .data = data,
        .border = border,
        .shape = {.rows = v->dims[2], .columns = v->dims[3], .pad = v->pad}};
    int64_t units = batch * vt_cpu_blocks(v);
    int64_t elements = vt_cpu_plane(v) - v->dims[2] * v->dims[3] * v->block;
    vt_pool_run(units * elements < ALONE_ELEMENTS ? NULL : pool, (size_t)units, fill_block, &job);
}
