/* SPDX-License-Identifier: Apache-2.0 */
#include "pass/affine.h"

#include <math.h>

/* ------------------------------------------------------------ reading */

static bool read_batch_norm(const struct vt_node *node, struct vt_channel_affine *affine) {
    const struct vt_tensor *operands[4]; /* scale, bias, mean, variance */
    for (int i = 0; i < 4; i++)
        if (!(operands[i] = vt_rewrite_f32_count(node->inputs[1 + i], affine->channels))) return false;
    if (vt_attr_int(&node->attrs, "training_mode", 0) != 0) return false;
    double epsilon = vt_attr_float(&node->attrs, "epsilon", 1e-5f);
    for (int64_t c = 0; c < affine->channels; c++) {
        affine->scale[c] = vt_tensor_get(operands[0], c) / sqrt(vt_tensor_get(operands[3], c) + epsilon);
        affine->shift[c] = vt_tensor_get(operands[1], c) - vt_tensor_get(operands[2], c) * affine->scale[c];
    }
    return true;
}

static bool read_affine(const struct vt_node *node, struct vt_channel_affine *affine) {
    const struct vt_tensor *scale = vt_rewrite_f32_count(node->inputs[1], affine->channels);
    const struct vt_tensor *shift = vt_rewrite_f32_count(node->inputs[2], affine->channels);
    if (!scale || !shift || vt_tail_from_attrs(&node->attrs).act1 != VT_ACT_NONE) return false;
    for (int64_t c = 0; c < affine->channels; c++) {
        affine->scale[c] = vt_tensor_get(scale, c);
        affine->shift[c] = vt_tensor_get(shift, c);
    }
    return true;
}

static bool read_arithmetic(const struct vt_node *node, int constant_index, struct vt_channel_affine *affine) {
    double *scale = affine->scale, *shift = affine->shift;
    if (!vt_rewrite_channel_values(node->inputs[constant_index], affine->dims, affine->x->rank, scale)) return false;
    for (int64_t c = 0; c < affine->channels; c++) {
        double constant = scale[c];
        switch (node->op) {
        case VT_OP_MUL: shift[c] = 0; break;
        case VT_OP_DIV:
            if (constant_index == 0) return false;
            scale[c] = 1 / constant;
            shift[c] = 0;
            break;
        case VT_OP_SUB:
            scale[c] = constant_index == 0 ? -1 : 1;
            shift[c] = constant_index == 0 ? constant : -constant;
            break;
        default: scale[c] = 1; shift[c] = constant;
        }
    }
    return true;
}

static bool all_finite(const struct vt_channel_affine *affine) {
    for (int64_t c = 0; c < affine->channels; c++)
        if (!isfinite((float)affine->scale[c]) || !isfinite((float)affine->shift[c])) return false;
    return true;
}

enum vultus_status vt_affine_read(
    struct vt_rewrite *rewrite, const struct vt_node *node, struct vt_channel_affine *out, bool *found) {
    bool arithmetic = node->op == VT_OP_MUL || node->op == VT_OP_DIV || node->op == VT_OP_ADD || node->op == VT_OP_SUB;
    *found = false;
    if (!arithmetic && node->op != VT_OP_BATCH_NORM && node->op != VT_OP_AFFINE) return VULTUS_OK;
    int constant_index = arithmetic && node->inputs[0]->constant ? 0 : 1;
    *out = (struct vt_channel_affine){.x = node->inputs[arithmetic ? 1 - constant_index : 0]};
    if (out->x->constant || out->x->dtype != VT_DTYPE_F32 || out->x->rank < 2) return VULTUS_OK;
    if (!vt_value_static_dims(out->x, out->dims)) return VULTUS_OK;
    out->channels = out->dims[1];
    out->scale = vt_arena_alloc_array(&rewrite->scratch, (size_t)out->channels + 1, sizeof *out->scale);
    out->shift = vt_arena_alloc_array(&rewrite->scratch, (size_t)out->channels + 1, sizeof *out->shift);
    if (!out->scale || !out->shift) return vt_rewrite_no_memory(rewrite);
    *found = (arithmetic                    ? read_arithmetic(node, constant_index, out)
                 : node->op == VT_OP_AFFINE ? read_affine(node, out)
                                            : read_batch_norm(node, out)) &&
             all_finite(out);
    return VULTUS_OK;
}

/* ------------------------------------------------------------ what stands before */

bool vt_affine_is_channels(const struct vt_node *node, size_t index, int64_t count) {
    const struct vt_value *value = vt_rewrite_input(node, index);
    return !value || vt_rewrite_f32_count(value, count);
}

float *vt_affine_writable_bias(struct vt_rewrite *rewrite, struct vt_node *node, int64_t channels) {
    if (!vt_rewrite_input(node, 2)) {
        struct vt_value *zeros = vt_rewrite_new_f32(rewrite, "bias", 1, &channels);
        if (!zeros || !vt_rewrite_set_input(rewrite, node, 2, zeros)) return NULL;
    }
    return vt_rewrite_writable(rewrite, node, 2);
}

/* Whether the node's result is still linear in its weights and bias. */
static bool has_no_tail(const struct vt_node *node, size_t residual_index) {
    struct vt_tail tail = vt_tail_from_attrs(&node->attrs);
    return tail.act1 == VT_ACT_NONE && tail.act2 == VT_ACT_NONE && !vt_rewrite_input(node, residual_index);
}

/* Weights are values[outer][channel][inner], the channel being axis `axis`. */
static void scale_weights(float *values, const struct vt_tensor *weights, int axis, const double *scale) {
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < axis; i++) outer *= weights->dims[i];
    for (int i = axis + 1; i < weights->rank; i++) inner *= weights->dims[i];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t c = 0; c < weights->dims[axis]; c++)
            for (int64_t i = 0; i < inner; i++, values++) *values = (float)(*values * scale[c]);
}

static enum vultus_status scale_linear(
    struct vt_rewrite *rewrite, struct vt_node *node, const struct vt_channel_affine *affine, bool *folded) {
    bool gemm = node->op == VT_OP_FUSED_GEMM;
    int axis = node->op == VT_OP_FUSED_CONV ? 0 : 1; /* a ConvTranspose of several groups has fewer channels there */
    const struct vt_tensor *weights = vt_rewrite_f32(node->inputs[1]);
    if (!weights || weights->rank != (gemm ? 2 : 4) || weights->dims[axis] != affine->channels ||
        !vt_affine_is_channels(node, 2, affine->channels) || !has_no_tail(node, gemm ? 4 : 5))
        return VULTUS_OK;
    float *values = vt_rewrite_writable(rewrite, node, 1);
    float *bias = vt_affine_writable_bias(rewrite, node, affine->channels);
    if (!values || !bias) return vt_rewrite_no_memory(rewrite);
    scale_weights(values, weights, axis, affine->scale);
    for (int64_t c = 0; c < affine->channels; c++) bias[c] = (float)(bias[c] * affine->scale[c] + affine->shift[c]);
    *folded = true;
    return VULTUS_OK;
}

/* GroupNorm and Affine end in a scale and a shift of their own. */
static enum vultus_status scale_factors(
    struct vt_rewrite *rewrite, struct vt_node *node, const struct vt_channel_affine *affine, bool *folded) {
    if (!vt_rewrite_f32_count(node->inputs[1], affine->channels) ||
        !vt_rewrite_f32_count(node->inputs[2], affine->channels) || !has_no_tail(node, SIZE_MAX))
        return VULTUS_OK;
    float *scale = vt_rewrite_writable(rewrite, node, 1), *shift = vt_rewrite_writable(rewrite, node, 2);
    if (!scale || !shift) return vt_rewrite_no_memory(rewrite);
    for (int64_t c = 0; c < affine->channels; c++) {
        scale[c] = (float)(scale[c] * affine->scale[c]);
        shift[c] = (float)(shift[c] * affine->scale[c] + affine->shift[c]);
    }
    *folded = true;
    return VULTUS_OK;
}

enum vultus_status vt_affine_fold_into_producer(
    struct vt_rewrite *rewrite, struct vt_node *node, const struct vt_channel_affine *affine, bool *folded) {
    struct vt_node *producer = affine->x->producer;
    *folded = false;
    if (!producer || vt_value_only_user(rewrite->graph, affine->x) != node) return VULTUS_OK;
    enum vultus_status status = vt_rewrite_canonicalise(rewrite, producer);
    if (status) return status;
    if (producer->op == VT_OP_FUSED_CONV || producer->op == VT_OP_FUSED_CONV_TRANSPOSE ||
        producer->op == VT_OP_FUSED_GEMM)
        status = scale_linear(rewrite, producer, affine, folded);
    else if (producer->op == VT_OP_GROUP_NORM || producer->op == VT_OP_AFFINE)
        status = scale_factors(rewrite, producer, affine, folded);
    if (status || !*folded) return status;
    vt_graph_replace_uses(rewrite->graph, node->outputs[0], affine->x);
    vt_graph_remove_node(rewrite->graph, node);
    rewrite->changed++;
    return VULTUS_OK;
}

/* ------------------------------------------------------------ no neighbour takes it */

enum vultus_status vt_affine_make_node(
    struct vt_rewrite *rewrite, struct vt_node *node, const struct vt_channel_affine *affine) {
    struct vt_value *inputs[3] = {affine->x, vt_rewrite_new_vector(rewrite, "scale", affine->scale, affine->channels),
        vt_rewrite_new_vector(rewrite, "shift", affine->shift, affine->channels)};
    if (!inputs[1] || !inputs[2] || !vt_rewrite_node(rewrite, node, VT_OP_AFFINE, inputs, 3, (struct vt_attrs){0}))
        return vt_rewrite_no_memory(rewrite);
    rewrite->changed++;
    return VULTUS_OK;
}
