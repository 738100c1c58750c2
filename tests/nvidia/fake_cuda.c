/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

/* A driver library without a GPU: VULTUS_FAKE_GPU says what it pretends. */

#define EXPORT __attribute__((visibility("default")))
#define GIB ((size_t)1 << 30)

enum { SUCCESS = 0, NOT_INITIALISED = 3, UNAVAILABLE = 46, NO_DEVICE = 100, NOT_PERMITTED = 800, UNKNOWN = 999 };
enum { COMPUTE_MODE = 20, MAJOR = 75, MINOR = 76, MODE_PROHIBITED = 2 };

EXPORT int cuInit(unsigned flags);
EXPORT int cuDriverGetVersion(int *version);
EXPORT int cuGetErrorString(int result, const char **text);
EXPORT int cuDeviceGetCount(int *count);
EXPORT int cuDeviceGet(int *device, int ordinal);
EXPORT int cuDeviceGetName(char *name, int size, int device);
EXPORT int cuDeviceGetAttribute(int *value, int attribute, int device);
EXPORT int cuDeviceTotalMem_v2(size_t *bytes, int device);
EXPORT int cuDevicePrimaryCtxRetain(void **context, int device);
EXPORT int cuDevicePrimaryCtxRelease_v2(int device);
EXPORT int cuCtxPushCurrent_v2(void *context);
EXPORT int cuCtxPopCurrent_v2(void **context);
EXPORT int cuMemGetInfo_v2(size_t *free_bytes, size_t *total);

static int initialised, contexts;

static int pretends(const char *what) {
    const char *chosen = getenv("VULTUS_FAKE_GPU");
    return strcmp(chosen ? chosen : "sm90", what) == 0;
}

int cuInit(unsigned flags) {
    if (flags != 0 || pretends("init")) return UNKNOWN;
    initialised = 1;
    return pretends("none") ? NO_DEVICE : SUCCESS;
}

int cuDriverGetVersion(int *version) {
    if (pretends("versionless")) return UNKNOWN;
    *version = pretends("old") ? 11080 : 12040;
    return SUCCESS;
}

int cuGetErrorString(int result, const char **text) {
    switch (result) {
    case UNAVAILABLE: *text = "CUDA-capable device(s) is/are busy or unavailable"; return SUCCESS;
    case UNKNOWN: *text = "unknown\nerror"; return SUCCESS;
    default: *text = NULL; return 1;
    }
}

int cuDeviceGetCount(int *count) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    if (!initialised) return NOT_INITIALISED;
    *count = pretends("none") || (visible && !*visible)                  ? 0
             : pretends("hostile")                                       ? 0x7fffffff
             : pretends("two") || pretends("pair") || pretends("unlike") ? 2
                                                                         : 1;
    return SUCCESS;
}

int cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return SUCCESS;
}

int cuDeviceGetName(char *name, int size, int device) {
    if (pretends("hostile")) {
        memset(name, 0xff, (size_t)size);
        return SUCCESS;
    }
    strncpy(
        name, pretends("sm70") || (pretends("two") && device == 0) ? "Tesla V100" : "NVIDIA H100 80GB", (size_t)size);
    return SUCCESS;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    int volta = pretends("sm70") || (pretends("two") && device == 0);
    if (pretends("mute")) return UNKNOWN;
    if (attribute == MAJOR)
        *value = pretends("hostile") ? -7 : volta ? 7 : pretends("sm80") || (pretends("unlike") && device == 1) ? 8 : 9;
    if (attribute == MINOR) *value = pretends("hostile") ? 0x7fffffff : 0;
    if (attribute == COMPUTE_MODE) *value = pretends("prohibited") ? MODE_PROHIBITED : 0;
    return SUCCESS;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    (void)device;
    *bytes = pretends("hostile") ? (size_t)-1 : 80 * GIB;
    return SUCCESS;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
    (void)device;
    if (pretends("lost")) return UNKNOWN;
    if (pretends("busy")) return UNAVAILABLE;
    *context = &contexts;
    contexts++;
    return SUCCESS;
}

int cuDevicePrimaryCtxRelease_v2(int device) {
    (void)device;
    /* One that was never made, or is let go twice, would be a crash in a driver. */
    if (contexts-- <= 0) abort();
    return SUCCESS;
}

int cuCtxPushCurrent_v2(void *context) {
    if (context != &contexts) abort();
    return SUCCESS;
}

int cuCtxPopCurrent_v2(void **context) {
    *context = &contexts;
    return SUCCESS;
}

int cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    *free_bytes = 79 * GIB;
    *total = 80 * GIB;
    return SUCCESS;
}
