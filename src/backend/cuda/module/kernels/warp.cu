// SPDX-License-Identifier: Apache-2.0
//
// Aligned faces into a network's input: the arithmetic of src/image/warp.c, a thread for a pixel of a crop.
#include "backend/cuda/module/kernels/photo.cuh"

static const double one = 4294967296.0; // 2^32: positions are in parts of it

__device__ static inline int64_t to_position(double pixels, double limit) {
    return (int64_t)llrint(fmax(-limit, fmin(limit, pixels)) * one);
}

// Whole part and fraction, of which a float holds 24 bits.
__device__ static inline int split(int64_t start, int64_t step, int i, float *fraction) {
    const uint64_t position = (uint64_t)start + (uint64_t)step * (uint64_t)i;
    *fraction = (float)(int32_t)((uint32_t)position >> 8) * (1.0f / (1 << 24));
    return (int32_t)(position >> 32);
}

__device__ static inline float tap(const vt_cuda_picture &p, int x, int y, int channel) {
    if (x < 0 || x >= p.width || y < 0 || y >= p.height) return 0;
    return (float)pixel_at(p, x, y)[channel];
}

__global__ static void warp(const vt_cuda_warp w) {
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x), face = (int)blockIdx.y;
    if (i >= w.width * w.height) return;
    const int x = i % w.width, y = i / w.width;
    const double *inverse = w.inverses[face];
    // Far beyond any picture, and yet a row of steps from there does not overflow.
    const double far = 1 << 29, most_step = far / w.width;
    float fx, fy;
    const int left = split(to_position(inverse[1] * y + inverse[2], far), to_position(inverse[0], most_step), x, &fx);
    const int top = split(to_position(inverse[4] * y + inverse[5], far), to_position(inverse[3], most_step), x, &fy);
    pixel3 value;
    for (int k = 0; k < 3; k++) {
        const float upper_left = tap(w.picture, left, top, k), upper_right = tap(w.picture, left + 1, top, k);
        const float from = upper_left + (tap(w.picture, left, top + 1, k) - upper_left) * fy;
        const float to = upper_right + (tap(w.picture, left + 1, top + 1, k) - upper_right) * fy;
        value.bgr[k] = to_byte(from + (to - from) * fx);
    }
    const int64_t plane = (int64_t)w.width * w.height;
    write_normalised(w.normalisation, value, w.planes + 3 * face * plane + i, plane);
}

int vt_cuda_launch_warp(const vt_cuda_warp *w, void *stream) {
    const unsigned blocks = ((unsigned)(w->width * w->height) + threads_per_block - 1) / threads_per_block;
    return VT_LAUNCH(warp, dim3(blocks, (unsigned)w->count), threads_per_block, stream, *w);
}
