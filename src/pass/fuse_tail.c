/* SPDX-License-Identifier: Apache-2.0 */
#include "pass/pass.h"
#include "pass/rewrite.h"

#define NO_SUCH_INPUT SIZE_MAX

/* Where an operator with a tail takes the tail's operands (ops.inc). */
struct tail_inputs {
    bool has_tail;
    size_t slope, residual;
};

static struct tail_inputs tail_inputs(enum vt_op op) {
    switch (op) {
    case VT_OP_FUSED_CONV:
    case VT_OP_FUSED_CONV_TRANSPOSE: return (struct tail_inputs){true, 4, 5};
    case VT_OP_FUSED_GEMM: return (struct tail_inputs){true, 3, 4};
    case VT_OP_GROUP_NORM: return (struct tail_inputs){true, NO_SUCH_INPUT, NO_SUCH_INPUT};
    case VT_OP_AFFINE: return (struct tail_inputs){true, 3, NO_SUCH_INPUT};
    default: return (struct tail_inputs){false, NO_SUCH_INPUT, NO_SUCH_INPUT};
    }
}

/* ------------------------------------------------------------ activations */

static bool set_activation(
    struct vt_rewrite *rewrite, struct vt_node *node, bool second, struct vt_rewrite_activation activation) {
    static const char *const names[2][3] = {{"act1", "act1_alpha", "act1_beta"}, {"act2", "act2_alpha", "act2_beta"}};
    struct vt_attr kind = {.name = names[second][0], .kind = VT_ATTR_INT, .i = activation.kind};
    struct vt_attr alpha = {.name = names[second][1], .kind = VT_ATTR_FLOAT, .f = activation.alpha};
    struct vt_attr beta = {.name = names[second][2], .kind = VT_ATTR_FLOAT, .f = activation.beta};
    if (!vt_node_set_attr(rewrite->graph, node, kind)) return false;
    int parameters = vt_activation_parameters(activation.kind);
    if (parameters > 0 && !vt_node_set_attr(rewrite->graph, node, alpha)) return false;
    return parameters < 2 || vt_node_set_attr(rewrite->graph, node, beta);
}

/* A PRelu's slope as one value per channel of `shaped`; *slope stays NULL when it is none. */
static enum vultus_status read_slope(
    struct vt_rewrite *rewrite, const struct vt_node *prelu, const struct vt_value *shaped, struct vt_value **slope) {
    int64_t dims[VT_MAX_RANK];
    if (shaped->rank < 2 || !vt_value_static_dims(shaped, dims)) return VULTUS_OK;
    double *values = vt_arena_alloc_array(&rewrite->scratch, (size_t)dims[1] + 1, sizeof *values);
    if (!values) return vt_rewrite_no_memory(rewrite);
    if (!vt_rewrite_channel_values(prelu->inputs[1], dims, shaped->rank, values)) return VULTUS_OK;
    *slope = vt_rewrite_new_vector(rewrite, prelu->inputs[1]->name, values, dims[1]);
    return *slope ? VULTUS_OK : vt_rewrite_no_memory(rewrite);
}

static enum vultus_status fuse_activation(
    struct vt_rewrite *rewrite, struct vt_node *node, struct vt_rewrite_activation activation) {
    struct vt_value *x = node->inputs[0], *slope = NULL;
    struct vt_node *producer = x->producer;
    if (!producer || x->dtype != VT_DTYPE_F32 || vt_value_only_user(rewrite->graph, x) != node) return VULTUS_OK;
    struct tail_inputs inputs = tail_inputs(producer->op);
    struct vt_tail tail = vt_tail_from_attrs(&producer->attrs);
    bool residual = inputs.residual != NO_SUCH_INPUT && vt_rewrite_input(producer, inputs.residual);
    if (!inputs.has_tail || (residual ? tail.act2 : tail.act1) != VT_ACT_NONE) return VULTUS_OK;
    if (activation.kind == VT_ACT_PRELU) {
        if (residual || inputs.slope == NO_SUCH_INPUT) return VULTUS_OK;
        enum vultus_status status = read_slope(rewrite, node, x, &slope);
        if (status || !slope) return status;
        if (!vt_rewrite_set_input(rewrite, producer, inputs.slope, slope)) return vt_rewrite_no_memory(rewrite);
    }
    if (!set_activation(rewrite, producer, residual, activation)) return vt_rewrite_no_memory(rewrite);
    vt_graph_replace_uses(rewrite->graph, node->outputs[0], x);
    vt_graph_remove_node(rewrite->graph, node);
    rewrite->changed++;
    return VULTUS_OK;
}

/* ------------------------------------------------------------ residuals */

/* Whether what makes inputs[index] of the Add can add the other input itself. */
static bool takes_residual(const struct vt_graph *graph, const struct vt_node *add, int index) {
    const struct vt_value *sum = add->inputs[index], *other = add->inputs[1 - index];
    const struct vt_node *producer = sum->producer;
    if (!producer || vt_value_only_user(graph, sum) != add || sum->dtype != VT_DTYPE_F32) return false;
    size_t residual = tail_inputs(producer->op).residual;
    if (residual == NO_SUCH_INPUT || vt_rewrite_input(producer, residual)) return false;
    /* An upsampled map that only this Add reads is cheaper to add while it is made: lowering makes one step of both. */
    bool upsampled = other->producer && other->producer->op == VT_OP_RESIZE && vt_value_only_user(graph, other) == add;
    return !other->constant && !upsampled && vt_rewrite_same_dims(sum, other) &&
           vt_tail_from_attrs(&producer->attrs).act2 == VT_ACT_NONE;
}

/* Which input's producer stands later in the list, so that it runs with the other operand at hand. */
static int later_input(const struct vt_node *add) {
    for (const struct vt_node *node = add->previous; node; node = node->previous)
        for (int i = 0; i < 2; i++)
            if (add->inputs[i]->producer == node) return i;
    return 0;
}

/* The Add becomes the fused operator, in its own place: there both operands exist. */
static enum vultus_status fuse_add(struct vt_rewrite *rewrite, struct vt_node *add) {
    int index = later_input(add);
    if (!takes_residual(rewrite->graph, add, index)) index = 1 - index;
    if (!takes_residual(rewrite->graph, add, index)) return VULTUS_OK;
    struct vt_node *producer = add->inputs[index]->producer;
    struct vt_value *residual = add->inputs[1 - index];
    struct vt_value *inputs[6] = {NULL};
    size_t residual_index = tail_inputs(producer->op).residual;
    for (size_t i = 0; i < residual_index; i++) inputs[i] = vt_rewrite_input(producer, i);
    inputs[residual_index] = residual;
    if (!vt_rewrite_node(rewrite, add, producer->op, inputs, residual_index + 1, producer->attrs))
        return vt_rewrite_no_memory(rewrite);
    add->name = producer->name;
    vt_graph_remove_node(rewrite->graph, producer);
    rewrite->changed++;
    return VULTUS_OK;
}

static enum vultus_status fuse(struct vt_rewrite *rewrite, struct vt_node *node) {
    struct vt_rewrite_activation activation = vt_rewrite_activation(node);
    if (activation.kind != VT_ACT_NONE) return fuse_activation(rewrite, node, activation);
    return node->op == VT_OP_ADD ? fuse_add(rewrite, node) : VULTUS_OK;
}

enum vultus_status vt_pass_fuse_tail(struct vt_graph *graph, size_t *changed, struct vultus_error *error) {
    return vt_rewrite_graph(graph, fuse, changed, error);
}
