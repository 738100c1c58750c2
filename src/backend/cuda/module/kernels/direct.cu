// SPDX-License-Identifier: Apache-2.0
//
// Convolutions without tiles, four channels of a pixel a thread: depthwise ones, of any groups, and transposed ones.
#include "backend/cuda/module/kernels/common.cuh"

__device__ static inline float4 finish(const vt_cuda_conv &p, float4 sum, const place &at) {
    const int64_t residual = p.residual.data ? pixel(p.residual, at.item, at.row, at.column) : 0;
    return finish4(p.tail, sum, at.channel, p.residual, residual);
}

__device__ static inline float4 value_at(const vt_cuda_conv &p, const place &at) {
    const vt_cuda_window &w = p.window;
    const int top = at.row * w.stride[0] - w.pad[0], left = at.column * w.stride[1] - w.pad[1];
    const float *weights = (const float *)p.weights + at.channel;
    float4 sum = all4(0);
    for (int i = 0; i < w.kernel[0]; i++) {
        for (int j = 0; j < w.kernel[1]; j++) {
            const int64_t from = pixel(p.x, at.item, top + i * w.dilation[0], left + j * w.dilation[1]) + at.channel;
            const float4 weight = *(const float4 *)(weights + (int64_t)(i * w.kernel[1] + j) * p.y.lanes);
            sum = fma4(load4(p.x.data, p.x.element, from), weight, sum);
        }
    }
    return finish(p, sum, at);
}

int vt_cuda_launch_depthwise(const vt_cuda_conv *p, void *stream) { return launch_each_pixel(*p, stream); }

// The four channels may belong to several groups.
struct grouped_conv {
    vt_cuda_plane y;
    int64_t batch;
    vt_cuda_grouped what;
};

__device__ static inline float grouped_sum(const vt_cuda_grouped &g, const place &at, int channel) {
    const vt_cuda_conv &p = g.conv;
    const vt_cuda_window &w = p.window;
    const int depth = p.x.channels / g.group, first = channel / (p.y.channels / g.group) * depth;
    const int top = at.row * w.stride[0] - w.pad[0], left = at.column * w.stride[1] - w.pad[1];
    const float *weights = (const float *)p.weights + channel;
    float sum = 0;
    for (int i = 0; i < w.kernel[0]; i++) {
        for (int j = 0; j < w.kernel[1]; j++) {
            const int64_t from = pixel(p.x, at.item, top + i * w.dilation[0], left + j * w.dilation[1]) + first;
            for (int c = 0; c < depth; c++, weights += p.y.lanes)
                sum = fmaf(load1(p.x.data, p.x.element, from + c), *weights, sum);
        }
    }
    return sum;
}

__device__ static inline float4 value_at(const grouped_conv &g, const place &at) {
    float sum[4];
    for (int i = 0; i < 4; i++) sum[i] = at.channel + i < g.y.channels ? grouped_sum(g.what, at, at.channel + i) : 0;
    return finish(g.what.conv, make_float4(sum[0], sum[1], sum[2], sum[3]), at);
}

int vt_cuda_launch_grouped(const vt_cuda_grouped *p, void *stream) {
    return launch_each_pixel(grouped_conv{p->conv.y, p->conv.batch, *p}, stream);
}

struct transposed_conv {
    vt_cuda_plane y;
    int64_t batch;
    vt_cuda_conv what;
};

// The input's place that tap `tap` carries to place `at` of the result, or -1.
__device__ static inline int source(const vt_cuda_window &w, int axis, int at, int tap, int size) {
    const int from = at + w.pad[axis] - tap * w.dilation[axis];
    if (from < 0 || from % w.stride[axis] != 0) return -1;
    return from / w.stride[axis] < size ? from / w.stride[axis] : -1;
}

__device__ static inline float4 value_at(const transposed_conv &t, const place &at) {
    const vt_cuda_conv &p = t.what;
    const vt_cuda_window &w = p.window;
    float4 sum = all4(0);
    for (int i = 0; i < w.kernel[0]; i++) {
        const int row = source(w, 0, at.row, i, p.x.rows);
        for (int j = 0; j < w.kernel[1] && row >= 0; j++) {
            const int column = source(w, 1, at.column, j, p.x.columns);
            if (column < 0) continue;
            const int64_t from = pixel(p.x, at.item, row, column);
            const float *weights =
                (const float *)p.weights + (int64_t)(i * w.kernel[1] + j) * p.x.lanes * p.y.lanes + at.channel;
            for (int c = 0; c < p.x.channels; c++)
                sum = fma4(all4(load1(p.x.data, p.x.element, from + c)),
                    *(const float4 *)(weights + (int64_t)c * p.y.lanes), sum);
        }
    }
    return finish(p, sum, at);
}

int vt_cuda_launch_conv_transpose(const vt_cuda_conv *p, void *stream) {
    return launch_each_pixel(transposed_conv{p->y, p->batch, *p}, stream);
}
