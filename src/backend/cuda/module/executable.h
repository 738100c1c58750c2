/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_MODULE_EXECUTABLE_H
#define VT_BACKEND_CUDA_MODULE_EXECUTABLE_H

#include "backend/backend.h"
#include "backend/cuda/module/device.h"

/*
 * An executable's steps for inputs that are on the device already and outputs that stay there, as work of somebody's
 * own stream. As for a run, one thread at a time; and the memory is used by one stream's work at a time.
 */

/* Room for `batch` items together; before the pointers below are asked for. */
enum vultus_status vt_cuda_executable_reserve(struct vt_executable *e, int64_t batch, struct vultus_error *error);
/* Where input or output i of a batch of that size lies: its items one behind the other. Valid until more is reserved.
 */
void *vt_cuda_executable_input(const struct vt_executable *e, uint32_t i, int64_t batch);
const void *vt_cuda_executable_output(const struct vt_executable *e, uint32_t i, int64_t batch);
const struct vt_plan *vt_cuda_executable_plan(const struct vt_executable *e);
enum vultus_status vt_cuda_executable_queue(
    struct vt_executable *e, int64_t batch, struct vt_cuda_stream *stream, struct vultus_error *error);

#endif
