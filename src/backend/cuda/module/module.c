/* SPDX-License-Identifier: Apache-2.0
 *
 * What the program finds in libvultus_cuda.so.
 */
#include "backend/module.h"

#include "backend/cuda/module/tactic.h"
#include "config.h"
#include "fingerprint.h"

__attribute__((visibility("default"))) extern const struct vt_backend_module vultus_backend_module_1;

const struct vt_backend_module vultus_backend_module_1 = {
    .build = VT_VERSION "-" VT_BACKEND_FINGERPRINT,
    .backend = &vt_cuda_module_backend,
};
