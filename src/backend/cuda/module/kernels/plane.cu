// SPDX-License-Identifier: Apache-2.0
//
// Steps that make each pixel from a few others, four channels a thread.
#include "backend/cuda/module/kernels/common.cuh"

__device__ static inline float4 value_at(const vt_cuda_affine &p, const place &at) {
    const float4 x = load4(p.x.data, p.x.element, pixel(p.x, at.item, at.row, at.column) + at.channel);
    const float4 scale = *(const float4 *)(p.scale + at.channel), shift = *(const float4 *)(p.shift + at.channel);
    return act1_4(p.tail, fma4(x, scale, shift), at.channel);
}

int vt_cuda_launch_affine(const vt_cuda_affine *p, void *stream) { return launch_each_pixel(*p, stream); }

__device__ static inline float combine(vt_cuda_binary_mode mode, float a, float b) {
    switch (mode) {
    case VT_CUDA_ADD: return a + b;
    case VT_CUDA_MUL: return a * b;
    case VT_CUDA_SUB: return a - b;
    default: return a / b;
    }
}

__device__ static inline float4 value_at(const vt_cuda_binary &p, const place &at) {
    const int64_t second = p.per_channel ? pixel(p.b, at.item, 0, 0) : pixel(p.b, at.item, at.row, at.column);
    const float4 a = load4(p.a.data, p.a.element, pixel(p.a, at.item, at.row, at.column) + at.channel);
    const float4 b = load4(p.b.data, p.b.element, second + at.channel);
    const float4 v = make_float4(
        combine(p.mode, a.x, b.x), combine(p.mode, a.y, b.y), combine(p.mode, a.z, b.z), combine(p.mode, a.w, b.w));
    return act1_4(p.tail, v, at.channel);
}

int vt_cuda_launch_binary(const vt_cuda_binary *p, void *stream) { return launch_each_pixel(*p, stream); }

__device__ static inline float4 value_at(const vt_cuda_upsample &p, const place &at) {
    const int row = (int)((int64_t)at.row * p.x.rows / p.y.rows);
    const int column = (int)((int64_t)at.column * p.x.columns / p.y.columns);
    const float4 v = load4(p.x.data, p.x.element, pixel(p.x, at.item, row, column) + at.channel);
    if (!p.residual.data) return v;
    const int64_t other = pixel(p.residual, at.item, at.row, at.column);
    return add4(v, load4(p.residual.data, p.residual.element, other + at.channel));
}

int vt_cuda_launch_upsample(const vt_cuda_upsample *p, void *stream) { return launch_each_pixel(*p, stream); }

__device__ static inline float4 value_at(const vt_cuda_copy &p, const place &at) {
    return load4(p.x.data, p.x.element, pixel(p.x, at.item, at.row, at.column) + at.channel);
}

int vt_cuda_launch_copy(const vt_cuda_copy *p, void *stream) { return launch_each_pixel(*p, stream); }

__device__ static inline float4 value_at(const vt_cuda_gather &p, const place &at) {
    const int64_t plane = (int64_t)p.y.rows * p.y.columns, here = (int64_t)at.row * p.y.columns + at.column;
    const float *x = p.x + at.item * p.x_item + here;
    float v[4];
    for (int i = 0; i < 4; i++) v[i] = at.channel + i < p.y.channels ? x[(at.channel + i) * plane] : 0;
    return make_float4(v[0], v[1], v[2], v[3]);
}

int vt_cuda_launch_gather(const vt_cuda_gather *p, void *stream) { return launch_each_pixel(*p, stream); }
