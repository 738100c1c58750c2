/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"
#include "tar.h"

enum vultus_status vt_tar_open(const char *path, struct vt_tar **out, struct vultus_error *error) {
    (void)out;
    return vt_fail(
        error, VULTUS_ERROR_UNSUPPORTED, "%s: reading tar archives was left out of this build (option tar)", path);
}

void vt_tar_close(struct vt_tar *tar) { (void)tar; }

enum vultus_status vt_tar_next(
    struct vt_tar *tar, size_t limit, struct vt_photo *photo, bool *end, struct vultus_error *error) {
    (void)tar, (void)limit, (void)photo, (void)end;
    return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "reading tar archives was left out of this build (option tar)");
}
