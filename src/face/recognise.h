/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_RECOGNISE_H
#define VT_FACE_RECOGNISE_H

#include "plan/plan.h"

/*
 * Recognises a model's function from the shapes of its inputs and outputs when the catalogue does not know it;
 * docs/models.md lists what is told by which shapes, and how such pictures are normalised. Else it is "". Sets
 * function, origin
 * ("shapes"), mean, std, channels.
 */
void vt_recognise_function(const struct vt_tensor *inputs, size_t n_inputs, const struct vt_tensor *outputs,
    size_t n_outputs, struct vt_plan_model *model);

#endif
