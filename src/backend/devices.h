/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_DEVICES_H
#define VT_BACKEND_DEVICES_H

#include "base/status.h"

/*
 * Which GPUs this process uses. There is one such list, as there is one driver: plans are built for the architecture of
 * its first device, and run on all of them.
 */

enum { VT_MOST_DEVICES = 64 };

struct vt_device_list {
    int ordinals[VT_MOST_DEVICES]; /* as the driver counts, each once */
    int count;                     /* 0: the first device that can be used */
};

/* Reads numbers separated by commas, blanks beside them are fine, or "auto" for an empty list. INVALID for anything
 * else. */
enum vultus_status vt_device_list_read(const char *text, struct vt_device_list *out, struct vultus_error *error);

/* To be called before back ends are looked for; INVALID once they were with another list. Thread-safe. */
enum vultus_status vt_use_devices(const struct vt_device_list *list, struct vultus_error *error);
/* From then on it stays. Thread-safe. */
const struct vt_device_list *vt_devices_in_use(void);

#endif
