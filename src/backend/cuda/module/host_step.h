/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_MODULE_HOST_STEP_H
#define VT_BACKEND_CUDA_MODULE_HOST_STEP_H

#include "backend/cuda/module/prepare.h"

/*
 * Operators that no kernel runs: their operands are copied to the host, computed there in plain C, and copied back.
 * They cannot be part of a graph, which ends before such a step and begins anew behind it.
 */

extern const struct vt_cuda_tactic *const vt_cuda_host_tactics[];

bool vt_cuda_is_host_step(const struct vt_cuda_step *step);
/* Bytes of pinned memory for one item of its operands; 0 for other steps. */
size_t vt_cuda_host_step_bytes(const struct vt_cuda_step *step);
/* Waits for what is queued, computes, and queues the copies of the results. `staging` is vt_cuda_host_step_bytes for
 * each item, and the host's own until the stream was waited for. */
enum vultus_status vt_cuda_run_host_step(
    const struct vt_cuda_call *call, struct vt_cuda_stream *stream, uint8_t *staging, struct vultus_error *error);

#endif
