// SPDX-License-Identifier: Apache-2.0
//
// How convolutions as matrix products walk over their sums: pixels of the output down, taps and channels across.
#ifndef VT_BACKEND_CUDA_KERNELS_WALK
#define VT_BACKEND_CUDA_KERNELS_WALK

#include "backend/cuda/module/kernels/common.cuh"

// Where a pixel of the output is, by its number among those of all items.
struct output_pixel {
    int64_t item;
    int row, column;
};

__device__ static inline output_pixel output_at(const vt_cuda_conv &p, int64_t number) {
    output_pixel o;
    o.column = (int)(number % p.y.columns);
    number /= p.y.columns;
    o.row = (int)(number % p.y.rows);
    o.item = number / p.y.rows;
    return o;
}

// The next four numbers along k that a thread reads: a tap and, within it, lanes of planes or channels of a picture.
struct cursor {
    int tap_row, tap_column, channel;
};

__device__ static inline void advance(cursor &at, int by, int depth, int tap_columns) {
    at.channel += by;
    while (at.channel >= depth) {
        at.channel -= depth;
        if (++at.tap_column == tap_columns) {
            at.tap_column = 0;
            at.tap_row++;
        }
    }
}

// The element of planes that the cursor stands at for a pixel of the output.
__device__ static inline int64_t input_at(const vt_cuda_conv &p, const output_pixel &o, const cursor &at) {
    const int row = o.row * p.window.stride[0] - p.window.pad[0] + at.tap_row * p.window.dilation[0];
    const int column = o.column * p.window.stride[1] - p.window.pad[1] + at.tap_column * p.window.dilation[1];
    return pixel(p.x, o.item, row, column) + at.channel;
}

// In blocks past the `rows` of tiles, which fill the border where they are of grid row 0.
__device__ static inline bool is_past_tiles(const vt_cuda_conv &p, int64_t rows) {
    if (blockIdx.x < rows) return false;
    const int64_t part = (blockIdx.x - rows) * blockDim.x + threadIdx.x;
    if (blockIdx.y == 0) fill_border(p.y, p.batch, part, (gridDim.x - rows) * blockDim.x);
    return true;
}

#endif
