/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/checked.h"
#include "pass/pass.h"
#include "pass/rewrite.h"

/* The map whose flattened form a product of one row reads, with its dims; NULL for any other node. */
static struct vt_value *flattened_map(const struct vt_node *node, int64_t dims[VT_MAX_RANK]) {
    if (node->op != VT_OP_FUSED_GEMM || vt_rewrite_input(node, 4)) return NULL;
    const struct vt_value *x = node->inputs[0];
    const struct vt_tensor *weights = vt_rewrite_f32(node->inputs[1]);
    int64_t row[VT_MAX_RANK];
    if (!weights || weights->rank != 2 || x->rank != 2 || !vt_value_static_dims(x, row) || row[0] != 1) return NULL;
    if (!x->producer || !vt_rewrite_is_reshape(x->producer->op)) return NULL;
    struct vt_value *map = x->producer->inputs[0];
    if (map->constant || map->dtype != VT_DTYPE_F32 || map->rank != 4 || !vt_value_static_dims(map, dims)) return NULL;
    return dims[0] == 1 && row[1] > 0 && row[1] == weights->dims[0] ? map : NULL;
}

/* weights[channel, row, column][output] become [output][channel][row][column]. */
static struct vt_value *turned_weights(struct vt_rewrite *rewrite, const struct vt_value *of, const int64_t *map) {
    const struct vt_tensor *weights = of->constant;
    int64_t depth = weights->dims[0], outputs = weights->dims[1];
    struct vt_value *turned =
        vt_rewrite_new_f32(rewrite, of->name, 4, (const int64_t[4]){outputs, map[1], map[2], map[3]});
    const float *from = weights->data;
    float *to = turned ? turned->constant->data : NULL;
    for (int64_t k = 0; to && k < depth; k++)
        for (int64_t o = 0; o < outputs; o++) to[o * depth + k] = from[k * outputs + o];
    return turned;
}

static enum vultus_status replace(struct vt_rewrite *rewrite, struct vt_node *node) {
    int64_t dims[VT_MAX_RANK];
    struct vt_value *map = flattened_map(node, dims);
    if (!map) return VULTUS_OK;
    struct vt_value *weights = turned_weights(rewrite, node->inputs[1], dims);
    if (!weights) return vt_rewrite_no_memory(rewrite);
    int64_t outputs = weights->constant->dims[0], row[2] = {1, outputs};
    struct vt_value *inputs[5] = {map, weights, vt_rewrite_input(node, 2), NULL, vt_rewrite_input(node, 3)};
    struct vt_node *conv = vt_graph_add_node(
        rewrite->graph, node, VT_OP_FUSED_CONV, node->name, inputs, 5, NULL, 1, node->attrs.items, node->attrs.count);
    struct vt_value *reshaped[2] = {NULL, vt_graph_add_i64(rewrite->graph, "shape", row, 2)};
    struct vt_attr kernel = {.name = "kernel_shape", .kind = VT_ATTR_INTS, .ints = dims + 2, .count = 2};
    if (!conv || !reshaped[1] || !vt_node_set_attr(rewrite->graph, conv, kernel)) return vt_rewrite_no_memory(rewrite);
    enum vultus_status status = vt_graph_infer_node(rewrite->graph, conv, rewrite->error);
    if (status) return status;
    reshaped[0] = conv->outputs[0];
    if (!vt_rewrite_node(rewrite, node, VT_OP_RESHAPE, reshaped, 2, (struct vt_attrs){0}))
        return vt_rewrite_no_memory(rewrite);
    rewrite->changed++;
    return VULTUS_OK;
}

enum vultus_status vt_pass_products_to_convolutions(
    struct vt_graph *graph, size_t *changed, struct vultus_error *error) {
    return vt_rewrite_graph(graph, replace, changed, error);
}
