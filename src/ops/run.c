/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

/* How an operator is run; `widens`: half precision is computed in single precision and rounded once, at the end. */
static const struct {
    vt_op_runner *run;
    bool widens;
} runners[VT_OP_COUNT] = {
    [VT_OP_CONV] = {vt_run_conv, true},
    [VT_OP_GEMM] = {vt_run_gemm, true},
    [VT_OP_MATMUL] = {vt_run_matmul, true},
    [VT_OP_BATCH_NORM] = {vt_run_batch_norm, true},
    [VT_OP_INSTANCE_NORM] = {vt_run_instance_norm, true},
    [VT_OP_PRELU] = {vt_run_prelu, true},
    [VT_OP_RELU] = {vt_run_unary, true},
    [VT_OP_LEAKY_RELU] = {vt_run_unary, true},
    [VT_OP_CLIP] = {vt_run_clip, true},
    [VT_OP_SIGMOID] = {vt_run_unary, true},
    [VT_OP_TANH] = {vt_run_unary, true},
    [VT_OP_SOFTMAX] = {vt_run_softmax, true},
    [VT_OP_EXP] = {vt_run_unary, true},
    [VT_OP_SQRT] = {vt_run_unary, true},
    [VT_OP_ADD] = {vt_run_binary, true},
    [VT_OP_SUB] = {vt_run_binary, true},
    [VT_OP_MUL] = {vt_run_binary, true},
    [VT_OP_DIV] = {vt_run_binary, true},
    [VT_OP_POW] = {vt_run_pow, true},
    [VT_OP_MAX_POOL] = {vt_run_max_pool, true},
    [VT_OP_AVERAGE_POOL] = {vt_run_average_pool, true},
    [VT_OP_GLOBAL_AVERAGE_POOL] = {vt_run_global_pool, true},
    [VT_OP_REDUCE_MEAN] = {vt_run_reduce, true},
    [VT_OP_REDUCE_SUM] = {vt_run_reduce, true},
    [VT_OP_REDUCE_L2] = {vt_run_reduce, true},
    [VT_OP_RESIZE] = {vt_run_resize, true},
    [VT_OP_RESHAPE] = {vt_run_reshape, false},
    [VT_OP_FLATTEN] = {vt_run_flatten, false},
    [VT_OP_TRANSPOSE] = {vt_run_transpose, false},
    [VT_OP_SQUEEZE] = {vt_run_squeeze, false},
    [VT_OP_UNSQUEEZE] = {vt_run_unsqueeze, false},
    [VT_OP_CONCAT] = {vt_run_concat, false},
    [VT_OP_SLICE] = {vt_run_slice, false},
    [VT_OP_GATHER] = {vt_run_gather, false},
    [VT_OP_PAD] = {vt_run_pad, false},
    [VT_OP_SHAPE] = {vt_run_shape, false},
    [VT_OP_CAST] = {vt_run_cast, false},
    [VT_OP_CONSTANT] = {vt_run_constant, false},
    [VT_OP_CONSTANT_OF_SHAPE] = {vt_run_constant_of_shape, false},
    [VT_OP_IDENTITY] = {vt_run_identity, false},
    [VT_OP_DROPOUT] = {vt_run_dropout, false},
    [VT_OP_FUSED_CONV] = {vt_run_fused_conv, false},
    [VT_OP_FUSED_GEMM] = {vt_run_fused_gemm, false},
    [VT_OP_GROUP_NORM] = {vt_run_group_norm, true},
    [VT_OP_AFFINE] = {vt_run_affine, false},
    [VT_OP_CONV_TRANSPOSE] = {vt_run_conv_transpose, true},
    [VT_OP_LAYER_NORM] = {vt_run_layer_norm, true},
    [VT_OP_LP_NORM] = {vt_run_lp_norm, true},
    [VT_OP_ELU] = {vt_run_unary, true},
    [VT_OP_HARD_SIGMOID] = {vt_run_unary, true},
    [VT_OP_HARD_SWISH] = {vt_run_unary, true},
    [VT_OP_SOFTPLUS] = {vt_run_unary, true},
    [VT_OP_ERF] = {vt_run_unary, true},
    [VT_OP_GELU] = {vt_run_unary, true},
    [VT_OP_LOG] = {vt_run_unary, true},
    [VT_OP_ABS] = {vt_run_unary, true},
    [VT_OP_NEG] = {vt_run_unary, true},
    [VT_OP_FLOOR] = {vt_run_unary, true},
    [VT_OP_CEIL] = {vt_run_unary, true},
    [VT_OP_RECIPROCAL] = {vt_run_unary, true},
    [VT_OP_NOT] = {vt_run_not, false},
    [VT_OP_MIN] = {vt_run_binary, true},
    [VT_OP_MAX] = {vt_run_binary, true},
    [VT_OP_EQUAL] = {vt_run_compare, true},
    [VT_OP_GREATER] = {vt_run_compare, true},
    [VT_OP_LESS] = {vt_run_compare, true},
    [VT_OP_GREATER_OR_EQUAL] = {vt_run_compare, true},
    [VT_OP_LESS_OR_EQUAL] = {vt_run_compare, true},
    [VT_OP_AND] = {vt_run_logical, false},
    [VT_OP_OR] = {vt_run_logical, false},
    [VT_OP_WHERE] = {vt_run_where, false},
    [VT_OP_GLOBAL_MAX_POOL] = {vt_run_global_pool, true},
    [VT_OP_REDUCE_MAX] = {vt_run_reduce, true},
    [VT_OP_REDUCE_MIN] = {vt_run_reduce, true},
    [VT_OP_SPLIT] = {vt_run_split, false},
    [VT_OP_EXPAND] = {vt_run_expand, false},
    [VT_OP_TILE] = {vt_run_tile, false},
    [VT_OP_SIZE] = {vt_run_size, false},
    [VT_OP_RANGE] = {vt_run_range, true},
    [VT_OP_ARG_MAX] = {vt_run_arg_max, true},
    [VT_OP_TOP_K] = {vt_run_top_k, true},
    [VT_OP_QUANTIZE_LINEAR] = {vt_run_quantize, false},
    [VT_OP_DEQUANTIZE_LINEAR] = {vt_run_dequantize, false},
    [VT_OP_CAST_LIKE] = {vt_run_cast_like, false},
    [VT_OP_FUSED_CONV_TRANSPOSE] = {vt_run_fused_conv_transpose, true},
};

enum vultus_status vt_op_fail(
    const struct vt_op_call *call, struct vultus_error *error, enum vultus_status status, const char *format, ...) {
    char sentence[VULTUS_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return vt_fail(error, status, "%s: %s", vt_op_info(call->op)->name, sentence);
}

/*
 * Whether type, shape and data belong together. Strides are computed even beside a dimension of 0, so that the other
 * dimensions' product must leave room as well.
 */
static bool tensor_is_valid(const struct vt_tensor *tensor) {
    int64_t count = 0, product = 1;
    if (tensor->dtype <= VT_DTYPE_NONE || tensor->dtype >= VT_DTYPE_COUNT) return false;
    if (tensor->rank < 0 || tensor->rank > VT_MAX_RANK) return false;
    if (!vt_dims_valid(tensor->rank, tensor->dims, tensor->dtype, &count)) return false;
    for (int axis = 0; axis < tensor->rank; axis++)
        if (!vt_mul_i64(product, vt_max_i64(tensor->dims[axis], 1), &product)) return false;
    return product <= INT64_MAX / 8 && (tensor->data || count == 0);
}

static enum vultus_status check_tensors(const struct vt_op_call *call, struct vultus_error *error) {
    size_t required = (size_t)vt_op_info(call->op)->least_inputs;
    for (size_t i = 0; i < call->n_inputs; i++) {
        if (!call->inputs[i] && i < required)
            return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "input %zu is missing", i);
        if (call->inputs[i] && !tensor_is_valid(call->inputs[i]))
            return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "input %zu has no valid type, shape and data", i);
    }
    for (size_t i = 0; i < call->attrs.count; i++) {
        const struct vt_attr *attr = &call->attrs.items[i];
        if (attr->kind == VT_ATTR_TENSOR && !(attr->tensor && tensor_is_valid(attr->tensor)))
            return vt_op_fail(
                call, error, VULTUS_ERROR_INVALID, "attribute %.64s has no valid type, shape and data", attr->name);
    }
    return VULTUS_OK;
}

/* 8-bit integers are exact in single precision, too: pooling takes their maxima there. */
static bool is_widened(enum vt_op op, enum vt_dtype dtype) {
    if (!runners[op].widens) return false;
    return dtype == VT_DTYPE_F16 || dtype == VT_DTYPE_BF16 ||
           (op == VT_OP_MAX_POOL && (dtype == VT_DTYPE_I8 || dtype == VT_DTYPE_U8));
}

static enum vultus_status run_widened(const struct vt_op_call *call, struct vultus_error *error) {
    enum vt_dtype narrow = call->inputs[0]->dtype;
    struct vt_tensor *widened = vt_arena_alloc_array(call->arena, call->n_inputs, sizeof *widened);
    const struct vt_tensor **inputs = vt_arena_alloc_array(call->arena, call->n_inputs, sizeof(struct vt_tensor *));
    if (!widened || !inputs) return vt_fail_memory(error, "wide copies", call->n_inputs * sizeof *widened);
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; !status && i < call->n_inputs; i++) {
        if (!call->inputs[i]) continue;
        widened[i] = *call->inputs[i];
        inputs[i] = &widened[i];
        if (widened[i].dtype == narrow) status = vt_op_convert(call, VT_DTYPE_F32, &widened[i], error);
    }
    struct vt_op_call wide = *call;
    wide.inputs = inputs;
    if (!status) status = runners[call->op].run(&wide, error);
    for (size_t i = 0; !status && i < call->n_outputs; i++)
        if (call->outputs[i].dtype == VT_DTYPE_F32) status = vt_op_convert(call, narrow, &call->outputs[i], error);
    return status;
}

enum vultus_status vt_op_run(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_op_info *info = vt_op_info(call->op);
    if ((unsigned)call->op >= VT_OP_COUNT || !runners[call->op].run)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "operator number %d is unknown", (int)call->op);
    if (call->n_inputs < (size_t)info->least_inputs || call->n_inputs > (size_t)info->most_inputs)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "%zu inputs, allowed are %d to %d", call->n_inputs,
            info->least_inputs, info->most_inputs);
    if (call->n_outputs < 1 || call->n_outputs > (size_t)info->most_outputs)
        return vt_op_fail(
            call, error, VULTUS_ERROR_INVALID, "%zu outputs, allowed are 1 to %d", call->n_outputs, info->most_outputs);
    enum vultus_status status = check_tensors(call, error);
    if (status) return status;
    memset(call->outputs, 0, call->n_outputs * sizeof *call->outputs);
    if (call->n_inputs && is_widened(call->op, call->inputs[0]->dtype)) return run_widened(call, error);
    return runners[call->op].run(call, error);
}

const struct vt_tensor *vt_op_input(const struct vt_op_call *call, size_t index) {
    return index < call->n_inputs ? call->inputs[index] : NULL;
}

enum vultus_status vt_op_alloc_at(const struct vt_op_call *call, size_t index, enum vt_dtype dtype, int rank,
    const int64_t *dims, struct vt_tensor **out, struct vultus_error *error) {
    *out = &call->outputs[index];
    if (!vt_dims_valid(rank, dims, dtype, NULL)) {
        struct vt_tensor wanted = {.dtype = dtype, .rank = rank};
        char text[128];
        memcpy(wanted.dims, dims, (size_t)rank * sizeof *dims);
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID,
            "the result would be %s: a dimension is negative or the bytes are too many",
            vt_tensor_describe(&wanted, text, sizeof text));
    }
    return vt_tensor_alloc(call->arena, dtype, rank, dims, *out, error);
}

enum vultus_status vt_op_alloc(const struct vt_op_call *call, enum vt_dtype dtype, int rank, const int64_t *dims,
    struct vt_tensor **out, struct vultus_error *error) {
    return vt_op_alloc_at(call, 0, dtype, rank, dims, out, error);
}

enum vultus_status vt_op_convert(
    const struct vt_op_call *call, enum vt_dtype dtype, struct vt_tensor *tensor, struct vultus_error *error) {
    struct vt_tensor made;
    if (tensor->dtype == dtype) return VULTUS_OK;
    enum vultus_status status = vt_tensor_alloc(call->arena, dtype, tensor->rank, tensor->dims, &made, error);
    if (status) return status;
    bool by_float = vt_dtype_is_float(tensor->dtype) || (tensor->dtype == VT_DTYPE_U64 && vt_dtype_is_float(dtype));
    for (int64_t i = 0; i < vt_tensor_count(tensor); i++) {
        if (by_float)
            vt_tensor_set(&made, i, vt_tensor_get(tensor, i));
        else
            vt_tensor_set_int(&made, i, vt_tensor_get_int(tensor, i));
    }
    *tensor = made;
    return VULTUS_OK;
}

enum vultus_status vt_op_scratch(
    const struct vt_op_call *call, int64_t count, size_t element_bytes, void **out, struct vultus_error *error) {
    *out = vt_arena_alloc_array(call->arena, (size_t)vt_max_i64(count, 1), element_bytes);
    if (*out) return VULTUS_OK;
    return vt_op_fail(call, error, VULTUS_ERROR_MEMORY, "no memory for %lld intermediate values", (long long)count);
}

enum vultus_status vt_op_expect_f32(
    const struct vt_op_call *call, size_t index, int least_rank, int most_rank, struct vultus_error *error) {
    const struct vt_tensor *input = vt_op_input(call, index);
    if (!input) return VULTUS_OK;
    char text[128];
    if (input->dtype != VT_DTYPE_F32)
        return vt_op_fail(call, error, VULTUS_ERROR_UNSUPPORTED, "input %zu is %s, only float32 is supported", index,
            vt_tensor_describe(input, text, sizeof text));
    if (input->rank < least_rank || input->rank > most_rank)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "input %zu is %s, supported ranks are %d to %d", index,
            vt_tensor_describe(input, text, sizeof text), least_rank, most_rank);
    return VULTUS_OK;
}

enum vultus_status vt_op_expect_channels(
    const struct vt_op_call *call, size_t index, const char *what, int64_t count, struct vultus_error *error) {
    const struct vt_tensor *input = vt_op_input(call, index);
    enum vultus_status status = vt_op_expect_f32(call, index, 0, VT_MAX_RANK, error);
    if (status || !input || vt_tensor_count(input) == count) return status;
    char text[128];
    return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "%s is %s, it needs %lld values, one per channel", what,
        vt_tensor_describe(input, text, sizeof text), (long long)count);
}

enum vultus_status vt_op_axis(
    const struct vt_op_call *call, int64_t axis, int rank, int *out, struct vultus_error *error) {
    if (axis < -rank || axis >= rank)
        return vt_op_fail(
            call, error, VULTUS_ERROR_INVALID, "axis %lld is outside a tensor of rank %d", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return VULTUS_OK;
}

enum vultus_status vt_op_read_ints(
    const struct vt_op_call *call, size_t index, int64_t values[VT_MAX_RANK], int *count, struct vultus_error *error) {
    const struct vt_tensor *input = vt_op_input(call, index);
    *count = -1;
    if (!input) return VULTUS_OK;
    char text[128];
    bool integer = input->dtype == VT_DTYPE_I64 || input->dtype == VT_DTYPE_I32;
    if (!integer || input->rank > 1 || vt_tensor_count(input) > VT_MAX_RANK)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID,
            "input %zu is %s, it must be a vector of at most %d integers", index,
            vt_tensor_describe(input, text, sizeof text), VT_MAX_RANK);
    *count = (int)vt_tensor_count(input);
    for (int i = 0; i < *count; i++) values[i] = vt_tensor_get_int(input, i);
    return VULTUS_OK;
}

enum vultus_status vt_op_read_axes(const struct vt_op_call *call, size_t index, int rank, bool marked[VT_MAX_RANK],
    int *count, struct vultus_error *error) {
    int64_t axes[VT_MAX_RANK];
    memset(marked, 0, VT_MAX_RANK * sizeof *marked);
    enum vultus_status status = vt_op_read_ints(call, index, axes, count, error);
    for (int i = 0; !status && i < *count; i++) {
        int axis = 0;
        status = vt_op_axis(call, axes[i], rank, &axis, error);
        if (!status && marked[axis])
            status = vt_op_fail(call, error, VULTUS_ERROR_INVALID, "axis %d is named twice", axis);
        marked[axis] = true;
    }
    return status;
}

enum vultus_status vt_op_expect_residual(const struct vt_op_call *call, const struct vt_tensor *residual,
    const struct vt_tensor *result, struct vultus_error *error) {
    char added[128], to[128];
    if (!residual || vt_tensor_same_shape(residual, result)) return VULTUS_OK;
    return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "the residual is %s, the result %s",
        vt_tensor_describe(residual, added, sizeof added), vt_tensor_describe(result, to, sizeof to));
}

enum vultus_status vt_op_tail(
    const struct vt_op_call *call, const struct vt_tensor *slope, struct vt_tail *tail, struct vultus_error *error) {
    *tail = vt_tail_from_attrs(&call->attrs);
    if (tail->act1 == VT_ACT_COUNT || tail->act2 == VT_ACT_COUNT || tail->act2 == VT_ACT_PRELU)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "activations %lld and %lld are not a tail",
            (long long)vt_attr_int(&call->attrs, "act1", 0), (long long)vt_attr_int(&call->attrs, "act2", 0));
    if ((tail->act1 == VT_ACT_PRELU) != (slope != NULL))
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "the activation is %s but there is %s slope",
            vt_activation_name(tail->act1), slope ? "a" : "no");
    return VULTUS_OK;
}

bool vt_index_next(int rank, const int64_t *dims, int64_t *index) {
    for (int axis = rank - 1; axis >= 0; axis--) {
        if (++index[axis] < dims[axis]) return true;
        index[axis] = 0;
    }
    return false;
}

int64_t vt_index_offset(int rank, const int64_t *index, const int64_t *strides) {
    int64_t offset = 0;
    for (int axis = 0; axis < rank; axis++) offset += index[axis] * strides[axis];
    return offset;
}

void vt_dense_strides(int rank, const int64_t *dims, int64_t *strides) {
    int64_t stride = 1;
    for (int axis = rank - 1; axis >= 0; axis--) {
        strides[axis] = stride;
        stride *= vt_max_i64(dims[axis], 1);
    }
}

int64_t vt_dims_product(const int64_t *dims, int from, int to) {
    int64_t product = 1;
    for (int axis = from; axis < to; axis++) product *= dims[axis];
    return product;
}

/* `tensor`'s strides along the axes of a shape of `rank` axes that its own axes end. */
static void stretched_strides(const struct vt_tensor *tensor, int rank, int64_t *strides) {
    int64_t dense[VT_MAX_RANK];
    vt_dense_strides(tensor->rank, tensor->dims, dense);
    for (int axis = 0; axis < rank; axis++) {
        int own = axis - (rank - tensor->rank);
        strides[axis] = own < 0 || tensor->dims[own] == 1 ? 0 : dense[own];
    }
}

enum vultus_status vt_op_broadcast(const struct vt_op_call *call, const struct vt_tensor *a, const struct vt_tensor *b,
    struct vt_broadcast *out, struct vultus_error *error) {
    out->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int back = 1; back <= out->rank; back++) {
        int64_t a_dim = back <= a->rank ? a->dims[a->rank - back] : 1;
        int64_t b_dim = back <= b->rank ? b->dims[b->rank - back] : 1;
        char a_text[128], b_text[128];
        if (a_dim != b_dim && a_dim != 1 && b_dim != 1)
            return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "%s and %s cannot be broadcast together",
                vt_tensor_describe(a, a_text, sizeof a_text), vt_tensor_describe(b, b_text, sizeof b_text));
        out->dims[out->rank - back] = a_dim == 1 ? b_dim : a_dim;
    }
    stretched_strides(a, out->rank, out->a_strides);
    stretched_strides(b, out->rank, out->b_strides);
    return VULTUS_OK;
}

enum vultus_status vt_op_rows(const struct vt_op_call *call, const struct vt_tensor *a, const struct vt_tensor *b,
    enum vt_dtype dtype, vt_op_row *row, struct vultus_error *error) {
    struct vt_broadcast shape;
    struct vt_tensor *out;
    enum vultus_status status = vt_op_broadcast(call, a, b, &shape, error);
    if (status) return status;
    if (!row || a->dtype != b->dtype)
        return vt_op_fail(call, error, row ? VULTUS_ERROR_INVALID : VULTUS_ERROR_UNSUPPORTED,
            "operands of types %s and %s", vt_dtype_name(a->dtype), vt_dtype_name(b->dtype));
    status = vt_op_alloc(call, dtype, shape.rank, shape.dims, &out, error);
    if (status || vt_tensor_count(out) == 0) return status;
    int outer = shape.rank > 0 ? shape.rank - 1 : 0;
    int64_t width = shape.rank > 0 ? shape.dims[outer] : 1;
    int64_t a_step = shape.rank > 0 ? shape.a_strides[outer] : 0, b_step = shape.rank > 0 ? shape.b_strides[outer] : 0;
    int64_t size = (int64_t)vt_dtype_size(a->dtype), index[VT_MAX_RANK] = {0};
    char *to = out->data;
    do {
        const char *left = (const char *)a->data + vt_index_offset(outer, index, shape.a_strides) * size;
        const char *right = (const char *)b->data + vt_index_offset(outer, index, shape.b_strides) * size;
        row(call->op, left, a_step, right, b_step, to, width);
        to += width * (int64_t)vt_dtype_size(dtype);
    } while (vt_index_next(outer, shape.dims, index));
    return VULTUS_OK;
}

#define COPY_ROWS(T)                                                                                                   \
    do {                                                                                                               \
        const T *from = source;                                                                                        \
        T *to = out->data;                                                                                             \
        do {                                                                                                           \
            int64_t at = offset + vt_index_offset(outer, index, strides);                                              \
            for (int64_t i = 0; i < width; i++, at += step) *to++ = from[at];                                          \
        } while (vt_index_next(outer, out->dims, index));                                                              \
    } while (0)

void vt_copy_strided(const struct vt_tensor *out, const void *source, int64_t offset, const int64_t *strides) {
    if (vt_tensor_count(out) == 0) return;
    int outer = out->rank > 0 ? out->rank - 1 : 0;
    int64_t width = out->rank > 0 ? out->dims[outer] : 1;
    int64_t step = out->rank > 0 ? strides[outer] : 0;
    int64_t index[VT_MAX_RANK] = {0};
    switch (vt_dtype_size(out->dtype)) {
    case 1: COPY_ROWS(uint8_t); break;
    case 2: COPY_ROWS(uint16_t); break;
    case 4: COPY_ROWS(uint32_t); break;
    case 8: COPY_ROWS(uint64_t); break;
    }
}
