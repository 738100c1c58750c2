// SPDX-License-Identifier: Apache-2.0
//
// Group normalisation by a cluster of blocks for each item, each with a part of the pixels and all channels: a thread
// takes eight channels of every so many pixels. Blocks send each other their sums per channel, first of distances from
// the item's first pixel, then of squared distances from the mean; each adds all of them up, first block first.
#include "backend/cuda/module/kernels/common.cuh"
#include "backend/cuda/module/kernels/hopper.cuh"

struct cluster_norm {
    vt_cuda_norm norm;
    simple_tail tail;
};

enum { cluster_blocks = 8, cluster_threads = 512, most_lanes = 256 };

struct cluster_memory {
    float sums[cluster_threads][8 + 1];
    float received[2][cluster_blocks][most_lanes];
    float scale[most_lanes], shift[most_lanes], pivot[most_lanes];
    uint64_t all_received[2];
};

struct slab {
    int first, end;        // pixels
    int vector, row, rows; // eight channels of the thread, its first pixel, and how many pixels are taken at once
    bool works;
};

__device__ static inline const half8 *vector_at(const vt_cuda_plane &p, int64_t item, const slab &s, int number) {
    const int row = number / p.columns, column = number - row * p.columns;
    return (const half8 *)((const __half *)p.data + pixel(p, item, row, column)) + s.vector;
}

// Hands use(pixel number, eight halves) every vector of the thread; as many as `flying` are on their way at a time.
enum { flying = 8 };
template <typename Use>
__device__ static inline void each_vector(const vt_cuda_plane &p, int64_t item, const slab &s, const Use &use) {
    if (!s.works) return;
#pragma unroll 1
    for (int number = s.first + s.row; number < s.end; number += s.rows * flying) {
        half8 v[flying];
        VT_UNROLL
        for (int i = 0; i < flying; i++)
            if (number + i * s.rows < s.end) v[i] = *vector_at(p, item, s, number + i * s.rows);
        VT_UNROLL
        for (int i = 0; i < flying; i++)
            if (number + i * s.rows < s.end) use(number + i * s.rows, v[i]);
    }
}

// The block's sums per channel to all blocks of the cluster, and there to wait for theirs.
__device__ static void exchange(cluster_memory &m, const slab &s, int lanes, int round, const float (&of)[8]) {
    for (int i = 0; i < 8; i++) m.sums[threadIdx.x][i] = of[i];
    __syncthreads();
    if ((int)threadIdx.x < lanes) {
        const int vector = threadIdx.x / 8;
        float sum = 0;
        for (int row = 0; row < s.rows; row++) sum += m.sums[row * (lanes / 8) + vector][threadIdx.x % 8];
        for (int block = 0; block < cluster_blocks; block++)
            send1(address_of_block(&m.received[round][blockIdx.x][threadIdx.x], block), sum,
                address_of_block(&m.all_received[round], block));
    }
    barrier_wait(&m.all_received[round], 0);
}

// Of the channel's group, over all blocks.
__device__ static inline float group_sum(const cluster_memory &m, int round, int first, int size) {
    float total = 0;
    for (int block = 0; block < cluster_blocks; block++)
        for (int channel = first; channel < first + size; channel++) total += m.received[round][block][channel];
    return total;
}

__global__ static void __launch_bounds__(cluster_threads) __cluster_dims__(cluster_blocks, 1, 1)
    group_norm_cluster(const cluster_norm params) {
    const vt_cuda_norm &p = params.norm;
    __shared__ cluster_memory m;
    const int lanes = p.x.lanes, size = p.x.channels / p.groups, pixels = p.x.rows * p.x.columns;
    const int64_t item = blockIdx.y;
    const int part = (pixels + cluster_blocks - 1) / cluster_blocks;
    slab s;
    s.first = (int)blockIdx.x * part;
    s.end = s.first + part < pixels ? s.first + part : pixels;
    s.rows = cluster_threads / (lanes / 8);
    s.row = (int)threadIdx.x / (lanes / 8);
    s.vector = (int)threadIdx.x % (lanes / 8);
    s.works = s.row < s.rows;
    if (threadIdx.x < 2) {
        barrier_init(&m.all_received[threadIdx.x], 1);
        barrier_init_fence();
        barrier_expect(&m.all_received[threadIdx.x], cluster_blocks * lanes * (int)sizeof(float));
    }
    __syncthreads();
    cluster_arrive();
    begin_early();
    // Sums per group are taken of distances from a number that all its channels share: its first channel's pivot.
    const int channel = (int)threadIdx.x, group_first = channel < p.x.channels ? channel / size * size : 0;
    if (channel < lanes)
        m.pivot[channel] =
            channel < p.x.channels ? load1(p.x.data, VT_CUDA_F16, pixel(p.x, item, 0, 0) + group_first) : 0;
    __syncthreads();
    float pivot[8], sums[8] = {};
    for (int i = 0; i < 8; i++) pivot[i] = s.works ? m.pivot[s.vector * 8 + i] : 0;
    each_vector(p.x, item, s, [&](int, const half8 &v) {
        VT_UNROLL
        for (int i = 0; i < 8; i++) sums[i] += __half2float(v.v[i]) - pivot[i];
    });
    cluster_wait(); // every block's barriers are ready
    exchange(m, s, lanes, 0, sums);
    const float count = (float)pixels * (float)size;
    if (channel < lanes) m.shift[channel] = channel < p.x.channels ? group_sum(m, 0, group_first, size) / count : 0;
    __syncthreads();
    for (int i = 0; i < 8; i++) {
        pivot[i] += s.works ? m.shift[s.vector * 8 + i] : 0;
        sums[i] = 0;
    }
    each_vector(p.x, item, s, [&](int, const half8 &v) {
        VT_UNROLL
        for (int i = 0; i < 8; i++) {
            const float d = __half2float(v.v[i]) - pivot[i];
            sums[i] = fmaf(d, d, sums[i]);
        }
    });
    exchange(m, s, lanes, 1, sums);
    if (channel < lanes && channel < p.x.channels)
        m.scale[channel] = p.scale[channel] / sqrtf(group_sum(m, 1, group_first, size) / count + p.epsilon);
    __syncthreads();
    float scale[8], shift[8];
    for (int i = 0; i < 8; i++) {
        const int c = s.vector * 8 + i;
        const bool is_channel = s.works && c < p.x.channels;
        scale[i] = is_channel ? m.scale[c] : 0;
        shift[i] = is_channel ? p.shift[c] : 0;
    }
    each_vector(p.x, item, s, [&](int number, half8 v) {
        VT_UNROLL
        for (int i = 0; i < 8; i++) {
            const float y = finish_simply(
                params.tail, fmaf(__half2float(v.v[i]) - pivot[i], scale[i], shift[i]), params.tail.factor, 0);
            v.v[i] = __float2half_rn(s.vector * 8 + i < p.y.channels ? y : 0);
        }
        *(half8 *)vector_at(p.y, item, s, number) = v;
    });
    vt_cuda_plane border = p.y; // of this item alone
    border.data = (__half *)p.y.data + item * p.y.item;
    fill_border(border, 1, (int64_t)blockIdx.x * cluster_threads + threadIdx.x, cluster_blocks * cluster_threads);
}

int vt_cuda_launch_group_norm_cluster(const vt_cuda_norm *p, void *stream) {
    const dim3 grid(cluster_blocks, (unsigned)p->batch);
    const cluster_norm params = {*p, simple_tail_of(p->tail.what)};
    return VT_LAUNCH_EARLY(group_norm_cluster, grid, dim3(cluster_threads), stream, params);
}
