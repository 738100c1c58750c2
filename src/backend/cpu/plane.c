/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/plane.h"

#include <string.h>

#include "base/checked.h"
#include "base/cpu.h"

/* Below this many elements a unit of work costs less than handing it to another thread. */
#define UNIT_ELEMENTS 16384

/* Of 32 lanes, which suit every instruction set. */
static const struct vt_plane_kernels *wide_kernels(bool bf16) {
#if defined(__x86_64__)
    if (bf16 && vt_cpu_has(VT_CPU_AMX | VT_CPU_AVX512_BF16)) return &vt_plane_kernels_bf16_amx;
    if (vt_cpu_has(VT_CPU_AVX512)) return bf16 ? &vt_plane_kernels_bf16_avx512 : &vt_plane_kernels_wide_avx512;
    if (vt_cpu_has(VT_CPU_AVX2)) return bf16 ? &vt_plane_kernels_bf16_avx2 : &vt_plane_kernels_wide_avx2;
#endif
    return bf16 ? &vt_plane_kernels_bf16_generic : &vt_plane_kernels_wide_generic;
}

const struct vt_plane_kernels *vt_plane_kernels_find(enum vt_dtype dtype, int lanes) {
    if (dtype != VT_DTYPE_F32 && dtype != VT_DTYPE_BF16) return NULL;
    if (lanes == VT_CPU_BF16_BLOCK) return wide_kernels(dtype == VT_DTYPE_BF16);
    if (dtype == VT_DTYPE_BF16) return NULL;
#if defined(__x86_64__)
    if (lanes == 16) return vt_cpu_has(VT_CPU_AVX512) ? &vt_plane_kernels_avx512 : NULL;
    if (lanes == 8) return vt_cpu_has(VT_CPU_AVX2) ? &vt_plane_kernels_avx2 : NULL;
#endif
    return lanes == 4 ? &vt_plane_kernels_generic : NULL;
}

/* ------------------------------------------------------------ dividing the work */

static void run_unit(void *context, size_t unit, int thread) {
    (void)thread;
    const struct vt_plane_job *job = context;
    int64_t chunk = (int64_t)unit % job->units_per_block, plane = (int64_t)unit / job->units_per_block;
    struct vt_plane_span span = {.item = plane / job->blocks,
        .block = plane % job->blocks,
        .row_begin = chunk * job->rows_per_unit,
        .row_end = vt_min_i64((chunk + 1) * job->rows_per_unit, job->row_count)};
    job->rows(job, &span);
}

void vt_plane_run(struct vt_plane_job *job) {
    int64_t planes = job->call->batch * job->blocks, row_cost = vt_max_i64(job->row_cost, 1);
    bool alone = planes * job->row_count <= UNIT_ELEMENTS / row_cost || vt_pool_threads(job->call->pool) == 1;
    job->rows_per_unit = alone ? job->row_count : vt_min_i64(job->row_count, vt_div_up(UNIT_ELEMENTS, row_cost));
    job->units_per_block = vt_div_up(job->row_count, job->rows_per_unit);
    vt_pool_run(alone ? NULL : job->call->pool, (size_t)(planes * job->units_per_block), run_unit, job);
}

struct vt_plane_job vt_plane_job(
    const struct vt_cpu_call *call, void (*rows)(const struct vt_plane_job *job, const struct vt_plane_span *span)) {
    const struct vt_plan_value *y = call->out[0];
    const struct vt_tail *tail = &call->step->params.tail;
    return (struct vt_plane_job){.call = call,
        .kernels = vt_plane_kernels_find(y->dtype, y->block),
        .act = {.activation = tail->act1, .alpha = tail->act1_alpha, .beta = tail->act1_beta},
        .rows = rows,
        .blocks = vt_cpu_blocks(y),
        .row_count = y->dims[2],
        .row_cost = y->dims[3] * y->block};
}

const void *vt_plane_in(const struct vt_plane_job *job, int i, const struct vt_plane_span *span, int64_t row) {
    const struct vt_plan_value *v = job->call->in[i];
    const uint8_t *item = (const uint8_t *)job->call->in_data[i] + (uint64_t)span->item * vt_cpu_item_bytes(v);
    return vt_cpu_at(v, item, span->block, row, 0);
}

void *vt_plane_out(const struct vt_plane_job *job, const struct vt_plane_span *span, int64_t row) {
    const struct vt_plan_value *v = job->call->out[0];
    return vt_cpu_at(v, (uint8_t *)job->call->out_data[0] + (uint64_t)span->item * v->bytes, span->block, row, 0);
}

const float *vt_plane_channels(const struct vt_plane_job *job, int i, int64_t block, float lanes[VT_PLANE_MAX_LANES]) {
    int64_t width = job->kernels->lanes, first = block * width;
    int64_t count = (int64_t)(job->call->in[i]->bytes / sizeof(float));
    const float *values = (const float *)job->call->in_data[i] + first;
    if (first + width <= count) return values;
    memset(lanes, 0, VT_PLANE_MAX_LANES * sizeof *lanes);
    if (first < count) memcpy(lanes, values, (size_t)(count - first) * sizeof *lanes);
    return lanes;
}

/* ------------------------------------------------------------ what fits */

bool vt_plane_fits(const struct vt_plan_value *v) {
    return v && v->layout == VT_LAYOUT_BLOCKED && v->rank == 4 && v->dims[0] == 1 && v->dims[1] > 0 && v->dims[2] > 0 &&
           v->dims[3] > 0 && vt_plane_kernels_find(v->dtype, v->block);
}

bool vt_plane_channels_fit(const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i, int64_t channels) {
    const struct vt_plan_value *v = vt_cpu_input(plan, step, i);
    return !v || (v->dtype == VT_DTYPE_F32 && v->layout == VT_LAYOUT_PLAIN && v->storage == VT_STORAGE_CONSTANT &&
                     v->bytes / sizeof(float) >= (uint64_t)channels);
}

bool vt_plane_same_shape(const struct vt_plan_value *a, const struct vt_plan_value *b) {
    return a->dtype == b->dtype && a->block == b->block && memcmp(a->dims, b->dims, 4 * sizeof *a->dims) == 0;
}

/* Input i and the output are planes of one block; act1 is one that the step can hold. */
static bool planes_fit(const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i) {
    const struct vt_plan_value *x = vt_cpu_input(plan, step, i), *y = vt_cpu_output(plan, step, 0);
    return vt_plane_fits(x) && vt_plane_fits(y) && x->dtype == y->dtype && x->block == y->block &&
           x->dims[1] == y->dims[1];
}

/* ------------------------------------------------------------ affine */

static bool affine_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (!planes_fit(plan, step, 0) || !vt_cpu_input(plan, step, 1) || !vt_cpu_input(plan, step, 2)) return false;
    const struct vt_plan_value *y = vt_cpu_output(plan, step, 0);
    for (uint32_t i = 1; i < 4; i++)
        if (!vt_plane_channels_fit(plan, step, i, y->dims[1])) return false;
    bool has_slope = vt_cpu_input(plan, step, 3) || step->params.tail.act1 != VT_ACT_PRELU;
    return has_slope && step->params.tail.act2 == VT_ACT_NONE && vt_plane_same_shape(vt_cpu_input(plan, step, 0), y);
}

static void affine_rows(const struct vt_plane_job *job, const struct vt_plane_span *span) {
    float lanes[3][VT_PLANE_MAX_LANES];
    const float *scale = vt_plane_channels(job, 1, span->block, lanes[0]);
    const float *shift = vt_plane_channels(job, 2, span->block, lanes[1]);
    struct vt_plane_act act = job->act;
    if (act.activation == VT_ACT_PRELU) act.slope = vt_plane_channels(job, 3, span->block, lanes[2]);
    int64_t columns = job->call->out[0]->dims[3];
    for (int64_t row = span->row_begin; row < span->row_end; row++)
        job->kernels->affine(vt_plane_out(job, span, row), vt_plane_in(job, 0, span, row), columns, scale, shift, &act);
}

static enum vultus_status affine_run(const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    struct vt_plane_job job = vt_plane_job(call, affine_rows);
    vt_plane_run(&job);
    return VULTUS_OK;
}

static const struct vt_cpu_tactic affine_tactic = {
    .name = "affine", .class = "plane", .kind = VT_STEP_AFFINE, .supports = affine_supports, .run = affine_run};

/* ------------------------------------------------------------ binary */

static bool is_broadcast(const struct vt_plan_value *b, const struct vt_plan_value *y) {
    return b->dims[2] == 1 && b->dims[3] == 1 && (y->dims[2] != 1 || y->dims[3] != 1);
}

static bool binary_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (!planes_fit(plan, step, 0) || !planes_fit(plan, step, 1)) return false;
    const struct vt_plan_value *b = vt_cpu_input(plan, step, 1), *y = vt_cpu_output(plan, step, 0);
    return vt_plane_same_shape(vt_cpu_input(plan, step, 0), y) && (vt_plane_same_shape(b, y) || is_broadcast(b, y)) &&
           step->params.mode >= VT_BINARY_ADD && step->params.mode <= VT_BINARY_DIV &&
           step->params.tail.act1 != VT_ACT_PRELU && step->params.tail.act2 == VT_ACT_NONE;
}

static void binary_rows(const struct vt_plane_job *job, const struct vt_plane_span *span) {
    bool broadcast = is_broadcast(job->call->in[1], job->call->out[0]);
    for (int64_t row = span->row_begin; row < span->row_end; row++)
        job->kernels->binary(vt_plane_out(job, span, row), vt_plane_in(job, 0, span, row),
            vt_plane_in(job, 1, span, broadcast ? 0 : row), job->call->out[0]->dims[3], broadcast ? 0 : 1,
            job->call->step->params.mode, &job->act);
}

/* Channels past the last would be 0 / 0. */
static void clear_spare_lanes(const struct vt_plane_job *job) {
    const struct vt_plan_value *y = job->call->out[0];
    int64_t used = y->dims[1] % y->block, size = (int64_t)vt_dtype_size(y->dtype);
    if (used == 0) return;
    for (int64_t item = 0; item < job->call->batch; item++) {
        struct vt_plane_span last = {.item = item, .block = vt_cpu_blocks(y) - 1};
        for (int64_t row = 0; row < y->dims[2]; row++) {
            uint8_t *pixels = vt_plane_out(job, &last, row);
            for (int64_t x = 0; x < y->dims[3]; x++)
                memset(pixels + (x * y->block + used) * size, 0, (size_t)((y->block - used) * size));
        }
    }
}

static enum vultus_status binary_run(const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    struct vt_plane_job job = vt_plane_job(call, binary_rows);
    vt_plane_run(&job);
    if (call->step->params.mode == VT_BINARY_DIV) clear_spare_lanes(&job);
    return VULTUS_OK;
}

static const struct vt_cpu_tactic binary_tactic = {
    .name = "binary", .class = "plane", .kind = VT_STEP_BINARY, .supports = binary_supports, .run = binary_run};

/* ------------------------------------------------------------ upsample */

static bool upsample_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (!planes_fit(plan, step, 0)) return false;
    const struct vt_plan_value *residual = vt_cpu_input(plan, step, 1), *y = vt_cpu_output(plan, step, 0);
    return !residual || (vt_plane_fits(residual) && vt_plane_same_shape(residual, y));
}

static void upsample_rows(const struct vt_plane_job *job, const struct vt_plane_span *span) {
    const struct vt_plan_value *x = job->call->in[0], *y = job->call->out[0];
    bool has_residual = job->call->step->n_inputs > 1 && job->call->in[1];
    for (int64_t row = span->row_begin; row < span->row_end; row++) {
        const void *residual = has_residual ? vt_plane_in(job, 1, span, row) : NULL;
        job->kernels->upsample(vt_plane_out(job, span, row), vt_plane_in(job, 0, span, row * x->dims[2] / y->dims[2]),
            residual, y->dims[3], x->dims[3]);
    }
}

static enum vultus_status upsample_run(const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    struct vt_plane_job job = vt_plane_job(call, upsample_rows);
    vt_plane_run(&job);
    return VULTUS_OK;
}

static const struct vt_cpu_tactic upsample_tactic = {
    .name = "upsample", .class = "plane", .kind = VT_STEP_UPSAMPLE, .supports = upsample_supports, .run = upsample_run};

const struct vt_cpu_tactic *const vt_cpu_plane_tactics[] = {&affine_tactic, &binary_tactic, &upsample_tactic,
    &vt_cpu_pool_tactic, &vt_cpu_global_pool_tactic, &vt_cpu_group_norm_tactic, &vt_cpu_convert_tactic,
    &vt_cpu_concat_tactic, &vt_cpu_split_tactic, NULL};
