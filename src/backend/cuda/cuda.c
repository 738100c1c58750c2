/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/cuda.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backend/cuda/survey.h"
#include "backend/module.h"
#include "base/log.h"

static const char module_file[] = "libvultus_cuda.so";

/* Written once, by `prepare`. */
static struct {
    pthread_once_t once;
    char *module_path;
    const struct vt_backend *module; /* NULL: it cannot be used */
    struct vt_backend shown;
    char reason[VT_BACKEND_REASON];
} cuda = {.once = PTHREAD_ONCE_INIT};

static void probe(struct vt_backend_report *report) {
    bool absent = !cuda.module_path || vt_cuda_survey()->driver_absent;
    *report = (struct vt_backend_report){.usable = cuda.module != NULL, .absent = absent};
    snprintf(report->reason, sizeof report->reason, "%s", cuda.reason);
    if (!cuda.module) return;
    const struct vt_cuda_survey *survey = vt_cuda_survey();
    const struct vt_cuda_device *device = &survey->devices[survey->used[0]];
    /* The module knows its own libraries, and what became of the device since. */
    cuda.module->probe(report);
    snprintf(report->arch, sizeof report->arch, "%s", device->arch);
    snprintf(report->device, sizeof report->device, "%s", device->name);
}

static void take_log(enum vt_log_level level, const char *text) { vt_log(level, "%s", text); }

static enum vultus_status load(
    const struct vt_cuda_survey *survey, const struct vt_backend **out, struct vultus_error *error) {
    int ordinals[VT_MOST_DEVICES];
    for (int i = 0; i < survey->n_used; i++) ordinals[i] = survey->devices[survey->used[i]].ordinal;
    const struct vt_module_host host = {.log = take_log, .devices = ordinals, .n_devices = survey->n_used};
    return vt_module_load(cuda.module_path, "cuda", &host, out, error);
}

static void prepare(void) {
    struct vultus_error error;
    cuda.shown = (struct vt_backend){.name = "cuda", .probe = probe};
    cuda.module_path = vt_module_find(module_file, "VULTUS_CUDA_MODULE", "src/backend/cuda/module");
    if (!cuda.module_path) {
        snprintf(cuda.reason, sizeof cuda.reason,
            "this build has no CUDA kernels: there is no module %s beside it or in its library folder", module_file);
        return;
    }
    const struct vt_cuda_survey *survey = vt_cuda_survey();
    const struct vt_backend *module;
    if (survey->n_used == 0) {
        snprintf(cuda.reason, sizeof cuda.reason, "%s", survey->reason);
    } else if (load(survey, &module, &error)) {
        snprintf(cuda.reason, sizeof cuda.reason, "%.*s", (int)sizeof cuda.reason - 1, error.text);
    } else {
        cuda.module = module;
        cuda.shown = *module;
        cuda.shown.name = "cuda";
        cuda.shown.probe = probe;
    }
}

const struct vt_backend *vt_backend_cuda(void) {
    pthread_once(&cuda.once, prepare);
    return &cuda.shown;
}

const char *vt_cuda_module_path(void) {
    vt_backend_cuda();
    return cuda.module_path;
}
