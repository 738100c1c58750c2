/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_OPERATOR_H
#define VT_BACKEND_OPERATOR_H

#include "plan/plan.h"

/* Steps of kind REFERENCE in plain C, by the operators' own reference, on the host. */

/* Whether all operands are plain, which is all that it takes. */
bool vt_operator_fits(const struct vt_plan *plan, const struct vt_plan_step *step);

/*
 * One item of such a step: in[i] and out[i] are its operands' memory, NULL for missing ones. Allocates on every call:
 * operators make their outputs in an arena, which dies with the call. INVALID when they are not what the plan says.
 */
enum vultus_status vt_operator_run(const struct vt_plan *plan, const struct vt_plan_step *step, const void *const *in,
    void *const *out, struct vultus_error *error);

#endif
