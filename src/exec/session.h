/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_EXEC_SESSION_H
#define VT_EXEC_SESSION_H

#include "backend/backend.h"
#include "base/pool.h"
#include "plan/plan.h"
#include "tensor/tensor.h"

/* A plan open for running: shared, immutable, reference-counted by its sessions' owner. */
struct vt_engine;

/*
 * Chooses the back end that the plan names, checks that this machine satisfies it (a refusal names the field), and
 * takes ownership of `plan` on success. `pool` may be NULL (one thread) and must outlive the engine.
 */
enum vultus_status vt_engine_create(
    struct vt_plan *plan, struct vt_pool *pool, struct vt_engine **out, struct vultus_error *error);
void vt_engine_destroy(struct vt_engine *engine); /* NULL is fine; no run may be in progress */
const struct vt_plan *vt_engine_plan(const struct vt_engine *engine);

/*
 * Runs `batch` items (1 .. plan's max_batch). inputs[i] and outputs[i] are dense arrays in the plan's order.
 * Thread-safe: each concurrent call borrows a workspace of its own, made on first need and kept; steady use allocates
 * nothing. profile: NULL, or one entry per step.
 */
enum vultus_status vt_engine_run(struct vt_engine *engine, const void *const *inputs, void *const *outputs,
    int64_t batch, struct vt_step_profile *profile, struct vultus_error *error);

/* Shape of input / output i for a batch (dims filled, data NULL). */
struct vt_tensor vt_engine_input(const struct vt_engine *engine, uint32_t i, int64_t batch);
struct vt_tensor vt_engine_output(const struct vt_engine *engine, uint32_t i, int64_t batch);

#endif
