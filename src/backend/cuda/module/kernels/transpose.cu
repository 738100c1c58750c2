// SPDX-License-Identifier: Apache-2.0
//
// Planes to plain tensors and plain tensors transposed, an element a thread, in the result's order.
#include "backend/cuda/module/kernels/common.cuh"

// Where element `i` of an item of the result comes from: its place along x's channels, rows and columns.
__device__ static inline float from_plane(const vt_cuda_transpose &p, int64_t item, int64_t i) {
    int at[4] = {0, 0, 0, 0};
    for (int axis = p.rank - 1; axis >= 0; axis--) {
        at[p.axis[axis]] = (int)(i % p.dims[axis]);
        i /= p.dims[axis];
    }
    return load1(p.x_plane.data, p.x_plane.element, pixel(p.x_plane, item, at[2], at[3]) + at[1]);
}

__device__ static inline int64_t from_plain(const vt_cuda_transpose &p, int64_t i) {
    int64_t offset = 0;
    for (int axis = p.rank - 1; axis >= 0; axis--) {
        offset += i % p.dims[axis] * p.stride[axis];
        i /= p.dims[axis];
    }
    return offset;
}

template <typename Element> __device__ static inline void move(const vt_cuda_transpose &p, int64_t item, int64_t i) {
    ((Element *)p.y)[item * p.y_item + i] = ((const Element *)p.x)[item * p.x_item + from_plain(p, i)];
}

__global__ static void transpose(const vt_cuda_transpose p) {
    begin_early();
    const int64_t total = p.batch * p.count, step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t k = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; k < total; k += step) {
        const int64_t item = k / p.count, i = k % p.count;
        if (p.x_plane.data)
            ((float *)p.y)[item * p.y_item + i] = from_plane(p, item, i);
        else if (p.element == 4)
            move<uint32_t>(p, item, i);
        else if (p.element == 8)
            move<uint64_t>(p, item, i);
        else if (p.element == 2)
            move<uint16_t>(p, item, i);
        else
            move<uint8_t>(p, item, i);
    }
}

int vt_cuda_launch_transpose(const vt_cuda_transpose *p, void *stream) {
    return VT_LAUNCH_EARLY(transpose, dim3(blocks_for(p->batch * p->count)), dim3(threads_per_block), stream, *p);
}
