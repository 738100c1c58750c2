/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/module/devices.h"

#include <pthread.h>
#include <stdio.h>

#include "backend/cuda/module/tactic.h"

struct known {
    enum vultus_status status;
    struct vultus_error error; /* when it cannot be used */
    struct vt_cuda_device_info info;
};

static int ordinals[VT_MOST_DEVICES];
static int count = 1;
static pthread_once_t asked = PTHREAD_ONCE_INIT;
static struct known devices[VT_MOST_DEVICES];

void vt_cuda_set_devices(const int *named, int n) {
    for (count = 0; count < n && count < VT_MOST_DEVICES; count++) ordinals[count] = named[count];
}

int vt_cuda_device_count(void) { return count; }
int vt_cuda_device_ordinal(int index) { return ordinals[index]; }

static void ask(void) {
    for (int i = 0; i < count; i++)
        devices[i].status = vt_cuda_device_info(ordinals[i], &devices[i].info, &devices[i].error);
}

enum vultus_status vt_cuda_device_facts(int index, const struct vt_cuda_device_info **out, struct vultus_error *error) {
    if (index < 0 || index >= count)
        return vt_fail(
            error, VULTUS_ERROR_BACKEND, "device %d of the GPUs in use was asked for, there are %d", index, count);
    pthread_once(&asked, ask);
    *out = &devices[index].info;
    return devices[index].status ? vt_fail(error, devices[index].status, "%s", devices[index].error.text) : VULTUS_OK;
}

void vt_cuda_probe(struct vt_backend_report *r) {
    const struct vt_cuda_device_info *info;
    struct vultus_error error = {VULTUS_OK, ""};
    *r = (struct vt_backend_report){.usable = false};
    if (vt_cuda_device_facts(0, &info, &error)) {
        snprintf(r->reason, sizeof r->reason, "%.*s", (int)sizeof r->reason - 1, error.text);
        return;
    }
    r->usable = true;
    snprintf(r->arch, sizeof r->arch, "sm%d%d", info->major, info->minor);
    snprintf(r->device, sizeof r->device, "%.*s", (int)sizeof r->device - 1, info->name);
    snprintf(r->libraries, sizeof r->libraries, "cuda %d.%d", info->runtime / 1000, info->runtime % 1000 / 10);
    snprintf(r->reason, sizeof r->reason, "compute capability %d.%d, %zu MiB, driver for CUDA %d.%d", info->major,
        info->minor, info->memory >> 20, info->driver / 1000, info->driver % 1000 / 10);
}

uint32_t vt_cuda_features(void) {
    const struct vt_cuda_device_info *info;
    if (vt_cuda_device_facts(0, &info, NULL) || info->major < 8) return 0;
    return info->major == 9 ? VT_CUDA_SM80 | VT_CUDA_SM90A : VT_CUDA_SM80; /* newer ones lack what 9.0a has */
}
