/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CPU_KERNELS_SIMD_H
#define VT_BACKEND_CPU_KERNELS_SIMD_H

#include <stdint.h>

/*
 * One vector type for all instruction sets, of the length that the file's flags allow: kernels are written once and
 * compiled with each set's flags. These files are compiled with -ffp-contract=fast, so `a += b * c` is one FMA where
 * the set has it.
 */
#if defined(__AVX512F__)
#define VL 16
#elif defined(__AVX2__)
#define VL 8
#else
#define VL 4
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
#define VECTOR_REGISTERS 32
#else
#define VECTOR_REGISTERS 16
#endif

typedef float vf __attribute__((vector_size(4 * VL), may_alias));
typedef float vf_unaligned __attribute__((vector_size(4 * VL), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(4 * VL), may_alias));
typedef uint32_t vu __attribute__((vector_size(4 * VL), may_alias));
typedef uint16_t vh __attribute__((vector_size(2 * VL), may_alias));
typedef uint16_t vh_unaligned __attribute__((vector_size(2 * VL), aligned(2), may_alias));
typedef uint32_t pair_of_bf16 __attribute__((aligned(2), may_alias));

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 36")
#endif

ALWAYS_INLINE vf load(const float *p) { return *(const vf_unaligned *)p; }
ALWAYS_INLINE void store(float *p, vf v) { *(vf_unaligned *)p = v; }

/* Keeps a value in a register where the compiler would rather load it for every use. */
ALWAYS_INLINE vf keep(vf v) {
#if defined(__AVX__)
    __asm__("" : "+v"(v));
#endif
    return v;
}

ALWAYS_INLINE vf splat(float s) {
#if VL == 16
    return (vf){s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s};
#elif VL == 8
    return (vf){s, s, s, s, s, s, s, s};
#else
    return (vf){s, s, s, s};
#endif
}

/* bfloat16 is the upper half of a float32; rounding is to nearest even, and NaNs stay NaNs. */
ALWAYS_INLINE vf load_bf16(const uint16_t *p) {
#if defined(__AVX512F__) /* gcc 12 would widen and narrow each half by itself */
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i) * (const vh_unaligned *)p), 16);
#elif defined(__AVX2__)
    return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i) * (const vh_unaligned *)p), 16);
#else
    return (vf)(__builtin_convertvector(*(const vh_unaligned *)p, vu) << 16);
#endif
}
ALWAYS_INLINE void store_bf16(uint16_t *p, vf v) {
#if defined(__AVX512BF16__)
    *(vh_unaligned *)p = (vh)_mm512_cvtneps_pbh((__m512)v);
#else
    vu bits = (vu)v, nan = (vu)(v != v);
    vu rounded = bits + ((bits >> 16) & 1) + 0x7fff;
    rounded = (rounded & ~nan) | ((bits | 0x400000) & nan);
#if defined(__AVX512F__)
    *(vh_unaligned *)p = (vh)_mm512_cvtepi32_epi16((__m512i)(rounded >> 16));
#elif defined(__AVX2__)
    __m256i high = (__m256i)(rounded >> 16);
    *(vh_unaligned *)p = (vh)_mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
#else
    *(vh_unaligned *)p = __builtin_convertvector(rounded >> 16, vh);
#endif
#endif
}
ALWAYS_INLINE float widen_one(uint16_t half) {
    union {
        uint32_t bits;
        float value;
    } u = {(uint32_t)half << 16};
    return u.value;
}
ALWAYS_INLINE uint16_t narrow_one(float value) {
    union {
        float value;
        uint32_t bits;
    } u = {value};
    return (uint16_t)((value == value ? u.bits + ((u.bits >> 16) & 1) + 0x7fff : u.bits | 0x400000) >> 16);
}

/* The even and the odd one of a pair of bfloat16 that lie in 32 bits. */
ALWAYS_INLINE vf even_bf16(vf pairs) { return (vf)((vu)pairs << 16); }
ALWAYS_INLINE vf odd_bf16(vf pairs) { return (vf)((vu)pairs & 0xffff0000); }
ALWAYS_INLINE vf splat_pair(const uint16_t *p) {
    union {
        uint32_t bits;
        float value;
    } u = {*(const pair_of_bf16 *)p};
    return splat(u.value);
}

#if defined(__AVX512F__)
ALWAYS_INLINE vf vmax(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
ALWAYS_INLINE vf vmin(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
#elif defined(__AVX2__)
ALWAYS_INLINE vf vmax(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
ALWAYS_INLINE vf vmin(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
#elif defined(__SSE2__)
#include <emmintrin.h>
ALWAYS_INLINE vf vmax(vf a, vf b) { return (vf)_mm_max_ps((__m128)a, (__m128)b); }
ALWAYS_INLINE vf vmin(vf a, vf b) { return (vf)_mm_min_ps((__m128)a, (__m128)b); }
#elif defined(__ARM_NEON)
#include <arm_neon.h>
/* The number where one of both is NaN: for bounds that are numbers that is what the x86 instructions give. */
ALWAYS_INLINE vf vmax(vf a, vf b) { return (vf)vmaxnmq_f32((float32x4_t)a, (float32x4_t)b); }
ALWAYS_INLINE vf vmin(vf a, vf b) { return (vf)vminnmq_f32((float32x4_t)a, (float32x4_t)b); }
#else
/* b where the comparison is false or undefined, as the x86 instructions have it. */
ALWAYS_INLINE vf vselect(vi mask, vf a, vf b) { return (vf)(((vi)a & mask) | ((vi)b & ~mask)); }
ALWAYS_INLINE vf vmax(vf a, vf b) { return vselect((vi)(a > b), a, b); }
ALWAYS_INLINE vf vmin(vf a, vf b) { return vselect((vi)(a < b), a, b); }
#endif

/* exp within 2 units in the last place for arguments in [-87, 88]; others are clamped to it. */
ALWAYS_INLINE vf vexp(vf x) {
    x = vmin(vmax(x, splat(-87.0f)), splat(88.0f));
    vf rounding = splat(12582912.0f); /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
    vf n = (x * splat(1.44269504f) + rounding) - rounding;
    vf r = x - n * splat(0.693359375f); /* ln 2 in two parts, the first exact in products with n */
    r = r - n * splat(-2.12194440e-4f);
    vf p = splat(1.0f / 5040);
    p = p * r + splat(1.0f / 720);
    p = p * r + splat(1.0f / 120);
    p = p * r + splat(1.0f / 24);
    p = p * r + splat(1.0f / 6);
    p = p * r + splat(0.5f);
    p = p * r + splat(1.0f);
    p = p * r + splat(1.0f);
    vi exponent = (__builtin_convertvector(n, vi) + 127) << 23;
    return p * (vf)exponent;
}

ALWAYS_INLINE vf vsigmoid(vf x) { return splat(1.0f) / (splat(1.0f) + vexp(-x)); }

#endif
