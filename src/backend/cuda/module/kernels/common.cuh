// SPDX-License-Identifier: Apache-2.0
//
// What all kernels share: planes and their elements, tails, and the grid over the pixels of a plane.
#ifndef VT_BACKEND_CUDA_MODULE_KERNELS_COMMON
#define VT_BACKEND_CUDA_MODULE_KERNELS_COMMON

#include "backend/cuda/module/kernels/kernels.h"

#ifdef VT_CUDA_EMULATION
#include "emulation.h"
#define VT_UNROLL
#define VT_UNROLL4
#define VT_LAUNCH_EARLY VT_LAUNCH
static inline void begin_early() {}
#else
#include <cuda_fp16.h>
#define VT_UNROLL _Pragma("unroll")
#define VT_UNROLL4 _Pragma("unroll 4")
#define VT_LAUNCH(kernel, grid, block, stream, params)                                                                 \
    (kernel<<<(grid), (block), 0, (cudaStream_t)(stream)>>>(params), (int)cudaGetLastError())

// Whether a grid may begin while the one before it in the stream ends (compute capability 9.0).
static inline bool grids_overlap() {
    static const bool overlap = [] {
        int device, major = 0;
        return !cudaGetDevice(&device) && !cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) &&
               major >= 9;
    }();
    return overlap;
}

// As VT_LAUNCH, for kernels that call begin_early before they read or write anything but constants.
template <typename Params>
static int launch_early(void (*kernel)(const Params), dim3 grid, dim3 block, void *stream, const Params &params) {
    cudaLaunchAttribute early;
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.stream = (cudaStream_t)stream;
    config.attrs = &early;
    config.numAttrs = grids_overlap() ? 1 : 0;
    return cudaLaunchKernelEx(&config, kernel, params);
}
#define VT_LAUNCH_EARLY launch_early

// Lets the next grid begin, and waits for all before this one.
__device__ static inline void begin_early() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;\ngriddepcontrol.wait;" ::: "memory");
#endif
}
#endif

// ------------------------------------------------------------ four channels

__device__ inline float4 all4(float v) { return make_float4(v, v, v, v); }
__device__ inline float4 add4(float4 a, float4 b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }
__device__ inline float4 fma4(float4 a, float4 b, float4 c) {
    return make_float4(fmaf(a.x, b.x, c.x), fmaf(a.y, b.y, c.y), fmaf(a.z, b.z, c.z), fmaf(a.w, b.w, c.w));
}
__device__ inline float4 max4(float4 a, float4 b) {
    return make_float4(fmaxf(a.x, b.x), fmaxf(a.y, b.y), fmaxf(a.z, b.z), fmaxf(a.w, b.w));
}
// Zeros in the channels from `count` on.
__device__ inline float4 first4(float4 v, int count) {
    return make_float4(count > 0 ? v.x : 0, count > 1 ? v.y : 0, count > 2 ? v.z : 0, count > 3 ? v.w : 0);
}

struct alignas(8) half4 {
    __half x, y, z, w;
};

struct alignas(16) half8 {
    __half v[8];
};

// Eight halves from `at` on, which is a multiple of 8.
__device__ inline half8 load8(const void *data, int64_t at) { return *(const half8 *)((const __half *)data + at); }

// bfloat16 is the upper half of a float32; rounded to nearest, ties to even.
__device__ inline float bf16_to_float(uint16_t bits) { return __uint_as_float((uint32_t)bits << 16); }
__device__ inline uint16_t float_to_bf16(float v) {
    const uint32_t bits = __float_as_uint(v);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40); // no number stays none
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

struct alignas(8) bf16_4 {
    uint16_t x, y, z, w;
};

// Four elements from `at` on, which is a multiple of 4.
__device__ inline float4 load4(const void *data, vt_cuda_element element, int64_t at) {
    if (element == VT_CUDA_F32) return *(const float4 *)((const float *)data + at);
    if (element == VT_CUDA_BF16) {
        const bf16_4 v = *(const bf16_4 *)((const uint16_t *)data + at);
        return make_float4(bf16_to_float(v.x), bf16_to_float(v.y), bf16_to_float(v.z), bf16_to_float(v.w));
    }
    const half4 v = *(const half4 *)((const __half *)data + at);
    return make_float4(__half2float(v.x), __half2float(v.y), __half2float(v.z), __half2float(v.w));
}

__device__ inline void store4(void *data, vt_cuda_element element, int64_t at, float4 v) {
    if (element == VT_CUDA_F32)
        *(float4 *)((float *)data + at) = v;
    else if (element == VT_CUDA_BF16)
        *(bf16_4 *)((uint16_t *)data + at) =
            bf16_4{float_to_bf16(v.x), float_to_bf16(v.y), float_to_bf16(v.z), float_to_bf16(v.w)};
    else
        *(half4 *)((__half *)data + at) =
            half4{__float2half_rn(v.x), __float2half_rn(v.y), __float2half_rn(v.z), __float2half_rn(v.w)};
}

__device__ inline float load1(const void *data, vt_cuda_element element, int64_t at) {
    if (element == VT_CUDA_F32) return ((const float *)data)[at];
    return element == VT_CUDA_BF16 ? bf16_to_float(((const uint16_t *)data)[at])
                                   : __half2float(((const __half *)data)[at]);
}

__device__ inline void store1(void *data, vt_cuda_element element, int64_t at, float v) {
    if (element == VT_CUDA_F32)
        ((float *)data)[at] = v;
    else if (element == VT_CUDA_BF16)
        ((uint16_t *)data)[at] = float_to_bf16(v);
    else
        ((__half *)data)[at] = __float2half_rn(v);
}

// ------------------------------------------------------------ planes

__device__ inline int padded_columns(const vt_cuda_plane &p) { return p.pad[1] + p.columns + p.pad[3]; }
__device__ inline int padded_rows(const vt_cuda_plane &p) { return p.pad[0] + p.rows + p.pad[2]; }

// Channel 0 of a pixel; rows and columns below 0 are in the border.
__device__ inline int64_t pixel(const vt_cuda_plane &p, int64_t item, int row, int column) {
    return item * p.item + ((int64_t)(row + p.pad[0]) * padded_columns(p) + column + p.pad[1]) * p.lanes;
}

__device__ inline float4 border4(const vt_cuda_plane &p, int channel) {
    return p.border ? __ldg((const float4 *)(p.border + channel)) : all4(0);
}

// Pixels [from, from + count) of an item's planes, counted in memory, by the lanes of a warp.
__device__ inline void fill_border_pixels(const vt_cuda_plane &p, int64_t item, int from, int count, int lane) {
    const int warp = 32, end = (from + count) * p.lanes;
    int channel = lane * 4 % p.lanes;
    VT_UNROLL4
    for (int at = from * p.lanes + lane * 4; at < end; at += warp * 4) {
        store4(p.data, p.element, item * p.item + at, border4(p, channel));
        channel += warp * 4;
        while (channel >= p.lanes) channel -= p.lanes;
    }
}

// Part `part` of `parts` of the border of all items: for kernels whose grids do not walk over it. Parts are threads, 32
// in a row of a warp. In memory an item's border is a run before its first row, one between any two, and one behind the
// last. A warp takes a run between two at a time, or as much of the others, so that there is little to divide by.
__device__ inline void fill_border(const vt_cuda_plane &p, int64_t batch, int64_t part, int64_t parts) {
    const int warp = 32, lane = (int)(part % warp), columns = padded_columns(p), sides = p.pad[1] + p.pad[3];
    const int before = p.pad[0] * columns + p.pad[1], behind = p.pad[3] + p.pad[2] * columns;
    if (before + behind + sides == 0) return;
    const int piece = sides > 0 ? sides : 1, first = (before + piece - 1) / piece, last = (behind + piece - 1) / piece;
    const int pieces = first + p.rows - 1 + last;
    for (int64_t i = part / warp; i < batch * pieces; i += parts / warp) {
        const int64_t item = i / pieces;
        const int number = (int)(i - item * pieces), row = number - first; // the run is behind this one
        if (row < 0) {
            const int from = number * piece;
            fill_border_pixels(p, item, from, before - from < piece ? before - from : piece, lane);
        } else if (row < p.rows - 1) {
            fill_border_pixels(p, item, (p.pad[0] + row) * columns + p.pad[1] + p.columns, sides, lane);
        } else {
            const int done = (row - p.rows + 1) * piece, from = (p.pad[0] + p.rows) * columns - p.pad[3] + done;
            fill_border_pixels(p, item, from, behind - done < piece ? behind - done : piece, lane);
        }
    }
}

static inline int64_t border_vectors(const vt_cuda_plane &p, int64_t batch) {
    const int64_t whole = (int64_t)(p.pad[0] + p.rows + p.pad[2]) * (p.pad[1] + p.columns + p.pad[3]);
    return (whole - (int64_t)p.rows * p.columns) * (p.lanes / 4) * batch;
}

// ------------------------------------------------------------ tails

__device__ inline float activate(int32_t activation, float x, float alpha, float beta, float slope) {
    switch (activation) {
    case VT_ACT_RELU: return x < 0 ? 0 : x;
    case VT_ACT_LEAKY_RELU: return x < 0 ? x * alpha : x;
    case VT_ACT_PRELU: return x < 0 ? x * slope : x;
    case VT_ACT_CLIP: {
        const float raised = x < alpha ? alpha : x;
        return raised > beta ? beta : raised;
    }
    case VT_ACT_SIGMOID: return 1 / (1 + expf(-x));
    case VT_ACT_TANH: return tanhf(x);
    case VT_ACT_ELU: return x < 0 ? alpha * expm1f(x) : x;
    case VT_ACT_HARD_SIGMOID: return fminf(fmaxf(alpha * x + beta, 0), 1);
    case VT_ACT_HARD_SWISH: return x * fminf(fmaxf(x / 6 + 0.5f, 0), 1);
    default: return x;
    }
}

__device__ inline float act1(const vt_cuda_tail &t, float x, int channel) {
    if (t.what.act1 == VT_ACT_NONE) return x;
    return activate(t.what.act1, x, t.what.act1_alpha, t.what.act1_beta, t.slope ? t.slope[channel] : 0);
}

__device__ inline float act2(const vt_cuda_tail &t, float x) {
    return activate(t.what.act2, x, t.what.act2_alpha, t.what.act2_beta, 0);
}

__device__ inline float4 act1_4(const vt_cuda_tail &t, float4 v, int channel) {
    return make_float4(
        act1(t, v.x, channel), act1(t, v.y, channel + 1), act1(t, v.z, channel + 2), act1(t, v.w, channel + 3));
}

// The whole tail of four channels of the pixel at `residual_at`.
__device__ inline float4 finish4(
    const vt_cuda_tail &t, float4 sum, int channel, const vt_cuda_plane &residual, int64_t residual_at) {
    if (t.bias) sum = add4(sum, *(const float4 *)(t.bias + channel));
    float4 v = act1_4(t, sum, channel);
    if (residual.data) v = add4(v, load4(residual.data, residual.element, residual_at + channel));
    return make_float4(act2(t, v.x), act2(t, v.y), act2(t, v.z), act2(t, v.w));
}

// The same of one channel, whose residual is the element at `residual_at`.
__device__ inline float finish1(
    const vt_cuda_tail &t, float sum, int channel, const vt_cuda_plane &residual, int64_t residual_at) {
    float v = act1(t, t.bias ? sum + t.bias[channel] : sum, channel);
    if (residual.data) v += load1(residual.data, residual.element, residual_at);
    return act2(t, v);
}

// A tail without a choice: a factor below zero, then bounds; the residual; bounds. vt_cuda_conv_tail_is_simple says
// which are.
struct simple_tail {
    float factor, low, high, low2, high2;
};

static inline simple_tail simple_tail_of(const vt_tail &tail) {
    const float none = INFINITY;
    simple_tail t = {1, -none, none, -none, none};
    if (tail.act1 == VT_ACT_RELU) t.low = 0;
    if (tail.act1 == VT_ACT_LEAKY_RELU) t.factor = tail.act1_alpha;
    if (tail.act1 == VT_ACT_CLIP) t.low = tail.act1_alpha, t.high = tail.act1_beta;
    if (tail.act2 == VT_ACT_RELU) t.low2 = 0;
    if (tail.act2 == VT_ACT_CLIP) t.low2 = tail.act2_alpha, t.high2 = tail.act2_beta;
    return t;
}

// A channel's bias and its factor below zero.
__device__ inline float bias_of(const vt_cuda_tail &t, int channel) { return t.bias ? t.bias[channel] : 0; }
__device__ inline float factor_of(const vt_cuda_tail &t, const simple_tail &simple, int channel) {
    return t.slope && t.what.act1 == VT_ACT_PRELU ? t.slope[channel] : simple.factor;
}

__device__ inline float finish_simply(const simple_tail &t, float sum, float factor, float residual) {
    const float v = fminf(fmaxf(sum < 0 ? sum * factor : sum, t.low), t.high) + residual;
    return fminf(fmaxf(v, t.low2), t.high2);
}

// ------------------------------------------------------------ a thread for four channels of a pixel

struct place {
    int64_t item;
    int row, column, channel;
};

// Walks over all pixels of all items of `p.y`, the border included; value_at(p, place) gives the interior's.
template <typename Params, typename Index> __device__ inline void walk_pixels(const Params &p) {
    const vt_cuda_plane &y = p.y;
    const Index columns = padded_columns(y), rows = padded_rows(y), groups = y.lanes / 4;
    const Index total = (Index)p.batch * rows * columns * groups, step = (Index)gridDim.x * blockDim.x;
    for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
        const Index number = i / groups, line = number / columns, item = line / rows;
        place here;
        here.channel = (int)(i - number * groups) * 4;
        here.column = (int)(number - line * columns) - y.pad[1];
        here.row = (int)(line - item * rows) - y.pad[0];
        here.item = item;
        const bool inside = here.row >= 0 && here.row < y.rows && here.column >= 0 && here.column < y.columns;
        const float4 v = inside ? first4(value_at(p, here), y.channels - here.channel) : border4(y, here.channel);
        store4(y.data, y.element, pixel(y, here.item, here.row, here.column) + here.channel, v);
    }
}

template <typename Params> __global__ void each_pixel(const Params p) {
    begin_early();
    walk_pixels<Params, uint32_t>(p);
}
template <typename Params> __global__ void each_of_many_pixels(const Params p) {
    begin_early();
    walk_pixels<Params, int64_t>(p);
}

static const int threads_per_block = 256;
static const int64_t most_blocks = 1 << 16;

static inline unsigned blocks_for(int64_t threads) {
    const int64_t blocks = (threads + threads_per_block - 1) / threads_per_block;
    return (unsigned)(blocks < 1 ? 1 : blocks > most_blocks ? most_blocks : blocks);
}

template <typename Params> static int launch_each_pixel(const Params &p, void *stream) {
    const int64_t pixels = (int64_t)(p.y.pad[0] + p.y.rows + p.y.pad[2]) * (p.y.pad[1] + p.y.columns + p.y.pad[3]);
    const int64_t total = p.batch * pixels * (p.y.lanes / 4);
    const dim3 grid(blocks_for(total));
    if (total > INT32_MAX)
        return VT_LAUNCH_EARLY(each_of_many_pixels<Params>, grid, dim3(threads_per_block), stream, p);
    return VT_LAUNCH_EARLY(each_pixel<Params>, grid, dim3(threads_per_block), stream, p);
}

#endif
