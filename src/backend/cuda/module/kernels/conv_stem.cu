// SPDX-License-Identifier: Apache-2.0
//
// The first convolution of a network on tensor cores (compute capability 8.0): a plain picture of a few channels in
// float32, to half planes. The whole depth, taps times channels, fits one or two steps of 32, so a block keeps all
// weights and walks over tiles of 128 pixels; each thread gathers one pixel's window, each warp multiplies 32 pixels.
#include "backend/cuda/module/kernels/mma.cuh"
#include "backend/cuda/module/kernels/walk.cuh"

enum { stem_threads = 128, warp_pixels = 32, stem_skew = 8 };
// Six for each multiprocessor of a large GPU; they walk over the tiles that are left.
enum { most_stem_blocks = 792 };
// What nearly every network begins with.
enum { usual_kernel = 3, usual_channels = 3 };

struct stem_conv {
    vt_cuda_conv conv;
    simple_tail tail;
};

// `depth` and `channels`: those of the convolution, rounded up.
template <int depth, int channels> struct stem_tile {
    alignas(16) __half x[stem_threads][depth + stem_skew];
    alignas(16) __half w[channels][depth + stem_skew];
    alignas(16) __half y[stem_threads][channels + stem_skew];
    float bias[channels], factor[channels];
    int64_t at[stem_threads]; // of the pixel in y's planes; -1: none
};

// A window of `kernel` by `kernel` of `planes` channels, all of which are on their way before the first is used.
template <int kernel, int planes>
__device__ static inline void gather_usual(const vt_cuda_conv &p, const float *picture, int top, int left, __half *to) {
    const int area = p.x.rows * p.x.columns;
    float v[kernel * kernel * planes];
    VT_UNROLL
    for (int k = 0; k < kernel * kernel * planes; k++) {
        const int row = top + k / planes / kernel * p.window.dilation[0];
        const int column = left + k / planes % kernel * p.window.dilation[1];
        const bool inside = row >= 0 && row < p.x.rows && column >= 0 && column < p.x.columns;
        v[k] = inside ? picture[k % planes * area + row * p.x.columns + column] : 0;
    }
    VT_UNROLL
    for (int k = 0; k < kernel * kernel * planes; k++) to[k] = __float2half_rn(v[k]);
}

__device__ static inline void gather_any(const vt_cuda_conv &p, const float *picture, int top, int left, __half *to) {
    const int area = p.x.rows * p.x.columns;
    int k = 0;
    for (int i = 0; i < p.window.kernel[0]; i++) {
        const int row = top + i * p.window.dilation[0];
        for (int j = 0; j < p.window.kernel[1]; j++) {
            const int column = left + j * p.window.dilation[1];
            const bool inside = row >= 0 && row < p.x.rows && column >= 0 && column < p.x.columns;
            for (int c = 0; c < p.x.channels; c++)
                to[k++] = __float2half_rn(inside ? picture[c * area + row * p.x.columns + column] : 0);
        }
    }
}

// The window of pixel `number` of all items, and where its result goes.
template <int depth, int channels, bool usual>
__device__ static inline void gather_window(
    const vt_cuda_conv &p, int number, bool exists, stem_tile<depth, channels> &t) {
    const int line = number / p.y.columns, item = line / p.y.rows;
    const int row = line - item * p.y.rows, column = number - line * p.y.columns;
    const int top = row * p.window.stride[0] - p.window.pad[0], left = column * p.window.stride[1] - p.window.pad[1];
    const float *picture = p.picture + item * p.x.item;
    t.at[threadIdx.x] = exists ? pixel(p.y, item, row, column) : -1;
    if (usual)
        gather_usual<usual_kernel, usual_channels>(p, picture, top, left, t.x[threadIdx.x]);
    else
        gather_any(p, picture, top, left, t.x[threadIdx.x]);
}

template <int depth, int channels>
__device__ static inline void multiply_window(const stem_conv &p, stem_tile<depth, channels> &t) {
    const int lane = threadIdx.x % 32, first = threadIdx.x / 32 * warp_pixels, group = lane / 4, pair = lane % 4 * 2;
    VT_UNROLL
    for (int i = 0; i < warp_pixels; i += 16) {
        __half a[depth / 16][8];
        VT_UNROLL
        for (int k = 0; k < depth / 16; k++) load_a(a[k], t.x, first + i, k * 16);
        VT_UNROLL
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
                const float done = finish_simply(p.tail, sum[e] + t.bias[channel], t.factor[channel], 0);
                t.y[first + i + group + e / 2 * 8][channel] = __float2half_rn(channel < p.conv.y.channels ? done : 0);
            }
        }
    }
}

template <int depth, int channels, bool usual>
__global__ static void __launch_bounds__(stem_threads) conv_stem(const stem_conv p) {
    __shared__ stem_tile<depth, channels> t;
    const vt_cuda_conv &conv = p.conv;
    const int pixels = (int)conv.batch * conv.y.rows * conv.y.columns,
              tiles = (pixels + stem_threads - 1) / stem_threads;
    const int vectors = conv.y.lanes / 8, window = conv.window.kernel[0] * conv.window.kernel[1] * conv.x.channels;
    for (int i = threadIdx.x; i < channels * depth; i += stem_threads)
        t.w[i / depth][i % depth] = i / depth < conv.y.lanes ? ((const __half *)conv.weights)[i] : __float2half_rn(0);
    for (int i = threadIdx.x; i < channels; i += stem_threads) {
        t.bias[i] = i < conv.y.channels ? bias_of(conv.tail, i) : 0;
        t.factor[i] = i < conv.y.channels ? factor_of(conv.tail, p.tail, i) : 0;
    }
    for (int k = window; k < depth; k++) t.x[threadIdx.x][k] = __float2half_rn(0);
    begin_early();
    for (int tile = (int)blockIdx.x; tile < tiles; tile += (int)gridDim.x) {
        const int number = tile * stem_threads + (int)threadIdx.x;
        gather_window<depth, channels, usual>(conv, number < pixels ? number : pixels - 1, number < pixels, t);
        __syncthreads();
        multiply_window(p, t);
        __syncthreads();
        for (int i = threadIdx.x; i < stem_threads * vectors; i += stem_threads) {
            const int row = i / vectors, channel = (i - row * vectors) * 8;
            if (t.at[row] >= 0)
                *(half8 *)((__half *)conv.y.data + t.at[row] + channel) = *(const half8 *)&t.y[row][channel];
        }
        __syncthreads();
    }
    fill_border(
        conv.y, conv.batch, (int64_t)blockIdx.x * stem_threads + threadIdx.x, (int64_t)gridDim.x * stem_threads);
}

template <int depth, int channels> static int launch_stem(const stem_conv &p, void *stream) {
    const int64_t pixels = p.conv.batch * p.conv.y.rows * p.conv.y.columns,
                  tiles = (pixels + stem_threads - 1) / stem_threads;
    const dim3 grid((unsigned)(tiles < (int64_t)most_stem_blocks ? tiles : (int64_t)most_stem_blocks)),
        block(stem_threads);
    const bool usual = p.conv.window.kernel[0] == usual_kernel && p.conv.window.kernel[1] == usual_kernel &&
                       p.conv.x.channels == usual_channels;
    if (usual) return VT_LAUNCH_EARLY((conv_stem<depth, channels, true>), grid, block, stream, p);
    return VT_LAUNCH_EARLY((conv_stem<depth, channels, false>), grid, block, stream, p);
}

int vt_cuda_launch_conv_stem(const vt_cuda_conv *conv, void *stream) {
    const stem_conv p = {*conv, simple_tail_of(conv->tail.what)};
    const bool deep = conv->window.kernel[0] * conv->window.kernel[1] * conv->x.channels > 32;
    if (conv->y.lanes <= 32) return deep ? launch_stem<64, 32>(p, stream) : launch_stem<32, 32>(p, stream);
    return deep ? launch_stem<64, 64>(p, stream) : launch_stem<32, 64>(p, stream);
}
