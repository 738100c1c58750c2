// SPDX-License-Identifier: Apache-2.0
//
// The first convolution of a network on tensor cores (compute capability 8.0): a plain picture of a few channels in
// float32, to half planes. The whole depth, taps times channels, fits one or two steps of 32, so a block keeps all
// weights and walks over tiles of 128 pixels; each thread gathers one pixel's window, each warp multiplies 32 pixels.
#include "backend/cuda/module/kernels/mma.cuh"
#include "backend/cuda/module/kernels/walk.cuh"

enum { stem_threads = 128, warp_pixels = 32, stem_skew = 8, blocks_at_once = 132 * 6 };

// `depth` and `channels`: those of the convolution, rounded up.
template <int depth, int channels> struct stem_tile {
    __half x[stem_threads][depth + stem_skew];
    __half w[channels][depth + stem_skew];
    __half y[stem_threads][channels + stem_skew];
    int64_t at[stem_threads]; // of the pixel in y's planes; -1: none
};

template <int depth>
__device__ static inline void gather_window(const vt_cuda_conv &p, const output_pixel &o, __half *to) {
    const vt_cuda_window &w = p.window;
    const int area = p.x.rows * p.x.columns;
    const float *picture = p.picture + o.item * p.x.item;
    const int top = o.row * w.stride[0] - w.pad[0], left = o.column * w.stride[1] - w.pad[1];
    int k = 0;
    for (int i = 0; i < w.kernel[0]; i++) {
        const int row = top + i * w.dilation[0];
        for (int j = 0; j < w.kernel[1]; j++) {
            const int column = left + j * w.dilation[1];
            const bool inside = row >= 0 && row < p.x.rows && column >= 0 && column < p.x.columns;
            const float *from = picture + row * p.x.columns + column;
            for (int c = 0; c < p.x.channels; c++) to[k++] = __float2half_rn(inside ? from[c * area] : 0);
        }
    }
    for (; k < depth; k++) to[k] = __float2half_rn(0);
}

template <int depth, int channels>
__device__ static inline void multiply_window(const vt_cuda_conv &p, stem_tile<depth, channels> &t) {
    const int lane = threadIdx.x % 32, first = threadIdx.x / 32 * warp_pixels, group = lane / 4, pair = lane % 4 * 2;
    VT_UNROLL
    for (int i = 0; i < warp_pixels; i += 16) {
        __half a[depth / 16][8];
        VT_UNROLL
        for (int k = 0; k < depth / 16; k++) load_a(a[k], t.x, first + i, k * 16);
        for (int column = 0; column < channels; column += 8) {
            float sum[4] = {};
            VT_UNROLL
            for (int k = 0; k < depth / 16; k++) {
                __half b[4];
                load_b(b, t.w, column, k * 16);
                mma(sum, a[k], b);
            }
            VT_UNROLL
            for (int e = 0; e < 4; e++) {
                const int channel = column + pair + e % 2;
                const float done = channel < p.y.channels ? finish1(p.tail, sum[e], channel, p.residual, 0) : 0;
                t.y[first + i + group + e / 2 * 8][channel] = __float2half_rn(done);
            }
        }
    }
}

template <int depth, int channels>
__global__ static void __launch_bounds__(stem_threads) conv_stem(const vt_cuda_conv p) {
    __shared__ stem_tile<depth, channels> t;
    const int64_t pixels = p.batch * p.y.rows * p.y.columns, tiles = (pixels + stem_threads - 1) / stem_threads;
    const int vectors = p.y.lanes / 8;
    for (int i = threadIdx.x; i < channels * depth; i += stem_threads)
        t.w[i / depth][i % depth] = i / depth < p.y.lanes ? ((const __half *)p.weights)[i] : __float2half_rn(0);
    begin_early();
    for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const int64_t number = tile * stem_threads + threadIdx.x;
        const output_pixel o = output_at(p, number < pixels ? number : pixels - 1);
        t.at[threadIdx.x] = number < pixels ? pixel(p.y, o.item, o.row, o.column) : -1;
        gather_window<depth>(p, o, t.x[threadIdx.x]);
        __syncthreads();
        multiply_window(p, t);
        __syncthreads();
        for (int i = threadIdx.x; i < stem_threads * vectors; i += stem_threads) {
            const int row = i / vectors, channel = i % vectors * 8;
            if (t.at[row] >= 0)
                *(half8 *)((__half *)p.y.data + t.at[row] + channel) = *(const half8 *)&t.y[row][channel];
        }
        __syncthreads();
    }
    fill_border(p.y, p.batch, (int64_t)blockIdx.x * stem_threads + threadIdx.x, (int64_t)gridDim.x * stem_threads);
}

int vt_cuda_launch_conv_stem(const vt_cuda_conv *p, void *stream) {
    const int64_t pixels = p->batch * p->y.rows * p->y.columns, tiles = (pixels + stem_threads - 1) / stem_threads;
    const dim3 grid((unsigned)(tiles < (int64_t)blocks_at_once ? tiles : (int64_t)blocks_at_once)), block(stem_threads);
    const bool deep = p->window.kernel[0] * p->window.kernel[1] * p->x.channels > 32;
    if (p->y.lanes <= 32 && !deep) return VT_LAUNCH_EARLY((conv_stem<32, 32>), grid, block, stream, *p);
    if (!deep) return VT_LAUNCH_EARLY((conv_stem<32, 64>), grid, block, stream, *p);
    if (p->y.lanes <= 32) return VT_LAUNCH_EARLY((conv_stem<64, 32>), grid, block, stream, *p);
    return VT_LAUNCH_EARLY((conv_stem<64, 64>), grid, block, stream, *p);
}
