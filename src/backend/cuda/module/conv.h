/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_MODULE_CONV_H
#define VT_BACKEND_CUDA_MODULE_CONV_H

#include "backend/cuda/module/tactic.h"

/* What tactics for convolutions share. */

/* Whether input and output are planes that kernels can work on, with room around them for every tap, and tail and
 * residual are those that kernels know. */
bool vt_cuda_conv_planes_fit(const struct vt_plan *plan, const struct vt_plan_step *step);
/* Factors and bounds alone: others take too many instructions at the end of a short kernel. */
bool vt_cuda_conv_tail_is_simple(const struct vt_tail *tail);
int64_t vt_cuda_conv_taps(const struct vt_plan_step *step);
/* All of a call but for weights_element and picture. */
struct vt_cuda_conv vt_cuda_conv_describe(const struct vt_cuda_call *call);

#endif
