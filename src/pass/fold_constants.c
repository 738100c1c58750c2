/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "pass/pass.h"
#include "pass/rewrite.h"

/* Larger constants are cheaper to compute again than to carry. */
#define LARGEST_CONSTANT ((size_t)64 << 20)

static bool is_small(const struct vt_value *value) {
    struct vt_tensor shape = {.dtype = value->dtype, .rank = value->rank};
    return value->dtype != VT_DTYPE_NONE && vt_value_static_dims(value, shape.dims) &&
           vt_dims_valid(shape.rank, shape.dims, shape.dtype, NULL) && vt_tensor_bytes(&shape) <= LARGEST_CONSTANT;
}

static bool is_computable(const struct vt_node *node) {
    for (size_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] && !node->inputs[i]->constant) return false;
    for (size_t i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] && !is_small(node->outputs[i])) return false;
    return true;
}

static enum vultus_status replace(struct vt_rewrite *rewrite, struct vt_value *value, const struct vt_tensor *content) {
    struct vt_value *constant = vt_graph_add_constant(rewrite->graph, value->name, content);
    if (!constant) return vt_rewrite_no_memory(rewrite);
    vt_graph_replace_uses(rewrite->graph, value, constant);
    return VULTUS_OK;
}

static enum vultus_status compute(struct vt_rewrite *rewrite, struct vt_node *node) {
    const struct vt_tensor **inputs =
        vt_arena_alloc_array(&rewrite->scratch, node->n_inputs + 1, sizeof(const struct vt_tensor *));
    struct vt_tensor *outputs = vt_arena_alloc_array(&rewrite->scratch, node->n_outputs + 1, sizeof *outputs);
    if (!inputs || !outputs) return vt_rewrite_no_memory(rewrite);
    for (size_t i = 0; i < node->n_inputs; i++) inputs[i] = node->inputs[i] ? node->inputs[i]->constant : NULL;
    struct vt_op_call call = {.op = node->op,
        .attrs = node->attrs,
        .inputs = inputs,
        .n_inputs = node->n_inputs,
        .outputs = outputs,
        .n_outputs = node->n_outputs,
        .arena = &rewrite->graph->arena};
    enum vultus_status status = vt_op_run(&call, rewrite->error);
    for (size_t i = 0; !status && i < node->n_outputs; i++)
        if (node->outputs[i]) status = replace(rewrite, node->outputs[i], &outputs[i]);
    return status;
}

/* Integers that shape inference knows although their inputs are no constants: what Shape, Gather, Concat... lead to. */
static bool known_elements(const struct vt_value *value) {
    struct vt_tensor shape = {.dtype = value->dtype, .rank = value->rank};
    if (!value->elements || (value->dtype != VT_DTYPE_I64 && value->dtype != VT_DTYPE_I32)) return false;
    if (!vt_value_static_dims(value, shape.dims) || vt_tensor_count(&shape) != (int64_t)value->n_elements) return false;
    for (size_t i = 0; i < value->n_elements; i++)
        if (!vt_dim_is_constant(value->elements[i], NULL)) return false;
    return true;
}

static enum vultus_status store_elements(struct vt_rewrite *rewrite, struct vt_value *value) {
    struct vt_tensor tensor;
    int64_t dims[VT_MAX_RANK], element = 0;
    vt_value_static_dims(value, dims);
    enum vultus_status status =
        vt_tensor_alloc(&rewrite->graph->arena, value->dtype, value->rank, dims, &tensor, rewrite->error);
    if (status) return status;
    for (size_t i = 0; i < value->n_elements; i++) {
        vt_dim_is_constant(value->elements[i], &element);
        if (value->dtype == VT_DTYPE_I64)
            ((int64_t *)tensor.data)[i] = element;
        else
            ((int32_t *)tensor.data)[i] = (int32_t)element;
    }
    return replace(rewrite, value, &tensor);
}

static enum vultus_status fold(struct vt_rewrite *rewrite, struct vt_node *node) {
    enum vultus_status status;
    if (node->n_outputs == 1 && known_elements(node->outputs[0]))
        status = store_elements(rewrite, node->outputs[0]);
    else if (is_computable(node))
        status = compute(rewrite, node);
    else
        return VULTUS_OK;
    if (status) return status;
    vt_graph_remove_node(rewrite->graph, node);
    rewrite->changed++;
    return VULTUS_OK;
}

enum vultus_status vt_pass_fold_constants(struct vt_graph *graph, size_t *changed, struct vultus_error *error) {
    return vt_rewrite_graph(graph, fold, changed, error);
}
