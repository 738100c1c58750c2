/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_IMAGES_ROOT_H
#define VT_SERVER_IMAGES_ROOT_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* The folder whose files requests may name; nothing outside it is ever opened, by "..", by links or by being absolute.
 */
struct vt_images_root {
    int descriptor; /* -1: there is no such folder */
    char *path;
};

/* A folder that is missing is no failure: no file will be found. */
enum vultus_status vt_images_root_open(const char *path, struct vt_images_root *out, struct vultus_error *error);
void vt_images_root_close(struct vt_images_root *root);

/*
 * Reads a regular file of at most `limit` bytes. `name` (of `length` bytes, not terminated) is relative to the folder,
 * or absolute and inside it. Failures say nothing about what lies outside. On success the caller frees *bytes.
 */
enum vultus_status vt_images_root_read(const struct vt_images_root *root, const char *name, size_t length, size_t limit,
    uint8_t **bytes, size_t *size, struct vultus_error *error);

#endif
