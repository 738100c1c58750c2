/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_KERNELS_H
#define VT_BACKEND_CUDA_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "ops/ops.h"

/*
 * Between the host's C and the kernels, which are C++ for nvcc: what each kernel is told, and who launches it. Pointers
 * are the device's. Launchers queue one grid on `stream` (vt_cuda_stream_native) and return 0 or a code for
 * vt_cuda_check. Kernels sum in float32, in an order that depends on the step and the kernel alone: an item's bytes do
 * not depend on its batch mates.
 */

/* Channels per block of planes; kernels take them in fours. */
#define VT_CUDA_BLOCK 8

/* What planes and weights hold. */
enum vt_cuda_element { VT_CUDA_F32, VT_CUDA_F16, VT_CUDA_BF16 };

/* enum vt_binary_mode, for kernels, which do not know plans. */
enum vt_cuda_binary_mode { VT_CUDA_ADD, VT_CUDA_MUL, VT_CUDA_SUB, VT_CUDA_DIV };

/* VT_LAYOUT_CHANNELS_LAST: element (y, x, c) of item i, y and x from the padded corner, is at
 * i * item + (y * (pad[1] + columns + pad[3]) + x) * lanes + c. */
struct vt_cuda_plane {
    void *data;
    const float *border; /* `lanes` numbers that fill the border; NULL: zeros */
    int64_t item;        /* elements from item to item; 0: one serves all */
    int32_t rows, columns, channels, lanes;
    int32_t pad[4]; /* top, left, bottom, right */
    enum vt_cuda_element element;
};

/* What is done to sums: act2(act1(sum + bias) + residual). */
struct vt_cuda_tail {
    struct vt_tail what;
    const float *bias, *slope; /* a number per channel, or NULL */
};

struct vt_cuda_window {
    int32_t kernel[2], stride[2], dilation[2], pad[2];
};

/*
 * Convolutions of one group as a matrix product: row m is a pixel of an item, k runs over taps and, within a tap, the
 * input's lanes (the channels of a picture), n over the output's lanes. Weights: [k][n].
 */
struct vt_cuda_conv {
    struct vt_cuda_plane x, y, residual; /* residual.data NULL: none */
    const float *picture;                /* instead of x: plain [channels][rows][columns] */
    const void *weights;
    enum vt_cuda_element weights_element;
    struct vt_cuda_window window;
    struct vt_cuda_tail tail;
    int64_t batch;
};
int vt_cuda_launch_conv(const struct vt_cuda_conv *conv, void *stream);
/* The same by tensor cores (compute capability 8.0 and later): x and weights of one type, no picture;
 * float32 ones are rounded to TF32. */
int vt_cuda_launch_conv_mma(const struct vt_cuda_conv *conv, void *stream);
/* Of a picture with few taps and channels, by tensor cores (compute capability 8.0 and later), to half planes of at
 * most 64 lanes; no residual. Weights: half [n][k], k as above, filled up with zeros to 32, or to 64 where it is more.
 */
int vt_cuda_launch_conv_stem(const struct vt_cuda_conv *conv, void *stream);
/*
 * Convolutions of planes by Hopper's warp groups: half x, no picture. Weights are half [n][tap][channel], each tap's
 * channels filled up with zeros to a multiple of this depth, which is the one of the two that wastes less.
 */
static inline int32_t vt_cuda_wgmma_depth(int64_t lanes) { return lanes % 64 > 0 && lanes % 64 <= 32 ? 32 : 64; }
struct vt_cuda_wgmma_shape {
    int32_t pixels, channels; /* of a block: 64 by 32 or 64, 128 by 32, 64, 128 or 256 */
    int32_t parts;            /* 1, 2, 4 or 8 blocks share the depth */
};
int vt_cuda_launch_conv_wgmma(const struct vt_cuda_conv *conv, const struct vt_cuda_wgmma_shape *shape, void *stream);

/* Convolutions whose groups have one input and one output channel; weights: float32 [tap][lanes]. */
int vt_cuda_launch_depthwise(const struct vt_cuda_conv *conv, void *stream);
/* Convolutions of any groups; weights: float32 [tap][channel within the input's group][output lanes]. */
struct vt_cuda_grouped {
    struct vt_cuda_conv conv;
    int32_t group;
};
int vt_cuda_launch_grouped(const struct vt_cuda_grouped *grouped, void *stream);
/* Transposed convolutions of one group; weights: float32 [tap][input lane][output lane]. */
int vt_cuda_launch_conv_transpose(const struct vt_cuda_conv *conv, void *stream);

/* y[m][n] = tail(sum over k of x[m][k] * weights[k][n]), dense float32 rows; items `x_item`, ... elements apart. */
struct vt_cuda_gemm {
    const float *x, *weights, *residual; /* residual NULL: none */
    float *y;
    int64_t x_item, y_item, residual_item, rows, depth, columns, batch;
    struct vt_cuda_tail tail;
};
int vt_cuda_launch_gemm(const struct vt_cuda_gemm *gemm, void *stream);

struct vt_cuda_affine {
    struct vt_cuda_plane x, y;
    const float *scale, *shift;
    struct vt_cuda_tail tail; /* act1 and slope */
    int64_t batch;
};
int vt_cuda_launch_affine(const struct vt_cuda_affine *affine, void *stream);

struct vt_cuda_binary {
    struct vt_cuda_plane a, b, y;
    enum vt_cuda_binary_mode mode;
    bool per_channel; /* b has one pixel */
    struct vt_cuda_tail tail;
    int64_t batch;
};
int vt_cuda_launch_binary(const struct vt_cuda_binary *binary, void *stream);

struct vt_cuda_upsample {
    struct vt_cuda_plane x, y, residual; /* residual.data NULL: none */
    int64_t batch;
};
int vt_cuda_launch_upsample(const struct vt_cuda_upsample *upsample, void *stream);

struct vt_cuda_pool {
    struct vt_cuda_plane x, y;
    struct vt_cuda_window window;
    int32_t padded[2]; /* rows and columns up to the end of the padding behind, counted from the picture's first */
    bool average, count_padding;
    int64_t batch;
};
int vt_cuda_launch_pool(const struct vt_cuda_pool *pool, void *stream);
/* The mean of all pixels. */
int vt_cuda_launch_global_pool(const struct vt_cuda_pool *pool, void *stream);

struct vt_cuda_norm {
    struct vt_cuda_plane x, y;
    const float *scale, *shift;
    int32_t groups;
    float epsilon;
    struct vt_cuda_tail tail; /* act1 */
    int64_t batch;
};
int vt_cuda_launch_group_norm(const struct vt_cuda_norm *norm, void *stream);
/* The same by a cluster of blocks for each item (compute capability 9.0): half planes of at most 256 lanes,
 * and a tail that vt_cuda_conv_tail_is_simple. */
int vt_cuda_launch_group_norm_cluster(const struct vt_cuda_norm *norm, void *stream);

/* Channels [from, ...) of x become channels [to, end) of y; those past y's last become 0. The border of that range of y
 * is filled, too. */
struct vt_cuda_channels {
    struct vt_cuda_plane x, y;
    int32_t from, to, end;
    int64_t batch;
};
int vt_cuda_launch_channels(const struct vt_cuda_channels *channels, void *stream);

/* Plain [channels][rows][columns] float32 to planes. */
struct vt_cuda_gather {
    const float *x;
    struct vt_cuda_plane y;
    int64_t x_item, batch;
};
int vt_cuda_launch_gather(const struct vt_cuda_gather *gather, void *stream);

/* Planes to planes of the same shape and element type. */
struct vt_cuda_copy {
    struct vt_cuda_plane x, y;
    int64_t batch;
};
int vt_cuda_launch_copy(const struct vt_cuda_copy *copy, void *stream);

/* Plain rows of any elements or planes (x_plane.data), to a dense tensor of `dims`; stride[i] is x's, in elements,
 * along y's axis i, or for planes axis[i] says which of 1, 2, 3 (channel, row, column) it is. */
struct vt_cuda_transpose {
    const void *x;
    struct vt_cuda_plane x_plane;
    void *y;
    int32_t rank, element; /* bytes of an element */
    int32_t axis[VT_MAX_RANK];
    int64_t dims[VT_MAX_RANK], stride[VT_MAX_RANK], x_item, y_item, count, batch;
};
int vt_cuda_launch_transpose(const struct vt_cuda_transpose *transpose, void *stream);

#ifdef __cplusplus
}
#endif

#endif
