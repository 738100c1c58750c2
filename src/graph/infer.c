/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/infer.h"

/* Large enough that a smaller allocation cannot have failed while this one succeeds: tells "unknown" from "no memory".
 */
#define MEMORY_PROBE 1024

static vt_infer_rule *const rules[VT_OP_COUNT] = {
    [VT_OP_CONV] = vt_infer_conv,
    [VT_OP_GEMM] = vt_infer_gemm,
    [VT_OP_MATMUL] = vt_infer_matmul,
    [VT_OP_BATCH_NORM] = vt_infer_channel_parameters,
    [VT_OP_INSTANCE_NORM] = vt_infer_channel_parameters,
    [VT_OP_PRELU] = vt_infer_prelu,
    [VT_OP_RELU] = vt_infer_same_shape,
    [VT_OP_LEAKY_RELU] = vt_infer_same_shape,
    [VT_OP_CLIP] = vt_infer_same_shape,
    [VT_OP_SIGMOID] = vt_infer_same_shape,
    [VT_OP_TANH] = vt_infer_same_shape,
    [VT_OP_SOFTMAX] = vt_infer_softmax,
    [VT_OP_EXP] = vt_infer_same_shape,
    [VT_OP_SQRT] = vt_infer_same_shape,
    [VT_OP_ADD] = vt_infer_arithmetic,
    [VT_OP_SUB] = vt_infer_arithmetic,
    [VT_OP_MUL] = vt_infer_arithmetic,
    [VT_OP_DIV] = vt_infer_arithmetic,
    [VT_OP_POW] = vt_infer_pow,
    [VT_OP_MAX_POOL] = vt_infer_pool,
    [VT_OP_AVERAGE_POOL] = vt_infer_pool,
    [VT_OP_GLOBAL_AVERAGE_POOL] = vt_infer_global_pool,
    [VT_OP_REDUCE_MEAN] = vt_infer_reduce,
    [VT_OP_REDUCE_SUM] = vt_infer_reduce,
    [VT_OP_REDUCE_L2] = vt_infer_reduce,
    [VT_OP_RESIZE] = vt_infer_resize,
    [VT_OP_RESHAPE] = vt_infer_reshape,
    [VT_OP_FLATTEN] = vt_infer_flatten,
    [VT_OP_TRANSPOSE] = vt_infer_transpose,
    [VT_OP_SQUEEZE] = vt_infer_squeeze,
    [VT_OP_UNSQUEEZE] = vt_infer_unsqueeze,
    [VT_OP_CONCAT] = vt_infer_concat,
    [VT_OP_SLICE] = vt_infer_slice,
    [VT_OP_GATHER] = vt_infer_gather,
    [VT_OP_PAD] = vt_infer_pad,
    [VT_OP_SHAPE] = vt_infer_shape_of,
    [VT_OP_CAST] = vt_infer_cast,
    [VT_OP_CONSTANT] = vt_infer_constant,
    [VT_OP_CONSTANT_OF_SHAPE] = vt_infer_constant_of_shape,
    [VT_OP_IDENTITY] = vt_infer_identity,
    [VT_OP_DROPOUT] = vt_infer_dropout,
    [VT_OP_FUSED_CONV] = vt_infer_fused_conv,
    [VT_OP_FUSED_GEMM] = vt_infer_fused_gemm,
    [VT_OP_GROUP_NORM] = vt_infer_channel_parameters,
    [VT_OP_AFFINE] = vt_infer_channel_parameters,
    [VT_OP_CONV_TRANSPOSE] = vt_infer_conv_transpose,
    [VT_OP_FUSED_CONV_TRANSPOSE] = vt_infer_fused_conv_transpose,
    [VT_OP_LAYER_NORM] = vt_infer_layer_norm,
    [VT_OP_LP_NORM] = vt_infer_softmax,
    [VT_OP_ELU] = vt_infer_same_shape,
    [VT_OP_HARD_SIGMOID] = vt_infer_same_shape,
    [VT_OP_HARD_SWISH] = vt_infer_same_shape,
    [VT_OP_SOFTPLUS] = vt_infer_same_shape,
    [VT_OP_ERF] = vt_infer_same_shape,
    [VT_OP_GELU] = vt_infer_same_shape,
    [VT_OP_LOG] = vt_infer_same_shape,
    [VT_OP_ABS] = vt_infer_same_shape,
    [VT_OP_NEG] = vt_infer_same_shape,
    [VT_OP_FLOOR] = vt_infer_same_shape,
    [VT_OP_CEIL] = vt_infer_same_shape,
    [VT_OP_RECIPROCAL] = vt_infer_same_shape,
    [VT_OP_NOT] = vt_infer_same_shape,
    [VT_OP_MIN] = vt_infer_arithmetic,
    [VT_OP_MAX] = vt_infer_arithmetic,
    [VT_OP_EQUAL] = vt_infer_compare,
    [VT_OP_GREATER] = vt_infer_compare,
    [VT_OP_LESS] = vt_infer_compare,
    [VT_OP_GREATER_OR_EQUAL] = vt_infer_compare,
    [VT_OP_LESS_OR_EQUAL] = vt_infer_compare,
    [VT_OP_AND] = vt_infer_compare,
    [VT_OP_OR] = vt_infer_compare,
    [VT_OP_WHERE] = vt_infer_where,
    [VT_OP_GLOBAL_MAX_POOL] = vt_infer_global_pool,
    [VT_OP_REDUCE_MAX] = vt_infer_reduce,
    [VT_OP_REDUCE_MIN] = vt_infer_reduce,
    [VT_OP_SPLIT] = vt_infer_split,
    [VT_OP_EXPAND] = vt_infer_expand,
    [VT_OP_TILE] = vt_infer_tile,
    [VT_OP_SIZE] = vt_infer_size,
    [VT_OP_RANGE] = vt_infer_range,
    [VT_OP_ARG_MAX] = vt_infer_arg_max,
    [VT_OP_TOP_K] = vt_infer_top_k,
    [VT_OP_QUANTIZE_LINEAR] = vt_infer_quantize,
    [VT_OP_DEQUANTIZE_LINEAR] = vt_infer_dequantize,
    [VT_OP_CAST_LIKE] = vt_infer_cast_like,
};

static enum vultus_status check_arity(const struct vt_infer *infer) {
    const struct vt_node *node = infer->node;
    const struct vt_op_info *info = vt_op_info(node->op);
    if (node->op <= VT_OP_NONE || node->op >= VT_OP_COUNT || !rules[node->op])
        return vt_fail(infer->error, VULTUS_ERROR_UNSUPPORTED, "no rule gives the shape of operator %d", (int)node->op);
    if (node->n_inputs < (size_t)info->least_inputs || node->n_inputs > (size_t)info->most_inputs)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "there are %zu inputs, the operator takes %d to %d",
            node->n_inputs, info->least_inputs, info->most_inputs);
    if (node->n_outputs < 1 || node->n_outputs > (size_t)info->most_outputs)
        return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "there are %zu outputs, the operator has %d", node->n_outputs,
            info->most_outputs);
    for (int i = 0; i < info->least_inputs; ++i)
        if (!node->inputs[i]) return vt_fail(infer->error, VULTUS_ERROR_FORMAT, "required input %d is missing", i);
    return VULTUS_OK;
}

/* Known sizes must make sense on their own; all of them together must be a tensor that can exist. */
static enum vultus_status check_dims(const struct vt_infer *infer, const struct vt_value *value) {
    int64_t dims[VT_MAX_RANK];
    for (int i = 0; i < value->rank; ++i)
        if (vt_dim_is_constant(value->dims[i], &dims[i]) && dims[i] < 0)
            return vt_fail(
                infer->error, VULTUS_ERROR_FORMAT, "dimension %d of the result would be %lld", i, (long long)dims[i]);
    if (vt_value_static_dims(value, dims) && !vt_dims_valid(value->rank, dims, value->dtype, NULL))
        return vt_fail(infer->error, VULTUS_ERROR_LIMIT, "the result is too large to address");
    return VULTUS_OK;
}

enum vultus_status vt_graph_infer_node(struct vt_graph *graph, const struct vt_node *node, struct vultus_error *error) {
    struct vultus_error reason = {0};
    struct vt_infer infer = {.graph = graph, .arena = &graph->arena, .node = node, .error = &reason};
    for (size_t i = 0; i < node->n_outputs; ++i) {
        struct vt_value *out = node->outputs[i];
        out->dtype = VT_DTYPE_NONE;
        out->rank = -1;
        for (int axis = 0; axis < VT_MAX_RANK; ++axis) out->dims[axis] = NULL;
        out->elements = NULL;
        out->n_elements = 0;
    }
    enum vultus_status status = check_arity(&infer);
    if (!status) status = rules[node->op](&infer);
    for (size_t i = 0; !status && i < node->n_outputs; ++i) status = check_dims(&infer, node->outputs[i]);
    if (!status) return VULTUS_OK;
    /* What a helper calls an invalid argument is, here, a model that breaks the operator's rules. */
    if (status == VULTUS_ERROR_INVALID) status = VULTUS_ERROR_FORMAT;
    return vt_fail(error, status, "node '%.100s' (%s): %.380s", node->name, vt_op_info(node->op)->name, reason.text);
}

enum vultus_status vt_graph_infer(struct vt_graph *graph, struct vultus_error *error) {
    for (const struct vt_node *node = graph->first; node; node = node->next) {
        enum vultus_status status = vt_graph_infer_node(graph, node, error);
        if (status) return status;
    }
    if (!vt_arena_alloc(&graph->arena, MEMORY_PROBE))
        return vt_fail_memory(error, "the shapes of a graph", MEMORY_PROBE);
    return VULTUS_OK;
}
