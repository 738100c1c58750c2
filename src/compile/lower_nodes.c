/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/checked.h"
#include "compile/lowering.h"
#include "pass/rewrite.h"

static const int64_t no_pad[4] = {0};

static const struct vt_value *input(const struct vt_node *n, size_t i) { return i < n->n_inputs ? n->inputs[i] : NULL; }

static bool is_constant_f32(const struct vt_value *v) { return v && v->constant && v->dtype == VT_DTYPE_F32; }

static bool same_dims(const struct vt_value *a, const struct vt_value *b) {
    int64_t da[VT_MAX_RANK], db[VT_MAX_RANK];
    return a->rank == b->rank && vt_value_static_dims(a, da) && vt_value_static_dims(b, db) &&
           memcmp(da, db, (size_t)a->rank * sizeof *da) == 0;
}

/* A per-channel operand as a padded constant, VT_PLAN_NONE when the node has none. */
static uint32_t channel_input(struct vt_lowering *l, const struct vt_node *n, size_t i, int64_t channels) {
    const struct vt_value *v = input(n, i);
    if (!v) return VT_PLAN_NONE;
    if (vt_tensor_count(v->constant) == channels)
        return vt_lower_channel_constant(l, v->name, v->constant->data, channels);
    float *repeated = vt_arena_alloc_array(&l->plan->arena, (size_t)channels, sizeof *repeated);
    if (!repeated) return VT_PLAN_NONE;
    for (int64_t c = 0; c < channels; c++) repeated[c] = *(const float *)v->constant->data;
    return vt_lower_channel_constant(l, v->name, repeated, channels);
}

/* Per-channel operands must be constants of `channels` values or one. */
static bool channel_input_ok(const struct vt_node *n, size_t i, int64_t channels) {
    const struct vt_value *v = input(n, i);
    if (!v) return true;
    if (!is_constant_f32(v)) return false;
    int64_t count = vt_tensor_count(v->constant);
    return count == channels || count == 1;
}

static struct vt_plan_step *emit(struct vt_lowering *l, enum vt_step kind, const struct vt_node *n,
    const uint32_t *inputs, uint32_t n_inputs, uint32_t output) {
    if (output == VT_PLAN_NONE) return NULL;
    struct vt_plan_step *step = vt_lower_new_step(l, kind, n->name, inputs, n_inputs, output);
    if (step) step->params.tail = vt_tail_from_attrs(&n->attrs);
    return step;
}

/* ------------------------------------------------------------ any operator, plain */

static const struct vt_attr *copy_attrs(struct vt_lowering *l, const struct vt_attrs *attrs) {
    struct vt_attr *copy = vt_arena_alloc_array(&l->plan->arena, attrs->count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < attrs->count; i++) copy[i] = attrs->items[i];
    return copy;
}

static struct vt_plan_step *lower_reference(struct vt_lowering *l, const struct vt_node *n) {
    uint32_t *inputs = vt_arena_alloc_array(&l->plan->arena, n->n_inputs + 1, sizeof *inputs);
    if (!inputs) return NULL;
    for (size_t i = 0; i < n->n_inputs; i++) {
        inputs[i] = n->inputs[i] ? vt_lower_plain(l, n->inputs[i]) : VT_PLAN_NONE;
        if (n->inputs[i] && inputs[i] == VT_PLAN_NONE) return NULL;
    }
    uint32_t output = vt_lower_new_plain(l, n->outputs[0]);
    struct vt_plan_step *step = emit(l, VT_STEP_REFERENCE, n, inputs, (uint32_t)n->n_inputs, output);
    if (!step) return NULL;
    for (size_t i = 1; i < n->n_outputs; i++)
        if (!vt_lower_add_output(l, vt_lower_new_plain(l, n->outputs[i]))) return NULL;
    step->op = n->op;
    step->attrs = (struct vt_attrs){copy_attrs(l, &n->attrs), n->attrs.count};
    return step->attrs.items ? step : NULL;
}

/* ------------------------------------------------------------ convolutions and products */

static bool conv_is_blocked(const struct vt_node *n) {
    const struct vt_value *x = n->inputs[0], *w = n->inputs[1];
    if (!vt_lower_can_block(x) || !vt_lower_can_block(n->outputs[0]) || !is_constant_f32(w) || w->rank != 4)
        return false;
    int64_t channels = w->constant->dims[0], group = vt_attr_int(&n->attrs, "group", 1);
    int64_t x_dims[VT_MAX_RANK];
    vt_value_static_dims(x, x_dims);
    bool depthwise = group == x_dims[1] && group == channels;
    if (group != 1 && !depthwise) return false;
    const struct vt_value *residual = input(n, 5);
    return channel_input_ok(n, 2, channels) && channel_input_ok(n, 3, x_dims[1]) && channel_input_ok(n, 4, channels) &&
           (!residual || same_dims(residual, n->outputs[0]));
}

/* Pictures of up to four channels that enter a network plain are read as they are: blocking them would waste most
 * lanes. */
static bool reads_plain_picture(const struct vt_lowering *l, const struct vt_node *n, const int64_t *x_dims) {
    return x_dims[1] <= 4 && vt_attr_int(&n->attrs, "group", 1) == 1 && !input(n, 3) &&
           l->representations[n->inputs[0]->index].plain != VT_PLAN_NONE && !vt_lower_has_blocked(l, n->inputs[0]);
}

static bool is_reshape(enum vt_op op) {
    return op == VT_OP_RESHAPE || op == VT_OP_FLATTEN || op == VT_OP_SQUEEZE || op == VT_OP_UNSQUEEZE ||
           op == VT_OP_IDENTITY || op == VT_OP_DROPOUT;
}

static bool is_plain_activation(const struct vt_node *n) {
    enum vt_activation kind = vt_rewrite_activation(n).kind;
    return kind != VT_ACT_NONE && kind != VT_ACT_PRELU;
}

/*
 * Whether nothing but the network's outputs and what moves data reads the value, also behind up to `hops` of a Split
 * and activations: then it is kept in float32. A box is a few numbers times a stride of up to 32 pixels, and scores
 * rounded to 8 bits would be equal where their order counts.
 */
static bool leaves_planes(const struct vt_lowering *l, const struct vt_value *value, int hops) {
    for (const struct vt_node *n = l->graph->first; n; n = n->next) {
        bool reads = false, passes_on = hops > 0 && (n->op == VT_OP_SPLIT || is_plain_activation(n));
        for (size_t i = 0; i < n->n_inputs; i++) reads = reads || n->inputs[i] == value;
        if (!reads || n->op == VT_OP_TRANSPOSE || is_reshape(n->op)) continue;
        for (size_t i = 0; passes_on && i < n->n_outputs; i++) passes_on = leaves_planes(l, n->outputs[i], hops - 1);
        if (!passes_on) return false;
    }
    return true;
}

static bool conv_transpose_is_blocked(struct vt_lowering *l, const struct vt_node *n) {
    const struct vt_value *x = n->inputs[0], *w = n->inputs[1], *residual = input(n, 5);
    if (!vt_lower_can_block(x) || !vt_lower_can_block(n->outputs[0]) || !is_constant_f32(w) || w->rank != 4)
        return false;
    struct vt_window window;
    int64_t x_dims[VT_MAX_RANK], pad[4], channels = w->constant->dims[1];
    vt_value_static_dims(x, x_dims);
    if (vt_lower_window(l, n, &window, pad) || !vt_lower_reads_near(pad)) return false;
    return window.group == 1 && x_dims[1] == w->constant->dims[0] &&
           window.stride[0] <= VT_PLAN_MAX_TRANSPOSED_STRIDE && window.stride[1] <= VT_PLAN_MAX_TRANSPOSED_STRIDE &&
           channel_input_ok(n, 2, channels) && !input(n, 3) && channel_input_ok(n, 4, channels) &&
           (!residual || same_dims(residual, n->outputs[0]));
}

/* FusedConv and FusedConvTranspose. */
static struct vt_plan_step *lower_conv(struct vt_lowering *l, const struct vt_node *n) {
    bool transposed = n->op == VT_OP_FUSED_CONV_TRANSPOSE;
    const struct vt_value *weights = n->inputs[1], *border = input(n, 3);
    int64_t x_dims[VT_MAX_RANK], pad[4], channels = weights->constant->dims[transposed ? 1 : 0];
    vt_value_static_dims(n->inputs[0], x_dims);
    struct vt_window window;
    if (vt_lower_window(l, n, &window, pad)) return NULL;
    uint32_t inputs[4] = {
        VT_PLAN_NONE, channel_input(l, n, 2, channels), channel_input(l, n, 4, channels), VT_PLAN_NONE};
    inputs[0] = !transposed && reads_plain_picture(l, n, x_dims) ? vt_lower_plain(l, n->inputs[0])
                                                                 : vt_lower_blocked(l, n->inputs[0], pad, border);
    if (input(n, 5)) inputs[3] = vt_lower_blocked(l, n->inputs[5], no_pad, NULL);
    if (inputs[0] == VT_PLAN_NONE || (input(n, 2) && inputs[1] == VT_PLAN_NONE) ||
        (input(n, 4) && inputs[2] == VT_PLAN_NONE) || (input(n, 5) && inputs[3] == VT_PLAN_NONE))
        return NULL;
    l->representations[n->outputs[0]->index].float32 = leaves_planes(l, n->outputs[0], 2);
    struct vt_plan_step *step = emit(
        l, transposed ? VT_STEP_CONV_TRANSPOSE : VT_STEP_CONV, n, inputs, 4, vt_lower_new_blocked(l, n->outputs[0]));
    if (!step) return NULL;
    step->params.window = window;
    l->step_notes[step - l->plan->steps] =
        (struct vt_step_note){weights->constant->data, vt_tensor_count(weights->constant)};
    return step;
}

static bool gemm_is_packed(const struct vt_node *n) {
    const struct vt_value *x = n->inputs[0], *w = n->inputs[1];
    if (x->dtype != VT_DTYPE_F32 || x->rank != 2 || !is_constant_f32(w) || w->rank != 2) return false;
    int64_t channels = w->constant->dims[1];
    return channel_input_ok(n, 2, channels) && channel_input_ok(n, 3, channels) &&
           (!input(n, 4) || same_dims(n->inputs[4], n->outputs[0]));
}

static struct vt_plan_step *lower_gemm(struct vt_lowering *l, const struct vt_node *n) {
    const struct vt_tensor *weights = n->inputs[1]->constant;
    int64_t channels = weights->dims[1];
    uint32_t inputs[4] = {vt_lower_plain(l, n->inputs[0]), channel_input(l, n, 2, channels),
        channel_input(l, n, 3, channels), input(n, 4) ? vt_lower_plain(l, n->inputs[4]) : VT_PLAN_NONE};
    if (inputs[0] == VT_PLAN_NONE || (input(n, 2) && inputs[1] == VT_PLAN_NONE) ||
        (input(n, 3) && inputs[2] == VT_PLAN_NONE) || (input(n, 4) && inputs[3] == VT_PLAN_NONE))
        return NULL;
    struct vt_plan_step *step = emit(l, VT_STEP_GEMM, n, inputs, 4, vt_lower_new_plain(l, n->outputs[0]));
    if (step) l->step_notes[step - l->plan->steps] = (struct vt_step_note){weights->data, vt_tensor_count(weights)};
    return step;
}

/* ------------------------------------------------------------ blocked planes */

static bool is_plane(const struct vt_lowering *l, const struct vt_node *n) {
    return vt_lower_can_block(n->inputs[0]) && vt_lower_can_block(n->outputs[0]) &&
           vt_lower_has_blocked(l, n->inputs[0]);
}

static struct vt_plan_step *lower_pool(struct vt_lowering *l, const struct vt_node *n) {
    int64_t dims[VT_MAX_RANK], out[2];
    vt_value_static_dims(n->inputs[0], dims);
    struct vt_window window = {{0}};
    if (n->op != VT_OP_GLOBAL_AVERAGE_POOL && vt_window_resolve(&n->attrs, NULL, dims + 2, &window, out, l->error))
        return NULL;
    uint32_t x = vt_lower_blocked(l, n->inputs[0], no_pad, NULL);
    struct vt_plan_step *step = emit(l, VT_STEP_POOL, n, &x, 1, vt_lower_new_blocked(l, n->outputs[0]));
    if (!step) return NULL;
    step->params.window = window;
    step->params.mode = n->op == VT_OP_MAX_POOL       ? VT_POOL_MAX
                        : n->op == VT_OP_AVERAGE_POOL ? VT_POOL_AVERAGE
                                                      : VT_POOL_GLOBAL_AVERAGE;
    return step;
}

/* Whether a Resize is "nearest" with source index floor(i * in / out), the form exporters use for feature pyramids. */
static bool is_nearest_upsample(const struct vt_node *n) {
    int64_t in[VT_MAX_RANK], out[VT_MAX_RANK];
    if (!vt_value_static_dims(n->inputs[0], in) || !vt_value_static_dims(n->outputs[0], out)) return false;
    const struct vt_value *scales = input(n, 2);
    if (scales && scales->constant && vt_tensor_count(scales->constant) == 4) {
        for (int i = 0; i < 4; i++)
            if (vt_tensor_get(scales->constant, i) * (double)in[i] != (double)out[i]) return false;
    }
    return in[1] == out[1] && strcmp(vt_attr_string(&n->attrs, "mode", "nearest"), "nearest") == 0 &&
           strcmp(vt_attr_string(&n->attrs, "coordinate_transformation_mode", "half_pixel"), "asymmetric") == 0 &&
           strcmp(vt_attr_string(&n->attrs, "nearest_mode", "round_prefer_floor"), "floor") == 0;
}

/* The Add that alone reads an upsampled map, as in feature pyramids: both become one step. */
static const struct vt_node *fused_add(const struct vt_lowering *l, const struct vt_node *resize) {
    const struct vt_node *add = vt_value_only_user(l->graph, resize->outputs[0]);
    if (!add || add->op != VT_OP_ADD || !same_dims(add->inputs[0], add->inputs[1])) return NULL;
    return add;
}

static struct vt_plan_step *lower_upsample(struct vt_lowering *l, const struct vt_node *resize,
    const struct vt_value *residual, const struct vt_value *output) {
    uint32_t inputs[2] = {vt_lower_blocked(l, resize->inputs[0], no_pad, NULL),
        residual ? vt_lower_blocked(l, residual, no_pad, NULL) : VT_PLAN_NONE};
    if (inputs[0] == VT_PLAN_NONE || (residual && inputs[1] == VT_PLAN_NONE)) return NULL;
    return emit(l, VT_STEP_UPSAMPLE, resize, inputs, 2, vt_lower_new_blocked(l, output));
}

static struct vt_plan_step *lower_group_norm(struct vt_lowering *l, const struct vt_node *n) {
    int64_t dims[VT_MAX_RANK];
    vt_value_static_dims(n->inputs[0], dims);
    uint32_t inputs[3] = {vt_lower_blocked(l, n->inputs[0], no_pad, NULL), channel_input(l, n, 1, dims[1]),
        channel_input(l, n, 2, dims[1])};
    if (inputs[0] == VT_PLAN_NONE || inputs[1] == VT_PLAN_NONE || inputs[2] == VT_PLAN_NONE) return NULL;
    struct vt_plan_step *step = emit(l, VT_STEP_GROUP_NORM, n, inputs, 3, vt_lower_new_blocked(l, n->outputs[0]));
    if (!step) return NULL;
    step->params.groups = (int32_t)vt_attr_int(&n->attrs, "num_groups", 1);
    step->params.epsilon = vt_attr_float(&n->attrs, "epsilon", 1e-5f);
    return step;
}

static struct vt_plan_step *lower_affine(struct vt_lowering *l, const struct vt_node *n) {
    int64_t dims[VT_MAX_RANK];
    vt_value_static_dims(n->inputs[0], dims);
    uint32_t inputs[4] = {vt_lower_blocked(l, n->inputs[0], no_pad, NULL), channel_input(l, n, 1, dims[1]),
        channel_input(l, n, 2, dims[1]), channel_input(l, n, 3, dims[1])};
    if (inputs[0] == VT_PLAN_NONE || inputs[1] == VT_PLAN_NONE || inputs[2] == VT_PLAN_NONE ||
        (input(n, 3) && inputs[3] == VT_PLAN_NONE))
        return NULL;
    return emit(l, VT_STEP_AFFINE, n, inputs, 4, vt_lower_new_blocked(l, n->outputs[0]));
}

/* Equal shapes, or one operand [1,C,1,1] against [1,C,H,W] (which then comes second). */
static bool is_blocked_binary(
    const struct vt_lowering *l, const struct vt_node *n, const struct vt_value *operands[2]) {
    if (!is_plane(l, n) || !vt_lower_can_block(n->inputs[1]) || !vt_lower_has_blocked(l, n->inputs[1])) return false;
    bool commutes = n->op == VT_OP_ADD || n->op == VT_OP_MUL;
    for (int swap = 0; swap < (commutes ? 2 : 1); swap++) {
        const struct vt_value *a = n->inputs[swap], *b = n->inputs[1 - swap];
        int64_t da[VT_MAX_RANK], db[VT_MAX_RANK];
        vt_value_static_dims(a, da);
        vt_value_static_dims(b, db);
        if (!same_dims(a, n->outputs[0])) continue;
        if (same_dims(a, b) || (da[1] == db[1] && db[2] == 1 && db[3] == 1)) {
            operands[0] = a;
            operands[1] = b;
            return true;
        }
    }
    return false;
}

static struct vt_plan_step *lower_binary(
    struct vt_lowering *l, const struct vt_node *n, const struct vt_value *const operands[2]) {
    uint32_t inputs[2] = {
        vt_lower_blocked(l, operands[0], no_pad, NULL), vt_lower_blocked(l, operands[1], no_pad, NULL)};
    if (inputs[0] == VT_PLAN_NONE || inputs[1] == VT_PLAN_NONE) return NULL;
    struct vt_plan_step *step = emit(l, VT_STEP_BINARY, n, inputs, 2, vt_lower_new_blocked(l, n->outputs[0]));
    if (!step) return NULL;
    step->params.mode = n->op == VT_OP_ADD   ? VT_BINARY_ADD
                        : n->op == VT_OP_MUL ? VT_BINARY_MUL
                        : n->op == VT_OP_SUB ? VT_BINARY_SUB
                                             : VT_BINARY_DIV;
    return step;
}

/* An activation left alone on a blocked value: an affine step with scale 1 and shift 0. */
static struct vt_plan_step *lower_activation(
    struct vt_lowering *l, const struct vt_node *n, struct vt_rewrite_activation activation) {
    int64_t dims[VT_MAX_RANK];
    vt_value_static_dims(n->inputs[0], dims);
    float *ones = vt_arena_alloc_array(&l->plan->arena, (size_t)dims[1], sizeof *ones);
    float *zeros = vt_arena_alloc_array(&l->plan->arena, (size_t)dims[1], sizeof *zeros);
    if (!ones || !zeros) return NULL;
    for (int64_t c = 0; c < dims[1]; c++) ones[c] = 1;
    uint32_t inputs[4] = {vt_lower_blocked(l, n->inputs[0], no_pad, NULL),
        vt_lower_channel_constant(l, "scale", ones, dims[1]), vt_lower_channel_constant(l, "shift", zeros, dims[1]),
        VT_PLAN_NONE};
    if (inputs[0] == VT_PLAN_NONE || inputs[1] == VT_PLAN_NONE || inputs[2] == VT_PLAN_NONE) return NULL;
    l->representations[n->outputs[0]->index].float32 = l->representations[n->inputs[0]->index].float32;
    struct vt_plan_step *step = emit(l, VT_STEP_AFFINE, n, inputs, 4, vt_lower_new_blocked(l, n->outputs[0]));
    if (!step) return NULL;
    step->params.tail.act1 = activation.kind;
    step->params.tail.act1_alpha = activation.alpha;
    step->params.tail.act1_beta = activation.beta;
    return step;
}

/* ------------------------------------------------------------ moving data */

/* All of them planes, joined or split along their channels. */
static bool moves_channels(
    const struct vt_node *n, const struct vt_value *whole, struct vt_value *const *parts, size_t n_parts) {
    int64_t axis = vt_attr_int(&n->attrs, "axis", 0);
    if ((axis != 1 && axis != -3) || !vt_lower_can_block(whole) || n_parts > VT_PLAN_MAX_OPERANDS) return false;
    for (size_t i = 0; i < n_parts; i++)
        if (!parts[i] || !vt_lower_can_block(parts[i])) return false;
    return true;
}

static bool concat_is_blocked(const struct vt_lowering *l, const struct vt_node *n) {
    for (size_t i = 0; i < n->n_inputs; i++)
        if (!n->inputs[i] || !vt_lower_has_blocked(l, n->inputs[i]) || l->representations[n->inputs[i]->index].float32)
            return false;
    return moves_channels(n, n->outputs[0], n->inputs, n->n_inputs);
}

static struct vt_plan_step *lower_concat(struct vt_lowering *l, const struct vt_node *n) {
    uint32_t inputs[VT_PLAN_MAX_OPERANDS];
    for (size_t i = 0; i < n->n_inputs; i++) {
        inputs[i] = vt_lower_blocked(l, n->inputs[i], no_pad, NULL);
        if (inputs[i] == VT_PLAN_NONE) return NULL;
    }
    return emit(l, VT_STEP_CONCAT, n, inputs, (uint32_t)n->n_inputs, vt_lower_new_blocked(l, n->outputs[0]));
}

static struct vt_plan_step *lower_split(struct vt_lowering *l, const struct vt_node *n) {
    uint32_t x = vt_lower_blocked(l, n->inputs[0], no_pad, NULL);
    if (x == VT_PLAN_NONE) return NULL;
    for (size_t i = 0; i < n->n_outputs; i++)
        l->representations[n->outputs[i]->index].float32 = l->representations[n->inputs[0]->index].float32;
    struct vt_plan_step *step = emit(l, VT_STEP_SPLIT, n, &x, 1, vt_lower_new_blocked(l, n->outputs[0]));
    for (size_t i = 1; step && i < n->n_outputs; i++)
        if (!vt_lower_add_output(l, vt_lower_new_blocked(l, n->outputs[i]))) return NULL;
    return step;
}

static struct vt_plan_step *lower_transpose(struct vt_lowering *l, const struct vt_node *n) {
    const struct vt_representation *r = &l->representations[n->inputs[0]->index];
    uint32_t x = r->plain != VT_PLAN_NONE ? r->plain : r->n_blocked ? r->blocked[0] : vt_lower_plain(l, n->inputs[0]);
    if (x == VT_PLAN_NONE) return NULL;
    struct vt_plan_step *step = emit(l, VT_STEP_CONVERT, n, &x, 1, vt_lower_new_plain(l, n->outputs[0]));
    if (!step) return NULL;
    const struct vt_attr *perm = vt_attr_find(&n->attrs, "perm", VT_ATTR_INTS);
    step->params.perm_rank = n->inputs[0]->rank;
    for (int i = 0; i < n->inputs[0]->rank; i++)
        step->params.perm[i] = perm ? (int32_t)perm->ints[i] : n->inputs[0]->rank - 1 - i;
    return step;
}

/* ------------------------------------------------------------ dispatch */

/* NULL with no error text set means out of memory; *handled tells that nothing needed a step. */
static struct vt_plan_step *lower(struct vt_lowering *l, const struct vt_node *n, bool *handled) {
    const struct vt_value *operands[2];
    switch (n->op) {
    case VT_OP_FUSED_CONV:
        if (conv_is_blocked(n)) return lower_conv(l, n);
        break;
    case VT_OP_FUSED_CONV_TRANSPOSE:
        if (conv_transpose_is_blocked(l, n)) return lower_conv(l, n);
        break;
    case VT_OP_CONCAT:
        if (concat_is_blocked(l, n)) return lower_concat(l, n);
        break;
    case VT_OP_SPLIT:
        if (is_plane(l, n) && moves_channels(n, n->inputs[0], n->outputs, n->n_outputs)) return lower_split(l, n);
        break;
    case VT_OP_FUSED_GEMM:
        if (gemm_is_packed(n)) return lower_gemm(l, n);
        break;
    case VT_OP_MAX_POOL:
    case VT_OP_AVERAGE_POOL:
    case VT_OP_GLOBAL_AVERAGE_POOL:
        if (is_plane(l, n) && n->n_outputs == 1) return lower_pool(l, n);
        break;
    case VT_OP_RESIZE:
        if (!is_plane(l, n) || !is_nearest_upsample(n)) break;
        if (fused_add(l, n)) {
            *handled = true; /* emitted with its Add */
            return NULL;
        }
        return lower_upsample(l, n, NULL, n->outputs[0]);
    case VT_OP_GROUP_NORM:
        if (is_plane(l, n) && is_constant_f32(n->inputs[1]) && is_constant_f32(n->inputs[2]))
            return lower_group_norm(l, n);
        break;
    case VT_OP_AFFINE:
        if (is_plane(l, n)) return lower_affine(l, n);
        break;
    case VT_OP_ADD:
        for (int i = 0; i < 2; i++) {
            const struct vt_node *resize = n->inputs[i]->producer;
            if (resize && resize->op == VT_OP_RESIZE && is_plane(l, resize) && is_nearest_upsample(resize) &&
                fused_add(l, resize) == n)
                return lower_upsample(l, resize, n->inputs[1 - i], n->outputs[0]);
        }
        /* fall through */
    case VT_OP_MUL:
    case VT_OP_SUB:
    case VT_OP_DIV:
        if (is_blocked_binary(l, n, operands)) return lower_binary(l, n, operands);
        break;
    case VT_OP_TRANSPOSE:
        if (n->inputs[0]->dtype == VT_DTYPE_F32) return lower_transpose(l, n);
        break;
    default: break;
    }
    if (is_reshape(n->op) && n->n_outputs == 1) {
        uint32_t source = vt_lower_plain(l, n->inputs[0]);
        *handled = source != VT_PLAN_NONE && l->value_notes[source].buffer != VT_PLAN_NONE &&
                   vt_lower_view(l, n->outputs[0], source) != VT_PLAN_NONE;
        return NULL;
    }
    struct vt_rewrite_activation activation = vt_rewrite_activation(n);
    if (is_plain_activation(n) && is_plane(l, n)) return lower_activation(l, n, activation);
    return lower_reference(l, n);
}

enum vultus_status vt_lower_node(struct vt_lowering *l, const struct vt_node *n) {
    int64_t dims[VT_MAX_RANK];
    for (size_t i = 0; i < n->n_outputs; i++) {
        if (n->outputs[i] && n->outputs[i]->constant) return VULTUS_OK;
        if (n->outputs[i] && !vt_value_static_dims(n->outputs[i], dims))
            return vt_fail(l->error, VULTUS_ERROR_UNSUPPORTED,
                "node %s (%s): the shape of %s depends on data, which plans cannot hold", n->name,
                vt_op_info(n->op)->name, n->outputs[i]->name);
    }
    bool handled = false;
    if (lower(l, n, &handled) || handled) return VULTUS_OK;
    if (l->error->status) return l->error->status;
    return vt_fail_memory(l->error, "a plan's step", sizeof(struct vt_plan_step));
}
