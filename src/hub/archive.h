/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_HUB_ARCHIVE_H
#define VT_HUB_ARCHIVE_H

#include "base/file.h"

/*
 * The ONNX files in a zip archive (minizip), one after the other. Members' folders are dropped, their names never
 * become paths. An archive with a name that would lead out of a folder, an encrypted member, more than 1000 members or
 * a member that claims to be more than a hundred times its compressed size is refused.
 */
struct vt_archive;

enum { VT_MEMBER_NAME = 128 };

struct vt_member {
    char name[VT_MEMBER_NAME]; /* without folders */
    uint64_t bytes;            /* as the archive states it; reading checks it */
};

/* UNSUPPORTED in a build without minizip. */
enum vultus_status vt_archive_open(const char *path, struct vt_archive **out, struct vultus_error *error);
void vt_archive_close(struct vt_archive *archive);

/* The next ONNX file; *found is false at the end. */
enum vultus_status vt_archive_next(
    struct vt_archive *archive, struct vt_member *member, bool *found, struct vultus_error *error);
/* Writes the member that vt_archive_next found to a file. It must have no more than `limit` bytes. */
enum vultus_status vt_archive_extract(
    struct vt_archive *archive, uint64_t limit, struct vt_atomic_file *file, struct vultus_error *error);

#endif
