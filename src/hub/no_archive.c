/* SPDX-License-Identifier: Apache-2.0
 * Builds without minizip.
 */
#include "hub/archive.h"

enum vultus_status vt_archive_open(const char *path, struct vt_archive **out, struct vultus_error *error) {
    *out = NULL;
    return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
        "%s is a zip archive, and this build has no minizip: unpack it and import the ONNX files", path);
}

void vt_archive_close(struct vt_archive *archive) { (void)archive; }

enum vultus_status vt_archive_next(
    struct vt_archive *archive, struct vt_member *member, bool *found, struct vultus_error *error) {
    (void)archive, (void)member;
    *found = false;
    return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "this build has no minizip");
}

enum vultus_status vt_archive_extract(
    struct vt_archive *archive, uint64_t limit, struct vt_atomic_file *file, struct vultus_error *error) {
    (void)archive, (void)limit, (void)file;
    return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "this build has no minizip");
}
