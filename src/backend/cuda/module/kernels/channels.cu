// SPDX-License-Identifier: Apache-2.0
//
// Joining and splitting channels, an element a thread: parts begin at any channel.
#include "backend/cuda/module/kernels/common.cuh"

__global__ static void copy_channels(const vt_cuda_channels p) {
    begin_early();
    const int columns = padded_columns(p.y), rows = padded_rows(p.y), count = p.end - p.to;
    const int64_t total = p.batch * rows * columns * count, step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
        int64_t at = i / count;
        const int channel = p.to + (int)(i % count), column = (int)(at % columns) - p.y.pad[1];
        at /= columns;
        const int row = (int)(at % rows) - p.y.pad[0];
        const int64_t item = at / rows;
        float v = 0;
        if (row < 0 || row >= p.y.rows || column < 0 || column >= p.y.columns)
            v = p.y.border ? p.y.border[channel] : 0;
        else if (channel < p.y.channels)
            v = load1(p.x.data, p.x.element, pixel(p.x, item, row, column) + p.from + channel - p.to);
        store1(p.y.data, p.y.element, pixel(p.y, item, row, column) + channel, v);
    }
}

int vt_cuda_launch_channels(const vt_cuda_channels *p, void *stream) {
    const int64_t pixels =
        (int64_t)(p->y.pad[0] + p->y.rows + p->y.pad[2]) * (p->y.pad[1] + p->y.columns + p->y.pad[3]);
    return VT_LAUNCH_EARLY(
        copy_channels, dim3(blocks_for(p->batch * pixels * (p->end - p->to))), dim3(threads_per_block), stream, *p);
}
