// SPDX-License-Identifier: Apache-2.0
//
// Products of few rows with large matrices, as embeddings end in: bound by reading the matrix. A block makes 8 columns
// of up to 4 rows; its 256 threads are 8 columns times 32 slices of the depth, so that a warp reads whole sectors.
#include "backend/cuda/module/kernels/common.cuh"

enum { gemm_columns = 8, gemm_slices = 32, gemm_rows = 4 };

__device__ static inline float finish1(const vt_cuda_gemm &p, float sum, int64_t column, const float *residual) {
    if (p.tail.bias) sum += p.tail.bias[column];
    float v = act1(p.tail, sum, (int)column);
    if (residual) v += residual[column];
    return act2(p.tail, v);
}

__global__ static void __launch_bounds__(gemm_columns *gemm_slices) gemm(const vt_cuda_gemm p) {
    __shared__ float sums[gemm_slices][gemm_rows][gemm_columns];
    begin_early();
    const int lane = threadIdx.x % gemm_columns, slice = threadIdx.x / gemm_columns;
    const int64_t column = (int64_t)blockIdx.x * gemm_columns + lane, rows = p.rows * p.batch;
    for (int64_t first = (int64_t)blockIdx.y * gemm_rows; first < rows; first += (int64_t)gridDim.y * gemm_rows) {
        const float *x[gemm_rows];
        float sum[gemm_rows];
        for (int r = 0; r < gemm_rows; r++) {
            const int64_t row = first + r < rows ? first + r : first;
            x[r] = p.x + row / p.rows * p.x_item + row % p.rows * p.depth;
            sum[r] = 0;
        }
        for (int64_t k = slice; column < p.columns && k < p.depth; k += gemm_slices) {
            const float w = p.weights[k * p.columns + column];
            for (int r = 0; r < gemm_rows; r++) sum[r] = fmaf(x[r][k], w, sum[r]);
        }
        for (int r = 0; r < gemm_rows; r++) sums[slice][r][lane] = sum[r];
        __syncthreads();
        if (slice < gemm_rows && first + slice < rows && column < p.columns) {
            float total = 0;
            for (int s = 0; s < gemm_slices; s++) total += sums[s][slice][lane];
            const int64_t row = first + slice, item = row / p.rows, line = row % p.rows;
            const float *residual = p.residual ? p.residual + item * p.residual_item + line * p.columns : nullptr;
            p.y[item * p.y_item + line * p.columns + column] = finish1(p, total, column, residual);
        }
        __syncthreads();
    }
}

int vt_cuda_launch_gemm(const vt_cuda_gemm *p, void *stream) {
    const int64_t bands = (p->rows * p->batch + gemm_rows - 1) / gemm_rows;
    const dim3 grid(
        (unsigned)((p->columns + gemm_columns - 1) / gemm_columns), (unsigned)(bands < 4096 ? bands : 4096));
    return VT_LAUNCH_EARLY(gemm, grid, dim3(gemm_columns * gemm_slices), stream, *p);
}
