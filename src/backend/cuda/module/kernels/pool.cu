// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/module/kernels/common.cuh"

// Taps of one axis that lie inside the declared padding: rounding up can push some beyond.
__device__ static inline int taps_counted(const vt_cuda_pool &p, int axis, int first) {
    const int taps = (p.padded[axis] - first + p.window.dilation[axis] - 1) / p.window.dilation[axis];
    return taps < p.window.kernel[axis] ? taps : p.window.kernel[axis];
}

__device__ static inline float4 value_at(const vt_cuda_pool &p, const place &at) {
    const vt_cuda_window &w = p.window;
    const int top = at.row * w.stride[0] - w.pad[0], left = at.column * w.stride[1] - w.pad[1];
    float4 v = all4(p.average ? 0 : -INFINITY);
    int inside = 0;
    for (int i = 0; i < w.kernel[0]; i++) {
        const int row = top + i * w.dilation[0];
        if (row < 0 || row >= p.x.rows) continue;
        for (int j = 0; j < w.kernel[1]; j++) {
            const int column = left + j * w.dilation[1];
            if (column < 0 || column >= p.x.columns) continue;
            const float4 x = load4(p.x.data, p.x.element, pixel(p.x, at.item, row, column) + at.channel);
            v = p.average ? add4(v, x) : max4(v, x);
            inside++;
        }
    }
    if (!p.average) return v;
    const int count = p.count_padding ? taps_counted(p, 0, top) * taps_counted(p, 1, left) : inside;
    return make_float4(v.x / count, v.y / count, v.z / count, v.w / count);
}

int vt_cuda_launch_pool(const vt_cuda_pool *p, void *stream) { return launch_each_pixel(*p, stream); }

// A block takes 32 lanes of an item: its 256 threads are 8 vectors of lanes times 32 slices of the pixels.
enum { pool_vectors = 8, pool_slices = 32 };

__global__ static void __launch_bounds__(pool_vectors *pool_slices) global_pool(const vt_cuda_pool p) {
    __shared__ float4 sums[pool_slices][pool_vectors];
    begin_early();
    const int vector = threadIdx.x % pool_vectors, slice = threadIdx.x / pool_vectors;
    const int channel = (int)(blockIdx.x * pool_vectors + vector) * 4;
    const int64_t item = blockIdx.y;
    const bool used = channel < p.y.lanes;
    float4 sum = all4(0);
    for (int i = slice; used && i < p.x.rows * p.x.columns; i += pool_slices)
        sum = add4(sum, load4(p.x.data, p.x.element, pixel(p.x, item, i / p.x.columns, i % p.x.columns) + channel));
    sums[slice][vector] = sum;
    __syncthreads();
    sum = all4(0);
    for (int s = 0; s < pool_slices; s++) sum = add4(sum, sums[s][vector]);
    const int columns = padded_columns(p.y), pixels = padded_rows(p.y) * columns;
    const float count = (float)p.x.rows * (float)p.x.columns;
    for (int i = slice; used && i < pixels; i += pool_slices) {
        const float4 mean =
            first4(make_float4(sum.x / count, sum.y / count, sum.z / count, sum.w / count), p.y.channels - channel);
        const int row = i / columns - p.y.pad[0], column = i % columns - p.y.pad[1];
        store4(p.y.data, p.y.element, pixel(p.y, item, row, column) + channel,
            row == 0 && column == 0 ? mean : border4(p.y, channel));
    }
}

int vt_cuda_launch_global_pool(const vt_cuda_pool *p, void *stream) {
    const dim3 grid((unsigned)((p->y.lanes / 4 + pool_vectors - 1) / pool_vectors), (unsigned)p->batch);
    return VT_LAUNCH_EARLY(global_pool, grid, dim3(pool_vectors * pool_slices), stream, *p);
}
