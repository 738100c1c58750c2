/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_PASS_PASS_H
#define VT_PASS_PASS_H

#include "graph/graph.h"

/*
 * Each pass rewrites the graph in place and keeps it valid: same inputs, outputs and results (to rounding), topological
 * order, inferred shapes. They run on a graph whose input shapes are bound. *changed counts rewrites and may be NULL.
 */
typedef enum vultus_status vt_pass(struct vt_graph *graph, size_t *changed, struct vultus_error *error);

/* Nodes whose inputs are constants (Shape of a known shape included) become constants. */
vt_pass vt_pass_fold_constants;
/* Identity, Dropout, Cast to the same type, Reshape/Transpose that change nothing, and nodes whose outputs nobody
 * reads. */
vt_pass vt_pass_eliminate;
/* Reshape/InstanceNormalization/Reshape/Mul/Add, as exporters write GroupNorm, becomes vultus.GroupNorm. */
vt_pass vt_pass_recognise_group_norm;
/* BatchNormalization: into the Conv or Gemm before it, exactly into a padded Conv after it (border values), else
 * vultus.Affine. */
vt_pass vt_pass_fold_batch_norm;
/* Mul, Div, Add and Sub of constants per channel or scalar: the same; without such a neighbour only pictures become
 * Affine. */
vt_pass vt_pass_fold_scale;
/* Elementwise activations move before a Transpose/Reshape chain so that they can be fused into what produces it. */
vt_pass vt_pass_hoist_activation;
/* MatMul and Gemm with constant weights become vultus.FusedGemm, Conv becomes vultus.FusedConv. */
vt_pass vt_pass_canonicalise;
/* Activation and residual Add join the fused operator before them. */
vt_pass vt_pass_fuse_tail;

/*
 * Narrow convolutions of one map with the same window become one, and a Split: the heads of a detector's level. Wants
 * what the passes above leave, since a Mul behind a part could not be folded any more.
 */
vt_pass vt_pass_join_convolutions;

/*
 * A product that reads a flattened map becomes a convolution with a window of the map's size. For back ends whose
 * planes keep the channels of a pixel together: they need neither flatten nor hold the weights in float32. Wants what
 * all other passes leave; vt_pass_run_all does not run it.
 */
vt_pass vt_pass_products_to_convolutions;

/* All of the above but the last in order, to a fixed point; joined is what is left then. */
enum vultus_status vt_pass_run_all(struct vt_graph *graph, struct vultus_error *error);

#endif
