/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled once per instruction set, with VT_PLANE_KERNELS as the table's name. Nothing outside libc may be called.
 */
#include "backend/cpu/plane_kernels.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/kernels/activate.h"
#include "base/checked.h"
#include "plan/plan.h"

/* Calls `loop` with the activation as a constant, so that each gets a loop of its own. */
#define FOR_EACH_ACTIVATION(activation, loop, ...)                                                                     \
    do {                                                                                                               \
        switch (activation) {                                                                                          \
        case VT_ACT_RELU: loop(VT_ACT_RELU, __VA_ARGS__); break;                                                       \
        case VT_ACT_LEAKY_RELU: loop(VT_ACT_LEAKY_RELU, __VA_ARGS__); break;                                           \
        case VT_ACT_PRELU: loop(VT_ACT_PRELU, __VA_ARGS__); break;                                                     \
        case VT_ACT_CLIP: loop(VT_ACT_CLIP, __VA_ARGS__); break;                                                       \
        case VT_ACT_SIGMOID: loop(VT_ACT_SIGMOID, __VA_ARGS__); break;                                                 \
        case VT_ACT_TANH: loop(VT_ACT_TANH, __VA_ARGS__); break;                                                       \
        case VT_ACT_NONE:                                                                                              \
        case VT_ACT_COUNT: loop(VT_ACT_NONE, __VA_ARGS__); break;                                                      \
        }                                                                                                              \
    } while (0)

ALWAYS_INLINE void affine_loop(enum vt_activation activation, float *y, const float *x, int64_t columns, vf scale,
    vf shift, const struct vt_plane_act *act) {
    vf slope = activation == VT_ACT_PRELU ? load(act->slope) : splat(0);
    for (int64_t i = 0; i < columns; i++) {
        vf v = load(x + i * VL) * scale + shift;
        store(y + i * VL, activate(activation, v, act->alpha, act->beta, slope));
    }
}

static void affine(
    float *y, const float *x, int64_t columns, const float *scale, const float *shift, const struct vt_plane_act *act) {
    FOR_EACH_ACTIVATION(act->activation, affine_loop, y, x, columns, load(scale), load(shift), act);
}

ALWAYS_INLINE void binary_loop(enum vt_activation activation, int mode, float *y, const float *a, const float *b,
    int64_t columns, int b_step, const struct vt_plane_act *act) {
    for (int64_t i = 0; i < columns; i++) {
        vf u = load(a + i * VL), v = load(b + i * b_step * VL);
        vf w = mode == VT_BINARY_ADD ? u + v : mode == VT_BINARY_MUL ? u * v : mode == VT_BINARY_SUB ? u - v : u / v;
        store(y + i * VL, activate(activation, w, act->alpha, act->beta, w));
    }
}

#define BINARY(mode) FOR_EACH_ACTIVATION(act->activation, binary_loop, mode, y, a, b, columns, b_step, act)

static void binary(
    float *y, const float *a, const float *b, int64_t columns, int b_step, int mode, const struct vt_plane_act *act) {
    switch (mode) {
    case VT_BINARY_ADD: BINARY(VT_BINARY_ADD); break;
    case VT_BINARY_MUL: BINARY(VT_BINARY_MUL); break;
    case VT_BINARY_SUB: BINARY(VT_BINARY_SUB); break;
    default: BINARY(VT_BINARY_DIV); break;
    }
}

/* The kernel positions [first, last) of an axis whose pixels lie inside [0, size), for a window that starts at
 * `origin`. */
ALWAYS_INLINE void clip_window(
    int64_t origin, int64_t kernel, int64_t dilation, int64_t size, int64_t *first, int64_t *last) {
    *first = origin < 0 ? vt_div_up(-origin, dilation) : 0;
    *last = origin >= size ? 0 : vt_min_i64(kernel, vt_div_up(size - origin, dilation));
}

/* Positions of an axis that an average divides by: inside the padded input, or inside the input. */
ALWAYS_INLINE int64_t counted(const struct vt_window *w, int axis, int64_t origin, int64_t size) {
    int64_t first, last, before = w->count_include_pad ? w->pad[axis] : 0;
    int64_t padded = w->count_include_pad ? size + w->pad[axis] + w->pad[axis + 2] : size;
    clip_window(origin + before, w->kernel[axis], w->dilation[axis], padded, &first, &last);
    return last - first;
}

ALWAYS_INLINE void pool_loop(const struct vt_plane_pool *p, bool average) {
    const struct vt_window *w = p->window;
    int64_t y_origin = p->y_row * w->stride[0] - w->pad[0], y_first, y_last;
    clip_window(y_origin, w->kernel[0], w->dilation[0], p->rows, &y_first, &y_last);
    int64_t y_counted = counted(w, 0, y_origin, p->rows);
    for (int64_t column = 0; column < p->y_columns; column++) {
        int64_t x_origin = column * w->stride[1] - w->pad[1], x_first, x_last;
        clip_window(x_origin, w->kernel[1], w->dilation[1], p->columns, &x_first, &x_last);
        vf v = splat(average ? 0 : -INFINITY);
        for (int64_t ky = y_first; ky < y_last; ky++) {
            const float *row = p->x + (y_origin + ky * w->dilation[0]) * p->x_row_floats + x_origin * VL;
            for (int64_t kx = x_first; kx < x_last; kx++) {
                vf pixel = load(row + kx * w->dilation[1] * VL);
                if (average)
                    v += pixel;
                else
                    v = vmax(pixel, v);
            }
        }
        if (average) v = v / splat((float)(y_counted * counted(w, 1, x_origin, p->columns)));
        store(p->y + column * VL, v);
    }
}

static void pool(const struct vt_plane_pool *row) {
    if (row->average)
        pool_loop(row, true);
    else
        pool_loop(row, false);
}

ALWAYS_INLINE void upsample_loop(float *y, const float *x, const float *residual, int64_t columns, int64_t x_columns) {
    int64_t source = 0, remainder = 0; /* i * x_columns = source * columns + remainder */
    for (int64_t i = 0; i < columns; i++) {
        vf v = load(x + source * VL);
        if (residual) v = v + load(residual + i * VL);
        store(y + i * VL, v);
        for (remainder += x_columns; remainder >= columns; remainder -= columns) source++;
    }
}

static void upsample(float *y, const float *x, const float *residual, int64_t columns, int64_t x_columns) {
    if (residual)
        upsample_loop(y, x, residual, columns, x_columns);
    else
        upsample_loop(y, x, NULL, columns, x_columns);
}

static void moments(const float *x, int64_t columns, const float *pivot, double *sum, double *squares) {
    vf p = load(pivot), row_sum = splat(0), row_squares = splat(0);
    for (int64_t i = 0; i < columns; i++) {
        vf v = load(x + i * VL) - p;
        row_sum = row_sum + v;
        row_squares = row_squares + v * v;
    }
    float sums[VL], squared[VL];
    store(sums, row_sum);
    store(squared, row_squares);
    for (int lane = 0; lane < VL; lane++) {
        sum[lane] += (double)sums[lane];
        squares[lane] += (double)squared[lane];
    }
}

ALWAYS_INLINE void gather_loop(
    float *pixels, const float *plane, int64_t channel_stride, int64_t column_stride, int channels, int64_t columns) {
    for (int64_t i = 0; i < columns; i++) {
        for (int lane = 0; lane < channels; lane++)
            pixels[i * VL + lane] = plane[lane * channel_stride + i * column_stride];
        for (int lane = channels; lane < VL; lane++) pixels[i * VL + lane] = 0;
    }
}

static void gather(
    float *pixels, const float *plane, int64_t channel_stride, int64_t column_stride, int channels, int64_t columns) {
    if (channels == VL && column_stride == 1)
        gather_loop(pixels, plane, channel_stride, 1, VL, columns);
    else
        gather_loop(pixels, plane, channel_stride, column_stride, channels, columns);
}

ALWAYS_INLINE void scatter_loop(
    float *plane, const float *pixels, int64_t channel_stride, int64_t column_stride, int channels, int64_t columns) {
    for (int lane = 0; lane < channels; lane++)
        for (int64_t i = 0; i < columns; i++) plane[lane * channel_stride + i * column_stride] = pixels[i * VL + lane];
}

static void scatter(
    float *plane, const float *pixels, int64_t channel_stride, int64_t column_stride, int channels, int64_t columns) {
    if (channel_stride == 1 && channels == VL)
        for (int64_t i = 0; i < columns; i++) store(plane + i * column_stride, load(pixels + i * VL));
    else if (channel_stride == 1)
        for (int64_t i = 0; i < columns; i++)
            memcpy(plane + i * column_stride, pixels + i * VL, (size_t)channels * sizeof(float));
    else if (column_stride == 1)
        scatter_loop(plane, pixels, channel_stride, 1, channels, columns);
    else
        scatter_loop(plane, pixels, channel_stride, column_stride, channels, columns);
}

ALWAYS_INLINE void finish_loop(enum vt_activation act1, float *y, const float *x, const float *residual,
    int64_t columns, const struct vt_tail *tail, vf slope) {
    for (int64_t i = 0; i < columns; i++) {
        vf v = activate(act1, load(x + i * VL), tail->act1_alpha, tail->act1_beta, slope);
        if (residual) v += load(residual + i * VL);
        store(y + i * VL, activate(tail->act2, v, tail->act2_alpha, tail->act2_beta, v));
    }
}

static void finish(
    float *y, const float *x, const float *residual, int64_t columns, const struct vt_tail *tail, const float *slope) {
    FOR_EACH_ACTIVATION(tail->act1, finish_loop, y, x, residual, columns, tail, slope ? load(slope) : splat(0));
}

ALWAYS_INLINE float *fill(float *y, int64_t pixels, vf value) {
    for (int64_t i = 0; i < pixels; i++) store(y + i * VL, value);
    return y + pixels * VL;
}

/* A row's right border and the next row's left border lie side by side. */
static void border(float *block, const struct vt_plane_border *b, const float *value) {
    vf v = load(value);
    int64_t top = b->pad[0], left = b->pad[1], bottom = b->pad[2], right = b->pad[3];
    int64_t row = left + b->columns + right;
    float *at = fill(block, top * row + left, v);
    for (int64_t y = 1; y < b->rows; y++) at = fill(at + b->columns * VL, right + left, v);
    fill(at + b->columns * VL, right + bottom * row, v);
}

const struct vt_plane_kernels VT_PLANE_KERNELS = {
    .lanes = VL,
    .affine = affine,
    .binary = binary,
    .pool = pool,
    .upsample = upsample,
    .moments = moments,
    .gather = gather,
    .scatter = scatter,
    .finish = finish,
    .border = border,
};
