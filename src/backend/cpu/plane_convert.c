/* SPDX-License-Identifier: Apache-2.0
 *
 * The same tensor in another layout, its elements rounded where planes hold bfloat16. With perm, y holds the transposed
 * tensor; a plain y may have any dims of the same count, since row-major bytes do not know them.
 */
#include <string.h>

#include "backend/cpu/plane.h"
#include "base/checked.h"

static bool is_plain(const struct vt_plan_value *v) { return v->layout == VT_LAYOUT_PLAIN; }

static bool supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cpu_input(plan, step, 0), *y = vt_cpu_output(plan, step, 0);
    if (!x || !y || !vt_plan_convert_fits(&step->params, x, y)) return false;
    if (!is_plain(x) && !vt_plane_fits(x)) return false;
    if (!is_plain(y) && !vt_plane_fits(y)) return false;
    return step->params.perm_rank || is_plain(x) || is_plain(y) || vt_plane_same_shape(x, y);
}

/* ------------------------------------------------------------ with a blocked side */

/* Distances, in elements of the plain side, between neighbours along channels, rows and columns. */
struct strides {
    int64_t channel, row, column;
};

static struct strides plain_strides(const struct vt_step_params *params, const struct vt_plan_value *blocked) {
    static const int32_t identity[4] = {0, 1, 2, 3};
    const int32_t *perm = params->perm_rank ? params->perm : identity;
    int64_t stride[4], next = 1;
    for (int i = 3; i >= 0; i--) {
        stride[perm[i]] = next;
        next *= blocked->dims[perm[i]];
    }
    return (struct strides){stride[1], stride[2], stride[3]};
}

static int used_lanes(const struct vt_plan_value *blocked, int64_t block) {
    return (int)vt_min_i64(blocked->block, blocked->dims[1] - block * blocked->block);
}

static void scatter_rows(const struct vt_plane_job *job, const struct vt_plane_span *span) {
    const struct vt_plan_value *x = job->call->in[0], *y = job->call->out[0];
    const struct strides *s = job->context;
    float *plane = (float *)((uint8_t *)job->call->out_data[0] + (uint64_t)span->item * y->bytes) +
                   span->block * x->block * s->channel;
    for (int64_t row = span->row_begin; row < span->row_end; row++)
        job->kernels->scatter(plane + row * s->row, vt_plane_in(job, 0, span, row), s->channel, s->column,
            used_lanes(x, span->block), x->dims[3]);
}

static void gather_rows(const struct vt_plane_job *job, const struct vt_plane_span *span) {
    const struct vt_plan_value *x = job->call->in[0], *y = job->call->out[0];
    const struct strides *s = job->context;
    const uint8_t *item = (const uint8_t *)job->call->in_data[0] + (uint64_t)span->item * vt_cpu_item_bytes(x);
    const float *plane = (const float *)item + span->block * y->block * s->channel;
    for (int64_t row = span->row_begin; row < span->row_end; row++)
        job->kernels->gather(vt_plane_out(job, span, row), plane + row * s->row, s->channel, s->column,
            used_lanes(y, span->block), y->dims[3]);
}

static void copy_rows(const struct vt_plane_job *job, const struct vt_plane_span *span) {
    const struct vt_plan_value *y = job->call->out[0];
    size_t bytes = (size_t)(y->dims[3] * y->block) * vt_dtype_size(y->dtype);
    for (int64_t row = span->row_begin; row < span->row_end; row++)
        memcpy(vt_plane_out(job, span, row), vt_plane_in(job, 0, span, row), bytes);
}

static void convert_blocked(const struct vt_cpu_call *call) {
    bool from_plain = is_plain(call->in[0]), to_plain = is_plain(call->out[0]);
    const struct vt_plan_value *blocked = to_plain ? call->in[0] : call->out[0];
    struct strides strides = plain_strides(&call->step->params, blocked);
    struct vt_plane_job job = {.call = call,
        .kernels = vt_plane_kernels_find(blocked->dtype, blocked->block),
        .rows = to_plain     ? scatter_rows
                : from_plain ? gather_rows
                             : copy_rows,
        .blocks = vt_cpu_blocks(blocked),
        .row_count = blocked->dims[2],
        .row_cost = blocked->dims[3] * blocked->block,
        .context = &strides};
    vt_plane_run(&job);
}

/* ------------------------------------------------------------ plain to plain */

/* Copies `n` elements of `size` bytes that lie `stride` elements apart in x. */
static void copy_strided(uint8_t *y, const uint8_t *x, int64_t n, int64_t stride, size_t size) {
    if (stride == 1)
        memcpy(y, x, (size_t)n * size);
    else if (size == sizeof(float))
        for (int64_t i = 0; i < n; i++) memcpy(y + i * 4, x + i * stride * 4, 4);
    else
        for (int64_t i = 0; i < n; i++) memcpy(y + i * (int64_t)size, x + i * stride * (int64_t)size, size);
}

static void transpose_item(void *context, size_t item, int thread) {
    (void)thread;
    const struct vt_cpu_call *call = context;
    const struct vt_plan_value *x = call->in[0];
    const struct vt_step_params *params = &call->step->params;
    const uint8_t *source = (const uint8_t *)call->in_data[0] + item * vt_cpu_item_bytes(x);
    uint8_t *target = (uint8_t *)call->out_data[0] + item * call->out[0]->bytes;
    size_t size = vt_dtype_size(x->dtype);
    int rank = params->perm_rank;
    int64_t x_stride[VT_MAX_RANK], stride[VT_MAX_RANK], dims[VT_MAX_RANK], at[VT_MAX_RANK] = {0}, next = 1;
    for (int i = rank - 1; i >= 0; i--) {
        x_stride[i] = next;
        next *= x->dims[i];
    }
    for (int i = 0; i < rank; i++) {
        stride[i] = x_stride[params->perm[i]];
        dims[i] = x->dims[params->perm[i]];
    }
    int64_t row = dims[rank - 1], rows = row ? vt_plan_elements(x) / row : 0, offset = 0;
    for (int64_t r = 0; r < rows; r++) {
        copy_strided(target + r * row * (int64_t)size, source + offset * (int64_t)size, row, stride[rank - 1], size);
        for (int i = rank - 2; i >= 0; i--) {
            offset += stride[i];
            if (++at[i] < dims[i]) break;
            offset -= dims[i] * stride[i];
            at[i] = 0;
        }
    }
}

static void copy_item(void *context, size_t item, int thread) {
    (void)thread;
    const struct vt_cpu_call *call = context;
    memcpy((uint8_t *)call->out_data[0] + item * call->out[0]->bytes,
        (const uint8_t *)call->in_data[0] + item * vt_cpu_item_bytes(call->in[0]),
        (size_t)vt_plan_elements(call->in[0]) * vt_dtype_size(call->in[0]->dtype));
}

static enum vultus_status run(const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    if (!is_plain(call->in[0]) || !is_plain(call->out[0]))
        convert_blocked(call);
    else
        vt_pool_run(
            call->pool, (size_t)call->batch, call->step->params.perm_rank ? transpose_item : copy_item, (void *)call);
    return VULTUS_OK;
}

const struct vt_cpu_tactic vt_cpu_convert_tactic = {
    .name = "convert", .class = "plane", .kind = VT_STEP_CONVERT, .supports = supports, .run = run};
