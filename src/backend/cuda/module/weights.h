/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_MODULE_WEIGHTS_H
#define VT_BACKEND_CUDA_MODULE_WEIGHTS_H

#include "backend/cuda/module/device.h"
#include "plan/plan.h"

/* Up to the end of the last constant: a plan's weights_bytes may say more while tactics are timed. */
size_t vt_cuda_constant_bytes(const struct vt_plan *plan);

/*
 * The constants of a plan on a device (an ordinal, which the calling thread uses), uploaded by the first who asks and
 * shared by all executables of that plan there. Thread-safe. Each acquire that succeeds is followed by one release,
 * before the plan dies.
 */
struct vt_cuda_weights;
enum vultus_status vt_cuda_weights_acquire(
    const struct vt_plan *plan, int device, struct vt_cuda_weights **out, struct vultus_error *error);
const uint8_t *vt_cuda_weights_data(const struct vt_cuda_weights *weights);
void vt_cuda_weights_release(struct vt_cuda_weights *weights); /* NULL is fine */

#endif
