/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/devices.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool has(const struct vt_device_list *list, int ordinal) {
    for (int i = 0; i < list->count; i++)
        if (list->ordinals[i] == ordinal) return true;
    return false;
}

enum vultus_status vt_device_list_read(const char *text, struct vt_device_list *out, struct vultus_error *error) {
    struct vt_device_list list = {.count = 0};
    bool fine = true;
    if (strcmp(text, "auto") != 0) {
        for (const char *at = text; fine;) {
            char *end;
            at += strspn(at, " ");
            long ordinal = *at >= '0' && *at <= '9' ? strtol(at, &end, 10) : -1;
            fine = ordinal >= 0 && ordinal < VT_MOST_DEVICES && !has(&list, (int)ordinal);
            if (!fine) break;
            list.ordinals[list.count++] = (int)ordinal;
            end += strspn(end, " ");
            if (*end == '\0') break;
            fine = *end == ',';
            at = end + 1;
        }
    }
    if (!fine)
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "the devices are \"%.64s\"; it takes auto, or different numbers from 0 to %d, separated by commas", text,
            VT_MOST_DEVICES - 1);
    *out = list;
    return VULTUS_OK;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct vt_device_list in_use; /* under lock until it is settled */
static bool settled;

static bool same(const struct vt_device_list *a, const struct vt_device_list *b) {
    return a->count == b->count && memcmp(a->ordinals, b->ordinals, (size_t)a->count * sizeof *a->ordinals) == 0;
}

enum vultus_status vt_use_devices(const struct vt_device_list *list, struct vultus_error *error) {
    pthread_mutex_lock(&lock);
    bool fine = !settled || same(list, &in_use);
    if (!settled) in_use = *list;
    pthread_mutex_unlock(&lock);
    return fine ? VULTUS_OK
                : vt_fail(error, VULTUS_ERROR_INVALID,
                      "other devices were asked for than this process uses since it looked for back ends");
}

const struct vt_device_list *vt_devices_in_use(void) {
    pthread_mutex_lock(&lock);
    settled = true;
    pthread_mutex_unlock(&lock);
    return &in_use;
}
