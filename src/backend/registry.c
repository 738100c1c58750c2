/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/backend.h"
#include "backend/cpu/cpu.h"
#include "config.h"
#include "fingerprint.h"

const struct vt_backend *const *vt_backends(void) {
    static const struct vt_backend *const all[] = {&vt_backend_cpu, NULL};
    return all;
}

const struct vt_backend *vt_backend_find(const char *name) {
    for (const struct vt_backend *const *b = vt_backends(); *b; b++)
        if (strcmp((*b)->name, name) == 0) return *b;
    return NULL;
}

const char *vt_backend_build(void) { return VT_VERSION "-" VT_BACKEND_FINGERPRINT; }
