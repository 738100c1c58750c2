/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/nvml.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#include "backend/text.h"

/* Names, arguments and numbers are those of NVML's documentation; results are 0 for success. */
struct device;
struct memory {
    unsigned long long total, free, used;
};
enum { TEMPERATURE_OF_GPU = 0, CLOCK_GRAPHICS = 0, CLOCK_MEMORY = 2 };

/* Beyond these a reading is a fault of the driver: degrees, milliwatts, MHz. */
enum { MOST_DEGREES = 200, MOST_MILLIWATTS = 10000000, MOST_MEGAHERTZ = 100000 };

#define FUNCTIONS(X)                                                                                                   \
    X(init, "nvmlInit_v2", (void))                                                                                     \
    X(count, "nvmlDeviceGetCount_v2", (unsigned *count))                                                               \
    X(handle, "nvmlDeviceGetHandleByIndex_v2", (unsigned index, struct device **device))                               \
    X(name, "nvmlDeviceGetName", (struct device * device, char *name, unsigned size))                                  \
    X(memory, "nvmlDeviceGetMemoryInfo", (struct device * device, struct memory * memory))                             \
    X(temperature, "nvmlDeviceGetTemperature", (struct device * device, int sensor, unsigned *degrees))                \
    X(power, "nvmlDeviceGetPowerUsage", (struct device * device, unsigned *milliwatts))                                \
    X(clock, "nvmlDeviceGetClockInfo", (struct device * device, int which, unsigned *megahertz))                       \
    X(driver, "nvmlSystemGetDriverVersion", (char *version, unsigned size))

static struct {
    pthread_once_t once;
    char reason[VT_BACKEND_REASON];
#define FIELD(field, symbol, arguments) int(*field) arguments;
    FUNCTIONS(FIELD)
#undef FIELD
} nvml = {.once = PTHREAD_ONCE_INIT};

static const char *resolve(void *library) {
    /* POSIX lets pointers to functions come out of dlsym; ISO C has no cast for it. */
#define RESOLVE(field, symbol, arguments)                                                                              \
    *(void **)&nvml.field = dlsym(library, symbol);                                                                    \
    if (!nvml.field) return symbol;
    FUNCTIONS(RESOLVE)
#undef RESOLVE
    return NULL;
}

static void load(void) {
    static const char file[] = "libnvidia-ml.so.1";
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    char why[160];
    if (!library) {
        snprintf(nvml.reason, sizeof nvml.reason, "NVIDIA's management library cannot be loaded: %s",
            vt_dlopen_failure(why, sizeof why));
        return;
    }
    const char *missing = resolve(library);
    int result = missing ? 0 : nvml.init();
    if (missing)
        snprintf(nvml.reason, sizeof nvml.reason, "NVIDIA's management library %s has no function %s", file, missing);
    else if (result)
        snprintf(
            nvml.reason, sizeof nvml.reason, "NVIDIA's management library cannot be initialised: error %d", result);
}

static void read_memory(struct device *device, struct vt_nvml_gpu *gpu) {
    struct memory memory = {0, 0, 0};
    if (nvml.memory(device, &memory) || memory.used > memory.total || memory.total > INT64_MAX) return;
    gpu->memory_used = (int64_t)memory.used;
    gpu->memory_total = (int64_t)memory.total;
}

static double reading(int result, unsigned value, unsigned most) {
    return result || value > most ? -1.0 : (double)value;
}

static void read_gpu(struct device *device, struct vt_nvml_gpu *gpu) {
    char name[sizeof gpu->name] = "";
    unsigned value = 0;
    if (nvml.name(device, name, sizeof name - 1)) name[0] = '\0';
    name[sizeof name - 1] = '\0';
    vt_copy_printable(gpu->name, sizeof gpu->name, name);
    gpu->memory_used = gpu->memory_total = -1;
    read_memory(device, gpu);
    int result = nvml.temperature(device, TEMPERATURE_OF_GPU, &value);
    gpu->temperature = reading(result, value, MOST_DEGREES);
    result = nvml.power(device, &value);
    gpu->power = reading(result, value, MOST_MILLIWATTS);
    if (gpu->power > 0) gpu->power *= 1e-3;
    result = nvml.clock(device, CLOCK_GRAPHICS, &value);
    gpu->clock_graphics = reading(result, value, MOST_MEGAHERTZ);
    result = nvml.clock(device, CLOCK_MEMORY, &value);
    gpu->clock_memory = reading(result, value, MOST_MEGAHERTZ);
}

void vt_nvml_read(struct vt_nvml_state *out) {
    pthread_once(&nvml.once, load);
    *out = (struct vt_nvml_state){.count = 0};
    snprintf(out->reason, sizeof out->reason, "%s", nvml.reason);
    if (*nvml.reason) return;
    char driver[sizeof out->driver] = "";
    unsigned count = 0;
    if (nvml.driver(driver, sizeof driver - 1)) driver[0] = '\0';
    driver[sizeof driver - 1] = '\0';
    vt_copy_printable(out->driver, sizeof out->driver, driver);
    int result = nvml.count(&count);
    if (result) {
        snprintf(out->reason, sizeof out->reason, "NVIDIA's management library cannot count GPUs: error %d", result);
        return;
    }
    for (unsigned i = 0; i < count && i < VT_NVML_MOST_GPUS; i++) {
        struct device *device = NULL;
        if (nvml.handle(i, &device) || !device) continue;
        out->gpus[out->count].index = i;
        read_gpu(device, &out->gpus[out->count++]);
    }
}
