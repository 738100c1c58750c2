/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

/* A management library without a GPU: VULTUS_FAKE_NVML says how it behaves. */

#define EXPORT __attribute__((visibility("default")))

enum { SUCCESS = 0, GPU_IS_LOST = 15, UNKNOWN = 999, CLOCK_MEMORY = 2 };

struct memory {
    unsigned long long total, free, used;
};

EXPORT int nvmlInit_v2(void);
EXPORT int nvmlDeviceGetCount_v2(unsigned *count);
EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device);
EXPORT int nvmlDeviceGetName(void *device, char *name, unsigned size);
EXPORT int nvmlDeviceGetMemoryInfo(void *device, struct memory *memory);
EXPORT int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *degrees);
EXPORT int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts);
EXPORT int nvmlDeviceGetClockInfo(void *device, int which, unsigned *megahertz);
EXPORT int nvmlSystemGetDriverVersion(char *version, unsigned size);

static int behaves(const char *how) {
    const char *chosen = getenv("VULTUS_FAKE_NVML");
    return chosen && strcmp(chosen, how) == 0;
}

/* Every reading: of a lost GPU there is none, of an absurd one the largest number. */
static int tell(unsigned usual, unsigned *value) {
    *value = behaves("absurd") ? 0xffffffffu : usual;
    return behaves("lost") ? GPU_IS_LOST : SUCCESS;
}

int nvmlInit_v2(void) { return behaves("init") ? UNKNOWN : SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = behaves("absurd") ? 0xffffffffu : 1;
    return behaves("countless") ? UNKNOWN : SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    static char handles[1];
    *device = index % 2 ? NULL : handles; /* every other is not there */
    return SUCCESS;
}

int nvmlDeviceGetName(void *device, char *name, unsigned size) {
    (void)device;
    if (behaves("absurd"))
        memset(name, '"', size);
    else
        strncpy(name, "NVIDIA \"H100\"\n80GB", size);
    return behaves("lost") ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *memory) {
    (void)device;
    *memory = (struct memory){80ull << 30, 79ull << 30, 1ull << 30};
    if (behaves("absurd")) *memory = (struct memory){1, 2, ~0ull};
    return behaves("lost") ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *degrees) {
    (void)device;
    return sensor == 0 ? tell(41, degrees) : UNKNOWN;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
    (void)device;
    return tell(71500, milliwatts);
}

int nvmlDeviceGetClockInfo(void *device, int which, unsigned *megahertz) {
    (void)device;
    return tell(which == CLOCK_MEMORY ? 2619 : 1980, megahertz);
}

int nvmlSystemGetDriverVersion(char *version, unsigned size) {
    if (behaves("absurd"))
        memset(version, 1, size);
    else
        strncpy(version, "550.54.15", size);
    return SUCCESS;
}
