/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled once per instruction set, with VT_GEMM_KERNELS as the table's name. Nothing outside libc may be called.
 */
#include "backend/cpu/gemm_kernels.h"

#include <stddef.h>

#include "backend/cpu/kernels/activate.h"

/* Vectors of a panel, and rows held in registers at once: 2 x ROWS x VECTORS sums. */
#define VECTORS (VL == 16 ? 4 : 2)
#define ROWS 3
#define WIDTH (VECTORS * VL)

ALWAYS_INLINE void step_k(
    vf sums[ROWS][2][4], const float *const *x, int64_t k, int parity, const float *w, const int rows) {
    vf weights[4];
    UNROLL for (int v = 0; v < VECTORS; v++) weights[v] = load(w + v * VL);
    UNROLL for (int r = 0; r < rows; r++) {
        vf value = splat(x[r][k]);
        UNROLL for (int v = 0; v < VECTORS; v++) sums[r][parity][v] += value * weights[v];
    }
}

ALWAYS_INLINE void accumulate_rows(
    float *sums, const float *const *x, const float *panel, int64_t k_begin, int64_t k_end, const int rows) {
    vf held[ROWS][2][4];
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int p = 0; p < 2; p++) UNROLL for (int v = 0; v < VECTORS; v++)
        held[r][p][v] = load(sums + (r * 2 + p) * WIDTH + v * VL);
    int64_t k = k_begin;
    for (; k + 1 < k_end; k += 2) {
        step_k(held, x, k, 0, panel + k * WIDTH, rows);
        step_k(held, x, k + 1, 1, panel + (k + 1) * WIDTH, rows);
    }
    if (k < k_end) step_k(held, x, k, 0, panel + k * WIDTH, rows);
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int p = 0; p < 2; p++) UNROLL for (int v = 0; v < VECTORS; v++)
        store(sums + (r * 2 + p) * WIDTH + v * VL, held[r][p][v]);
}

static void accumulate(
    float *sums, const float *const *rows, int64_t n_rows, const float *panel, int64_t k_begin, int64_t k_end) {
    int64_t r = 0;
    for (; r + ROWS <= n_rows; r += ROWS) accumulate_rows(sums + r * 2 * WIDTH, rows + r, panel, k_begin, k_end, ROWS);
    if (n_rows - r == 2) accumulate_rows(sums + r * 2 * WIDTH, rows + r, panel, k_begin, k_end, 2);
    if (n_rows - r == 1) accumulate_rows(sums + r * 2 * WIDTH, rows + r, panel, k_begin, k_end, 1);
}

static void finish(float *y, const float *sums, const struct vt_tail *tail, const float *bias, const float *slope,
    const float *residual) {
    for (int v = 0; v < VECTORS; v++) {
        vf value = load(sums + v * VL) + load(sums + WIDTH + v * VL);
        if (bias) value += load(bias + v * VL);
        value = activate(tail->act1, value, tail->act1_alpha, tail->act1_beta, slope ? load(slope + v * VL) : splat(0));
        if (residual) value += load(residual + v * VL);
        store(y + v * VL, activate(tail->act2, value, tail->act2_alpha, tail->act2_beta, splat(0)));
    }
}

const struct vt_gemm_kernels VT_GEMM_KERNELS = {.width = WIDTH, .accumulate = accumulate, .finish = finish};
