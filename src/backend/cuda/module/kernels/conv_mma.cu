// SPDX-License-Identifier: Apache-2.0
//
// Convolution as a matrix product on tensor cores (compute capability 8.0), of half or bfloat16 planes and weights, or
// of float32 ones rounded to TF32 on the way; sums in float32. A block of 4 warps makes 64 pixels by 64 channels, 16
// deep at a time; each warp 32 by 32, as 2 by 4 products of mma.cuh.
#include "backend/cuda/module/kernels/mma.cuh"
#include "backend/cuda/module/kernels/walk.cuh"

enum { tile_pixels = 64, tile_channels = 64, tile_depth = 16, mma_threads = 128, skew = 8 };
enum { warp_pixels = 32, warp_channels = 32, rows_of_mma = 16, columns_of_mma = 8 };
enum { mma_rows = warp_pixels / rows_of_mma, mma_columns = warp_channels / columns_of_mma };

template <typename Number> struct tiles {
    Number x[tile_pixels][tile_depth + skew];
    Number w[tile_depth][tile_channels + skew];
};

template <typename Number> struct alignas(16) eight { Number v[8]; };

struct sums {
    float of[mma_rows][mma_columns][4];
};

// Halves, or bfloat16 in their place: 16 deep.
template <bool bf16> struct short_products {
    typedef __half number;

    __device__ static void multiply(const tiles<__half> &t, int first_pixel, int first_channel, sums &s) {
        const int lane = threadIdx.x % 32, group = lane / 4, pair = lane % 4 * 2;
        __half a[mma_rows][8], b[mma_columns][4];
        VT_UNROLL
        for (int i = 0; i < mma_rows; i++) load_a(a[i], t.x, first_pixel + i * rows_of_mma, 0);
        VT_UNROLL
        for (int j = 0; j < mma_columns; j++) {
            const int column = first_channel + j * columns_of_mma + group;
            VT_UNROLL
            for (int k = 0; k < 4; k++) b[j][k] = t.w[pair + k / 2 * 8 + k % 2][column];
        }
        VT_UNROLL
        for (int i = 0; i < mma_rows; i++) {
            VT_UNROLL
            for (int j = 0; j < mma_columns; j++)
                if (bf16)
                    mma_bf16(s.of[i][j], a[i], b[j]);
                else
                    mma(s.of[i][j], a[i], b[j]);
        }
    }
};

// 8 deep, twice.
struct tf32_products {
    typedef float number;

    __device__ static void multiply(const tiles<float> &t, int first_pixel, int first_channel, sums &s) {
        const int lane = threadIdx.x % 32, group = lane / 4, in_group = lane % 4;
        for (int k = in_group; k < tile_depth; k += 8) {
            float a[mma_rows][4], b[mma_columns][2];
            VT_UNROLL
            for (int i = 0; i < mma_rows * 4; i++)
                a[i / 4][i % 4] =
                    to_tf32(t.x[first_pixel + i / 4 * rows_of_mma + group + i % 2 * 8][k + i % 4 / 2 * 4]);
            VT_UNROLL
            for (int j = 0; j < mma_columns * 2; j++)
                b[j / 2][j % 2] = to_tf32(t.w[k + j % 2 * 4][first_channel + j / 2 * columns_of_mma + group]);
            VT_UNROLL
            for (int i = 0; i < mma_rows; i++) {
                VT_UNROLL
                for (int j = 0; j < mma_columns; j++) mma_tf32(s.of[i][j], a[i], b[j]);
            }
        }
    }
};

__device__ static inline void store_pair(
    const vt_cuda_conv &p, int64_t number, int channel, float first, float second) {
    const output_pixel o = output_at(p, number);
    const int64_t at = pixel(p.y, o.item, o.row, o.column) + channel;
    const int64_t residual = p.residual.data ? pixel(p.residual, o.item, o.row, o.column) + channel : 0;
    const float v[2] = {first, second};
    for (int i = 0; i < 2; i++) {
        const float done = finish1(p.tail, v[i], channel + i, p.residual, residual + i);
        store1(p.y.data, p.y.element, at + i, channel + i < p.y.channels ? done : 0);
    }
}

__device__ static inline void store_sums(
    const vt_cuda_conv &p, int64_t first_pixel, int64_t pixels, int first_channel, const sums &s) {
    const int lane = threadIdx.x % 32, group = lane / 4, pair = lane % 4 * 2;
    VT_UNROLL
    for (int i = 0; i < mma_rows * 2; i++) {
        const int64_t number = first_pixel + i / 2 * rows_of_mma + i % 2 * 8 + group;
        VT_UNROLL
        for (int j = 0; j < mma_columns; j++) {
            const int channel = first_channel + j * columns_of_mma + pair;
            const float *sum = &s.of[i / 2][j][i % 2 * 2];
            if (number < pixels && channel < p.y.lanes) store_pair(p, number, channel, sum[0], sum[1]);
        }
    }
}

// A thread loads 8 of the sum's numbers of one pixel, and 8 channels of one row of weights.
template <typename Products> __global__ static void __launch_bounds__(mma_threads) conv_mma(const vt_cuda_conv p) {
    typedef typename Products::number number;
    typedef eight<number> numbers;
    __shared__ tiles<number> t;
    begin_early();
    const int64_t pixels = p.batch * p.y.rows * p.y.columns, rows = (pixels + tile_pixels - 1) / tile_pixels;
    if (is_past_tiles(p, rows)) return;
    const int load_pixel = threadIdx.x / 2, load_k = threadIdx.x % 2 * 8;
    const int weight_k = threadIdx.x / 8, weight_channel = threadIdx.x % 8 * 8;
    const int64_t first = (int64_t)blockIdx.x * tile_pixels;
    const int64_t total = (int64_t)p.window.kernel[0] * p.window.kernel[1] * p.x.lanes;
    const int channel = (int)(blockIdx.y * tile_channels);
    const bool has_pixel = first + load_pixel < pixels, has_channel = channel + weight_channel < p.y.lanes;
    const output_pixel from = output_at(p, has_pixel ? first + load_pixel : first);
    const int warp_row = threadIdx.x / 32 / 2 * warp_pixels, warp_column = threadIdx.x / 32 % 2 * warp_channels;
    cursor at = {0, 0, 0};
    advance(at, load_k, p.x.lanes, p.window.kernel[1]);
    sums s = {};
    for (int64_t k = 0; k < total; k += tile_depth, advance(at, tile_depth, p.x.lanes, p.window.kernel[1])) {
        const numbers none = {};
        const bool inside = has_pixel && at.tap_row < p.window.kernel[0];
        const numbers x = inside ? *(const numbers *)((const number *)p.x.data + input_at(p, from, at)) : none;
        const bool has_weight = has_channel && k + weight_k < total;
        const int64_t weight_at = (k + weight_k) * p.y.lanes + channel + weight_channel;
        const numbers w = has_weight ? *(const numbers *)((const number *)p.weights + weight_at) : none;
        __syncthreads();
        *(numbers *)&t.x[load_pixel][load_k] = x;
        *(numbers *)&t.w[weight_k][weight_channel] = w;
        __syncthreads();
        Products::multiply(t, warp_row, warp_column, s);
    }
    store_sums(p, first + warp_row, pixels, channel + warp_column, s);
}

int vt_cuda_launch_conv_mma(const vt_cuda_conv *p, void *stream) {
    const int64_t pixels = p->batch * p->y.rows * p->y.columns, rows = (pixels + tile_pixels - 1) / tile_pixels;
    const int64_t border = border_vectors(p->y, p->batch);
    const dim3 grid((unsigned)(rows + (border ? blocks_for(border) : 0)),
        (unsigned)((p->y.lanes + tile_channels - 1) / tile_channels));
    const dim3 threads(mma_threads);
    switch (p->x.element) {
    case VT_CUDA_F32: return VT_LAUNCH_EARLY(conv_mma<tf32_products>, grid, threads, stream, *p);
    case VT_CUDA_F16: return VT_LAUNCH_EARLY(conv_mma<short_products<false>>, grid, threads, stream, *p);
    case VT_CUDA_BF16: break;
    }
    return VT_LAUNCH_EARLY(conv_mma<short_products<true>>, grid, threads, stream, *p);
}
