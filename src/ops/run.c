/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

static vt_op_runner *const runners[VT_OP_COUNT] = {
    [VT_OP_CONV] = vt_run_conv,
    [VT_OP_GEMM] = vt_run_gemm,
    [VT_OP_MATMUL] = vt_run_matmul,
    [VT_OP_BATCH_NORM] = vt_run_batch_norm,
    [VT_OP_INSTANCE_NORM] = vt_run_instance_norm,
    [VT_OP_PRELU] = vt_run_prelu,
    [VT_OP_RELU] = vt_run_unary,
    [VT_OP_LEAKY_RELU] = vt_run_unary,
    [VT_OP_CLIP] = vt_run_clip,
    [VT_OP_SIGMOID] = vt_run_unary,
    [VT_OP_TANH] = vt_run_unary,
    [VT_OP_SOFTMAX] = vt_run_softmax,
    [VT_OP_EXP] = vt_run_unary,
    [VT_OP_SQRT] = vt_run_unary,
    [VT_OP_ADD] = vt_run_binary,
    [VT_OP_SUB] = vt_run_binary,
    [VT_OP_MUL] = vt_run_binary,
    [VT_OP_DIV] = vt_run_binary,
    [VT_OP_POW] = vt_run_pow,
    [VT_OP_MAX_POOL] = vt_run_max_pool,
    [VT_OP_AVERAGE_POOL] = vt_run_average_pool,
    [VT_OP_GLOBAL_AVERAGE_POOL] = vt_run_global_average_pool,
    [VT_OP_REDUCE_MEAN] = vt_run_reduce,
    [VT_OP_REDUCE_SUM] = vt_run_reduce,
    [VT_OP_REDUCE_L2] = vt_run_reduce,
    [VT_OP_RESIZE] = vt_run_resize,
    [VT_OP_RESHAPE] = vt_run_reshape,
    [VT_OP_FLATTEN] = vt_run_flatten,
    [VT_OP_TRANSPOSE] = vt_run_transpose,
    [VT_OP_SQUEEZE] = vt_run_squeeze,
    [VT_OP_UNSQUEEZE] = vt_run_unsqueeze,
    [VT_OP_CONCAT] = vt_run_concat,
    [VT_OP_SLICE] = vt_run_slice,
    [VT_OP_GATHER] = vt_run_gather,
    [VT_OP_PAD] = vt_run_pad,
    [VT_OP_SHAPE] = vt_run_shape,
    [VT_OP_CAST] = vt_run_cast,
    [VT_OP_CONSTANT] = vt_run_constant,
    [VT_OP_CONSTANT_OF_SHAPE] = vt_run_constant_of_shape,
    [VT_OP_IDENTITY] = vt_run_identity,
    [VT_OP_DROPOUT] = vt_run_dropout,
    [VT_OP_FUSED_CONV] = vt_run_fused_conv,
    [VT_OP_FUSED_GEMM] = vt_run_fused_gemm,
    [VT_OP_GROUP_NORM] = vt_run_group_norm,
    [VT_OP_AFFINE] = vt_run_affine,
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

enum vultus_status vt_op_run(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_op_info *info = vt_op_info(call->op);
    if ((unsigned)call->op >= VT_OP_COUNT || !runners[call->op])
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
    return runners[call->op](call, error);
}

const struct vt_tensor *vt_op_input(const struct vt_op_call *call, size_t index) {
    return index < call->n_inputs ? call->inputs[index] : NULL;
}

enum vultus_status vt_op_alloc(const struct vt_op_call *call, enum vt_dtype dtype, int rank, const int64_t *dims,
    struct vt_tensor **out, struct vultus_error *error) {
    *out = &call->outputs[0];
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
