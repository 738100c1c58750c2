/* SPDX-License-Identifier: Apache-2.0
 *
 * y [M,N] = tail(x [M,K] weights [K,N]): the rows of all items are taken together, so that weights are read once.
 * Packed weights: panels of kernels->width columns, [panel][K][width], zeros past N.
 */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/plane.h"
#include "base/checked.h"
#include "base/cpu.h"

/* k per pass over the rows: the panel's part stays in the second-level cache while they go by. */
#define PASS_K 512
/* Below this many multiplications a panel costs less than handing it to another thread. */
#define ALONE_PRODUCTS 65536

static bool is_matrix(const struct vt_plan_value *v) {
    return v && v->dtype == VT_DTYPE_F32 && v->layout == VT_LAYOUT_PLAIN && v->rank == 2 && v->dims[0] > 0 &&
           v->dims[1] > 0;
}

bool vt_cpu_gemm_fits(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cpu_input(plan, step, 0), *y = vt_cpu_output(plan, step, 0);
    const struct vt_plan_value *residual = vt_cpu_input(plan, step, 3);
    const struct vt_tail *tail = &step->params.tail;
    if (!is_matrix(x) || !is_matrix(y) || x->dims[0] != y->dims[0]) return false;
    if (residual && (!is_matrix(residual) || memcmp(residual->dims, y->dims, 2 * sizeof *y->dims))) return false;
    return vt_plane_channels_fit(plan, step, 1, y->dims[1]) && vt_plane_channels_fit(plan, step, 2, y->dims[1]) &&
           (tail->act1 != VT_ACT_PRELU || vt_cpu_input(plan, step, 2)) && tail->act2 != VT_ACT_PRELU;
}

static size_t packed_bytes(
    const struct vt_plan *plan, const struct vt_plan_step *step, const struct vt_gemm_kernels *k) {
    size_t columns = (size_t)(vt_div_up(vt_cpu_output(plan, step, 0)->dims[1], k->width) * k->width), bytes;
    if (!vt_mul_size(columns, (size_t)vt_cpu_input(plan, step, 0)->dims[1], &bytes) ||
        !vt_mul_size(bytes, sizeof(float), &bytes))
        return SIZE_MAX;
    return bytes;
}

static void pack(const struct vt_plan *plan, const struct vt_plan_step *step, const struct vt_gemm_kernels *kernels,
    const float *weights, float *packed) {
    int64_t depth = vt_cpu_input(plan, step, 0)->dims[1], columns = vt_cpu_output(plan, step, 0)->dims[1];
    for (int64_t first = 0; first < columns; first += kernels->width) {
        int64_t used = vt_min_i64(kernels->width, columns - first);
        for (int64_t k = 0; k < depth; k++, packed += kernels->width)
            memcpy(packed, weights + k * columns + first, (size_t)used * sizeof *packed);
    }
}

/* ------------------------------------------------------------ run */

struct gemm {
    const struct vt_cpu_call *call;
    const struct vt_gemm_kernels *kernels;
    const float **rows; /* of x, all items */
    float *sums;        /* per thread */
    int64_t n_rows, depth, columns;
};

static size_t rows_bytes(int64_t n_rows) { return vt_round_up((size_t)n_rows * sizeof(float *), VT_PLAN_ALIGNMENT); }

static size_t sums_floats(const struct vt_gemm_kernels *kernels, int64_t n_rows) {
    return (size_t)(n_rows * 2 * kernels->width);
}

static size_t scratch_bytes(const struct vt_plan *plan, const struct vt_plan_step *step,
    const struct vt_gemm_kernels *kernels, int64_t batch, int threads) {
    int64_t n_rows = batch * vt_cpu_input(plan, step, 0)->dims[0];
    return rows_bytes(n_rows) + (size_t)threads * sums_floats(kernels, n_rows) * sizeof(float);
}

/* Row `row` of the array of items that belongs to `v`. */
static float *row_at(const struct vt_plan_value *v, const void *data, int64_t row) {
    int64_t rows = v->dims[0];
    return (float *)((uint8_t *)data + (uint64_t)(row / rows) * vt_cpu_item_bytes(v)) + row % rows * v->dims[1];
}

/* `used` values of a row, or all of `width` from a copy when the row ends before. */
static const float *whole(const float *values, int64_t used, int64_t width, float copy[VT_GEMM_MAX_WIDTH]) {
    if (!values || used == width) return values;
    memset(copy, 0, VT_GEMM_MAX_WIDTH * sizeof *copy);
    return memcpy(copy, values, (size_t)used * sizeof *copy);
}

static void finish_panel(const struct gemm *g, const float *sums, int64_t first, int64_t used) {
    const struct vt_cpu_call *call = g->call;
    int64_t width = g->kernels->width;
    float bias_copy[VT_GEMM_MAX_WIDTH], slope_copy[VT_GEMM_MAX_WIDTH], residual_copy[VT_GEMM_MAX_WIDTH];
    const float *bias = call->in[1] ? (const float *)call->in_data[1] + first : NULL;
    const float *slope = call->in[2] ? (const float *)call->in_data[2] + first : NULL;
    bias = whole(bias, used, width, bias_copy);
    slope = whole(slope, used, width, slope_copy);
    for (int64_t r = 0; r < g->n_rows; r++) {
        float *y = row_at(call->out[0], call->out_data[0], r) + first, partial[VT_GEMM_MAX_WIDTH];
        const float *residual = call->in[3] ? row_at(call->in[3], call->in_data[3], r) + first : NULL;
        residual = whole(residual, used, width, residual_copy);
        g->kernels->finish(
            used == width ? y : partial, sums + r * 2 * width, &call->step->params.tail, bias, slope, residual);
        if (used < width) memcpy(y, partial, (size_t)used * sizeof *y);
    }
}

static void run_panel(void *context, size_t unit, int thread) {
    const struct gemm *g = context;
    int64_t width = g->kernels->width, first = (int64_t)unit * width;
    const float *panel = (const float *)g->call->packed + first * g->depth;
    size_t floats = sums_floats(g->kernels, g->n_rows);
    float *sums = g->sums + (size_t)thread * floats;
    memset(sums, 0, floats * sizeof *sums);
    for (int64_t k = 0; k < g->depth; k += PASS_K)
        g->kernels->accumulate(sums, g->rows, g->n_rows, panel, k, vt_min_i64(k + PASS_K, g->depth));
    finish_panel(g, sums, first, vt_min_i64(width, g->columns - first));
}

static enum vultus_status run(const struct vt_cpu_call *call, const struct vt_gemm_kernels *kernels) {
    const struct vt_plan_value *x = call->in[0], *y = call->out[0];
    struct gemm g = {.call = call,
        .kernels = kernels,
        .rows = (const float **)call->scratch,
        .n_rows = call->batch * x->dims[0],
        .depth = x->dims[1],
        .columns = y->dims[1]};
    g.sums = (float *)(call->scratch + rows_bytes(g.n_rows));
    for (int64_t r = 0; r < g.n_rows; r++) g.rows[r] = row_at(x, call->in_data[0], r);
    bool alone = g.n_rows * g.depth < ALONE_PRODUCTS / kernels->width;
    vt_pool_run(alone ? NULL : call->pool, (size_t)vt_div_up(g.columns, kernels->width), run_panel, &g);
    return VULTUS_OK;
}

/* ------------------------------------------------------------ one tactic per instruction set */

#define GEMM_TACTIC(isa, feature_bits, resort)                                                                         \
    static size_t packed_bytes_##isa(const struct vt_plan *plan, const struct vt_plan_step *step) {                    \
        return packed_bytes(plan, step, &vt_gemm_kernels_##isa);                                                       \
    }                                                                                                                  \
    static enum vultus_status pack_##isa(const struct vt_plan *plan, const struct vt_plan_step *step,                  \
        const float *weights, void *packed, struct vultus_error *error) {                                              \
        (void)error;                                                                                                   \
        pack(plan, step, &vt_gemm_kernels_##isa, weights, packed);                                                     \
        return VULTUS_OK;                                                                                              \
    }                                                                                                                  \
    static size_t scratch_bytes_##isa(                                                                                 \
        const struct vt_plan *plan, const struct vt_plan_step *step, int64_t batch, int threads) {                     \
        return scratch_bytes(plan, step, &vt_gemm_kernels_##isa, batch, threads);                                      \
    }                                                                                                                  \
    static enum vultus_status run_##isa(const struct vt_cpu_call *call, struct vultus_error *error) {                  \
        (void)error;                                                                                                   \
        return run(call, &vt_gemm_kernels_##isa);                                                                      \
    }                                                                                                                  \
    static const struct vt_cpu_tactic isa##_tactic = {.name = "gemm:" #isa,                                            \
        .class = "gemm:" #isa,                                                                                         \
        .kind = VT_STEP_GEMM,                                                                                          \
        .features = feature_bits,                                                                                      \
        .last_resort = resort,                                                                                         \
        .supports = vt_cpu_gemm_fits,                                                                                  \
        .packed_bytes = packed_bytes_##isa,                                                                            \
        .pack = pack_##isa,                                                                                            \
        .scratch_bytes = scratch_bytes_##isa,                                                                          \
        .run = run_##isa};

#if defined(__x86_64__)
GEMM_TACTIC(avx512, VT_CPU_AVX512, false)
GEMM_TACTIC(avx2, VT_CPU_AVX2, true)
#endif
GEMM_TACTIC(generic, 0, true)

const struct vt_cpu_tactic *const vt_cpu_gemm_tactics[] = {
#if defined(__x86_64__)
    &avx512_tactic, &avx2_tactic,
#endif
    &generic_tactic, NULL};
