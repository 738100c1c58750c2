/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/backend.h"
#include "backend/cpu/cpu.h"
#include "config.h"
#include "fingerprint.h"
#if VT_HAVE_CUDA
#include "backend/cuda/cuda.h"
#endif

const struct vt_backend *vt_backend_find(const char *name) {
    if (strcmp(name, "cpu") == 0) return &vt_backend_cpu;
#if VT_HAVE_CUDA
    if (strcmp(name, "cuda") == 0) return vt_backend_cuda();
#endif
    return NULL;
}

const char *vt_backend_build(void) { return VT_VERSION "-" VT_BACKEND_FINGERPRINT; }
