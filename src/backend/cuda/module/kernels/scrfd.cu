// SPDX-License-Identifier: Apache-2.0
//
// Heads of SCRFD's kind to faces: the arithmetic of src/face/scrfd.c and nms.c.
#include "backend/cuda/module/kernels/photo.cuh"

static const int block_threads = 1024;
static const int near_candidates = 1024; // that are sorted and compared in shared memory
static const int most_candidates = VT_PHOTO_MOST_CANDIDATES, word_bits = 32;

// ------------------------------------------------------------ candidates

__device__ static inline const vt_cuda_level &level_of(const vt_cuda_heads &h, int anchor) {
    int level = 0;
    while (level + 1 < h.n_levels && anchor >= h.levels[level + 1].first) level++;
    return h.levels[level];
}

// An anchor's cell, and where the level's outputs have its numbers.
struct anchor_place {
    int row;
    float x, y, step;
};

__device__ static inline anchor_place place_of(const vt_cuda_heads &h, const vt_cuda_level &level, int anchor) {
    anchor_place a;
    a.row = anchor - level.first;
    a.step = (float)level.stride;
    const int cell = a.row / h.anchors;
    a.x = (float)(cell % level.columns) * a.step;
    a.y = (float)(cell / level.columns) * a.step;
    return a;
}

__device__ static inline float4 box_at(const vt_cuda_level &level, const anchor_place &a) {
    const float *d = level.boxes + 4 * (int64_t)a.row;
    return make_float4(a.x - d[0] * a.step, a.y - d[1] * a.step, a.x + d[2] * a.step, a.y + d[3] * a.step);
}

// Larger scores come first, and among equal ones the anchors as they are numbered.
__device__ static inline uint64_t key_of(float score, int anchor) {
    const uint32_t bits = __float_as_uint(score);
    const uint32_t sortable = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (uint64_t)~sortable << 32 | (uint32_t)anchor;
}

__global__ static void collect(const vt_cuda_heads h) {
    const int anchor = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (anchor >= h.total) return;
    const vt_cuda_level &level = level_of(h, anchor);
    const float score = level.scores[anchor - level.first];
    if (!(score > h.threshold)) return;
    const float4 box = box_at(level, place_of(h, level, anchor));
    if (!is_finite(box.x) || !is_finite(box.y) || !is_finite(box.z) || !is_finite(box.w)) return;
    h.keys[atomicAdd(h.count, 1u)] = key_of(score, anchor);
}

// ------------------------------------------------------------ suppression, by one block

// Bitonic; n is a power of two.
__device__ static inline void sort_keys(uint64_t *keys, unsigned n) {
    for (unsigned size = 2; size <= n; size *= 2)
        for (unsigned stride = size / 2; stride > 0; stride /= 2) {
            __syncthreads();
            for (unsigned pair = threadIdx.x; pair < n / 2; pair += block_threads) {
                const unsigned a = 2 * stride * (pair / stride) + pair % stride, b = a + stride;
                const bool rising = (a & size) == 0;
                const uint64_t first = keys[a], second = keys[b];
                if ((first > second) == rising) {
                    keys[a] = second;
                    keys[b] = first;
                }
            }
        }
    __syncthreads();
}

__device__ static inline float area_of(const float4 &box) { return (box.z - box.x + 1) * (box.w - box.y + 1); }

// Whether `box` goes because `kept` stays. An undefined overlap (areas that overflow) suppresses.
__device__ static inline bool is_suppressed(const float4 &box, const float4 &kept, float threshold) {
    const float w = fmaxf(0, fminf(box.z, kept.z) - fmaxf(box.x, kept.x) + 1);
    const float h = fmaxf(0, fminf(box.w, kept.w) - fmaxf(box.y, kept.y) + 1);
    const float iou = w * h / (area_of(box) + area_of(kept) - w * h);
    return !(iou <= threshold);
}

// Marks what the kept ones suppress; returns how many are kept, whose numbers go to order[].
__device__ static inline int suppress(
    const float4 *boxes, int n, float threshold, uint32_t *suppressed, uint16_t *order) {
    int kept = 0;
    for (int word = 0; word * word_bits < n; word++) {
        const int left = n - word * word_bits;
        uint32_t candidates = left < word_bits ? (1u << left) - 1 : ~0u;
        while (true) {
            const uint32_t alive = ~suppressed[word] & candidates;
            __syncthreads(); // everybody has read before anybody marks
            if (!alive) break;
            const int bit = __ffs((int)alive) - 1, i = word * word_bits + bit;
            candidates &= ~1u << bit;
            if (threadIdx.x == 0) order[kept] = (uint16_t)i;
            kept++;
            const float4 box = boxes[i];
            for (int j = i + 1 + (int)threadIdx.x; j < n; j += block_threads)
                if (is_suppressed(boxes[j], box, threshold)) atomicOr(&suppressed[j / word_bits], 1u << j % word_bits);
            __syncthreads();
        }
    }
    return kept;
}

__device__ static inline void write_face(const vt_cuda_heads &h, uint64_t key, vt_photo_face *face) {
    const int anchor = (int)(uint32_t)key;
    const vt_cuda_level &level = level_of(h, anchor);
    const anchor_place a = place_of(h, level, anchor);
    const float4 box = box_at(level, a);
    face->box[0] = box.x, face->box[1] = box.y, face->box[2] = box.z, face->box[3] = box.w;
    face->score = level.scores[a.row];
    for (int k = 0; k < 2 * VT_PHOTO_LANDMARKS; k++) {
        const float corner = k % 2 ? a.y : a.x;
        face->landmarks[k / 2][k % 2] =
            level.landmarks ? level.landmarks[2 * VT_PHOTO_LANDMARKS * (int64_t)a.row + k] * a.step + corner : 0;
    }
}

__global__ static void choose(const vt_cuda_heads h) {
    __shared__ uint64_t near_keys[near_candidates];
    __shared__ float4 near_boxes[near_candidates];
    __shared__ uint32_t suppressed[(most_candidates + word_bits - 1) / word_bits];
    __shared__ uint16_t order[most_candidates];
    const unsigned count = *h.count;
    const bool near = count <= near_candidates;
    uint64_t *keys = near ? near_keys : h.keys;
    float4 *boxes = near ? near_boxes : (float4 *)h.boxes;
    unsigned sorted = 1;
    while (sorted < count) sorted *= 2;
    for (unsigned i = threadIdx.x; i < sorted; i += block_threads) keys[i] = i < count ? h.keys[i] : ~(uint64_t)0;
    sort_keys(keys, sorted);
    const int n = count < most_candidates ? (int)count : most_candidates;
    for (int i = (int)threadIdx.x; i < n; i += block_threads) {
        const vt_cuda_level &level = level_of(h, (int)(uint32_t)keys[i]);
        boxes[i] = box_at(level, place_of(h, level, (int)(uint32_t)keys[i]));
    }
    for (int i = (int)threadIdx.x; i * word_bits < n; i += block_threads) suppressed[i] = 0;
    __syncthreads();
    const int kept = suppress(boxes, n, h.nms_threshold, suppressed, order);
    for (int i = (int)threadIdx.x; i < kept; i += block_threads) write_face(h, keys[order[i]], &h.found->faces[i]);
    if (threadIdx.x == 0) {
        h.found->count = kept;
        *h.count = 0;
    }
}

int vt_cuda_launch_heads(const vt_cuda_heads *h, void *stream) {
    const int code = VT_LAUNCH(collect, blocks_for(h->total), threads_per_block, stream, *h);
    return code ? code : VT_LAUNCH(choose, 1, block_threads, stream, *h);
}
