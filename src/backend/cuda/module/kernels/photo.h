/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_KERNELS_PHOTO
#define VT_BACKEND_CUDA_KERNELS_PHOTO

#ifdef __cplusplus
extern "C" {
#endif

#include "backend/photo.h"

/*
 * Between the host's C and the kernels of pictures, as kernels.h is for those of networks. Pointers are the device's.
 * Kernels round every product and every sum as processors do: nothing is fused.
 */

/* A picture's rows of BGR, 3 * width bytes each. */
struct vt_cuda_picture {
    const uint8_t *pixels;
    int32_t width, height;
};

struct vt_cuda_letterbox {
    struct vt_cuda_picture picture;
    struct vt_photo_look look;
    float *planes; /* [3][network_height][network_width] */
};
int vt_cuda_launch_letterbox(const struct vt_cuda_letterbox *letterbox, void *stream);

/* What is found comes behind its number. */
struct vt_cuda_found {
    int32_t count, unused[3];
    struct vt_photo_face faces[];
};

struct vt_cuda_level {
    const float *scores, *boxes, *landmarks; /* landmarks NULL: none */
    int32_t columns, stride;
    int32_t first; /* number of the level's first anchor among all */
};

/*
 * Two launches: candidates of all levels by as many threads, whose keys (score, then number of the anchor) give them
 * one order whichever comes first; then one block sorts and suppresses them.
 */
struct vt_cuda_heads {
    struct vt_cuda_level levels[VT_PHOTO_MOST_LEVELS];
    int32_t n_levels, anchors, total; /* total: anchors of all levels */
    float threshold, nms_threshold;
    uint32_t *count; /* of candidates; 0 before and after */
    uint64_t *keys;  /* as many as the least power of two that is not below total */
    float *boxes;    /* 4 * total, aligned to 16 bytes */
    struct vt_cuda_found *found;
};
int vt_cuda_launch_heads(const struct vt_cuda_heads *heads, void *stream);

/* Aligned faces of a picture to a network's planes [face][3][height][width]. */
#define VT_CUDA_WARPS 64 /* of one launch: a kernel takes 4 KiB of parameters */
struct vt_cuda_warp {
    struct vt_cuda_picture picture;
    float *planes;
    int32_t width, height, count;
    struct vt_photo_normalisation normalisation;
    double inverses[VT_CUDA_WARPS][6];
};
int vt_cuda_launch_warp(const struct vt_cuda_warp *warp, void *stream);

/* raw [count][dimension] to units [count][dimension] and, behind them, norms [count]. */
struct vt_cuda_normalise {
    const float *raw, *divisors; /* divisors [count]: norms that raw was divided by, or NULL */
    float *units;
    int32_t dimension, count;
};
int vt_cuda_launch_normalise(const struct vt_cuda_normalise *normalise, void *stream);

#ifdef __cplusplus
}
#endif

#endif
