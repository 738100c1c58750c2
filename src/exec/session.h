/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_EXEC_SESSION_H
#define VT_EXEC_SESSION_H

#include "backend/backend.h"
#include "base/pool.h"
#include "exec/batcher.h"
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
 * Thread-safe: each concurrent call takes a place of the pool and borrows a workspace of its own, made on first need
 * and kept; steady use allocates nothing. profile: NULL, or one entry per step.
 */
enum vultus_status vt_engine_run(struct vt_engine *engine, const void *const *inputs, void *const *outputs,
    int64_t batch, struct vt_step_profile *profile, struct vultus_error *error);

/*
 * From then on runs without a profile that come at the same time share batches of up to most_items (0: all that the
 * plan allows), as exec/batcher.h says. To be called before the first run. A back end with memory of its own reserves
 * what they take now, on each device, and the log is told how much.
 */
enum vultus_status vt_engine_share_batches(
    struct vt_engine *engine, int64_t most_items, uint32_t most_delay_us, struct vultus_error *error);
struct vt_batcher *vt_engine_batcher(const struct vt_engine *engine); /* NULL: runs do not share batches */

/*
 * From then on a run in which the back end fails (BACKEND), or has no memory left (MEMORY), is made again by
 * `fallback`, and so are all later ones. It is of the same model and sizes for another back end, else MISMATCH, and
 * belongs to the engine on success. To be called before the first run.
 */
enum vultus_status vt_engine_set_fallback(
    struct vt_engine *engine, struct vt_engine *fallback, struct vultus_error *error);
/* Name of the back end that runs now. Thread-safe. */
const char *vt_engine_backend(const struct vt_engine *engine);
/* Why the plan's own back end was given up; NULL: it was not. Lives as long as the engine. Thread-safe. */
const char *vt_engine_failure(const struct vt_engine *engine);

/*
 * Pictures that stay on a device (backend/photo.h): what the back end can do with them; NULL: nothing, or it was given
 * up. Thread-safe.
 */
const struct vt_photo_backend *vt_engine_photos(const struct vt_engine *engine);
int vt_engine_devices(const struct vt_engine *engine); /* how many the back end uses */
/* An executable of the plan for those functions, used by one thread at a time and destroyed before the engine is. */
enum vultus_status vt_engine_create_executable(
    const struct vt_engine *engine, int device, struct vt_executable **out, struct vultus_error *error);
void vt_engine_destroy_executable(const struct vt_engine *engine, struct vt_executable *executable); /* NULL is fine */

/* vt_backend.peak_flops of what the plan is for. */
double vt_engine_peak_flops(const struct vt_engine *engine);

/* Shape of input / output i for a batch (dims filled, data NULL). */
struct vt_tensor vt_engine_input(const struct vt_engine *engine, uint32_t i, int64_t batch);
struct vt_tensor vt_engine_output(const struct vt_engine *engine, uint32_t i, int64_t batch);

#endif
