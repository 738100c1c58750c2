/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_PHOTOS_H
#define VT_TOOLS_PHOTOS_H

#include "common.h"

/*
 * The photos that a command works on, one after the other: files and folders named as operands, files named in lists,
 * or members of tar archives. The order is that of the operands; of a folder, that of the paths' bytes.
 */
struct vt_photo_source;

struct vt_photo {
    char *name;     /* what records call it */
    uint8_t *bytes; /* of an archive's member; NULL: the file of that name has to be read */
    size_t size;
    struct vultus_error error; /* status < 0: this member cannot be read, and why */
};

/* On failure says why and returns NULL. */
struct vt_photo_source *vt_photo_source_open(const struct vt_options *options);
void vt_photo_source_close(struct vt_photo_source *source); /* NULL is fine */

/* 0: not known before the end. */
size_t vt_photo_source_count(const struct vt_photo_source *source);

/*
 * The next photo, released by vt_photo_release; *end is set instead where there is none. With `only_name` its bytes are
 * passed over. Not thread-safe.
 */
enum vultus_status vt_photo_source_next(
    struct vt_photo_source *source, bool only_name, struct vt_photo *photo, bool *end, struct vultus_error *error);
void vt_photo_release(struct vt_photo *photo); /* a zeroed one is fine */

#endif
