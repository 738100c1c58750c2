/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/conv.h"

#include <string.h>

#include "base/checked.h"
#include "base/cpu.h"

#if defined(__x86_64__)
static const struct vt_conv_kernels *const all_kernels[] = {
    &vt_conv_kernels_avx512, &vt_conv_kernels_avx2, &vt_conv_kernels_generic};
#else
static const struct vt_conv_kernels *const all_kernels[] = {&vt_conv_kernels_generic};
#endif

const struct vt_conv_kernels *vt_conv_kernels_find(int64_t block) {
    for (size_t i = 0; i < sizeof all_kernels / sizeof *all_kernels; i++) {
        if (all_kernels[i]->block == block) return all_kernels[i];
    }
    return NULL;
}

const struct vt_plan_value *vt_conv_input(const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i) {
    if (i >= step->n_inputs || step->inputs[i] == VT_PLAN_NONE) return NULL;
    return &plan->values[step->inputs[i]];
}

const struct vt_plan_value *vt_conv_output(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return &plan->values[step->outputs[0]];
}

bool vt_conv_is_blocked(const struct vt_plan_value *v, const struct vt_conv_kernels *kernels) {
    return v->dtype == kernels->dtype && v->layout == VT_LAYOUT_BLOCKED && v->rank == 4 && v->block == kernels->block;
}

/* The kernels' own planes, and float32 ones in as large blocks. */
static bool output_fits(const struct vt_plan_value *y, const struct vt_conv_kernels *kernels) {
    struct vt_plan_value own = *y;
    if (y->dtype == VT_DTYPE_F32) own.dtype = kernels->dtype;
    return vt_conv_is_blocked(&own, kernels);
}

bool vt_conv_outputs_fit(
    const struct vt_plan *plan, const struct vt_plan_step *step, const struct vt_conv_kernels *kernels) {
    const struct vt_plan_value *y = vt_conv_output(plan, step), *residual = vt_conv_input(plan, step, 3);
    if (!output_fits(y, kernels)) return false;
    if (residual == NULL) return true;
    if (!vt_conv_is_blocked(residual, kernels)) return false;
    for (int i = 1; i < 4; i++) {
        if (residual->dims[i] != y->dims[i]) return false;
    }
    return true;
}

bool vt_conv_step_fits(
    const struct vt_plan *plan, const struct vt_plan_step *step, const struct vt_conv_kernels *kernels) {
    const struct vt_window *w = &step->params.window;
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0), *y = vt_conv_output(plan, step);
    if (x == NULL || x->rank != 4 || !vt_conv_outputs_fit(plan, step, kernels)) return false;
    for (int i = 0; i < 2; i++) {
        int64_t reach = (y->dims[2 + i] - 1) * w->stride[i] + (w->kernel[i] - 1) * w->dilation[i] + 1;
        if (reach > x->dims[2 + i] + w->pad[i] + w->pad[2 + i]) return false;
    }
    if (x->layout == VT_LAYOUT_PLAIN) return x->dtype == VT_DTYPE_F32;
    for (int i = 0; i < 4; i++) {
        if (x->pad[i] < w->pad[i]) return false;
    }
    return vt_conv_is_blocked(x, kernels);
}

static bool needs_exp(enum vt_activation activation) {
    return activation == VT_ACT_SIGMOID || activation == VT_ACT_TANH || activation == VT_ACT_ELU;
}

void vt_conv_open(const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vt_conv *conv) {
    const struct vt_plan_value *x = call->in[0], *y = call->out[0];
    const struct vt_plan_value *residual = call->step->n_inputs > 3 ? call->in[3] : NULL;
    const struct vt_window *w = &call->step->params.window;
    *conv = (struct vt_conv){
        .kernels = kernels,
        .window = w,
        .x = x,
        .y = y,
        .residual = residual,
        .x_data = call->in_data[0],
        .residual_data = residual != NULL ? call->in_data[3] : NULL,
        .y_data = call->out_data[0],
        .weights = call->packed,
        .slices = vt_div_up(y->dims[1], kernels->lanes),
        .per_block = kernels->block / kernels->lanes,
        .x_size = (int64_t)vt_dtype_size(x->dtype),
        .w_size = (int64_t)vt_dtype_size(x->dtype),
        .y_size = (int64_t)vt_dtype_size(y->dtype),
        .w_lane = 1,
        .batch = call->batch,
        .threads = vt_pool_threads(call->pool),
    };
    struct vt_conv_shape *s = &conv->shape;
    *s = (struct vt_conv_shape){
        .kernel_rows = w->kernel[0],
        .kernel_columns = w->kernel[1],
        .channels = x->dims[1],
        .y_plane = vt_cpu_plane(y),
        .y_pixel = y->block,
        .y_float32 = y->dtype == VT_DTYPE_F32,
        .residual_plane = residual != NULL ? vt_cpu_plane(residual) : 0,
        .bias = call->step->n_inputs > 1 && call->in[1] != NULL ? call->in_data[1] : NULL,
        .tail = {.what = call->step->params.tail,
            .slope = call->step->n_inputs > 2 && call->in[2] != NULL ? call->in_data[2] : NULL},
    };
    s->tail.slow = needs_exp(s->tail.what.act1) || needs_exp(s->tail.what.act2);
    if (x->layout == VT_LAYOUT_BLOCKED) {
        s->x_plane = vt_cpu_plane(x);
        s->x_pixel = w->stride[1] * x->block;
        s->x_tap_row = w->dilation[0] * vt_cpu_row(x);
        s->x_tap_column = w->dilation[1] * x->block;
    }
}

struct vt_conv_split vt_conv_split(int64_t width, int64_t limit) {
    int64_t count = vt_div_up(width, limit);
    int64_t wide = vt_div_up(width, count);
    return (struct vt_conv_split){.count = count, .wide = wide, .wide_count = width - count * (wide - 1)};
}

/* Cycles that one input channel of a row costs with tiles of so many blocks: two FMAs or two loads each, FMAs take
 * four. */
static double row_cycles(const int *widest, int64_t width, int blocks) {
    struct vt_conv_split split = vt_conv_split(width, widest[blocks - 1]);
    double cycles = 0;
    for (int i = 0; i < 2; i++) {
        double pixels = (double)split.wide - i;
        double fma = pixels * blocks / 2, load = (pixels + blocks) / 2 + (blocks == 1 ? 0.5 : 0);
        double tile = fma > load ? fma : load;
        cycles += (double)(i == 0 ? split.wide_count : split.count - split.wide_count) * (tile > 4 ? tile : 4);
    }
    return cycles;
}

int vt_conv_choose_blocks(const int *widest, int64_t width, int64_t blocks) {
    int best = 1;
    double least = 0;
    for (int b = 1; b <= VT_CONV_MAX_BLOCKS; b++) {
        struct vt_conv_split split = vt_conv_split(blocks, b);
        double cycles = (double)split.wide_count * row_cycles(widest, width, (int)split.wide);
        if (split.wide > 1) {
            cycles += (double)(split.count - split.wide_count) * row_cycles(widest, width, (int)split.wide - 1);
        }
        if (b == 1 || cycles < least) {
            least = cycles;
            best = b;
        }
    }
    return best;
}

/* Rows that the busiest of the threads computes when units have `unit_rows` rows and go to whoever is free. */
static int64_t busiest_rows(int64_t rows, int64_t unit_rows, int64_t others, int threads) {
    return vt_div_up(vt_div_up(rows, unit_rows) * others, threads) * unit_rows;
}

/*
 * A unit should be worth its dispatch (some 0.1 us; 1 MFLOP takes about 4 us), yet every thread should get several, and
 * in large planes a unit's rows should stay in the second-level cache. Fewer rows than that are taken where threads
 * then end more evenly: 14 rows in twos are 8 rows for one of two threads and 6 for the other.
 */
int64_t vt_conv_rows_per_unit(int64_t rows, int64_t others, double flops, int threads) {
    double wished = flops / 1e6;
    double least = threads, most = 64.0 * threads;
    wished = wished < least ? least : wished > most ? most : wished;
    int64_t bands = (int64_t)(wished / (double)others + 0.999);
    if (bands < 1) bands = 1;
    int64_t widest = vt_div_up(rows, vt_min_i64(bands, rows)), best = widest;
    for (int64_t unit_rows = widest - 1; unit_rows >= 1 && unit_rows * 3 >= widest; unit_rows--)
        if (busiest_rows(rows, unit_rows, others, threads) < busiest_rows(rows, best, others, threads))
            best = unit_rows;
    return best;
}

void vt_conv_clear_idle(const struct vt_conv *conv, int64_t item, int64_t row) {
    int64_t blocks = vt_cpu_blocks(conv->y), idle = blocks * conv->per_block - conv->slices;
    if (idle == 0) return;
    uint8_t *y = vt_cpu_at(conv->y, conv->y_data + item * (int64_t)conv->y->bytes, blocks - 1, row, 0);
    if (conv->shape.y_float32) {
        int64_t pixel = conv->y->block * conv->y_size, lanes = idle * conv->kernels->lanes * conv->y_size;
        for (int64_t i = 0; i < conv->y->dims[3]; i++) memset(y + (i + 1) * pixel - lanes, 0, (size_t)lanes);
        return;
    }
    conv->kernels->clear(y, conv->y->dims[3], (int)idle);
}

void vt_conv_row_part(const struct vt_conv *conv, vt_conv_tiles *const *tiles, const struct vt_conv_split *split,
    const void *x, int64_t item, const struct vt_conv_slices *slices, int64_t row) {
    const struct vt_conv_shape *s = &conv->shape;
    int64_t block = slices->first / conv->per_block;
    int64_t lane = slices->first % conv->per_block * conv->kernels->lanes;
    const uint8_t *w = (const uint8_t *)conv->weights + (block * s->w_block + lane * conv->w_lane) * conv->w_size;
    const uint8_t *residual = NULL;
    uint8_t *y = vt_cpu_at(conv->y, conv->y_data + item * (int64_t)conv->y->bytes, block, row, 0);
    y += lane * conv->y_size;
    if (conv->residual != NULL) {
        const uint8_t *base = conv->residual_data + item * (int64_t)conv->residual->bytes;
        residual = vt_cpu_at(conv->residual, base, block, row, 0);
        residual += lane * (int64_t)vt_dtype_size(conv->residual->dtype);
    }
    tiles[split->wide - 1](s, x, w, y, residual, slices->first, split->wide_count);
    if (split->count > split->wide_count) {
        int64_t done = split->wide_count * split->wide, elements = done * s->y_pixel;
        if (residual != NULL) residual += elements * (int64_t)vt_dtype_size(conv->residual->dtype);
        tiles[split->wide - 2](s, (const uint8_t *)x + done * s->x_pixel * conv->x_size, w, y + elements * conv->y_size,
            residual, slices->first, split->count - split->wide_count);
    }
}

void vt_conv_row(const struct vt_conv *conv, vt_conv_tiles *const *tiles, const struct vt_conv_split *split,
    const void *x, int64_t item, const struct vt_conv_slices *slices, int64_t row) {
    vt_conv_row_part(conv, tiles, split, x, item, slices, row);
    if (slices->first + slices->count == conv->slices) vt_conv_clear_idle(conv, item, row);
}

#define TACTIC(algorithm, isa, tag, class_name, scratch, needed, last)                                                 \
    static bool algorithm##_##isa##_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {            \
        return vt_conv_step_fits(plan, step, &vt_conv_kernels_##isa) && vt_conv_##algorithm##_supports(plan, step);    \
    }                                                                                                                  \
    static enum vultus_status algorithm##_##isa##_run(const struct vt_cpu_call *call, struct vultus_error *error) {    \
        return vt_conv_##algorithm##_run(&vt_conv_kernels_##isa, call, error);                                         \
    }                                                                                                                  \
    static const struct vt_cpu_tactic algorithm##_##isa = {                                                            \
        .name = "conv:" #algorithm ":" tag,                                                                            \
        .class = class_name,                                                                                           \
        .kind = VT_STEP_CONV,                                                                                          \
        .features = needed,                                                                                            \
        .last_resort = last,                                                                                           \
        .supports = algorithm##_##isa##_supports,                                                                      \
        .packed_bytes = vt_conv_##algorithm##_packed_bytes,                                                            \
        .pack = vt_conv_##algorithm##_pack,                                                                            \
        .scratch_bytes = scratch,                                                                                      \
        .run = algorithm##_##isa##_run,                                                                                \
    };

#define TACTICS(isa, needed)                                                                                           \
    TACTIC(direct, isa, #isa, "direct", NULL, needed, false)                                                           \
    TACTIC(plain, isa, #isa, "direct", vt_conv_plain_scratch_bytes, needed, false)                                     \
    TACTIC(depthwise, isa, #isa, "depthwise", NULL, needed, false)                                                     \
    TACTIC(winograd4, isa, #isa, "winograd4", vt_conv_winograd4_scratch_bytes, needed, false)                          \
    TACTIC(winograd4_compact, isa, #isa, "winograd4", vt_conv_winograd4_compact_scratch_bytes, needed, false)

/* Blocks of bfloat16 suit every instruction set: lesser ones run only what no better one can. */
#define BF16_TACTICS(isa, needed, last)                                                                                \
    TACTIC(direct, bf16_##isa, "bf16:" #isa, "direct_bf16_" #isa, NULL, needed, last)                                  \
    TACTIC(plain, bf16_##isa, "bf16:" #isa, "direct_bf16_" #isa, vt_conv_plain_scratch_bytes, needed, last)            \
    TACTIC(depthwise, bf16_##isa, "bf16:" #isa, "depthwise_bf16_" #isa, NULL, needed, last)

#if defined(__x86_64__)
#define AMX (VT_CPU_AMX | VT_CPU_AVX512_BF16)
TACTICS(avx512, VT_CPU_AVX512)
TACTICS(avx2, VT_CPU_AVX2)
BF16_TACTICS(amx, AMX, false)
TACTIC(amx, bf16_amx, "bf16", "amx", NULL, AMX, false)
TACTIC(amx_tall, bf16_amx, "bf16", "amx", NULL, AMX, false)
BF16_TACTICS(avx512, VT_CPU_AVX512, true)
BF16_TACTICS(avx2, VT_CPU_AVX2, true)
#endif
TACTICS(generic, 0)
BF16_TACTICS(generic, 0, true)

#define TABLE_ROWS(isa) &direct_##isa, &plain_##isa, &depthwise_##isa, &winograd4_##isa, &winograd4_compact_##isa
#define BF16_ROWS(isa) &direct_bf16_##isa, &plain_bf16_##isa, &depthwise_bf16_##isa

const struct vt_cpu_tactic *const vt_cpu_conv_tactics[] = {
#if defined(__x86_64__)
    TABLE_ROWS(avx512), TABLE_ROWS(avx2), &amx_bf16_amx, &amx_tall_bf16_amx, BF16_ROWS(amx), BF16_ROWS(avx512),
    BF16_ROWS(avx2),
#endif
    TABLE_ROWS(generic), BF16_ROWS(generic), NULL};
