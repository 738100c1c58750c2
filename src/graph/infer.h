/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_GRAPH_INFER_H
#define VT_GRAPH_INFER_H

/* Private to shape inference: one rule per operator, grouped by family into the infer_*.c files. */

#include "graph/graph.h"

/* Integer tensors of up to this many elements have their content followed symbolically. */
#define VT_INFER_MOST_ELEMENTS 64

/* One node under inference. Error sentences name neither node nor operator: the caller of the rules puts them in front.
 */
struct vt_infer {
    struct vt_graph *graph;
    struct vt_arena *arena;
    const struct vt_node *node;
    struct vultus_error *error;
};

/*
 * Sets dtype, rank, dims and, for shape tensors, elements of the node's outputs, which the caller has cleared. The
 * number of inputs was checked against the operator table and required inputs are there; ranks may be -1, dims and
 * elements NULL.
 */
typedef enum vultus_status vt_infer_rule(struct vt_infer *infer);

/* infer_elementwise.c */
vt_infer_rule vt_infer_same_shape, vt_infer_identity, vt_infer_dropout, vt_infer_softmax, vt_infer_cast,
    vt_infer_cast_like, vt_infer_quantize, vt_infer_dequantize, vt_infer_arithmetic, vt_infer_compare, vt_infer_where,
    vt_infer_pow, vt_infer_prelu, vt_infer_channel_parameters, vt_infer_layer_norm;
/* infer_window.c */
vt_infer_rule vt_infer_conv, vt_infer_fused_conv, vt_infer_conv_transpose, vt_infer_fused_conv_transpose, vt_infer_pool,
    vt_infer_global_pool, vt_infer_resize, vt_infer_pad;
/* infer_linear.c */
vt_infer_rule vt_infer_matmul, vt_infer_gemm, vt_infer_fused_gemm, vt_infer_reduce, vt_infer_arg_max, vt_infer_top_k;
/* infer_shape.c */
vt_infer_rule vt_infer_shape_of, vt_infer_size, vt_infer_constant, vt_infer_constant_of_shape, vt_infer_range,
    vt_infer_reshape, vt_infer_flatten, vt_infer_transpose, vt_infer_squeeze, vt_infer_unsqueeze;
/* infer_index.c */
vt_infer_rule vt_infer_concat, vt_infer_slice, vt_infer_split, vt_infer_gather, vt_infer_expand, vt_infer_tile;

/* infer_common.c */

/* NULL for a missing optional input. */
static inline struct vt_value *vt_infer_input(const struct vt_infer *infer, size_t index) {
    return index < infer->node->n_inputs ? infer->node->inputs[index] : NULL;
}
static inline struct vt_value *vt_infer_output(const struct vt_infer *infer) { return infer->node->outputs[0]; }

static inline const struct vt_dim *vt_infer_const(const struct vt_infer *infer, int64_t value) {
    return vt_dim_constant(infer->arena, value);
}

/* Gives the first output the type, rank and dims of `value`. */
void vt_infer_copy_type(const struct vt_infer *infer, const struct vt_value *value);
/* Gives output `index` the first output's rank and dims, and this type. */
void vt_infer_copy_shape(const struct vt_infer *infer, size_t index, enum vt_dtype dtype);
/* Gives the first output a type and rank with unknown dims; a rank past VT_MAX_RANK is an error. */
enum vultus_status vt_infer_set_rank(const struct vt_infer *infer, enum vt_dtype dtype, int64_t rank);

/* An error unless the rank is unknown or equal. */
enum vultus_status vt_infer_require_rank(const struct vt_infer *infer, const struct vt_value *value, int rank);
/* An error when both element types are known and differ. */
enum vultus_status vt_infer_require_same_dtype(
    const struct vt_infer *infer, const struct vt_value *a, const struct vt_value *b);
/* An error unless `value` (NULL is fine) can be a vector of `length` elements. */
enum vultus_status vt_infer_require_vector(
    const struct vt_infer *infer, const struct vt_value *value, const struct vt_dim *length);

/* The one dim that two dims which must be equal stand for; an error when they are different numbers. */
enum vultus_status vt_infer_unify(
    const struct vt_infer *infer, const struct vt_dim *a, const struct vt_dim *b, const struct vt_dim **out);
/* The dim that two dims broadcast to; NULL where that cannot be decided. */
enum vultus_status vt_infer_broadcast(
    const struct vt_infer *infer, const struct vt_dim *a, const struct vt_dim *b, const struct vt_dim **out);
/* Multi-directional broadcasting of the first `rank_a` / `rank_b` dims, aligned at their ends. */
enum vultus_status vt_infer_broadcast_dims(const struct vt_infer *infer, const struct vt_dim *const *a, int rank_a,
    const struct vt_dim *const *b, int rank_b, const struct vt_dim **out);

/* An axis in [-rank, rank) made non-negative; others are an error. */
enum vultus_status vt_infer_axis(const struct vt_infer *infer, int64_t axis, int64_t rank, int *out);

/* Symbolic content, of constants too; NULL when not followed. */
const struct vt_dim **vt_infer_elements(const struct vt_infer *infer, struct vt_value *value, size_t *count);
/* The content when every element is a known number and there are at most `room`. */
bool vt_infer_ints(const struct vt_infer *infer, struct vt_value *value, int64_t *out, size_t room, size_t *count);
/* Room for the content of the first output; NULL when the type or count is not followed. */
const struct vt_dim **vt_infer_make_elements(const struct vt_infer *infer, size_t count);
/* The element as its integer type holds it: NULL when a known number does not fit. */
const struct vt_dim *vt_infer_fit(enum vt_dtype dtype, const struct vt_dim *element);
/* The known content of a constant or of a Constant node's output, else NULL. */
const struct vt_tensor *vt_infer_tensor(const struct vt_value *value);
/* The product of dims [first, last). */
const struct vt_dim *vt_infer_product(const struct vt_infer *infer, const struct vt_value *value, int first, int last);

#endif
