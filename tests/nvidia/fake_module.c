/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/module.h"

/*
 * A CUDA module without kernels: the processor's back end under its name. VULTUS_FAKE_MODULE says what fails: "probe",
 * "create" (as when memory is short), or "run" after a number of runs, VULTUS_FAKE_RUNS (as when a device is lost).
 */

static bool fails(const char *what) {
    const char *chosen = getenv("VULTUS_FAKE_MODULE");
    return chosen && strcmp(chosen, what) == 0;
}

static void probe(struct vt_backend_report *report) {
    *report = (struct vt_backend_report){.usable = !fails("probe"), .libraries = "fake 1"};
    if (!report->usable) snprintf(report->reason, sizeof report->reason, "the library of convolutions is missing");
}

static enum vultus_status create(
    const struct vt_plan *plan, struct vt_pool *pool, struct vt_executable **out, struct vultus_error *error) {
    if (fails("create"))
        return vt_fail(error, VULTUS_ERROR_BACKEND, "the GPU has no 123 MiB of memory left for a plan's weights");
    return vt_backend_cpu.create(plan, pool, out, error);
}

static enum vultus_status run(struct vt_executable *executable, const void *const *inputs, void *const *outputs,
    int64_t batch, struct vt_step_profile *profile, struct vultus_error *error) {
    static atomic_int runs;
    const char *most = getenv("VULTUS_FAKE_RUNS");
    if (fails("run") && atomic_fetch_add(&runs, 1) >= atoi(most ? most : "0"))
        return vt_fail(error, VULTUS_ERROR_BACKEND, "the GPU has fallen off the bus");
    return vt_backend_cpu.run(executable, inputs, outputs, batch, profile, error);
}

static struct vt_backend backend;

extern struct vt_backend_module vultus_backend_module_1;
__attribute__((visibility("default"))) struct vt_backend_module vultus_backend_module_1 = {.backend = &backend};

__attribute__((constructor)) static void fill(void) {
    backend = vt_backend_cpu;
    backend.name = "cuda";
    backend.probe = probe;
    backend.create = create;
    backend.run = run;
    vultus_backend_module_1.build = vt_backend_build();
}
