/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "api/api_internal.h"
#include "config.h"
#if VT_HAVE_CUDA
#include "backend/cuda/cuda.h"
#include "backend/cuda/nvml.h"
#include "backend/cuda/survey.h"

/* ---------------------------------------------------------------- what the driver shows */

static json_t *bytes_or_null(uint64_t bytes, bool known) {
    return known ? json_integer((json_int_t)bytes) : json_null();
}

static json_t *device_json(const struct vt_cuda_survey *survey, int at) {
    const struct vt_cuda_device *device = &survey->devices[at];
    bool used = false;
    char capability[24] = "";
    if (device->major) snprintf(capability, sizeof capability, "%d.%d", device->major, device->minor);
    for (int i = 0; i < survey->n_used; i++) used = used || survey->used[i] == at;
    return json_pack("{s:i, s:s, s:s, s:s, s:o, s:o, s:b, s:s}", "index", device->ordinal, "name", device->name,
        "compute_capability", capability, "arch", device->arch, "memory",
        bytes_or_null(device->memory, device->memory > 0), "memory_free",
        bytes_or_null(device->memory_free, device->memory_free_known), "used", (int)used, "reason", device->reason);
}

static json_t *survey_json(void) {
    const struct vt_cuda_survey *survey = vt_cuda_survey();
    char version[24] = "";
    json_t *devices = json_array();
    for (int i = 0; i < survey->count; i++) json_array_append_new(devices, device_json(survey, i));
    if (survey->driver_version)
        snprintf(version, sizeof version, "%d.%d", survey->driver_version / 1000, survey->driver_version % 1000 / 10);
    return json_pack("{s:s, s:s, s:o}", "cuda_version", version, "reason", survey->reason, "devices", devices);
}

/* ---------------------------------------------------------------- what NVML reads */

static json_t *reading(double value) { return value < 0 ? json_null() : json_real(value); }

static json_t *gpu_json(const struct vt_nvml_gpu *gpu) {
    return json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "index", (int)gpu->index, "name", gpu->name, "memory",
        bytes_or_null((uint64_t)gpu->memory_total, gpu->memory_total >= 0), "memory_used",
        bytes_or_null((uint64_t)gpu->memory_used, gpu->memory_used >= 0), "celsius", reading(gpu->temperature), "watts",
        reading(gpu->power), "graphics_mhz", reading(gpu->clock_graphics), "memory_mhz", reading(gpu->clock_memory));
}

static json_t *readings_json(void) {
    struct vt_nvml_state state;
    vt_nvml_read(&state);
    json_t *list = json_array();
    for (size_t i = 0; i < state.count; i++) json_array_append_new(list, gpu_json(&state.gpus[i]));
    return json_pack("{s:s, s:s, s:o}", "driver", state.driver, "reason", state.reason, "gpus", list);
}

/* ---------------------------------------------------------------- both */

json_t *vt_api_nvidia_json(const struct vultus_runtime *runtime) {
    if (!vt_backend_order_has(&runtime->order, "cuda")) return json_null();
    const char *module = vt_cuda_module_path();
    return json_pack("{s:o, s:o, s:o}", "module", vt_json_text(module ? module : ""), "cuda", survey_json(), "nvml",
        readings_json());
}

size_t vultus_gpus(const struct vultus_runtime *runtime, struct vultus_gpu *out, size_t most) {
    if (!runtime || !vt_backend_order_has(&runtime->order, "cuda") || !vt_cuda_module_path()) return 0;
    struct vt_nvml_state state;
    vt_nvml_read(&state);
    for (size_t i = 0; i < state.count && i < most; i++) {
        const struct vt_nvml_gpu *gpu = &state.gpus[i];
        out[i] = (struct vultus_gpu){.index = (int)gpu->index,
            .memory_used = gpu->memory_used,
            .memory_total = gpu->memory_total,
            .celsius = gpu->temperature,
            .watts = gpu->power,
            .graphics_mhz = gpu->clock_graphics,
            .memory_mhz = gpu->clock_memory};
        snprintf(out[i].name, sizeof out[i].name, "%s", gpu->name);
    }
    return state.count < most ? state.count : most;
}
#else
json_t *vt_api_nvidia_json(const struct vultus_runtime *runtime) {
    (void)runtime;
    return json_null();
}

size_t vultus_gpus(const struct vultus_runtime *runtime, struct vultus_gpu *out, size_t most) {
    (void)runtime, (void)out, (void)most;
    return 0;
}
#endif
