/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_PASS_AFFINE_H
#define VT_PASS_AFFINE_H

#include "pass/rewrite.h"

/*
 * y = scale[c] * x + shift[c], where c is the index along axis 1 and x and y have the same static dims: what
 * BatchNormalization, vultus.Affine without activation, and Mul, Div, Add and Sub with constants amount to.
 * All factors are finite in float32. The arrays belong to the pass's scratch arena.
 */
struct vt_channel_affine {
    struct vt_value *x;
    int64_t dims[VT_MAX_RANK];
    int64_t channels;
    double *scale, *shift;
};

/* *found tells whether the node is one. */
enum vultus_status vt_affine_read(
    struct vt_rewrite *rewrite, const struct vt_node *node, struct vt_channel_affine *out, bool *found);

/*
 * Multiplies the affine map of `node` into the operator that makes its x (FusedConv, FusedGemm, GroupNorm, Affine
 * without activation and residual) when nobody else reads x; removes the node then.
 */
enum vultus_status vt_affine_fold_into_producer(
    struct vt_rewrite *rewrite, struct vt_node *node, const struct vt_channel_affine *affine, bool *folded);

/*
 * Multiplies it into everything that reads its result, when those all are convolutions, products, or reshapes that lead
 * to products only; removes the node then. Convolutions that pad get a border, see affine_consumers.c.
 */
enum vultus_status vt_affine_fold_into_consumers(
    struct vt_rewrite *rewrite, struct vt_node *node, const struct vt_channel_affine *affine, bool *folded);

/* Turns the node into vultus.Affine. */
enum vultus_status vt_affine_make_node(
    struct vt_rewrite *rewrite, struct vt_node *node, const struct vt_channel_affine *affine);

/* The node's bias for writing, made of zeros when there is none; NULL when out of memory. */
float *vt_affine_writable_bias(struct vt_rewrite *rewrite, struct vt_node *node, int64_t channels);
/* Whether input `index` is missing or a constant float32 of `count` elements. */
bool vt_affine_is_channels(const struct vt_node *node, size_t index, int64_t count);

#endif
