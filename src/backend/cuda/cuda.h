/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_CUDA_H
#define VT_BACKEND_CUDA_CUDA_H

#include "backend/backend.h"

/*
 * The CUDA back end as the program knows it: whether it can be used, and, where it can, the functions of the module
 * libvultus_cuda.so, which has the kernels. The first call looks for the module, and only where there is one for the
 * driver and the devices. Never NULL; where the back end cannot be used it has a name and a probe, which says why, and
 * nothing else. Thread-safe.
 */
const struct vt_backend *vt_backend_cuda(void);

/* The module's path, or NULL: there is none. Belongs to the back end. */
const char *vt_cuda_module_path(void);

#endif
