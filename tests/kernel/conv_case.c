/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/conv_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"

enum { X, BIAS, SLOPE, RESIDUAL, Y };

#define LARGEST_BLOCK 64 /* that plans may have */

static float *floats(size_t count) {
    float *memory = vt_alloc_aligned(vt_round_up(count * sizeof(float), 64) + 64);
    if (memory == NULL) {
        fprintf(stderr, "out of memory\n");
        abort();
    }
    memset(memory, 0, count * sizeof(float));
    return memory;
}

/* xorshift, uniform in [-1, 1). */
static float noise(unsigned *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return (float)((int)(*state >> 8) - (1 << 23)) / (float)(1 << 23);
}

static int64_t out_size(const struct conv_spec *s, int axis) {
    int64_t in = axis == 0 ? s->height : s->width;
    int64_t reach = (s->kernel[axis] - 1) * s->dilation[axis] + 1;
    return (in + s->pad[axis] + s->pad[axis + 2] - reach) / s->stride[axis] + 1;
}

static struct vt_plan_value blocked(int64_t c, int64_t h, int64_t w, int32_t block, const int32_t pad[4]) {
    struct vt_plan_value v = {.dtype = block == VT_CPU_BF16_BLOCK ? VT_DTYPE_BF16 : VT_DTYPE_F32,
        .layout = VT_LAYOUT_BLOCKED,
        .storage = VT_STORAGE_ARENA,
        .rank = 4,
        .dims = {1, c, h, w},
        .block = block,
        .border = VT_PLAN_NONE};
    memcpy(v.pad, pad, sizeof v.pad);
    v.bytes = vt_round_up((size_t)(vt_cpu_blocks(&v) * vt_cpu_plane(&v)) * vt_dtype_size(v.dtype), 64);
    return v;
}

/* Interior noise, border values in the border; channels past C hold finite noise. */
static void fill_x(struct conv_case *c, unsigned *state) {
    const struct vt_plan_value *v = &c->values[X];
    if (v->layout == VT_LAYOUT_PLAIN) {
        for (size_t i = 0; i < (size_t)c->spec.batch * v->bytes / sizeof(float); i++) c->data[X][i] = noise(state);
        return;
    }
    for (int64_t item = 0; item < c->spec.batch; item++) {
        uint8_t *base = (uint8_t *)c->data[X] + item * (int64_t)v->bytes;
        for (int64_t b = 0; b < vt_cpu_blocks(v); b++) {
            for (int64_t y = -v->pad[0]; y < v->dims[2] + v->pad[2]; y++) {
                for (int64_t x = -v->pad[1]; x < v->dims[3] + v->pad[3]; x++) {
                    void *at = vt_cpu_at(v, base, b, y, x);
                    bool inside = y >= 0 && y < v->dims[2] && x >= 0 && x < v->dims[3];
                    for (int l = 0; l < v->block; l++)
                        vt_cpu_set(v->dtype, at, l, inside ? noise(state) : c->border[b * v->block + l]);
                }
            }
        }
    }
}

/* The same numbers as [batch,channels,rows,columns]. */
static void copy_x(struct conv_case *c) {
    const struct conv_spec *s = &c->spec;
    const struct vt_plan_value *v = &c->values[X];
    float *to = c->x = floats((size_t)(s->batch * s->channels * s->height * s->width));
    if (s->plain) {
        memcpy(to, c->data[X], (size_t)s->batch * v->bytes);
        return;
    }
    for (int64_t item = 0; item < s->batch; item++) {
        uint8_t *base = (uint8_t *)c->data[X] + item * (int64_t)v->bytes;
        for (int64_t ch = 0; ch < s->channels; ch++)
            for (int64_t y = 0; y < s->height; y++)
                for (int64_t x = 0; x < s->width; x++)
                    *to++ = vt_cpu_get(v->dtype, vt_cpu_at(v, base, ch / v->block, y, x), ch % v->block);
    }
}

static void open_values(struct conv_case *c) {
    const struct conv_spec *s = &c->spec;
    int32_t x_pad[4], y_pad[4], residual_pad[4];
    for (int i = 0; i < 4; i++) {
        x_pad[i] = (int32_t)s->pad[i] + s->x_extra_pad;
        y_pad[i] = s->y_pad;
        residual_pad[i] = s->residual_pad;
    }
    c->values[X] = blocked(s->channels, s->height, s->width, s->block, x_pad);
    if (s->plain) {
        c->values[X].layout = VT_LAYOUT_PLAIN;
        c->values[X].dtype = VT_DTYPE_F32;
        memset(c->values[X].pad, 0, sizeof x_pad);
        c->values[X].bytes = (uint64_t)(s->channels * s->height * s->width) * sizeof(float);
    }
    c->values[Y] = blocked(s->outputs, out_size(s, 0), out_size(s, 1), s->block, y_pad);
    if (s->y_float32 && c->values[Y].dtype == VT_DTYPE_BF16) {
        c->values[Y].dtype = VT_DTYPE_F32;
        c->values[Y].bytes *= 2;
    }
    c->values[RESIDUAL] = blocked(s->outputs, out_size(s, 0), out_size(s, 1), s->block, residual_pad);
    struct vt_plan_value constant = {.dtype = VT_DTYPE_F32, .storage = VT_STORAGE_CONSTANT, .rank = 1};
    constant.dims[0] = vt_cpu_blocks(&c->values[Y]) * s->block;
    constant.bytes = (uint64_t)constant.dims[0] * sizeof(float);
    c->values[BIAS] = c->values[SLOPE] = constant;
}

static float rounded(enum vt_dtype dtype, float value) {
    vt_cpu_set(dtype, &value, 0, value);
    return vt_cpu_get(dtype, &value, 0);
}

void conv_case_open(const struct conv_spec *spec, struct conv_case *c) {
    unsigned state = 2463534242u + spec->seed * 7919u;
    *c = (struct conv_case){.spec = *spec};
    open_values(c);
    const bool present[] = {true, spec->bias, spec->tail.act1 == VT_ACT_PRELU, spec->residual};
    c->step = (struct vt_plan_step){.kind = VT_STEP_CONV,
        .name = "conv",
        .inputs = c->inputs,
        .outputs = c->outputs,
        .n_inputs = 4,
        .n_outputs = 1};
    for (uint32_t i = 0; i < 4; i++) c->inputs[i] = present[i] ? i : VT_PLAN_NONE;
    c->outputs[0] = Y;
    struct vt_window *w = &c->step.params.window;
    memcpy(w->kernel, spec->kernel, sizeof w->kernel);
    memcpy(w->stride, spec->stride, sizeof w->stride);
    memcpy(w->dilation, spec->dilation, sizeof w->dilation);
    memcpy(w->pad, spec->pad, sizeof w->pad);
    w->group = spec->group;
    c->step.params.tail = spec->tail;
    c->plan.values = c->values;
    c->plan.n_values = 5;
    c->plan.steps = &c->step;
    c->plan.n_steps = 1;

    size_t padded = vt_round_up((size_t)spec->channels, LARGEST_BLOCK);
    enum vt_dtype dtype = c->values[X].dtype;
    c->border = floats(padded);
    for (size_t i = 0; i < padded && spec->border; i++) c->border[i] = rounded(dtype, noise(&state));
    for (int i = 0; i < 5; i++) {
        bool item = i == X || i == RESIDUAL || i == Y;
        size_t count = (size_t)(item ? spec->batch : 1) * c->values[i].bytes / vt_dtype_size(c->values[i].dtype);
        c->data[i] = floats(count);
        for (size_t k = 0; k < count; k++)
            vt_cpu_set(c->values[i].dtype, c->data[i], (int64_t)k, i == Y ? CONV_CASE_UNTOUCHED : noise(&state));
    }
    for (int64_t i = spec->outputs; i < c->values[BIAS].dims[0]; i++) c->data[BIAS][i] = c->data[SLOPE][i] = 0;
    fill_x(c, &state);
    copy_x(c);
    size_t weights = (size_t)(spec->outputs * spec->channels / spec->group * spec->kernel[0] * spec->kernel[1]);
    c->weights = floats(weights);
    for (size_t i = 0; i < weights; i++) c->weights[i] = rounded(spec->group > 1 ? VT_DTYPE_F32 : dtype, noise(&state));
}

void conv_case_close(struct conv_case *c) {
    for (int i = 0; i < 5; i++) vt_free_aligned(c->data[i]);
    vt_free_aligned(c->x);
    vt_free_aligned(c->border);
    vt_free_aligned(c->weights);
}

void *conv_case_pack(const struct conv_case *c, const struct vt_cpu_tactic *tactic) {
    if (!tactic->supports(&c->plan, &c->step)) return NULL;
    size_t bytes = tactic->packed_bytes(&c->plan, &c->step);
    void *packed = floats(bytes / sizeof(float));
    if (tactic->pack(&c->plan, &c->step, c->weights, packed, NULL) != VULTUS_OK) abort();
    return packed;
}

enum vultus_status conv_case_run(const struct conv_case *c, const struct vt_cpu_tactic *tactic, const void *packed,
    struct vt_pool *pool, int64_t batch, float *y) {
    const struct vt_plan_value *in[4], *out[1] = {&c->values[Y]};
    const void *in_data[4];
    void *out_data[1] = {y};
    for (int i = 0; i < 4; i++) {
        bool present = c->inputs[i] != VT_PLAN_NONE;
        in[i] = present ? &c->values[i] : NULL;
        in_data[i] = present ? c->data[i] : NULL;
    }
    size_t scratch = 0;
    if (tactic->scratch_bytes != NULL)
        scratch = tactic->scratch_bytes(&c->plan, &c->step, batch, vt_pool_threads(pool));
    struct vt_cpu_call call = {.plan = &c->plan,
        .step = &c->step,
        .in = in,
        .out = out,
        .in_data = in_data,
        .out_data = out_data,
        .batch = batch,
        .packed = packed,
        .scratch = scratch > 0 ? (uint8_t *)floats(scratch / sizeof(float) + 1) : NULL,
        .pool = pool};
    enum vultus_status status = tactic->run(&call, NULL);
    vt_free_aligned(call.scratch);
    return status;
}

double conv_case_sum(const struct conv_case *c, int64_t item, const int64_t at[3], double *size) {
    const struct conv_spec *s = &c->spec;
    int64_t per_group = s->channels / s->group, first = at[0] / (s->outputs / s->group) * per_group;
    int64_t taps = s->kernel[0] * s->kernel[1], plane = s->height * s->width;
    double sum = s->bias ? c->data[BIAS][at[0]] : 0;
    *size = fabs(sum);
    for (int64_t ky = 0; ky < s->kernel[0]; ky++) {
        for (int64_t kx = 0; kx < s->kernel[1]; kx++) {
            int64_t y = at[1] * s->stride[0] + ky * s->dilation[0] - s->pad[0];
            int64_t x = at[2] * s->stride[1] + kx * s->dilation[1] - s->pad[1];
            bool inside = y >= 0 && y < s->height && x >= 0 && x < s->width;
            const float *values =
                inside ? c->x + (item * s->channels + first) * plane + y * s->width + x : c->border + first;
            const float *weights = c->weights + at[0] * per_group * taps + ky * s->kernel[1] + kx;
            for (int64_t i = 0; i < per_group; i++) {
                double term = (double)values[i * (inside ? plane : 1)] * weights[i * taps];
                sum += term;
                *size += fabs(term);
            }
        }
    }
    return sum;
}

static double activate(enum vt_activation activation, double x, double alpha, double beta, double slope) {
    switch (activation) {
    case VT_ACT_RELU: return x > 0 ? x : 0;
    case VT_ACT_LEAKY_RELU: return x > 0 ? x : alpha * x;
    case VT_ACT_PRELU: return x > 0 ? x : slope * x;
    case VT_ACT_CLIP: return x < alpha ? alpha : x > beta ? beta : x;
    case VT_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case VT_ACT_TANH: return tanh(x);
    case VT_ACT_ELU: return x > 0 ? x : alpha * (exp(x) - 1);
    case VT_ACT_HARD_SIGMOID: return fmin(fmax(alpha * x + beta, 0), 1);
    case VT_ACT_HARD_SWISH: return x * fmin(fmax(x + 3, 0), 6) / 6;
    default: return x;
    }
}

double conv_case_expected(const struct conv_case *c, int64_t item, const int64_t at[3], double *size) {
    const struct vt_tail *t = &c->spec.tail;
    double v = conv_case_sum(c, item, at, size);
    v = activate(t->act1, v, t->act1_alpha, t->act1_beta, c->data[SLOPE][at[0]]);
    if (c->spec.residual) {
        const struct vt_plan_value *r = &c->values[RESIDUAL];
        const uint8_t *base = (const uint8_t *)c->data[RESIDUAL] + item * (int64_t)r->bytes;
        double residual = vt_cpu_get(r->dtype, vt_cpu_at(r, base, at[0] / r->block, at[1], at[2]), at[0] % r->block);
        v += residual;
        *size += fabs(residual);
    }
    return activate(t->act2, v, t->act2_alpha, t->act2_beta, 0);
}

double conv_case_flops(const struct conv_spec *s) {
    return 2.0 * (double)(s->outputs * out_size(s, 0) * out_size(s, 1)) *
           (double)(s->channels / s->group * s->kernel[0] * s->kernel[1]);
}
