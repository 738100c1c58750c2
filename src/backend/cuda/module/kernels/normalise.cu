// SPDX-License-Identifier: Apache-2.0
//
// Embeddings to unit length, a block for each.
#include "backend/cuda/module/kernels/photo.cuh"

static const int sum_threads = 128;

__global__ static void normalise(const vt_cuda_normalise n) {
    __shared__ double sums[sum_threads];
    const int item = (int)blockIdx.x, thread = (int)threadIdx.x;
    const float *raw = n.raw + (int64_t)item * n.dimension;
    double sum = 0;
    for (int i = thread; i < n.dimension; i += sum_threads) sum += (double)raw[i] * raw[i];
    sums[thread] = sum;
    for (int half = sum_threads / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half) sums[thread] += sums[thread + half];
    }
    __syncthreads();
    float norm = (float)sqrt(sums[0]);
    if (!is_finite(norm)) norm = nanf("");
    float *unit = n.units + (int64_t)item * n.dimension;
    for (int i = thread; i < n.dimension; i += sum_threads) unit[i] = norm > 0 ? raw[i] / norm : 0;
    if (thread > 0) return;
    if (n.divisors) norm *= n.divisors[item];
    n.units[(int64_t)n.count * n.dimension + item] = is_finite(norm) ? norm : nanf("");
}

int vt_cuda_launch_normalise(const vt_cuda_normalise *n, void *stream) {
    return VT_LAUNCH(normalise, (unsigned)n->count, sum_threads, stream, *n);
}
