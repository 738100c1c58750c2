/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_MODULE_DEVICES_H
#define VT_BACKEND_CUDA_MODULE_DEVICES_H

#include "backend/backend.h"
#include "backend/cuda/module/device.h"
#include "backend/devices.h"

/*
 * The devices in use, which the program named before anything else is called; device 0 when it did not. All are of the
 * first one's architecture: plans are built for that.
 */
void vt_cuda_set_devices(const int *ordinals, int count);
int vt_cuda_device_count(void);
/* Of device `index` of those in use, whose ordinal must be there; what the runtime tells of it is asked for once.
 * BACKEND where it cannot be used. */
int vt_cuda_device_ordinal(int index);
enum vultus_status vt_cuda_device_facts(int index, const struct vt_cuda_device_info **out, struct vultus_error *error);

/* vt_backend.probe: of the first. */
void vt_cuda_probe(struct vt_backend_report *report);

/* vt_backend.peak_flops: of the first; and of a device with these facts. */
double vt_cuda_peak_flops(struct vt_pool *pool, const char *precision);
double vt_cuda_peak_of(const struct vt_cuda_device_info *info, const char *precision);

#endif
