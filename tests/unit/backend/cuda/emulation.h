/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of CUDA C++ that the kernels use, for a C++ compiler of the host: what
 * src/backend/cuda/module/kernels/common.cuh includes instead of CUDA's own headers, so that tests run the kernels'
 * very source without a GPU. Blocks run one after the other; the threads of a block are fibers that switch where they
 * wait for each other.
 */
#ifndef VT_TESTS_CUDA_EMULATION
#define VT_TESTS_CUDA_EMULATION

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

extern "C" {
#include "tensor/tensor.h"
}

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
extern dim3 gridDim, blockDim, blockIdx, threadIdx;

struct alignas(16) float4 {
    float x, y, z, w;
};
template <typename T> static inline T __ldg(const T *p) { return *p; }
static inline float4 make_float4(float x, float y, float z, float w) { return float4{x, y, z, w}; }

struct __half {
    uint16_t bits;
};
extern const float *const emulated_halves; /* all of them, by their bits */
static inline float __half2float(__half h) { return emulated_halves[h.bits]; }
static inline __half __float2half_rn(float v) { return __half{vt_f32_to_f16(v)}; }
static inline uint32_t __float_as_uint(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}
static inline float __uint_as_float(uint32_t bits) {
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The C library's would be a call for each; rounding twice is within every tolerance. */
#define fmaf(a, b, c) ((a) * (b) + (c))

static inline int __ffs(int v) { return __builtin_ffs(v); }
/* No thread runs while another does. */
static inline uint32_t atomicAdd(uint32_t *at, uint32_t by) {
    const uint32_t before = *at;
    *at += by;
    return before;
}
static inline uint32_t atomicOr(uint32_t *at, uint32_t bits) {
    const uint32_t before = *at;
    *at |= bits;
    return before;
}

/* Waits for all threads of the block; that one has ended before fails the test. */
void __syncthreads();

/* mma.sync.m16n8k16 of halves, by all warps of the block at the same time: sum[] += A * B of the caller's warp. */
void mma(float sum[4], const __half a[8], const __half b[4]);
void mma_bf16(float sum[4], const __half a[8], const __half b[4]); /* of bfloat16 in their place */
/* mma.sync.m16n8k8 of numbers that to_tf32 rounded, to 10 bits behind the first, ties away from zero. */
void mma_tf32(float sum[4], const float a[4], const float b[2]);
static inline float to_tf32(float v) { return __uint_as_float((__float_as_uint(v) + 0x1000) & ~0x1fffu); }

/* Queues a grid on an emulated stream, whose kernel is called once for every thread. */
int emulated_launch(dim3 grid, dim3 block, void *stream, std::function<void()> kernel);
#define VT_LAUNCH(kernel, grid, block, stream, params)                                                                 \
    emulated_launch((grid), (block), (stream), [copy = (params)] { kernel(copy); })

#endif
