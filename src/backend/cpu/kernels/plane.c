/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled once per instruction set and element type, with VT_PLANE_KERNELS as the table's name. Nothing outside libc
 * may be called.
 */
#include "backend/cpu/plane_kernels.h"

#include <math.h>

#include "backend/cpu/kernels/activate.h"
#include "backend/cpu/kernels/element.h"
#include "base/checked.h"
#include "plan/plan.h"

/* The first channel of each slice of a pixel. */
#define FOR_EACH_SLICE(lane) for (int lane = 0; lane < PIXEL; lane += VL)

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
        case VT_ACT_ELU: loop(VT_ACT_ELU, __VA_ARGS__); break;                                                         \
        case VT_ACT_HARD_SIGMOID: loop(VT_ACT_HARD_SIGMOID, __VA_ARGS__); break;                                       \
        case VT_ACT_HARD_SWISH: loop(VT_ACT_HARD_SWISH, __VA_ARGS__); break;                                           \
        case VT_ACT_NONE:                                                                                              \
        case VT_ACT_COUNT: loop(VT_ACT_NONE, __VA_ARGS__); break;                                                      \
        }                                                                                                              \
    } while (0)

ALWAYS_INLINE void affine_loop(enum vt_activation activation, element *y, const element *x, int64_t columns, vf scale,
    vf shift, const struct vt_plane_act *act, int lane) {
    vf slope = activation == VT_ACT_PRELU ? load(act->slope + lane) : splat(0);
    for (int64_t i = 0; i < columns; i++) {
        vf v = take(x + i * PIXEL) * scale + shift;
        put(y + i * PIXEL, activate(activation, v, act->alpha, act->beta, slope));
    }
}

static void affine(
    void *y, const void *x, int64_t columns, const float *scale, const float *shift, const struct vt_plane_act *act) {
    FOR_EACH_SLICE(lane)
    FOR_EACH_ACTIVATION(act->activation, affine_loop, (element *)y + lane, (const element *)x + lane, columns,
        load(scale + lane), load(shift + lane), act, lane);
}

ALWAYS_INLINE void binary_loop(enum vt_activation activation, int mode, element *y, const element *a, const element *b,
    int64_t columns, int b_step, const struct vt_plane_act *act) {
    for (int64_t i = 0; i < columns; i++) {
        vf u = take(a + i * PIXEL), v = take(b + i * b_step * PIXEL);
        vf w = mode == VT_BINARY_ADD ? u + v : mode == VT_BINARY_MUL ? u * v : mode == VT_BINARY_SUB ? u - v : u / v;
        put(y + i * PIXEL, activate(activation, w, act->alpha, act->beta, w));
    }
}

#define BINARY(mode)                                                                                                   \
    FOR_EACH_SLICE(lane)                                                                                               \
    FOR_EACH_ACTIVATION(act->activation, binary_loop, mode, (element *)y + lane, (const element *)a + lane,            \
        (const element *)b + lane, columns, b_step, act)

static void binary(
    void *y, const void *a, const void *b, int64_t columns, int b_step, int mode, const struct vt_plane_act *act) {
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

ALWAYS_INLINE void pool_loop(const struct vt_plane_pool *p, int lane, bool average) {
    const struct vt_window *w = p->window;
    const element *x = (const element *)p->x + lane;
    element *y = (element *)p->y + lane;
    int64_t y_origin = p->y_row * w->stride[0] - w->pad[0], y_first, y_last;
    clip_window(y_origin, w->kernel[0], w->dilation[0], p->rows, &y_first, &y_last);
    int64_t y_counted = counted(w, 0, y_origin, p->rows);
    for (int64_t column = 0; column < p->y_columns; column++) {
        int64_t x_origin = column * w->stride[1] - w->pad[1], x_first, x_last;
        clip_window(x_origin, w->kernel[1], w->dilation[1], p->columns, &x_first, &x_last);
        vf v = splat(average ? 0 : -INFINITY);
        for (int64_t ky = y_first; ky < y_last; ky++) {
            const element *row = x + (y_origin + ky * w->dilation[0]) * p->x_row + x_origin * PIXEL;
            for (int64_t kx = x_first; kx < x_last; kx++) {
                vf pixel = take(row + kx * w->dilation[1] * PIXEL);
                if (average)
                    v += pixel;
                else
                    v = vmax(pixel, v);
            }
        }
        if (average) v = v / splat((float)(y_counted * counted(w, 1, x_origin, p->columns)));
        put(y + column * PIXEL, v);
    }
}

static void pool(const struct vt_plane_pool *row) {
    FOR_EACH_SLICE(lane) {
        if (row->average)
            pool_loop(row, lane, true);
        else
            pool_loop(row, lane, false);
    }
}

ALWAYS_INLINE void upsample_loop(
    element *y, const element *x, const element *residual, int64_t columns, int64_t x_columns) {
    int64_t source = 0, remainder = 0; /* i * x_columns = source * columns + remainder */
    for (int64_t i = 0; i < columns; i++) {
        FOR_EACH_SLICE(lane) {
            vf v = take(x + source * PIXEL + lane);
            if (residual) v = v + take(residual + i * PIXEL + lane);
            put(y + i * PIXEL + lane, v);
        }
        for (remainder += x_columns; remainder >= columns; remainder -= columns) source++;
    }
}

static void upsample(void *y, const void *x, const void *residual, int64_t columns, int64_t x_columns) {
    if (residual)
        upsample_loop(y, x, residual, columns, x_columns);
    else
        upsample_loop(y, x, NULL, columns, x_columns);
}

static void moments(const void *x, int64_t columns, const void *pivot, double *sum, double *squares) {
    FOR_EACH_SLICE(first) {
        vf p = take((const element *)pivot + first), row_sum = splat(0), row_squares = splat(0);
        const element *at = (const element *)x + first;
        for (int64_t i = 0; i < columns; i++) {
            vf v = take(at + i * PIXEL) - p;
            row_sum = row_sum + v;
            row_squares = row_squares + v * v;
        }
        float sums[VL], squared[VL];
        store(sums, row_sum);
        store(squared, row_squares);
        for (int lane = 0; lane < VL; lane++) {
            sum[first + lane] += (double)sums[lane];
            squares[first + lane] += (double)squared[lane];
        }
    }
}

ALWAYS_INLINE void gather_loop(
    element *pixels, const float *plane, int64_t channel_stride, int64_t column_stride, int channels, int64_t columns) {
    for (int64_t i = 0; i < columns; i++) {
        for (int lane = 0; lane < channels; lane++)
            put_one(&pixels[i * PIXEL + lane], plane[lane * channel_stride + i * column_stride]);
        for (int lane = channels; lane < PIXEL; lane++) put_one(&pixels[i * PIXEL + lane], 0);
    }
}

static void gather(
    void *pixels, const float *plane, int64_t channel_stride, int64_t column_stride, int channels, int64_t columns) {
    if (channels == PIXEL && column_stride == 1)
        gather_loop(pixels, plane, channel_stride, 1, PIXEL, columns);
    else
        gather_loop(pixels, plane, channel_stride, column_stride, channels, columns);
}

ALWAYS_INLINE void scatter_loop(
    float *plane, const element *pixels, int64_t channel_stride, int64_t column_stride, int channels, int64_t columns) {
    for (int lane = 0; lane < channels; lane++)
        for (int64_t i = 0; i < columns; i++)
            plane[lane * channel_stride + i * column_stride] = take_one(&pixels[i * PIXEL + lane]);
}

/* Channels that lie side by side on both sides. */
ALWAYS_INLINE void scatter_pixels(
    float *plane, const element *pixels, int64_t column_stride, int channels, int64_t columns) {
    for (int64_t i = 0; i < columns; i++, plane += column_stride, pixels += PIXEL) {
        int lane = 0;
        for (; lane + VL <= channels; lane += VL) store(plane + lane, take(pixels + lane));
        for (; lane < channels; lane++) plane[lane] = take_one(&pixels[lane]);
    }
}

static void scatter(
    float *plane, const void *pixels, int64_t channel_stride, int64_t column_stride, int channels, int64_t columns) {
    if (channel_stride == 1 && channels == PIXEL)
        scatter_pixels(plane, pixels, column_stride, PIXEL, columns);
    else if (channel_stride == 1)
        scatter_pixels(plane, pixels, column_stride, channels, columns);
    else if (column_stride == 1)
        scatter_loop(plane, pixels, channel_stride, 1, channels, columns);
    else
        scatter_loop(plane, pixels, channel_stride, column_stride, channels, columns);
}

#if PIXEL == VL
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
#endif

ALWAYS_INLINE element *fill(element *y, int64_t pixels, const vf value[SLICES]) {
    for (int64_t i = 0; i < pixels; i++) FOR_EACH_SLICE(lane) put(y + i * PIXEL + lane, value[lane / VL]);
    return y + pixels * PIXEL;
}

/* A row's right border and the next row's left border lie side by side. */
static void border(void *block, const struct vt_plane_border *b, const float *value) {
    vf v[SLICES];
    FOR_EACH_SLICE(lane) v[lane / VL] = load(value + lane);
    int64_t top = b->pad[0], left = b->pad[1], bottom = b->pad[2], right = b->pad[3];
    int64_t row = left + b->columns + right;
    element *at = fill(block, top * row + left, v);
    for (int64_t y = 1; y < b->rows; y++) at = fill(at + b->columns * PIXEL, right + left, v);
    fill(at + b->columns * PIXEL, right + bottom * row, v);
}

const struct vt_plane_kernels VT_PLANE_KERNELS = {
    .lanes = PIXEL,
    .affine = affine,
    .binary = binary,
    .pool = pool,
    .upsample = upsample,
    .moments = moments,
    .gather = gather,
    .scatter = scatter,
#if PIXEL == VL
    .finish = finish,
#endif
    .border = border,
};
