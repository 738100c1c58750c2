// SPDX-License-Identifier: Apache-2.0
//
// Convolution as a matrix product, without tensor cores: a block makes 64 pixels by 64 channels, 16 deep at a time
// through shared memory, each of its 256 threads 4 by 4. Pixels of all items are numbered through, so that small planes
// fill blocks together; what an element sums and in which order does not depend on where in the tile it falls.
#include "backend/cuda/module/kernels/common.cuh"
#include "backend/cuda/module/kernels/walk.cuh"

enum { tile_pixels = 64, tile_channels = 64, tile_depth = 16, conv_threads = 256, row_skew = 4 };

struct tiles {
    float x[tile_depth][tile_pixels + row_skew];
    float w[tile_depth][tile_channels];
};

__device__ static inline float picture_at(const vt_cuda_conv &p, const output_pixel &o, const cursor &at) {
    const int row = o.row * p.window.stride[0] - p.window.pad[0] + at.tap_row * p.window.dilation[0];
    const int column = o.column * p.window.stride[1] - p.window.pad[1] + at.tap_column * p.window.dilation[1];
    if (at.tap_row >= p.window.kernel[0] || row < 0 || row >= p.x.rows || column < 0 || column >= p.x.columns) return 0;
    return p.picture[o.item * p.x.item + ((int64_t)at.channel * p.x.rows + row) * p.x.columns + column];
}

__device__ static inline float4 input4(const vt_cuda_conv &p, const output_pixel &o, const cursor &at) {
    if (p.picture) {
        float v[4];
        cursor k = at;
        for (int i = 0; i < 4; i++, advance(k, 1, p.x.channels, p.window.kernel[1])) v[i] = picture_at(p, o, k);
        return make_float4(v[0], v[1], v[2], v[3]);
    }
    if (at.tap_row >= p.window.kernel[0]) return all4(0);
    return load4(p.x.data, p.x.element, input_at(p, o, at));
}

__device__ static inline void multiply(const tiles &t, int ty, int tx, float4 sum[4]) {
    for (int k = 0; k < tile_depth; k++) {
        const float4 w = *(const float4 *)&t.w[k][tx * 4];
        const float4 x = *(const float4 *)&t.x[k][ty * 4];
        sum[0] = fma4(all4(x.x), w, sum[0]);
        sum[1] = fma4(all4(x.y), w, sum[1]);
        sum[2] = fma4(all4(x.z), w, sum[2]);
        sum[3] = fma4(all4(x.w), w, sum[3]);
    }
}

__device__ static inline void store_pixels(
    const vt_cuda_conv &p, int64_t first, int64_t pixels, int channel, const float4 sum[4]) {
    if (channel >= p.y.lanes) return;
    for (int i = 0; i < 4 && first + i < pixels; i++) {
        const output_pixel o = output_at(p, first + i);
        const int64_t residual = p.residual.data ? pixel(p.residual, o.item, o.row, o.column) : 0;
        const float4 v = finish4(p.tail, sum[i], channel, p.residual, residual);
        store4(p.y.data, p.y.element, pixel(p.y, o.item, o.row, o.column) + channel, first4(v, p.y.channels - channel));
    }
}

__global__ static void __launch_bounds__(conv_threads) conv(const vt_cuda_conv p) {
    __shared__ tiles t;
    begin_early();
    const int64_t pixels = p.batch * p.y.rows * p.y.columns, rows = (pixels + tile_pixels - 1) / tile_pixels;
    if (is_past_tiles(p, rows)) return;
    const int depth = p.picture ? p.x.channels : p.x.lanes, taps = p.window.kernel[0] * p.window.kernel[1];
    const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    const int load_pixel = threadIdx.x / 4, load_k = threadIdx.x % 4 * 4;
    const int64_t first = (int64_t)blockIdx.x * tile_pixels, total = (int64_t)taps * depth;
    const int channel = (int)(blockIdx.y * tile_channels) + tx * 4;
    const bool has_pixel = first + load_pixel < pixels;
    const output_pixel from = output_at(p, has_pixel ? first + load_pixel : first);
    cursor at = {0, 0, 0};
    advance(at, load_k, depth, p.window.kernel[1]);
    float4 sum[4] = {all4(0), all4(0), all4(0), all4(0)};
    for (int64_t k = 0; k < total; k += tile_depth, advance(at, tile_depth, depth, p.window.kernel[1])) {
        const float4 x = has_pixel ? input4(p, from, at) : all4(0);
        const bool has_weight = k + ty < total && channel < p.y.lanes;
        const float4 w = has_weight ? load4(p.weights, p.weights_element, (k + ty) * p.y.lanes + channel) : all4(0);
        __syncthreads();
        t.x[load_k][load_pixel] = x.x;
        t.x[load_k + 1][load_pixel] = x.y;
        t.x[load_k + 2][load_pixel] = x.z;
        t.x[load_k + 3][load_pixel] = x.w;
        *(float4 *)&t.w[ty][tx * 4] = w;
        __syncthreads();
        multiply(t, ty, tx, sum);
    }
    store_pixels(p, first + ty * 4, pixels, channel, sum);
}

int vt_cuda_launch_conv(const vt_cuda_conv *p, void *stream) {
    const int64_t pixels = p->batch * p->y.rows * p->y.columns, rows = (pixels + tile_pixels - 1) / tile_pixels;
    const int64_t border = border_vectors(p->y, p->batch);
    const dim3 grid((unsigned)(rows + (border ? blocks_for(border) : 0)),
        (unsigned)((p->y.lanes + tile_channels - 1) / tile_channels));
    return VT_LAUNCH_EARLY(conv, grid, dim3(conv_threads), stream, *p);
}
