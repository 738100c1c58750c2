/* SPDX-License-Identifier: Apache-2.0 */
#include "pass/rewrite.h"

#include <float.h>
#include <string.h>

enum vultus_status vt_rewrite_graph(
    struct vt_graph *graph, vt_rewrite_rule *rule, size_t *changed, struct vultus_error *error) {
    struct vt_rewrite rewrite = {.graph = graph, .error = error};
    enum vultus_status status = VULTUS_OK;
    vt_arena_init(&rewrite.scratch, 0);
    for (struct vt_node *node = graph->first, *next; !status && node; node = next) {
        next = node->next;
        status = rule(&rewrite, node);
    }
    vt_arena_fini(&rewrite.scratch);
    if (changed) *changed += rewrite.changed;
    return status || rewrite.changed == 0 ? status : vt_graph_infer(graph, error);
}

enum vultus_status vt_rewrite_no_memory(const struct vt_rewrite *rewrite) {
    return vt_fail_memory(rewrite->error, "rewriting a graph", rewrite->graph->arena.used);
}

struct vt_value *vt_rewrite_input(const struct vt_node *node, size_t index) {
    return index < node->n_inputs ? node->inputs[index] : NULL;
}

static bool reserve_inputs(struct vt_rewrite *rewrite, struct vt_node *node, size_t count) {
    if (count <= node->n_inputs) return true;
    struct vt_value **inputs = vt_arena_alloc_array(&rewrite->graph->arena, count, sizeof(struct vt_value *));
    if (!inputs) return false;
    for (size_t i = 0; i < node->n_inputs; i++) inputs[i] = node->inputs[i];
    node->inputs = inputs;
    node->n_inputs = count;
    return true;
}

bool vt_rewrite_set_input(struct vt_rewrite *rewrite, struct vt_node *node, size_t index, struct vt_value *value) {
    if (!reserve_inputs(rewrite, node, index + 1)) return false;
    vt_graph_set_input(node, index, value);
    return true;
}

bool vt_rewrite_node(struct vt_rewrite *rewrite, struct vt_node *node, enum vt_op op, struct vt_value *const *inputs,
    size_t n_inputs, struct vt_attrs attrs) {
    if (!reserve_inputs(rewrite, node, n_inputs)) return false;
    for (size_t i = 0; i < node->n_inputs; i++) vt_graph_set_input(node, i, i < n_inputs ? inputs[i] : NULL);
    node->n_inputs = n_inputs;
    node->op = op;
    node->attrs = attrs;
    return true;
}

const struct vt_tensor *vt_rewrite_f32(const struct vt_value *value) {
    return value && value->constant && value->constant->dtype == VT_DTYPE_F32 ? value->constant : NULL;
}

const struct vt_tensor *vt_rewrite_f32_count(const struct vt_value *value, int64_t count) {
    const struct vt_tensor *tensor = vt_rewrite_f32(value);
    return tensor && vt_tensor_count(tensor) == count ? tensor : NULL;
}

struct vt_value *vt_rewrite_new_f32(struct vt_rewrite *rewrite, const char *name, int rank, const int64_t *dims) {
    struct vt_tensor tensor;
    if (vt_tensor_alloc(&rewrite->graph->arena, VT_DTYPE_F32, rank, dims, &tensor, NULL)) return NULL;
    struct vt_value *value = vt_graph_add_constant(rewrite->graph, name, &tensor);
    if (value) value->owned = true;
    return value;
}

struct vt_value *vt_rewrite_new_vector(
    struct vt_rewrite *rewrite, const char *name, const double *values, int64_t count) {
    struct vt_value *value = vt_rewrite_new_f32(rewrite, name, 1, &count);
    if (!value) return NULL;
    float *data = value->constant->data;
    for (int64_t i = 0; i < count; i++) data[i] = (float)values[i];
    return value;
}

float *vt_rewrite_writable(struct vt_rewrite *rewrite, struct vt_node *node, size_t index) {
    struct vt_value *value = node->inputs[index];
    const struct vt_tensor *tensor = value->constant;
    if (value->owned && value->uses == 1) return tensor->data;
    struct vt_value *copy = vt_rewrite_new_f32(rewrite, value->name, tensor->rank, tensor->dims);
    if (!copy) return NULL;
    if (vt_tensor_count(tensor) > 0) memcpy(copy->constant->data, tensor->data, vt_tensor_bytes(tensor));
    vt_graph_set_input(node, index, copy);
    return copy->constant->data;
}

bool vt_rewrite_same_dims(const struct vt_value *a, const struct vt_value *b) {
    int64_t a_dims[VT_MAX_RANK], b_dims[VT_MAX_RANK];
    return a->rank == b->rank && vt_value_static_dims(a, a_dims) && vt_value_static_dims(b, b_dims) &&
           memcmp(a_dims, b_dims, (size_t)a->rank * sizeof *a_dims) == 0;
}

void vt_rewrite_copy_type(struct vt_value *value, const struct vt_value *like) {
    value->dtype = like->dtype;
    value->rank = like->rank;
    memcpy(value->dims, like->dims, sizeof value->dims);
}

bool vt_rewrite_channel_values(const struct vt_value *constant, const int64_t *dims, int rank, double *values) {
    const struct vt_tensor *tensor = vt_rewrite_f32(constant);
    if (!tensor || tensor->rank > rank || rank < 2) return false;
    int64_t channel_axis = 1 - (rank - tensor->rank);
    for (int axis = 0; axis < tensor->rank; axis++) {
        bool fits =
            axis == channel_axis ? tensor->dims[axis] == 1 || tensor->dims[axis] == dims[1] : tensor->dims[axis] == 1;
        if (!fits) return false;
    }
    bool scalar = vt_tensor_count(tensor) == 1;
    for (int64_t c = 0; c < dims[1]; c++) values[c] = vt_tensor_get(tensor, scalar ? 0 : c);
    return true;
}

bool vt_rewrite_is_reshape(enum vt_op op) {
    return op == VT_OP_RESHAPE || op == VT_OP_FLATTEN || op == VT_OP_SQUEEZE || op == VT_OP_UNSQUEEZE;
}

/* A missing bound is the fallback; false when it is not known now. */
static bool read_bound(const struct vt_node *node, size_t index, float fallback, float *bound) {
    const struct vt_value *value = vt_rewrite_input(node, index);
    const struct vt_tensor *tensor = vt_rewrite_f32_count(value, 1);
    *bound = tensor ? (float)vt_tensor_get(tensor, 0) : fallback;
    return tensor || !value;
}

struct vt_rewrite_activation vt_rewrite_activation(const struct vt_node *node) {
    struct vt_rewrite_activation activation = {VT_ACT_NONE, 0, 0};
    switch (node->op) {
    case VT_OP_RELU: activation.kind = VT_ACT_RELU; break;
    case VT_OP_PRELU: activation.kind = VT_ACT_PRELU; break;
    case VT_OP_SIGMOID: activation.kind = VT_ACT_SIGMOID; break;
    case VT_OP_TANH: activation.kind = VT_ACT_TANH; break;
    case VT_OP_LEAKY_RELU:
        activation.kind = VT_ACT_LEAKY_RELU;
        activation.alpha = vt_attr_float(&node->attrs, "alpha", 0.01f);
        break;
    case VT_OP_ELU:
        activation.kind = VT_ACT_ELU;
        activation.alpha = vt_attr_float(&node->attrs, "alpha", 1);
        break;
    case VT_OP_HARD_SIGMOID:
        activation.kind = VT_ACT_HARD_SIGMOID;
        activation.alpha = vt_attr_float(&node->attrs, "alpha", 0.2f);
        activation.beta = vt_attr_float(&node->attrs, "beta", 0.5f);
        break;
    case VT_OP_HARD_SWISH: activation.kind = VT_ACT_HARD_SWISH; break;
    case VT_OP_CLIP:
        if (read_bound(node, 1, -FLT_MAX, &activation.alpha) && read_bound(node, 2, FLT_MAX, &activation.beta))
            activation.kind = VT_ACT_CLIP;
        break;
    default: break;
    }
    return activation;
}
