/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_TAR_H
#define VT_TOOLS_TAR_H

#include "photos.h"

/* A tar archive, plain or compressed, read from its beginning. Nothing of it is ever written to disk. */
struct vt_tar;

/* "-" is standard input. Builds without libarchive fail with UNSUPPORTED. */
enum vultus_status vt_tar_open(const char *path, struct vt_tar **out, struct vultus_error *error);
void vt_tar_close(struct vt_tar *tar); /* NULL is fine */

/*
 * The next member that is a file with a picture's name, or *end. Its bytes are read where they are no more than
 * `limit`, else photo->error says so; a limit of 0 passes them over.
 */
enum vultus_status vt_tar_next(
    struct vt_tar *tar, size_t limit, struct vt_photo *photo, bool *end, struct vultus_error *error);

#endif
