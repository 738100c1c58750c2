/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_OPS_RUN_H
#define VT_OPS_RUN_H

/* What the reference operators share. Private to this room. */

#include "ops/ops.h"

/* Runs one call whose input count, output count and tensors vt_op_run has checked; every output starts zeroed. */
typedef enum vultus_status vt_op_runner(const struct vt_op_call *call, struct vultus_error *error);

vt_op_runner vt_run_conv, vt_run_fused_conv, vt_run_conv_transpose, vt_run_fused_conv_transpose;
vt_op_runner vt_run_gemm, vt_run_matmul, vt_run_fused_gemm;
vt_op_runner vt_run_batch_norm, vt_run_instance_norm, vt_run_group_norm, vt_run_affine;
vt_op_runner vt_run_layer_norm, vt_run_lp_norm;
vt_op_runner vt_run_max_pool, vt_run_average_pool, vt_run_global_pool;
vt_op_runner vt_run_unary, vt_run_not, vt_run_clip, vt_run_softmax;
vt_op_runner vt_run_binary, vt_run_pow, vt_run_prelu;
vt_op_runner vt_run_compare, vt_run_logical, vt_run_where;
vt_op_runner vt_run_reduce, vt_run_arg_max, vt_run_top_k, vt_run_resize;
vt_op_runner vt_run_cast, vt_run_cast_like, vt_run_quantize, vt_run_dequantize;
vt_op_runner vt_run_reshape, vt_run_flatten, vt_run_squeeze, vt_run_unsqueeze;
vt_op_runner vt_run_identity, vt_run_dropout, vt_run_shape, vt_run_size, vt_run_range;
vt_op_runner vt_run_constant, vt_run_constant_of_shape;
vt_op_runner vt_run_transpose, vt_run_slice, vt_run_split, vt_run_concat, vt_run_gather, vt_run_pad;
vt_op_runner vt_run_expand, vt_run_tile;

/* vt_fail with the operator's name in front of the sentence. */
enum vultus_status vt_op_fail(const struct vt_op_call *call, struct vultus_error *error, enum vultus_status status,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* NULL when the input is missing. */
const struct vt_tensor *vt_op_input(const struct vt_op_call *call, size_t index);

/* Allocates outputs[0]. */
enum vultus_status vt_op_alloc(const struct vt_op_call *call, enum vt_dtype dtype, int rank, const int64_t *dims,
    struct vt_tensor **out, struct vultus_error *error);

/* The same of outputs[index]. */
enum vultus_status vt_op_alloc_at(const struct vt_op_call *call, size_t index, enum vt_dtype dtype, int rank,
    const int64_t *dims, struct vt_tensor **out, struct vultus_error *error);

/* Replaces the tensor by a copy of that type; nothing happens when it has it. Values convert as vt_tensor_set does. */
enum vultus_status vt_op_convert(
    const struct vt_op_call *call, enum vt_dtype dtype, struct vt_tensor *tensor, struct vultus_error *error);

/* Zeroed memory for a computation's own use, from the call's arena. */
enum vultus_status vt_op_scratch(
    const struct vt_op_call *call, int64_t count, size_t element_bytes, void **out, struct vultus_error *error);

/* An error unless the input is missing or a float32 tensor of at least / exactly that rank. */
enum vultus_status vt_op_expect_f32(
    const struct vt_op_call *call, size_t index, int least_rank, int most_rank, struct vultus_error *error);

/* An error unless the input is missing or float32 with `count` elements, one per channel (or output feature). */
enum vultus_status vt_op_expect_channels(
    const struct vt_op_call *call, size_t index, const char *what, int64_t count, struct vultus_error *error);

/* An error unless there is no residual or it has the result's shape. */
enum vultus_status vt_op_expect_residual(const struct vt_op_call *call, const struct vt_tensor *residual,
    const struct vt_tensor *result, struct vultus_error *error);

/* An axis in [-rank, rank) made non-negative. */
enum vultus_status vt_op_axis(
    const struct vt_op_call *call, int64_t axis, int rank, int *out, struct vultus_error *error);

/* The values of an int64 or int32 vector input of at most VT_MAX_RANK elements; a missing input is count -1. */
enum vultus_status vt_op_read_ints(
    const struct vt_op_call *call, size_t index, int64_t values[VT_MAX_RANK], int *count, struct vultus_error *error);

/* Marks the axes that an input names (missing: count -1 and no marks); an axis named twice is an error. */
enum vultus_status vt_op_read_axes(const struct vt_op_call *call, size_t index, int rank, bool marked[VT_MAX_RANK],
    int *count, struct vultus_error *error);

/* The tail of a fused operator, checked against its slope. */
enum vultus_status vt_op_tail(
    const struct vt_op_call *call, const struct vt_tensor *slope, struct vt_tail *tail, struct vultus_error *error);

double vt_activate_f64(enum vt_activation activation, double x, double alpha, double beta, double slope);

static inline float vt_tail_apply(const struct vt_tail *tail, double sum, float slope, float residual) {
    double y = vt_activate_f64(tail->act1, sum, tail->act1_alpha, tail->act1_beta, slope) + residual;
    return (float)vt_activate_f64(tail->act2, y, tail->act2_alpha, tail->act2_beta, 0);
}

/* Walks a shape: steps the index to the next element in row-major order, false after the last one. */
bool vt_index_next(int rank, const int64_t *dims, int64_t *index);
int64_t vt_index_offset(int rank, const int64_t *index, const int64_t *strides);
void vt_dense_strides(int rank, const int64_t *dims, int64_t *strides);
/* The product of dims[from..to). */
int64_t vt_dims_product(const int64_t *dims, int from, int to);

/* NumPy's broadcasting of two shapes: the result and both operands' strides (0 along stretched axes). */
struct vt_broadcast {
    int rank;
    int64_t dims[VT_MAX_RANK], a_strides[VT_MAX_RANK], b_strides[VT_MAX_RANK];
};
enum vultus_status vt_op_broadcast(const struct vt_op_call *call, const struct vt_tensor *a, const struct vt_tensor *b,
    struct vt_broadcast *out, struct vultus_error *error);

/* One row of a broadcast operation; operands advance by their step in elements, the result is dense. */
typedef void vt_op_row(
    enum vt_op op, const void *a, int64_t a_step, const void *b, int64_t b_step, void *out, int64_t count);
/* Allocates outputs[0], of type `dtype`, and computes it by rows; `row` NULL: the operands' type is not supported. */
enum vultus_status vt_op_rows(const struct vt_op_call *call, const struct vt_tensor *a, const struct vt_tensor *b,
    enum vt_dtype dtype, vt_op_row *row, struct vultus_error *error);

/* out[index] = source[offset + index * strides], all in elements of out's type. */
void vt_copy_strided(const struct vt_tensor *out, const void *source, int64_t offset, const int64_t *strides);

#endif
