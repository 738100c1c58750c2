/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "pass/pass.h"
#include "pass/rewrite.h"

static bool is_f32_of_rank(const struct vt_value *value, int rank) {
    return value->dtype == VT_DTYPE_F32 && value->rank == rank;
}

static void canonicalise_conv(struct vt_rewrite *rewrite, struct vt_node *node) {
    bool transposed = node->op == VT_OP_CONV_TRANSPOSE;
    const struct vt_tensor *weights = vt_rewrite_f32(node->inputs[1]);
    const struct vt_value *bias = vt_rewrite_input(node, 2);
    if (!weights || weights->rank != 4 || !is_f32_of_rank(node->inputs[0], 4)) return;
    int64_t channels = weights->dims[0];
    if (transposed && !vt_mul_i64(weights->dims[1], vt_attr_int(&node->attrs, "group", 1), &channels)) return;
    if (bias && !vt_rewrite_f32_count(bias, channels)) return;
    node->op = transposed ? VT_OP_FUSED_CONV_TRANSPOSE : VT_OP_FUSED_CONV;
    rewrite->changed++;
}

/* Rows transposed together, so that what is written stays in the cache. */
#define TILE 16

/* out[k][n] = alpha * B[n][k] when `transposed`, else alpha * B[k][n]. */
static void copy_weights(float *out, const struct vt_tensor *b, bool transposed, float alpha) {
    const float *source = b->data;
    int64_t rows = b->dims[0], columns = b->dims[1], count = transposed ? 0 : rows * columns;
    for (int64_t i = 0; i < count; i++) out[i] = alpha * source[i];
    for (int64_t first = 0; transposed && first < rows; first += TILE)
        for (int64_t column = 0; column < columns; column++)
            for (int64_t row = first; row < vt_min_i64(first + TILE, rows); row++)
                out[column * rows + row] = alpha * source[row * columns + column];
}

static struct vt_value *product_weights(struct vt_rewrite *rewrite, struct vt_value *b, bool transposed, float alpha) {
    if (!transposed && alpha == 1) return b;
    const int64_t *dims = b->constant->dims;
    struct vt_value *weights =
        vt_rewrite_new_f32(rewrite, b->name, 2, (const int64_t[2]){dims[transposed ? 1 : 0], dims[transposed ? 0 : 1]});
    if (weights) copy_weights(weights->constant->data, b->constant, transposed, alpha);
    return weights;
}

/* y = x B of rank 2 (and its transpose, factors and bias where Gemm has them). */
static enum vultus_status canonicalise_product(struct vt_rewrite *rewrite, struct vt_node *node) {
    struct vt_value *x = node->inputs[0], *b = node->inputs[1], *c = vt_rewrite_input(node, 2);
    bool gemm = node->op == VT_OP_GEMM;
    int64_t dims[VT_MAX_RANK];
    if (!vt_rewrite_f32(b) || b->constant->rank != 2 || !is_f32_of_rank(x, 2)) return VULTUS_OK;
    if (gemm && vt_attr_int(&node->attrs, "transA", 0) != 0) return VULTUS_OK;
    if (node->outputs[0]->rank != 2 || !vt_value_static_dims(node->outputs[0], dims)) return VULTUS_OK;
    struct vt_value *inputs[3] = {x, NULL, NULL};
    if (c) {
        float beta = vt_attr_float(&node->attrs, "beta", 1);
        double *bias = vt_arena_alloc_array(&rewrite->scratch, (size_t)dims[1] + 1, sizeof *bias);
        if (!bias) return vt_rewrite_no_memory(rewrite);
        if (!vt_rewrite_channel_values(c, dims, 2, bias)) return VULTUS_OK;
        for (int64_t n = 0; n < dims[1]; n++) bias[n] *= beta;
        inputs[2] = vt_rewrite_new_vector(rewrite, c->name, bias, dims[1]);
        if (!inputs[2]) return vt_rewrite_no_memory(rewrite);
    }
    bool transposed = gemm && vt_attr_int(&node->attrs, "transB", 0) != 0;
    inputs[1] = product_weights(rewrite, b, transposed, gemm ? vt_attr_float(&node->attrs, "alpha", 1) : 1);
    if (!inputs[1] || !vt_rewrite_node(rewrite, node, VT_OP_FUSED_GEMM, inputs, c ? 3 : 2, (struct vt_attrs){0}))
        return vt_rewrite_no_memory(rewrite);
    rewrite->changed++;
    return VULTUS_OK;
}

enum vultus_status vt_rewrite_canonicalise(struct vt_rewrite *rewrite, struct vt_node *node) {
    if (node->op == VT_OP_CONV || node->op == VT_OP_CONV_TRANSPOSE) canonicalise_conv(rewrite, node);
    if (node->op == VT_OP_GEMM || node->op == VT_OP_MATMUL) return canonicalise_product(rewrite, node);
    return VULTUS_OK;
}

enum vultus_status vt_pass_canonicalise(struct vt_graph *graph, size_t *changed, struct vultus_error *error) {
    return vt_rewrite_graph(graph, vt_rewrite_canonicalise, changed, error);
}
