/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "plan/plan.h"

uint32_t vt_plan_step_choice(const struct vt_plan_step *step, int64_t batch) {
    uint32_t last = step->n_choices - 1, i = 0;
    while (i < last && batch > step->choices[i].max_batch) i++;
    return i;
}

/* Logical elements; doubles, since the product of two counts may not fit an integer. */
static double count(const struct vt_plan_value *v, int first_axis) {
    double elements = 1;
    for (int i = first_axis; i < v->rank; i++) elements *= (double)v->dims[i];
    return elements;
}

static const struct vt_plan_value *operand(const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i) {
    return i < step->n_inputs && step->inputs[i] != VT_PLAN_NONE ? &plan->values[step->inputs[i]] : NULL;
}

void vt_plan_transposed_reach(const struct vt_window *w, int axis, int64_t in, int64_t out, int64_t reach[2]) {
    int64_t before = (w->kernel[axis] - 1) * w->dilation[axis] - w->pad[axis];
    reach[0] = vt_max_i64(before, 0) / w->stride[axis];
    reach[1] = vt_max_i64((out - 1 + w->pad[axis]) / w->stride[axis] - (in - 1), 0);
}

/* Length of the sums that make one element of the output. */
static double products(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = operand(plan, step, 0), *w = operand(plan, step, 1);
    const struct vt_window *window = &step->params.window;
    if (!x || x->rank < 1) return 0;
    if (step->kind == VT_STEP_CONV)
        return (double)x->dims[1] / (double)window->group * (double)window->kernel[0] * (double)window->kernel[1];
    if (step->kind == VT_STEP_GEMM) return (double)x->dims[x->rank - 1];
    if (step->kind != VT_STEP_REFERENCE || !w) return 0;
    if (step->op == VT_OP_CONV) return count(w, 1);
    if (step->op == VT_OP_MATMUL) return (double)x->dims[x->rank - 1];
    if (step->op != VT_OP_GEMM || x->rank != 2) return 0;
    return (double)x->dims[vt_attr_int(&step->attrs, "transA", 0) ? 0 : 1];
}

/* Products that each input of a transposed convolution goes into; 0 for other steps. */
static double spread(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_window *window = &step->params.window;
    if (step->kind == VT_STEP_CONV_TRANSPOSE)
        return (double)plan->values[step->outputs[0]].dims[1] / (double)window->group * (double)window->kernel[0] *
               (double)window->kernel[1];
    bool is_operator = step->op == VT_OP_CONV_TRANSPOSE || step->op == VT_OP_FUSED_CONV_TRANSPOSE;
    const struct vt_plan_value *w = operand(plan, step, 1);
    return step->kind == VT_STEP_REFERENCE && is_operator && w ? count(w, 1) : 0;
}

double vt_plan_step_flops(const struct vt_plan *plan, const struct vt_plan_step *step) {
    double by_input = spread(plan, step);
    if (by_input > 0) return 2 * by_input * count(operand(plan, step, 0), 0);
    return 2 * products(plan, step) * count(&plan->values[step->outputs[0]], 0);
}
