/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_MODULE_MEASURE_H
#define VT_BACKEND_CUDA_MODULE_MEASURE_H

#include "backend/backend.h"

/* Times tactics on the first device in use, by its events. */
extern const struct vt_backend_clock vt_cuda_clock;

#endif
