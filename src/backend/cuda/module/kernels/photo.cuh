// SPDX-License-Identifier: Apache-2.0
//
// What kernels of pictures share. Their files are compiled without fused multiply-add: sums are rounded as on
// processors.
#ifndef VT_BACKEND_CUDA_MODULE_KERNELS_PHOTO_SHARED
#define VT_BACKEND_CUDA_MODULE_KERNELS_PHOTO_SHARED

#include "backend/cuda/module/kernels/common.cuh"
#include "backend/cuda/module/kernels/photo.h"

struct pixel3 {
    float bgr[3];
};

__device__ static inline const uint8_t *pixel_at(const vt_cuda_picture &p, int x, int y) {
    return p.pixels + 3 * ((int64_t)y * p.width + x);
}

// Rounds to nearest, ties to even, as what it makes of a byte.
__device__ static inline float to_byte(float sum) { return (float)(uint8_t)(int)rintf(sum); }

__device__ static inline void write_normalised(
    const vt_photo_normalisation &n, const pixel3 &value, float *first, int64_t plane) {
    for (int k = 0; k < 3; k++) first[k * plane] = (value.bgr[n.rgb ? 2 - k : k] - n.mean[k]) * n.inverse_std[k];
}

// Undefined numbers and infinities are not equal to themselves after it.
__device__ static inline bool is_finite(float v) { return v - v == 0; }

#endif
