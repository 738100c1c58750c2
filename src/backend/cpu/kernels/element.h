/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CPU_KERNELS_ELEMENT_H
#define VT_BACKEND_CPU_KERNELS_ELEMENT_H

#include "backend/cpu/cpu.h"
#include "backend/cpu/kernels/simd.h"

/*
 * What planes hold: float32 in pixels of one vector, with VT_ELEMENT_BF16 bfloat16 in pixels of several, and with
 * VT_ELEMENT_WIDE float32 in pixels of as many channels, for results of bfloat16 that leave a network. Kernels
 * work on slices, a vector's channels of a block, in float32; a result is rounded once, when it is put.
 */
#if defined(VT_ELEMENT_BF16)
typedef uint16_t element;
#define ELEMENT_DTYPE VT_DTYPE_BF16
#define PIXEL VT_CPU_BF16_BLOCK
ALWAYS_INLINE vf take(const element *p) { return load_bf16(p); }
ALWAYS_INLINE void put(element *p, vf v) { store_bf16(p, v); }
ALWAYS_INLINE float take_one(const element *p) { return widen_one(*p); }
ALWAYS_INLINE void put_one(element *p, float v) { *p = narrow_one(v); }
#else
typedef float element;
#define ELEMENT_DTYPE VT_DTYPE_F32
#if defined(VT_ELEMENT_WIDE)
#define PIXEL VT_CPU_BF16_BLOCK
#else
#define PIXEL VL
#endif
ALWAYS_INLINE vf take(const element *p) { return load(p); }
ALWAYS_INLINE void put(element *p, vf v) { store(p, v); }
ALWAYS_INLINE float take_one(const element *p) { return *p; }
ALWAYS_INLINE void put_one(element *p, float v) { *p = v; }
#endif
#define SLICES (PIXEL / VL)

/* From `slice` to the b-th after it, where blocks are `block` elements apart and channels `lane`. */
ALWAYS_INLINE int64_t slice_distance(int64_t block, int64_t slice, int b, const int lane) {
    return ((slice + b) / SLICES - slice / SLICES) * block + ((slice + b) % SLICES - slice % SLICES) * VL * lane;
}

#endif
