/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/checked.h"
#include "plan/format.h"

/* Bound on every number of a window: products stay far from overflow. */
#define LARGEST_WINDOW_VALUE (INT64_C(1) << 20)
/* Pictures of so many channels may enter a convolution plain. */
#define MOST_PLAIN_CHANNELS 4

struct operands {
    const struct vt_plan *plan;
    const struct vt_plan_step *step;
    const struct vt_plan_value *x, *y; /* first input and output, not NULL */
};

/* Input `i`, NULL when missing. */
static const struct vt_plan_value *input(const struct operands *o, uint32_t i) {
    uint32_t id = i < o->step->n_inputs ? o->step->inputs[i] : VT_PLAN_NONE;
    return id == VT_PLAN_NONE ? NULL : &o->plan->values[id];
}

static bool same_dims(const struct vt_plan_value *a, const struct vt_plan_value *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

/* float32, or blocked in two bytes, [1,C,H,W], nothing empty: what kernels on planes work on. */
static bool is_plane(const struct vt_plan_value *v) {
    bool short_blocked = (v->dtype == VT_DTYPE_BF16 || v->dtype == VT_DTYPE_F16) && v->layout != VT_LAYOUT_PLAIN;
    return (v->dtype == VT_DTYPE_F32 || short_blocked) && v->rank == 4 && v->dims[0] == 1 && v->dims[1] > 0 &&
           v->dims[2] > 0 && v->dims[3] > 0;
}

static bool same_layout(const struct vt_plan_value *a, const struct vt_plan_value *b) {
    return a->dtype == b->dtype && a->layout == b->layout && a->block == b->block;
}

/* A missing operand, or a constant vector for all of the channels of the output's blocks. */
static bool is_channel_vector(const struct operands *o, const struct vt_plan_value *v, int64_t channels) {
    if (!v) return true;
    if (o->y->layout != VT_LAYOUT_PLAIN) channels = (channels - 1) / o->y->block * o->y->block + o->y->block;
    return v->storage == VT_STORAGE_CONSTANT && v->layout == VT_LAYOUT_PLAIN && v->dtype == VT_DTYPE_F32 &&
           v->rank == 1 && v->dims[0] >= channels;
}

static const char *tail_rule_broken(const struct vt_tail *tail, const struct vt_plan_value *slope) {
    if ((unsigned)tail->act1 >= VT_ACT_COUNT || (unsigned)tail->act2 >= VT_ACT_COUNT)
        return "its activation is unknown";
    if (tail->act2 == VT_ACT_PRELU) return "its second activation must not be prelu";
    return tail->act1 == VT_ACT_PRELU && !slope ? "prelu must have slopes" : NULL;
}

static bool in_range(const int64_t *values, int n, int64_t least) {
    for (int i = 0; i < n; i++)
        if (values[i] < least || values[i] > LARGEST_WINDOW_VALUE) return false;
    return true;
}

/* Positions of the window along one axis, by ONNX's rules; less than 1 when it does not fit. */
static int64_t window_positions(const struct vt_window *w, int axis, int64_t size) {
    int64_t extent = w->dilation[axis] * (w->kernel[axis] - 1) + 1;
    int64_t room = size + w->pad[axis] + w->pad[axis + 2] - extent;
    if (room < 0 && !(w->ceil_mode && room > -w->stride[axis])) return 0;
    if (!w->ceil_mode) return room / w->stride[axis] + 1;
    int64_t positions = (room + w->stride[axis] - 1) / w->stride[axis] + 1;
    /* A window that would start behind the input is dropped. */
    return (positions - 1) * w->stride[axis] >= size + w->pad[axis] ? positions - 1 : positions;
}

static const char *window_rule_broken(const struct operands *o) {
    const struct vt_window *w = &o->step->params.window;
    if (!in_range(w->kernel, 2, 1) || !in_range(w->stride, 2, 1) || !in_range(w->dilation, 2, 1) ||
        !in_range(w->pad, 4, 0))
        return "its window's numbers must be in range";
    for (int axis = 0; axis < 2; axis++)
        if (window_positions(w, axis, o->x->dims[2 + axis]) != o->y->dims[2 + axis])
            return "its window must give the output's height and width";
    return NULL;
}

/* Or `y` is float32 where x has two bytes. */
static bool same_blocks(const struct vt_plan_value *x, const struct vt_plan_value *y) {
    return (x->dtype == y->dtype || y->dtype == VT_DTYPE_F32) && x->layout == y->layout && x->block == y->block;
}

static const char *conv_rule_broken(const struct operands *o) {
    const struct vt_plan_value *x = o->x, *y = o->y, *residual = input(o, 3);
    const struct vt_window *w = &o->step->params.window;
    if (!is_plane(x) || !is_plane(y) || y->layout == VT_LAYOUT_PLAIN)
        return "it must read and write planes, blocked ones";
    if (!same_blocks(x, y) && (x->layout != VT_LAYOUT_PLAIN || x->dims[1] > MOST_PLAIN_CHANNELS))
        return "its input must be blocked as its output, or plain with at most 4 channels";
    if (x->layout == VT_LAYOUT_PLAIN && w->group != 1) return "a plain input must not be grouped";
    if (w->ceil_mode || w->group < 1 || x->dims[1] % w->group || y->dims[1] % w->group)
        return "its groups must divide the channels, and it must round down";
    for (int i = 0; i < 4 && x->layout != VT_LAYOUT_PLAIN; i++)
        if (x->pad[i] < w->pad[i]) return "its input's border must be as wide as its padding";
    if (!is_channel_vector(o, input(o, 1), y->dims[1]) || !is_channel_vector(o, input(o, 2), y->dims[1]))
        return "bias and slope must be constant vectors of all its blocks' channels";
    if (residual && (!is_plane(residual) || !same_dims(residual, y) || !same_blocks(residual, y)))
        return "its residual must be like its output";
    return window_rule_broken(o);
}

static const char *transposed_rule_broken(const struct operands *o) {
    const struct vt_plan_value *x = o->x, *y = o->y, *residual = input(o, 3);
    const struct vt_window *w = &o->step->params.window;
    if (!is_plane(x) || !is_plane(y) || y->layout == VT_LAYOUT_PLAIN || !same_blocks(x, y))
        return "it must read and write planes of equal blocks";
    if (!in_range(w->kernel, 2, 1) || !in_range(w->stride, 2, 1) || !in_range(w->dilation, 2, 1) ||
        !in_range(w->pad, 4, 0) || w->stride[0] > VT_PLAN_MAX_TRANSPOSED_STRIDE ||
        w->stride[1] > VT_PLAN_MAX_TRANSPOSED_STRIDE)
        return "its window's numbers must be in range";
    if (w->group != 1) return "it must have one group";
    for (int axis = 0; axis < 2; axis++) {
        int64_t reach[2];
        vt_plan_transposed_reach(w, axis, x->dims[2 + axis], y->dims[2 + axis], reach);
        if (x->pad[axis] < reach[0] || x->pad[axis + 2] < reach[1])
            return "its input's border must be as wide as what it reads there";
        if ((reach[0] | reach[1]) != 0 && x->border != VT_PLAN_NONE) return "its input's border must be of zeros";
    }
    if (!is_channel_vector(o, input(o, 1), y->dims[1]) || !is_channel_vector(o, input(o, 2), y->dims[1]))
        return "bias and slope must be constant vectors of all its blocks' channels";
    return residual && (!is_plane(residual) || !same_dims(residual, y) || !same_blocks(residual, y))
               ? "its residual must be like its output"
               : NULL;
}

static const char *gemm_rule_broken(const struct operands *o) {
    const struct vt_plan_value *x = o->x, *y = o->y, *residual = input(o, 3);
    const struct vt_plan_value *const matrices[] = {x, y, residual ? residual : y};
    for (int i = 0; i < 3; i++)
        if (matrices[i]->dtype != VT_DTYPE_F32 || matrices[i]->layout != VT_LAYOUT_PLAIN || matrices[i]->rank != 2 ||
            matrices[i]->dims[0] < 1 || matrices[i]->dims[1] < 1)
            return "it must work on plain float32 matrices";
    if (x->dims[0] != y->dims[0]) return "input and output must have equally many rows";
    if (residual && !same_dims(residual, y)) return "its residual must be like its output";
    if (!is_channel_vector(o, input(o, 1), y->dims[1]) || !is_channel_vector(o, input(o, 2), y->dims[1]))
        return "bias and slope must be constant vectors of all columns";
    return NULL;
}

/* Every window then holds at least one pixel of the picture. */
static const char *pool_window_rule_broken(const struct operands *o) {
    const struct vt_window *w = &o->step->params.window;
    const char *rule = window_rule_broken(o);
    for (int i = 0; !rule && i < 4; i++)
        if (w->pad[i] > w->dilation[i % 2] * (w->kernel[i % 2] - 1))
            rule = "its padding must be smaller than its window";
    return rule;
}

static const char *pool_rule_broken(const struct operands *o) {
    if (o->x->dims[1] != o->y->dims[1]) return "its channels must not change";
    switch (o->step->params.mode) {
    case VT_POOL_GLOBAL_AVERAGE:
        return o->y->dims[2] == 1 && o->y->dims[3] == 1 ? NULL : "a global average must be one pixel";
    case VT_POOL_MAX:
    case VT_POOL_AVERAGE: return pool_window_rule_broken(o);
    default: return "its mode is unknown";
    }
}

static const char *upsample_rule_broken(const struct operands *o) {
    const struct vt_plan_value *residual = input(o, 1);
    if (o->x->dims[1] != o->y->dims[1]) return "its channels must not change";
    return !residual || (same_dims(residual, o->y) && same_layout(residual, o->y) && is_plane(residual))
               ? NULL
               : "its residual must be like its output";
}

/* GROUP_NORM and AFFINE: scale, shift and perhaps slopes per channel. */
static const char *scaling_rule_broken(const struct operands *o) {
    const struct vt_step_params *p = &o->step->params;
    if (!same_dims(o->x, o->y)) return "its shape must not change";
    if (!input(o, 1) || !input(o, 2)) return "it must have scale and shift";
    for (uint32_t i = 1; i < o->step->n_inputs; i++)
        if (!is_channel_vector(o, input(o, i), o->y->dims[1]))
            return "its vectors must be constants of all its blocks' channels";
    if (o->step->kind == VT_STEP_AFFINE) return NULL;
    if (p->groups < 1 || o->x->dims[1] % p->groups) return "its groups must divide the channels";
    return p->epsilon >= 0 && isfinite(p->epsilon) ? NULL : "its epsilon must be finite and at least 0";
}

static const char *binary_rule_broken(const struct operands *o) {
    const struct vt_plan_value *b = input(o, 1);
    if (o->step->params.mode < VT_BINARY_ADD || o->step->params.mode > VT_BINARY_DIV) return "its mode is unknown";
    if (!b || !is_plane(b) || !same_layout(b, o->y)) return "its second operand must be laid out as its output";
    if (!same_dims(o->x, o->y)) return "its shape must not change";
    bool per_channel = b->dims[1] == o->y->dims[1] && b->dims[2] == 1 && b->dims[3] == 1;
    return per_channel || same_dims(b, o->y) ? NULL : "its second operand must have its shape, or one pixel";
}

static const char *convert_rule_broken(const struct operands *o) {
    const struct vt_step_params *p = &o->step->params;
    bool seen[VT_MAX_RANK] = {false};
    bool x_plain = o->x->layout == VT_LAYOUT_PLAIN, y_plain = o->y->layout == VT_LAYOUT_PLAIN;
    if (x_plain == y_plain ? o->x->dtype != o->y->dtype : (x_plain ? o->x : o->y)->dtype != VT_DTYPE_F32)
        return "its element type must not change, but that plain float32 goes with blocked values of any type";
    if (p->perm_rank == 0) return same_dims(o->x, o->y) ? NULL : "its shape must not change";
    if (p->perm_rank != o->x->rank || p->perm_rank != o->y->rank) return "its transposition must have its values' rank";
    if (o->y->layout != VT_LAYOUT_PLAIN) return "what it transposes must become plain";
    for (int i = 0; i < p->perm_rank; i++) {
        int from = p->perm[i];
        if (from < 0 || from >= p->perm_rank || seen[from]) return "its transposition must be a permutation";
        seen[from] = true;
        if (o->y->dims[i] != o->x->dims[from]) return "its transposition must give the output's shape";
    }
    return NULL;
}

/* CONCAT and SPLIT: `parts` hold the channels of `whole` one after another. */
static const char *parts_rule_broken(
    const struct vt_plan *plan, const struct vt_plan_value *whole, const uint32_t *parts, uint32_t n_parts) {
    int64_t channels = 0;
    for (uint32_t i = 0; i < n_parts; i++) {
        if (parts[i] == VT_PLAN_NONE) return "a part is missing";
        const struct vt_plan_value *part = &plan->values[parts[i]];
        if (!is_plane(part) || !same_layout(part, whole)) return "it must read and write planes of one layout";
        if (part->dims[2] != whole->dims[2] || part->dims[3] != whole->dims[3])
            return "its parts must have the whole's height and width";
        if (part->dims[1] > whole->dims[1] - channels) return "its parts' channels must be the whole's";
        channels += part->dims[1];
    }
    return channels == whole->dims[1] ? NULL : "its parts' channels must be the whole's";
}

static const char *concat_rule_broken(const struct operands *o) {
    return parts_rule_broken(o->plan, o->y, o->step->inputs, o->step->n_inputs);
}

static const char *split_rule_broken(const struct operands *o) {
    return parts_rule_broken(o->plan, o->x, o->step->outputs, o->step->n_outputs);
}

static const char *reference_rule_broken(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (step->op <= VT_OP_NONE || (unsigned)step->op >= VT_OP_COUNT) return "its operator is unknown";
    const struct vt_op_info *info = vt_op_info(step->op);
    if (step->n_inputs < (uint32_t)info->least_inputs || step->n_inputs > (uint32_t)info->most_inputs ||
        step->n_outputs > (uint32_t)info->most_outputs)
        return "its operator takes another number of inputs or outputs";
    for (uint32_t i = 0; i < step->n_inputs; i++) {
        if (step->inputs[i] == VT_PLAN_NONE && i < (uint32_t)info->least_inputs) return "an input is missing";
        if (step->inputs[i] != VT_PLAN_NONE && plan->values[step->inputs[i]].layout != VT_LAYOUT_PLAIN)
            return "its inputs must be plain";
    }
    for (uint32_t i = 0; i < step->n_outputs; i++)
        if (plan->values[step->outputs[i]].layout != VT_LAYOUT_PLAIN) return "its outputs must be plain";
    return NULL;
}

static const struct {
    uint32_t inputs, outputs; /* 0: any number */
    bool planes, packs;       /* reads and writes planes of one layout; its weights are in the packed constant */
    const char *(*rule_broken)(const struct operands *operands);
} kinds[VT_STEP_COUNT] = {
    [VT_STEP_CONV] = {4, 1, false, true, conv_rule_broken},
    [VT_STEP_GEMM] = {4, 1, false, true, gemm_rule_broken},
    [VT_STEP_POOL] = {1, 1, true, false, pool_rule_broken},
    [VT_STEP_UPSAMPLE] = {2, 1, true, false, upsample_rule_broken},
    [VT_STEP_GROUP_NORM] = {3, 1, true, false, scaling_rule_broken},
    [VT_STEP_AFFINE] = {4, 1, true, false, scaling_rule_broken},
    [VT_STEP_BINARY] = {2, 1, true, false, binary_rule_broken},
    [VT_STEP_CONVERT] = {1, 1, false, false, convert_rule_broken},
    [VT_STEP_CONV_TRANSPOSE] = {4, 1, false, true, transposed_rule_broken},
    [VT_STEP_CONCAT] = {0, 1, true, false, concat_rule_broken},
    [VT_STEP_SPLIT] = {1, 0, true, false, split_rule_broken},
};

static bool takes(uint32_t wanted, uint32_t n) { return wanted == 0 ? n > 0 : n == wanted; }

const char *vt_plan_step_rule_broken(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (step->kind == VT_STEP_REFERENCE) return reference_rule_broken(plan, step);
    if (step->op != VT_OP_NONE || step->attrs.count) return "only reference steps have an operator and attributes";
    if (!takes(kinds[step->kind].inputs, step->n_inputs) || !takes(kinds[step->kind].outputs, step->n_outputs) ||
        step->inputs[0] == VT_PLAN_NONE)
        return "its kind takes another number of inputs or outputs";
    struct operands o = {plan, step, &plan->values[step->inputs[0]], &plan->values[step->outputs[0]]};
    if (kinds[step->kind].planes && (!is_plane(o.x) || !is_plane(o.y) || !same_layout(o.x, o.y)))
        return "it must read and write planes of one layout";
    for (uint32_t i = 0; i < step->n_choices && kinds[step->kind].packs; i++)
        if (step->choices[i].packed == VT_PLAN_NONE) return "its tactics must have packed weights";
    bool has_slope = kinds[step->kind].inputs == 4;
    const struct vt_plan_value *slope = has_slope ? input(&o, step->kind == VT_STEP_AFFINE ? 3 : 2) : NULL;
    const char *rule = tail_rule_broken(&step->params.tail, slope);
    return rule ? rule : kinds[step->kind].rule_broken(&o);
}
