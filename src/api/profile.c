/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/api_internal.h"

_Static_assert(sizeof(struct vt_step_profile) == sizeof(uint64_t), "a profile is an array of nanoseconds");

size_t vultus_session_steps(const struct vultus_session *session) { return vt_engine_plan(session->engine)->n_steps; }

enum vultus_status vultus_session_step(const struct vultus_session *session, size_t i, int64_t batch,
    struct vultus_step_info *info, struct vultus_error *error) {
    const struct vt_plan *plan = vt_engine_plan(session->engine);
    if (i >= plan->n_steps)
        return vt_fail(error, VULTUS_ERROR_INVALID, "step %zu was asked for; the plan has %u", i, plan->n_steps);
    enum vultus_status status = vt_api_check_batch(plan, batch, error);
    if (status) return status;
    const struct vt_plan_step *step = &plan->steps[i];
    const struct vt_plan_value *output = &plan->values[step->outputs[0]];
    *info = (struct vultus_step_info){.name = step->name,
        .op = vt_api_step_op(step),
        .tactic = step->choices[vt_plan_step_choice(step, batch)].tactic,
        .rank = output->rank,
        .flops = vt_plan_step_flops(plan, step)};
    info->provider = vt_api_describe_tactic(plan, info->tactic).provider;
    memcpy(info->dims, output->dims, sizeof info->dims);
    return VULTUS_OK;
}

enum vultus_status vultus_session_profile(struct vultus_session *session, const void *const *inputs,
    void *const *outputs, int64_t batch, uint64_t *nanoseconds, struct vultus_error *error) {
    if (!session || !inputs || !outputs || !nanoseconds)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "vultus_session_profile needs a session, inputs, outputs and room for times");
    return vt_engine_run(session->engine, inputs, outputs, batch, (struct vt_step_profile *)nanoseconds, error);
}

enum vultus_status vultus_session_peak_flops(
    struct vultus_session *session, double *flops, struct vultus_error *error) {
    if (!session || !flops)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "vultus_session_peak_flops needs a session and a place for the number");
    *flops = vt_engine_peak_flops(session->engine);
    return VULTUS_OK;
}
