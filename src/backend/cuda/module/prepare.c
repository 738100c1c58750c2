/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/module/prepare.h"

#include "base/checked.h"

static enum vultus_status check_border(
    const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i, struct vultus_error *error) {
    const struct vt_plan_value *v = vt_cuda_output(plan, step, i);
    if (!v || v->layout == VT_LAYOUT_PLAIN || v->border == VT_PLAN_NONE) return VULTUS_OK;
    const struct vt_plan_value *border = v->border < plan->n_values ? &plan->values[v->border] : NULL;
    if (border && border->storage == VT_STORAGE_CONSTANT && border->dtype == VT_DTYPE_F32 &&
        border->bytes / sizeof(float) >= (uint64_t)vt_cuda_lanes(v))
        return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_FORMAT, "step %s: the border of value %s is not a constant of its channels",
        step->name, v->name);
}

static enum vultus_status find_tactic(const struct vt_plan *plan, const struct vt_plan_step *step,
    const struct vt_tactic_choice *choice, const struct vt_cuda_tactic **out, struct vultus_error *error) {
    const struct vt_cuda_tactic *tactic = vt_cuda_tactic_find(choice->tactic);
    if (!tactic)
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "step %s wants tactic %s, which this build does not have",
            step->name, choice->tactic);
    if (tactic->features & ~vt_cuda_features())
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "step %s wants tactic %s, which this GPU is too old for",
            step->name, choice->tactic);
    if (tactic->kind != step->kind || !tactic->supports(plan, step))
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "step %s (%s) cannot be run by tactic %s", step->name,
            vt_step_name(step->kind), choice->tactic);
    size_t needed = tactic->packed_bytes ? tactic->packed_bytes(plan, step) : 0, found = 0;
    if (choice->packed != VT_PLAN_NONE && plan->values[choice->packed].storage == VT_STORAGE_CONSTANT)
        found = plan->values[choice->packed].bytes;
    if (found != needed)
        return vt_fail(error, VULTUS_ERROR_MISMATCH,
            "step %s: tactic %s packs weights into %zu bytes, the plan has %zu", step->name, choice->tactic, needed,
            found);
    *out = tactic;
    return VULTUS_OK;
}

static enum vultus_status prepare_step(const struct vt_plan *plan, const struct vt_plan_step *step,
    struct vt_arena *arena, struct vt_cuda_step *p, struct vultus_error *error) {
    size_t n_in = step->n_inputs < VT_CUDA_LEAST_INPUTS ? VT_CUDA_LEAST_INPUTS : step->n_inputs;
    if (step->n_inputs > VT_PLAN_MAX_OPERANDS || step->n_outputs > VT_PLAN_MAX_OPERANDS)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "step %s has %u inputs and %u outputs, allowed are %d each",
            step->name, step->n_inputs, step->n_outputs, VT_PLAN_MAX_OPERANDS);
    if (step->n_choices < 1 || step->n_choices > VT_PLAN_MAX_CHOICES)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "step %s has %u tactics, allowed are 1 to %d", step->name,
            step->n_choices, VT_PLAN_MAX_CHOICES);
    p->step = step;
    p->in = vt_arena_alloc_array(arena, n_in, sizeof *p->in);
    p->out = vt_arena_alloc_array(arena, (size_t)step->n_outputs + 1, sizeof *p->out);
    if (!p->in || !p->out) return vt_fail_memory(error, "a step's tables", n_in * sizeof *p->in);
    enum vultus_status status = VULTUS_OK;
    for (uint32_t i = 0; i < step->n_inputs; i++) p->in[i] = vt_cuda_input(plan, step, i);
    for (uint32_t i = 0; !status && i < step->n_outputs; i++) {
        p->out[i] = vt_cuda_output(plan, step, i);
        status = check_border(plan, step, i, error);
    }
    for (uint32_t i = 0; !status && i < step->n_choices; i++)
        status = find_tactic(plan, step, &step->choices[i], &p->tactics[i], error);
    return status;
}

enum vultus_status vt_cuda_prepare(
    const struct vt_plan *plan, struct vt_arena *arena, struct vt_cuda_step **out, struct vultus_error *error) {
    struct vt_cuda_step *steps = vt_arena_alloc_array(arena, (size_t)plan->n_steps + 1, sizeof *steps);
    if (!steps) return vt_fail_memory(error, "an executable's steps", plan->n_steps * sizeof *steps);
    enum vultus_status status = VULTUS_OK;
    for (uint32_t i = 0; !status && i < plan->n_steps; i++)
        status = prepare_step(plan, &plan->steps[i], arena, &steps[i], error);
    *out = steps;
    return status;
}
