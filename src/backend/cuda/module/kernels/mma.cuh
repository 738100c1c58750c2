// SPDX-License-Identifier: Apache-2.0
//
// mma.sync.m16n8k16 (compute capability 8.0): sum += A * B, by a warp, halves or, in their place, bfloat16 (mma_bf16),
// sums in float32. The fragments' layout is the PTX manual's: with group = lane / 4 and pair = lane % 4 * 2, a thread
// holds of A rows group and group + 8 at k = pair, pair + 1 and 8 more, of B column group at the same k, and of C rows
// group and group + 8 at columns pair and pair + 1. The emulation has its own.
#ifndef VT_BACKEND_CUDA_KERNELS_MMA
#define VT_BACKEND_CUDA_KERNELS_MMA

#include "backend/cuda/module/kernels/common.cuh"

#ifndef VT_CUDA_EMULATION
// Halves side by side, the first in the lower bits.
__device__ static inline uint32_t two(const __half *v) {
    return (uint32_t)__half_as_ushort(v[0]) | (uint32_t)__half_as_ushort(v[1]) << 16;
}

// Older devices are never given a kernel with this.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define VT_MMA(type)                                                                                                   \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type                                                \
                 ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                          \
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])                                              \
                 : "r"(two(a)), "r"(two(a + 2)), "r"(two(a + 4)), "r"(two(a + 6)), "r"(two(b)), "r"(two(b + 2)))
#else
#define VT_MMA(type) (void)sum, (void)a, (void)b
#endif

__device__ static inline void mma(float sum[4], const __half a[8], const __half b[4]) { VT_MMA("f16"); }
__device__ static inline void mma_bf16(float sum[4], const __half a[8], const __half b[4]) { VT_MMA("bf16"); }

__device__ static inline float to_tf32(float v) {
    uint32_t rounded = __float_as_uint(v);
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(v));
#endif
    return __uint_as_float(rounded);
}

// m16n8k8 of numbers rounded by to_tf32. With in_group = lane % 4, a thread holds of A rows group and group + 8 at k =
// in_group, then at 4 more, and of B column group at the same k; of C as above.
__device__ static inline void mma_tf32(float sum[4], const float a[4], const float b[2]) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
        "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
#else
    (void)sum, (void)a, (void)b;
#endif
}
#endif

struct alignas(4) half2_of_row {
    __half v[2];
};

// Fragments out of rows of halves in shared memory that keep k side by side, of an even pitch: 16 rows of A, and 8
// columns of B, each a row of its own.
template <int pitch> __device__ static inline void load_a(__half a[8], const __half (*rows)[pitch], int row, int k) {
    const int lane = threadIdx.x % 32, group = row + lane / 4, pair = k + lane % 4 * 2;
    VT_UNROLL
    for (int i = 0; i < 4; i++) {
        const half2_of_row two = *(const half2_of_row *)&rows[group + i % 2 * 8][pair + i / 2 * 8];
        a[2 * i] = two.v[0], a[2 * i + 1] = two.v[1];
    }
}

template <int pitch>
__device__ static inline void load_b(__half b[4], const __half (*columns)[pitch], int column, int k) {
    const int lane = threadIdx.x % 32, group = column + lane / 4, pair = k + lane % 4 * 2;
    VT_UNROLL
    for (int i = 0; i < 2; i++) {
        const half2_of_row two = *(const half2_of_row *)&columns[group][pair + i * 8];
        b[2 * i] = two.v[0], b[2 * i + 1] = two.v[1];
    }
}

#endif
