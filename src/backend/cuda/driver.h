/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_DRIVER_H
#define VT_BACKEND_CUDA_DRIVER_H

#include <stddef.h>

#include "base/status.h"

/*
 * NVIDIA's driver library, loaded at run time: nothing links with it, and no header of a toolkit is needed. Names,
 * arguments and numbers are those of the CUDA driver API's documentation.
 */

enum {
    VT_CUDA_SUCCESS = 0,
    VT_CUDA_OUT_OF_MEMORY = 2,
    VT_CUDA_DEVICE_UNAVAILABLE = 46,
    VT_CUDA_NO_DEVICE = 100,
};

enum vt_cuda_attribute {
    VT_CUDA_ATTRIBUTE_COMPUTE_MODE = 20,
    VT_CUDA_ATTRIBUTE_MAJOR = 75,
    VT_CUDA_ATTRIBUTE_MINOR = 76,
};

enum { VT_CUDA_COMPUTE_MODE_PROHIBITED = 2 };

/*
 * 12.0: kernels come from a toolkit of CUDA 12, whose programs run under every driver of the same major version
 * ("minor version compatibility"), and under newer ones.
 */
enum { VT_CUDA_LEAST_DRIVER = 12000 };

/* Opaque to everybody but the driver. */
struct vt_cuda_context;

/* Field, symbol of the library, arguments. All return a result, 0 for success. */
#define VT_CUDA_FUNCTIONS(X)                                                                                           \
    X(init, "cuInit", (unsigned flags))                                                                                \
    X(driver_version, "cuDriverGetVersion", (int *version))                                                            \
    X(error_string, "cuGetErrorString", (int result, const char **text))                                               \
    X(device_count, "cuDeviceGetCount", (int *count))                                                                  \
    X(device, "cuDeviceGet", (int *device, int ordinal))                                                               \
    X(device_name, "cuDeviceGetName", (char *name, int size, int device))                                              \
    X(device_attribute, "cuDeviceGetAttribute", (int *value, int attribute, int device))                               \
    X(device_memory, "cuDeviceTotalMem_v2", (size_t * bytes, int device))                                              \
    X(retain_context, "cuDevicePrimaryCtxRetain", (struct vt_cuda_context * *context, int device))                     \
    X(release_context, "cuDevicePrimaryCtxRelease_v2", (int device))                                                   \
    X(push_context, "cuCtxPushCurrent_v2", (struct vt_cuda_context * context))                                         \
    X(pop_context, "cuCtxPopCurrent_v2", (struct vt_cuda_context * *context))                                          \
    X(memory, "cuMemGetInfo_v2", (size_t * free, size_t * total))

struct vt_cuda_driver {
    int version; /* 12040 for CUDA 12.4 */
#define VT_CUDA_FIELD(field, symbol, arguments) int(*field) arguments;
    VT_CUDA_FUNCTIONS(VT_CUDA_FIELD)
#undef VT_CUDA_FIELD
};

/*
 * Loads the library, checks its version and initialises it. It stays loaded for as long as the process lives, as its
 * threads do. NOT_FOUND: there is no such library, as on machines without a GPU; UNSUPPORTED says why else CUDA cannot
 * be had, and out->version is then the driver's if it told it, else 0.
 */
enum vultus_status vt_cuda_driver_open(struct vt_cuda_driver *out, struct vultus_error *error);

/* "no CUDA-capable device is detected (100)"; never NULL, and printable. */
const char *vt_cuda_error_text(const struct vt_cuda_driver *driver, int result, char *text, size_t size);

#endif
