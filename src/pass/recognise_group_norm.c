/* SPDX-License-Identifier: Apache-2.0 */
#include "pass/affine.h"
#include "pass/pass.h"

/* Reshape(x to [N,G,...]), InstanceNormalization over G channels, Reshape(back to x's shape). */
struct grouped_norm {
    struct vt_node *split, *norm;
    struct vt_value *x;
    int64_t groups;
};

/* InstanceNormalization over static float32 with a constant scale and bias per channel. */
static bool is_constant_norm(const struct vt_node *norm, int64_t *channels) {
    int64_t dims[VT_MAX_RANK];
    const struct vt_value *x = norm->inputs[0];
    if (norm->op != VT_OP_INSTANCE_NORM || x->dtype != VT_DTYPE_F32 || x->rank < 3 || !vt_value_static_dims(x, dims))
        return false;
    *channels = dims[1];
    return vt_rewrite_f32_count(norm->inputs[1], dims[1]) && vt_rewrite_f32_count(norm->inputs[2], dims[1]);
}

static bool match_grouped(const struct vt_graph *graph, const struct vt_node *join, struct grouped_norm *match) {
    int64_t whole[VT_MAX_RANK], split[VT_MAX_RANK];
    if (!vt_rewrite_is_reshape(join->op)) return false;
    match->norm = join->inputs[0]->producer;
    if (!match->norm || !is_constant_norm(match->norm, &match->groups) ||
        vt_value_only_user(graph, join->inputs[0]) != join)
        return false;
    match->split = match->norm->inputs[0]->producer;
    if (!match->split || !vt_rewrite_is_reshape(match->split->op) ||
        vt_value_only_user(graph, match->norm->inputs[0]) != match->norm)
        return false;
    match->x = match->split->inputs[0];
    return match->x->rank == 4 && vt_rewrite_same_dims(match->x, join->outputs[0]) &&
           vt_value_static_dims(match->x, whole) && vt_value_static_dims(match->norm->inputs[0], split) &&
           whole[0] == split[0] && match->groups > 0 && whole[1] % match->groups == 0;
}

/* `per_group` repeated for the channels of each group. */
static struct vt_value *spread(
    struct vt_rewrite *rewrite, const char *name, const struct vt_tensor *per_group, int64_t channels) {
    struct vt_value *value = vt_rewrite_new_f32(rewrite, name, 1, &channels);
    if (!value) return NULL;
    float *data = value->constant->data;
    int64_t groups = vt_tensor_count(per_group);
    for (int64_t c = 0; c < channels; c++) data[c] = (float)vt_tensor_get(per_group, c / (channels / groups));
    return value;
}

/* Makes `node` a GroupNorm of x with the factors and epsilon of `norm`. */
static enum vultus_status make_group_norm(
    struct vt_rewrite *rewrite, struct vt_node *node, struct vt_value *x, const struct vt_node *norm, int64_t groups) {
    int64_t dims[VT_MAX_RANK];
    vt_value_static_dims(x, dims);
    struct vt_attr attrs[2] = {{.name = "num_groups", .kind = VT_ATTR_INT, .i = groups},
        {.name = "epsilon", .kind = VT_ATTR_FLOAT, .f = vt_attr_float(&norm->attrs, "epsilon", 1e-5f)}};
    struct vt_value *inputs[3] = {x, spread(rewrite, "scale", norm->inputs[1]->constant, dims[1]),
        spread(rewrite, "shift", norm->inputs[2]->constant, dims[1])};
    if (!inputs[1] || !inputs[2] ||
        !vt_rewrite_node(rewrite, node, VT_OP_GROUP_NORM, inputs, 3, (struct vt_attrs){0}) ||
        !vt_node_set_attr(rewrite->graph, node, attrs[0]) || !vt_node_set_attr(rewrite->graph, node, attrs[1]))
        return vt_rewrite_no_memory(rewrite);
    rewrite->changed++;
    return VULTUS_OK;
}

/* The Mul and Add that exporters write behind it. */
static enum vultus_status absorb_factors(struct vt_rewrite *rewrite, struct vt_node *node) {
    struct vt_channel_affine affine;
    bool found = false, folded = false;
    enum vultus_status status = vt_affine_read(rewrite, node, &affine, &found);
    if (status || !found || !affine.x->producer || affine.x->producer->op != VT_OP_GROUP_NORM) return status;
    return vt_affine_fold_into_producer(rewrite, node, &affine, &folded);
}

static enum vultus_status recognise(struct vt_rewrite *rewrite, struct vt_node *node) {
    struct grouped_norm match;
    int64_t channels;
    if (match_grouped(rewrite->graph, node, &match)) {
        enum vultus_status status = make_group_norm(rewrite, node, match.x, match.norm, match.groups);
        if (status) return status;
        vt_graph_remove_node(rewrite->graph, match.norm);
        vt_graph_remove_node(rewrite->graph, match.split);
        return VULTUS_OK;
    }
    if (is_constant_norm(node, &channels)) {
        const struct vt_node *user = vt_value_only_user(rewrite->graph, node->outputs[0]);
        if (node->inputs[0]->rank != 4 || channels < 1 || (user && match_grouped(rewrite->graph, user, &match)))
            return VULTUS_OK;
        const struct vt_node norm = *node;
        return make_group_norm(rewrite, node, node->inputs[0], &norm, channels);
    }
    return absorb_factors(rewrite, node);
}

enum vultus_status vt_pass_recognise_group_norm(struct vt_graph *graph, size_t *changed, struct vultus_error *error) {
    return vt_rewrite_graph(graph, recognise, changed, error);
}
