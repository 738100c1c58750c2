/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/driver.h"

#include <dlfcn.h>
#include <stdio.h>

#include "backend/text.h"

static const char library_name[] = "libcuda.so.1";

/* The first symbol that is not there, or NULL. */
static const char *resolve(void *library, struct vt_cuda_driver *driver) {
    /* POSIX lets pointers to functions come out of dlsym; ISO C has no cast for it. */
#define RESOLVE(field, symbol, arguments)                                                                              \
    *(void **)&driver->field = dlsym(library, symbol);                                                                 \
    if (!driver->field) return symbol;
    VT_CUDA_FUNCTIONS(RESOLVE)
#undef RESOLVE
    return NULL;
}

const char *vt_cuda_error_text(const struct vt_cuda_driver *driver, int result, char *text, size_t size) {
    const char *known = NULL;
    char clean[128] = "error";
    if (driver->error_string(result, &known) == VT_CUDA_SUCCESS && known) vt_copy_printable(clean, sizeof clean, known);
    snprintf(text, size, "%s (%d)", clean, result);
    return text;
}

static enum vultus_status check_version(struct vt_cuda_driver *driver, struct vultus_error *error) {
    int version = 0, result = driver->driver_version(&version);
    char text[160];
    if (result != VT_CUDA_SUCCESS)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "the NVIDIA driver does not tell its version: %s",
            vt_cuda_error_text(driver, result, text, sizeof text));
    driver->version = version;
    if (version >= VT_CUDA_LEAST_DRIVER) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
        "the NVIDIA driver is for CUDA %d.%d, and at least %d.%d is needed: install a newer driver", version / 1000,
        version % 1000 / 10, VT_CUDA_LEAST_DRIVER / 1000, VT_CUDA_LEAST_DRIVER % 1000 / 10);
}

static enum vultus_status initialise(const struct vt_cuda_driver *driver, struct vultus_error *error) {
    char text[160];
    int result = driver->init(0);
    /* That there is no device is said by whoever counts them. */
    if (result == VT_CUDA_SUCCESS || result == VT_CUDA_NO_DEVICE) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "the NVIDIA driver cannot be initialised: %s",
        vt_cuda_error_text(driver, result, text, sizeof text));
}

enum vultus_status vt_cuda_driver_open(struct vt_cuda_driver *out, struct vultus_error *error) {
    *out = (struct vt_cuda_driver){.version = 0};
    void *library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
    char why[160];
    if (!library)
        return vt_fail(error, VULTUS_ERROR_NOT_FOUND, "the NVIDIA driver's library cannot be loaded: %s",
            vt_dlopen_failure(why, sizeof why));
    const char *missing = resolve(library, out);
    if (missing)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "the NVIDIA driver's library %s has no function %s",
            library_name, missing);
    enum vultus_status status = check_version(out, error);
    return status ? status : initialise(out, error);
}
