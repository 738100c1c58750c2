/* SPDX-License-Identifier: Apache-2.0
 *
 * Transposed convolution of stride s as s x s ordinary ones: outputs whose row and column have the same remainders, a
 * phase, are sums over the same taps of neighbouring inputs. Each output adds bias, then products by input block, tap
 * (input row and column ascending) and channel; the error bound is conv_direct.inc's, n counting a phase's taps.
 */
#include <string.h>

#include "backend/cpu/conv.h"
#include "base/checked.h"
#include "base/cpu.h"

/* The outputs of an axis whose place is one number modulo the stride. */
struct phase {
    int64_t taps, last; /* how many reach them, the last of which reads the first of their inputs */
    int64_t before;     /* taps of the phases before */
};

struct axis {
    struct phase phases[VT_PLAN_MAX_TRANSPOSED_STRIDE];
    int64_t tap_step, input_step; /* from a phase's tap to the next lower one: taps, and inputs onwards */
};

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static struct axis axis_of(const struct vt_window *w, int axis) {
    int64_t stride = w->stride[axis], divisor = common_divisor(stride, w->dilation[axis]), before = 0;
    struct axis a = {.tap_step = stride / divisor, .input_step = w->dilation[axis] / divisor};
    for (int64_t place = 0; place < stride; place++) {
        struct phase *p = &a.phases[place];
        p->before = before;
        for (int64_t tap = 0; tap < w->kernel[axis]; tap++) {
            if ((place + w->pad[axis] - tap * w->dilation[axis]) % stride != 0) continue;
            p->taps++;
            p->last = tap;
        }
        before += p->taps;
    }
    return a;
}

/* The first input that output `at` reads; it has taps. */
static int64_t first_input(const struct vt_window *w, int axis, const struct phase *phase, int64_t at) {
    return (at + w->pad[axis] - phase->last * w->dilation[axis]) / w->stride[axis];
}

static bool fits(const struct vt_plan *plan, const struct vt_plan_step *step, const struct vt_conv_kernels *kernels) {
    const struct vt_window *w = &step->params.window;
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0), *y = vt_conv_output(plan, step);
    if (x == NULL || !vt_conv_is_blocked(x, kernels) || !vt_conv_outputs_fit(plan, step, kernels) || w->group != 1)
        return false;
    for (int axis = 0; axis < 2; axis++) {
        int64_t reach[2];
        if (w->stride[axis] < 1 || w->stride[axis] > VT_PLAN_MAX_TRANSPOSED_STRIDE) return false;
        vt_plan_transposed_reach(w, axis, x->dims[2 + axis], y->dims[2 + axis], reach);
        if (x->pad[axis] < reach[0] || x->pad[axis + 2] < reach[1]) return false;
    }
    return true;
}

/* ------------------------------------------------------------ weights: phase after phase, packed as conv_direct's */

/* Numbers of one tap and output block; all inputs. */
static int64_t tap_weights(const struct vt_plan_value *x, const struct vt_plan_value *y) {
    return vt_cpu_blocks(x) * x->block * y->block;
}

/* SIZE_MAX when there are too many. */
static size_t packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0), *y = vt_conv_output(plan, step);
    const struct vt_window *w = &step->params.window;
    size_t bytes = (size_t)tap_weights(x, y) * vt_dtype_size(x->dtype);
    if (!vt_mul_size(bytes, (size_t)vt_cpu_blocks(y), &bytes) || !vt_mul_size(bytes, (size_t)w->kernel[0], &bytes) ||
        !vt_mul_size(bytes, (size_t)w->kernel[1], &bytes))
        return SIZE_MAX;
    return bytes;
}

static int64_t w_lane(const struct vt_plan_value *x) { return x->dtype == VT_DTYPE_BF16 ? 2 : 1; }

/* Where a phase's weights begin. */
static int64_t phase_start(const struct vt_plan_value *x, const struct vt_plan_value *y, const struct vt_window *w,
    const struct phase *row, const struct phase *column) {
    int64_t taps_before = row->before * w->kernel[1] + row->taps * column->before;
    return taps_before * tap_weights(x, y) * vt_cpu_blocks(y);
}

/* weights: [channel][output][kernel row][kernel column]; rounding errors are handed on as conv_direct.c does. */
static void pack_phase(const struct vt_plan *plan, const struct vt_plan_step *step, const struct axis *axes,
    const int64_t place[2], const float *weights, void *packed) {
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0), *y = vt_conv_output(plan, step);
    const struct vt_window *w = &step->params.window;
    const struct phase *row = &axes[0].phases[place[0]], *column = &axes[1].phases[place[1]];
    int64_t start = phase_start(x, y, w, row, column), outputs = y->dims[1], taps = row->taps * column->taps;
    struct vt_conv_packing packing = {
        .taps = taps, .group = x->block, .pair = w_lane(x), .lanes = y->block, .per_block = taps * tap_weights(x, y)};
    for (int64_t o = 0; o < outputs; o++) {
        for (int64_t c = 0; c < x->dims[1]; c++) {
            const float *kernel = weights + (c * outputs + o) * w->kernel[0] * w->kernel[1];
            float carry = 0;
            for (int64_t tap = 0; tap < taps; tap++) {
                int64_t ky = row->last - tap / column->taps * axes[0].tap_step;
                int64_t kx = column->last - tap % column->taps * axes[1].tap_step;
                int64_t at = start + vt_conv_packed_index(&packing, o, c, tap);
                float weight = kernel[ky * w->kernel[1] + kx];
                vt_cpu_set(x->dtype, packed, at, weight + carry);
                carry += weight - vt_cpu_get(x->dtype, packed, at);
            }
        }
    }
}

static enum vultus_status pack(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
    void *packed, struct vultus_error *error) {
    (void)error;
    const struct vt_window *w = &step->params.window;
    struct axis axes[2] = {axis_of(w, 0), axis_of(w, 1)};
    memset(packed, 0, packed_bytes(plan, step));
    for (int64_t row = 0; row < w->stride[0]; row++)
        for (int64_t column = 0; column < w->stride[1]; column++)
            pack_phase(plan, step, axes, (int64_t[]){row, column}, weights, packed);
    return VULTUS_OK;
}

/* ------------------------------------------------------------ run */

struct job {
    struct vt_conv conv;
    struct axis axes[2];
    int widest[VT_CONV_MAX_BLOCKS];
    struct vt_conv_split groups; /* of output slices */
    int64_t rows, bands;         /* output rows per unit */
};

/* A group of slices and the rows [first, end) of an item. */
struct unit {
    struct vt_conv_slices slices;
    int64_t item, first, end;
};

/* What the tiles of one phase have in common. */
static struct vt_conv conv_of_phase(const struct job *job, int64_t row_place, int64_t column_place) {
    struct vt_conv conv = job->conv;
    const struct phase *row = &job->axes[0].phases[row_place], *column = &job->axes[1].phases[column_place];
    struct vt_conv_shape *s = &conv.shape;
    s->kernel_rows = row->taps;
    s->kernel_columns = column->taps;
    s->w_block = row->taps * column->taps * tap_weights(conv.x, conv.y);
    s->x_pixel = conv.x->block;
    s->x_tap_row = job->axes[0].input_step * vt_cpu_row(conv.x);
    s->x_tap_column = job->axes[1].input_step * conv.x->block;
    s->y_pixel = conv.window->stride[1] * conv.y->block;
    int64_t start = phase_start(conv.x, conv.y, conv.window, row, column), shift = column_place * conv.y->block;
    conv.weights = (const uint8_t *)conv.weights + start * conv.w_size;
    conv.y_data += shift * conv.y_size;
    if (conv.residual != NULL) conv.residual_data += shift * (int64_t)vt_dtype_size(conv.residual->dtype);
    return conv;
}

static void run_phase(const struct job *job, const struct unit *unit, int64_t row_place, int64_t column_place) {
    const struct phase *row = &job->axes[0].phases[row_place], *column = &job->axes[1].phases[column_place];
    struct vt_conv conv = conv_of_phase(job, row_place, column_place);
    const struct vt_window *w = conv.window;
    int64_t pixels = vt_div_up(conv.y->dims[3] - column_place, w->stride[1]);
    struct vt_conv_split split = vt_conv_split(pixels, job->widest[unit->slices.count - 1]);
    const uint8_t *x = conv.x_data + unit->item * (int64_t)conv.x->bytes;
    int64_t stride = w->stride[0], first = (unit->first + stride - 1 - row_place) / stride * stride + row_place;
    for (int64_t at = first; at < unit->end; at += stride) {
        const void *input = x;
        if (row->taps != 0 && column->taps != 0)
            input = vt_cpu_at(conv.x, x, 0, first_input(w, 0, row, at), first_input(w, 1, column, column_place));
        vt_conv_row_part(
            &conv, conv.kernels->transposed[0][unit->slices.count - 1], &split, input, unit->item, &unit->slices, at);
    }
}

static void transposed_unit(void *context, size_t number, int thread) {
    (void)thread;
    const struct job *job = context;
    const struct vt_conv *conv = &job->conv;
    int64_t band = (int64_t)number % job->bands, plane = (int64_t)number / job->bands;
    int64_t group = plane % job->groups.count, narrow = vt_max_i64(0, group - job->groups.wide_count);
    struct unit unit = {
        .slices = {group * job->groups.wide - narrow, job->groups.wide - (group >= job->groups.wide_count)},
        .item = plane / job->groups.count,
        .first = band * job->rows,
        .end = vt_min_i64((band + 1) * job->rows, conv->y->dims[2])};
    for (int64_t row = 0; row < conv->window->stride[0]; row++)
        for (int64_t column = 0; column < vt_min_i64(conv->window->stride[1], conv->y->dims[3]); column++)
            run_phase(job, &unit, row, column);
    if (unit.slices.first + unit.slices.count < conv->slices) return;
    for (int64_t row = unit.first; row < unit.end; row++) vt_conv_clear_idle(conv, unit.item, row);
}

static enum vultus_status run(const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call) {
    const struct vt_window *w = &call->step->params.window;
    struct job job = {.axes = {axis_of(w, 0), axis_of(w, 1)}};
    vt_conv_open(kernels, call, &job.conv);
    const struct vt_plan_value *x = job.conv.x, *y = job.conv.y;
    job.conv.w_lane = w_lane(x);
    memcpy(job.widest, kernels->max_pixels, sizeof job.widest);
    int64_t pixels = vt_div_up(y->dims[3], w->stride[1]), slices = job.conv.slices;
    job.groups = vt_conv_split(slices, vt_conv_choose_blocks(job.widest, pixels, slices));
    int64_t planes = job.groups.count * job.conv.batch, places = vt_div_up(y->dims[2], w->stride[0]);
    double products = (double)(x->dims[2] * x->dims[3] * job.conv.batch) * (double)(w->kernel[0] * w->kernel[1]);
    double flops = 2 * products * (double)(tap_weights(x, y) * vt_cpu_blocks(y));
    job.rows = vt_conv_rows_per_unit(places, planes, flops, job.conv.threads) * w->stride[0];
    job.bands = vt_div_up(y->dims[2], job.rows);
    vt_pool_run(call->pool, (size_t)(planes * job.bands), transposed_unit, &job);
    return VULTUS_OK;
}

#define TACTIC(isa, tag, needed, last)                                                                                 \
    static bool isa##_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {                          \
        return fits(plan, step, &vt_conv_kernels_##isa);                                                               \
    }                                                                                                                  \
    static enum vultus_status isa##_run(const struct vt_cpu_call *call, struct vultus_error *error) {                  \
        (void)error;                                                                                                   \
        return run(&vt_conv_kernels_##isa, call);                                                                      \
    }                                                                                                                  \
    static const struct vt_cpu_tactic isa##_tactic = {                                                                 \
        .name = "conv_transpose:" tag,                                                                                 \
        .class = "conv_transpose_" #isa,                                                                               \
        .kind = VT_STEP_CONV_TRANSPOSE,                                                                                \
        .features = needed,                                                                                            \
        .last_resort = last,                                                                                           \
        .supports = isa##_supports,                                                                                    \
        .packed_bytes = packed_bytes,                                                                                  \
        .pack = pack,                                                                                                  \
        .run = isa##_run,                                                                                              \
    };

#if defined(__x86_64__)
TACTIC(avx512, "avx512", VT_CPU_AVX512, false)
TACTIC(avx2, "avx2", VT_CPU_AVX2, false)
TACTIC(bf16_avx512, "bf16:avx512", VT_CPU_AVX512, false)
TACTIC(bf16_avx2, "bf16:avx2", VT_CPU_AVX2, true)
#endif
TACTIC(generic, "generic", 0, false)
TACTIC(bf16_generic, "bf16:generic", 0, true)

const struct vt_cpu_tactic *const vt_cpu_conv_transpose_tactics[] = {
#if defined(__x86_64__)
    &avx512_tactic, &avx2_tactic, &bf16_avx512_tactic, &bf16_avx2_tactic,
#endif
    &generic_tactic, &bf16_generic_tactic, NULL};
