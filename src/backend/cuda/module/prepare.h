/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_MODULE_PREPARE_H
#define VT_BACKEND_CUDA_MODULE_PREPARE_H

#include "backend/cuda/module/tactic.h"
#include "base/arena.h"

/* A step with its operands and tactics found and checked. */
struct vt_cuda_step {
    const struct vt_plan_step *step;
    const struct vt_plan_value **in, **out; /* NULL for missing ones; at least VT_CUDA_LEAST_INPUTS of `in` */
    const struct vt_cuda_tactic *tactics[VT_PLAN_MAX_CHOICES];
};

/* Resolves every step of a plan into the arena; MISMATCH or FORMAT with the step's name where one cannot be run. */
enum vultus_status vt_cuda_prepare(
    const struct vt_plan *plan, struct vt_arena *arena, struct vt_cuda_step **out, struct vultus_error *error);

#endif
