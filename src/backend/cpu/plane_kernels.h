/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CPU_PLANE_KERNELS_H
#define VT_BACKEND_CPU_PLANE_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "ops/ops.h"
#include "tensor/tensor.h"

/* An activation and, for PRELU, the slopes of the block's channels. */
struct vt_plane_act {
    enum vt_activation activation;
    float alpha, beta;
    const float *slope;
};

/* One output row of a pooling. */
struct vt_plane_pool {
    void *y;               /* `y_columns` pixels */
    const void *x;         /* row 0, column 0 of the input's interior */
    int64_t x_row;         /* distance of its rows in elements */
    int64_t rows, columns; /* of the input */
    int64_t y_row, y_columns;
    const struct vt_window *window;
    bool average;
};

/* The border of one block: `pad` pixels on top, left, bottom, right of rows x columns. */
struct vt_plane_border {
    int64_t rows, columns;
    const int32_t *pad;
};

/*
 * Kernels on rows of pixels, a pixel being `lanes` elements, float32 or bfloat16; one table per instruction set and
 * element type. They compute in float32 and round each result once. Sums run in an order that depends on nothing but
 * the row. Vectors per lane (scale, shift, slopes, a border's value) are float32.
 */
struct vt_plane_kernels {
    int lanes;
    /* y = act(x * scale + shift), per lane; y may be x. */
    void (*affine)(void *y, const void *x, int64_t columns, const float *scale, const float *shift,
        const struct vt_plane_act *act);
    /* y = act(a op b); b_step is 1, or 0 when one pixel of b serves the whole row. `mode` is enum vt_binary_mode. */
    void (*binary)(
        void *y, const void *a, const void *b, int64_t columns, int b_step, int mode, const struct vt_plane_act *act);
    void (*pool)(const struct vt_plane_pool *row);
    /* y[i] = x[i * x_columns / columns] + residual[i]; residual may be NULL. */
    void (*upsample)(void *y, const void *x, const void *residual, int64_t columns, int64_t x_columns);
    /* Adds x - pivot and its square, per lane, to sum[lanes] and squares[lanes]. */
    void (*moments)(const void *x, int64_t columns, const void *pivot, double *sum, double *squares);
    /* Pixel i, lane l to and from plane[l * channel_stride + i * column_stride] for the first `channels` lanes;
     * gathered pixels have zeros in the others. */
    void (*gather)(
        void *pixels, const float *plane, int64_t channel_stride, int64_t column_stride, int channels, int64_t columns);
    void (*scatter)(
        float *plane, const void *pixels, int64_t channel_stride, int64_t column_stride, int channels, int64_t columns);
    /* y = act2(act1(x) + residual); residual and slope may be NULL, y may be x. NULL where pixels are more than a
     * vector. */
    void (*finish)(float *y, const float *x, const float *residual, int64_t columns, const struct vt_tail *tail,
        const float *slope);
    /* Fills the border of the block that starts at `block` with the pixel `value`. */
    void (*border)(void *block, const struct vt_plane_border *border, const float *value);
};

extern const struct vt_plane_kernels vt_plane_kernels_generic; /* 4 lanes */
extern const struct vt_plane_kernels vt_plane_kernels_avx2;    /* 8 lanes */
extern const struct vt_plane_kernels vt_plane_kernels_avx512;  /* 16 lanes */
extern const struct vt_plane_kernels vt_plane_kernels_bf16_generic, vt_plane_kernels_bf16_avx2,
    vt_plane_kernels_bf16_avx512, vt_plane_kernels_bf16_amx; /* 32 lanes */
extern const struct vt_plane_kernels vt_plane_kernels_wide_generic, vt_plane_kernels_wide_avx2,
    vt_plane_kernels_wide_avx512; /* 32 lanes of float32 */

/* The best table for blocks of that many channels of that type on this machine, or NULL. */
const struct vt_plane_kernels *vt_plane_kernels_find(enum vt_dtype dtype, int lanes);

#endif
