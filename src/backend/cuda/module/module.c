/* SPDX-License-Identifier: Apache-2.0
 *
 * What the program finds in libvultus_cuda.so.
 */
#include "backend/module.h"

#include "backend/cuda/module/devices.h"
#include "backend/cuda/module/tactic.h"
#include "config.h"
#include "fingerprint.h"

__attribute__((visibility("default"))) extern const struct vt_backend_module vultus_backend_module_2;

static void (*program_log)(enum vt_log_level level, const char *text);

static void forward_log(enum vt_log_level level, const char *text, void *context) {
    (void)context;
    program_log(level, text);
}

/* The module's own copy of the log hands everything on: the program knows what it wants to see. */
static void begin(const struct vt_module_host *host) {
    program_log = host->log;
    vt_log_set_sink(forward_log, NULL);
    vt_log_set_level(VT_LOG_DEBUG);
    vt_cuda_set_devices(host->devices, host->n_devices);
}

const struct vt_backend_module vultus_backend_module_2 = {
    .build = VT_VERSION "-" VT_BACKEND_FINGERPRINT,
    .backend = &vt_cuda_module_backend,
    .begin = begin,
};
