/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/operator.h"

#include <string.h>

static const struct vt_plan_value *value_at(const struct vt_plan *plan, uint32_t index) {
    return index != VT_PLAN_NONE ? &plan->values[index] : NULL;
}

bool vt_operator_fits(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (step->n_inputs > VT_PLAN_MAX_OPERANDS || step->n_outputs < 1 || step->n_outputs > VT_PLAN_MAX_OPERANDS)
        return false;
    for (uint32_t i = 0; i < step->n_inputs + step->n_outputs; i++) {
        bool is_input = i < step->n_inputs;
        const struct vt_plan_value *v = value_at(plan, is_input ? step->inputs[i] : step->outputs[i - step->n_inputs]);
        if (v ? v->layout != VT_LAYOUT_PLAIN : !is_input) return false;
    }
    return step->op > VT_OP_NONE && step->op < VT_OP_COUNT;
}

static struct vt_tensor tensor_of(const struct vt_plan_value *v, const void *data) {
    struct vt_tensor t = {.dtype = v->dtype, .rank = v->rank, .data = (void *)data};
    memcpy(t.dims, v->dims, sizeof t.dims);
    return t;
}

static enum vultus_status keep_output(const struct vt_plan_step *step, const struct vt_plan_value *v, void *data,
    const struct vt_tensor *made, struct vultus_error *error) {
    struct vt_tensor wanted = tensor_of(v, data);
    if (made->dtype != wanted.dtype || vt_tensor_bytes(made) != vt_tensor_bytes(&wanted)) {
        char got[160], want[160];
        return vt_fail(error, VULTUS_ERROR_INVALID, "step %s (%s) made %s where the plan says %s", step->name,
            vt_op_info(step->op)->name, vt_tensor_describe(made, got, sizeof got),
            vt_tensor_describe(&wanted, want, sizeof want));
    }
    size_t bytes = vt_tensor_bytes(made);
    if (bytes) memcpy(wanted.data, made->data, bytes);
    return VULTUS_OK;
}

enum vultus_status vt_operator_run(const struct vt_plan *plan, const struct vt_plan_step *step, const void *const *in,
    void *const *out, struct vultus_error *error) {
    struct vt_tensor operands[VT_PLAN_MAX_OPERANDS], made[VT_PLAN_MAX_OPERANDS] = {{0}};
    const struct vt_tensor *inputs[VT_PLAN_MAX_OPERANDS];
    for (uint32_t i = 0; i < step->n_inputs; i++) {
        const struct vt_plan_value *v = value_at(plan, step->inputs[i]);
        inputs[i] = v ? &operands[i] : NULL;
        if (v) operands[i] = tensor_of(v, in[i]);
    }
    struct vt_arena arena;
    vt_arena_init(&arena, 0);
    struct vt_op_call call = {.op = step->op,
        .attrs = step->attrs,
        .inputs = inputs,
        .n_inputs = step->n_inputs,
        .outputs = made,
        .n_outputs = step->n_outputs,
        .arena = &arena};
    enum vultus_status status = vt_op_run(&call, error);
    for (uint32_t i = 0; !status && i < step->n_outputs; i++)
        status = keep_output(step, value_at(plan, step->outputs[i]), out[i], &made[i], error);
    vt_arena_fini(&arena);
    return status;
}
