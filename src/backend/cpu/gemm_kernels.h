/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CPU_GEMM_KERNELS_H
#define VT_BACKEND_CPU_GEMM_KERNELS_H

#include <stdint.h>

#include "ops/ops.h"

/*
 * Products of rows with a panel: all of K times `width` columns, packed [K][width]. Even and odd k are summed apart,
 * each in increasing order, so that an element's bytes depend on nothing but its row and column; sums are [row][even,
 * odd][width].
 */
#define VT_GEMM_MAX_WIDTH 64

struct vt_gemm_kernels {
    int width;
    /* Adds k in [k_begin, k_end) for all rows; k_begin is even. */
    void (*accumulate)(
        float *sums, const float *const *rows, int64_t n_rows, const float *panel, int64_t k_begin, int64_t k_end);
    /* y[0, width) = act2(act1(even + odd + bias) + residual); bias, slope and residual may be NULL. */
    void (*finish)(float *y, const float *sums, const struct vt_tail *tail, const float *bias, const float *slope,
        const float *residual);
};

extern const struct vt_gemm_kernels vt_gemm_kernels_generic, vt_gemm_kernels_avx2, vt_gemm_kernels_avx512;

#endif
