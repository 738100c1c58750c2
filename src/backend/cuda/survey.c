/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/survey.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/driver.h"
#include "backend/text.h"

/* 7.5, Turing: the oldest architecture whose tensor cores the kernels are written for. */
enum { LEAST_MAJOR = 7, LEAST_MINOR = 5 };

/* A device that tells of more is not telling the truth. */
static const uint64_t most_memory = (uint64_t)1 << 50;

static int attribute(const struct vt_cuda_driver *driver, int which, int device) {
    int value = 0;
    return driver->device_attribute(&value, which, device) == VT_CUDA_SUCCESS ? value : 0;
}

static void describe(const struct vt_cuda_driver *driver, int handle, struct vt_cuda_device *device) {
    char name[sizeof device->name] = "";
    size_t memory = 0;
    if (driver->device_name(name, sizeof name - 1, handle) != VT_CUDA_SUCCESS) name[0] = '\0';
    name[sizeof name - 1] = '\0';
    vt_copy_printable(device->name, sizeof device->name, *name ? name : "GPU without a name");
    int major = attribute(driver, VT_CUDA_ATTRIBUTE_MAJOR, handle);
    int minor = attribute(driver, VT_CUDA_ATTRIBUTE_MINOR, handle);
    if (major > 0 && major < 1000 && minor >= 0 && minor < 10) {
        device->major = major;
        device->minor = minor;
        snprintf(device->arch, sizeof device->arch, "sm%d%d", major, minor);
    }
    bool told = driver->device_memory(&memory, handle) == VT_CUDA_SUCCESS;
    device->memory = told && memory <= most_memory ? memory : 0;
}

/* A context says more than all questions: a device may be lost, or another process's alone. */
static int try_context(const struct vt_cuda_driver *driver, int handle, struct vt_cuda_device *device) {
    struct vt_cuda_context *context = NULL, *popped;
    size_t free_bytes = 0, total = 0;
    int result = driver->retain_context(&context, handle);
    if (result != VT_CUDA_SUCCESS) return result;
    result = driver->push_context(context);
    if (result == VT_CUDA_SUCCESS) {
        result = driver->memory(&free_bytes, &total);
        driver->pop_context(&popped);
    }
    driver->release_context(handle);
    device->memory_free_known = result == VT_CUDA_SUCCESS && free_bytes <= total;
    device->memory_free = device->memory_free_known ? free_bytes : 0;
    return result;
}

/* UNSUPPORTED says why no kernel can run there. */
static enum vultus_status judge(const struct vt_cuda_driver *driver, int handle, bool with_context,
    struct vt_cuda_device *device, struct vultus_error *error) {
    const enum vultus_status no = VULTUS_ERROR_UNSUPPORTED;
    const char *name = device->name;
    int ordinal = device->ordinal;
    char text[160];
    if (device->major == 0)
        return vt_fail(error, no, "device %d, %s, does not tell its compute capability", ordinal, name);
    if (device->major * 10 + device->minor < LEAST_MAJOR * 10 + LEAST_MINOR)
        return vt_fail(error, no, "device %d, %s, has compute capability %d.%d, and at least %d.%d is needed", ordinal,
            name, device->major, device->minor, LEAST_MAJOR, LEAST_MINOR);
    if (attribute(driver, VT_CUDA_ATTRIBUTE_COMPUTE_MODE, handle) == VT_CUDA_COMPUTE_MODE_PROHIBITED)
        return vt_fail(error, no, "device %d, %s, is in the compute mode that lets no program use it", ordinal, name);
    int failure = with_context ? try_context(driver, handle, device) : VT_CUDA_SUCCESS;
    if (failure == VT_CUDA_SUCCESS) return VULTUS_OK;
    vt_cuda_error_text(driver, failure, text, sizeof text);
    return failure == VT_CUDA_DEVICE_UNAVAILABLE
               ? vt_fail(error, no, "device %d, %s, is held by another process alone: %s", ordinal, name, text)
               : vt_fail(error, no, "device %d, %s, takes no work: %s", ordinal, name, text);
}

static void take_reason(char reason[VT_BACKEND_REASON], const struct vultus_error *error) {
    snprintf(reason, VT_BACKEND_REASON, "%.*s", VT_BACKEND_REASON - 1, error->text);
}

static void say_none(struct vt_cuda_survey *survey) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    char shown[64] = "";
    if (visible) vt_copy_printable(shown, sizeof shown, visible);
    if (visible)
        snprintf(survey->reason, sizeof survey->reason,
            "the NVIDIA driver shows no device to programs with CUDA_VISIBLE_DEVICES=\"%s\"", shown);
    else
        snprintf(survey->reason, sizeof survey->reason, "the NVIDIA driver finds no device on this machine");
}

static bool is_named(const struct vt_device_list *named, int ordinal) {
    for (int i = 0; i < named->count; i++)
        if (named->ordinals[i] == ordinal) return true;
    return false;
}

/* All of them, in their order, or none. */
static enum vultus_status use_named(
    struct vt_cuda_survey *survey, const struct vt_device_list *named, struct vultus_error *error) {
    const enum vultus_status no = VULTUS_ERROR_UNSUPPORTED;
    for (int i = 0; i < named->count; i++) {
        int at = 0;
        while (at < survey->count && survey->devices[at].ordinal != named->ordinals[i]) at++;
        survey->n_used = 0; /* until all of them are known to fit */
        if (at == survey->count)
            return vt_fail(error, no, "device %d was asked for, and the NVIDIA driver shows %d, from 0 on",
                named->ordinals[i], survey->count);
        const struct vt_cuda_device *device = &survey->devices[at], *first = &survey->devices[i ? survey->used[0] : at];
        if (*device->reason) return vt_fail(error, no, "%s", device->reason);
        if (strcmp(device->arch, first->arch) != 0)
            return vt_fail(error, no,
                "device %d, %s, is %s, and device %d, %s, is %s: a plan runs on one architecture, so devices that are "
                "used together need the same",
                device->ordinal, device->name, device->arch, first->ordinal, first->name, first->arch);
        survey->used[i] = at;
    }
    survey->n_used = named->count;
    return VULTUS_OK;
}

static void look_at_devices(const struct vt_cuda_driver *driver, struct vt_cuda_survey *survey) {
    int count = 0, result = driver->device_count(&count);
    char text[160];
    struct vultus_error error;
    if (result != VT_CUDA_SUCCESS && result != VT_CUDA_NO_DEVICE) {
        snprintf(survey->reason, sizeof survey->reason, "the NVIDIA driver cannot count its devices: %s",
            vt_cuda_error_text(driver, result, text, sizeof text));
        return;
    }
    const struct vt_device_list *named = vt_devices_in_use();
    for (int i = 0; result == VT_CUDA_SUCCESS && i < count && i < VT_MOST_DEVICES; i++) {
        struct vt_cuda_device *device = &survey->devices[survey->count];
        int handle = 0;
        *device = (struct vt_cuda_device){.ordinal = i};
        if (driver->device(&handle, i) != VT_CUDA_SUCCESS) continue;
        describe(driver, handle, device);
        bool wanted = named->count ? is_named(named, i) : survey->n_used == 0;
        if (judge(driver, handle, wanted, device, &error))
            take_reason(device->reason, &error);
        else if (wanted && named->count == 0)
            survey->used[survey->n_used++] = survey->count;
        survey->count++;
    }
    if (survey->count == 0)
        say_none(survey);
    else if (named->count && use_named(survey, named, &error))
        take_reason(survey->reason, &error);
    else if (survey->n_used == 0)
        memcpy(survey->reason, survey->devices[0].reason, sizeof survey->reason);
}

static struct vt_cuda_survey result;

static void make(void) {
    struct vt_cuda_driver driver;
    struct vultus_error error;
    enum vultus_status status = vt_cuda_driver_open(&driver, &error);
    result.driver_absent = status == VULTUS_ERROR_NOT_FOUND;
    if (status)
        take_reason(result.reason, &error);
    else
        look_at_devices(&driver, &result);
    result.driver_version = driver.version > 0 ? driver.version : 0;
}

const struct vt_cuda_survey *vt_cuda_survey(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make);
    return &result;
}
