/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/module.h"
#ifdef KEEPS_PICTURES
#include "fake_photos.h"
#endif

/*
 * A CUDA module without kernels: the processor's back end under its name, for as many devices as it is told of.
 * VULTUS_FAKE_MODULE says what fails: "probe", "create" (as when memory is short), or "run" after a number of runs,
 * VULTUS_FAKE_RUNS, on the device VULTUS_FAKE_LOST, or on all of them (as when devices are lost).
 */

struct on_device {
    int ordinal;
    struct vt_executable *inner;
};

static struct on_device *of(const struct vt_executable *executable) { return (struct on_device *)executable; }

static int ordinals[64], n_ordinals;
static void (*program_log)(enum vt_log_level level, const char *text);

static bool fails(const char *what) {
    const char *chosen = getenv("VULTUS_FAKE_MODULE");
    return chosen && strcmp(chosen, what) == 0;
}

static void probe(struct vt_backend_report *report) {
    *report = (struct vt_backend_report){.usable = !fails("probe"), .libraries = "fake 1"};
    if (!report->usable) snprintf(report->reason, sizeof report->reason, "the library of convolutions is missing");
}

static int devices(void) { return n_ordinals; }

static enum vultus_status create(const struct vt_plan *plan, struct vt_pool *pool, int device,
    struct vt_executable **out, struct vultus_error *error) {
    if (fails("create"))
        return vt_fail(error, VULTUS_ERROR_BACKEND, "the GPU has no 123 MiB of memory left for a plan's weights");
    struct on_device *e = calloc(1, sizeof *e);
    if (!e) return vt_fail_memory(error, "an executable", sizeof *e);
    char line[64];
    e->ordinal = ordinals[device];
    snprintf(line, sizeof line, "an executable on device %d", e->ordinal);
    program_log(VT_LOG_DEBUG, line);
    enum vultus_status status = vt_backend_cpu.create(plan, pool, 0, &e->inner, error);
    if (status)
        free(e);
    else
        *out = (struct vt_executable *)e;
    return status;
}

static void destroy(struct vt_executable *executable) {
    if (!executable) return;
    vt_backend_cpu.destroy(of(executable)->inner);
    free(of(executable));
}

static size_t workspace_bytes(const struct vt_executable *executable) {
    return vt_backend_cpu.workspace_bytes(of(executable)->inner);
}

static enum vultus_status run(struct vt_executable *executable, const void *const *inputs, void *const *outputs,
    int64_t batch, struct vt_step_profile *profile, struct vultus_error *error) {
    static atomic_int runs;
    const char *most = getenv("VULTUS_FAKE_RUNS"), *lost = getenv("VULTUS_FAKE_LOST");
    bool here = !lost || atoi(lost) == of(executable)->ordinal;
    if (fails("run") && here && atomic_fetch_add(&runs, 1) >= atoi(most ? most : "0"))
        return vt_fail(error, VULTUS_ERROR_BACKEND, "the GPU has fallen off the bus");
    return vt_backend_cpu.run(of(executable)->inner, inputs, outputs, batch, profile, error);
}

#ifdef KEEPS_PICTURES
enum vultus_status fake_run(struct vt_executable *executable, const void *const *inputs, void *const *outputs,
    int64_t batch, struct vultus_error *error) {
    return run(executable, inputs, outputs, batch, NULL, error);
}
#endif

static struct vt_backend backend;

static void begin(const struct vt_module_host *host) {
    program_log = host->log;
    n_ordinals = host->n_devices;
    memcpy(ordinals, host->devices, (size_t)host->n_devices * sizeof *ordinals);
}

extern struct vt_backend_module vultus_backend_module_2;
__attribute__((visibility("default"))) struct vt_backend_module vultus_backend_module_2 = {
    .backend = &backend, .begin = begin};

__attribute__((constructor)) static void fill(void) {
    backend = vt_backend_cpu;
    backend.name = "cuda";
    backend.probe = probe;
    backend.elsewhere = true;
    backend.devices = devices;
    backend.create = create;
    backend.destroy = destroy;
    backend.workspace_bytes = workspace_bytes;
    backend.run = run;
#ifdef KEEPS_PICTURES
    backend.photos = &fake_photos;
#endif
    vultus_backend_module_2.build = vt_backend_build();
}
