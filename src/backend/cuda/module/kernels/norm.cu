// SPDX-License-Identifier: Apache-2.0
//
// Group normalisation, a block for each group of each item. Mean and variance are taken in two passes, of distances
// from the group's first element and from the mean: single precision keeps its digits where the mean is large.
#include "backend/cuda/module/kernels/common.cuh"

enum { norm_threads = 256, norm_parts = 16 };

// The sum of every thread's `v`, for all of them, in an order that depends on nothing but the block's size.
__device__ static float block_sum(float v) {
    __shared__ float sums[norm_threads], parts[norm_parts];
    sums[threadIdx.x] = v;
    __syncthreads();
    if (threadIdx.x < norm_parts) {
        float part = 0;
        for (int i = threadIdx.x; i < norm_threads; i += norm_parts) part += sums[i];
        parts[threadIdx.x] = part;
    }
    __syncthreads();
    float total = 0;
    for (int i = 0; i < norm_parts; i++) total += parts[i];
    return total;
}

// Element `i` of the channels [first, first + size) of an item's interior.
__device__ static inline int64_t group_element(const vt_cuda_plane &p, int64_t item, int first, int size, int64_t i) {
    const int64_t at = i / size;
    return pixel(p, item, (int)(at / p.columns), (int)(at % p.columns)) + first + (int)(i % size);
}

__global__ static void __launch_bounds__(norm_threads) group_norm(const vt_cuda_norm p) {
    begin_early();
    const int group = blockIdx.x, size = p.x.channels / p.groups, first = group * size;
    const int64_t item = blockIdx.y, count = (int64_t)p.x.rows * p.x.columns * size;
    const float pivot = load1(p.x.data, p.x.element, group_element(p.x, item, first, size, 0));
    float sum = 0;
    for (int64_t i = threadIdx.x; i < count; i += norm_threads)
        sum += load1(p.x.data, p.x.element, group_element(p.x, item, first, size, i)) - pivot;
    const float from_pivot = block_sum(sum) / (float)count;
    float squares = 0;
    for (int64_t i = threadIdx.x; i < count; i += norm_threads) {
        const float d = load1(p.x.data, p.x.element, group_element(p.x, item, first, size, i)) - pivot - from_pivot;
        squares = fmaf(d, d, squares);
    }
    const float inverse = 1 / sqrtf(block_sum(squares) / (float)count + p.epsilon);
    // The last group's block also takes the lanes past the last channel.
    const int end = group == p.groups - 1 ? p.y.lanes : first + size, lanes = end - first;
    const int columns = padded_columns(p.y);
    const int64_t total = (int64_t)padded_rows(p.y) * columns * lanes;
    for (int64_t i = threadIdx.x; i < total; i += norm_threads) {
        const int channel = first + (int)(i % lanes);
        const int row = (int)(i / lanes / columns) - p.y.pad[0], column = (int)(i / lanes % columns) - p.y.pad[1];
        float v = 0;
        if (row < 0 || row >= p.y.rows || column < 0 || column >= p.y.columns) {
            v = p.y.border ? p.y.border[channel] : 0;
        } else if (channel < p.y.channels) {
            const float x = load1(p.x.data, p.x.element, pixel(p.x, item, row, column) + channel);
            v = act1(p.tail, fmaf((x - pivot - from_pivot) * inverse, p.scale[channel], p.shift[channel]), channel);
        }
        store1(p.y.data, p.y.element, pixel(p.y, item, row, column) + channel, v);
    }
}

int vt_cuda_launch_group_norm(const vt_cuda_norm *p, void *stream) {
    const dim3 grid((unsigned)p->groups, (unsigned)p->batch);
    return VT_LAUNCH_EARLY(group_norm, grid, dim3(norm_threads), stream, *p);
}
