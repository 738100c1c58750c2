/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/npz.h"

enum vultus_status vt_npz_read(const char *path, const char *name, struct vt_arena *arena, struct vt_tensor *out,
    bool *found, struct vultus_error *error) {
    (void)name, (void)arena, (void)out, (void)found;
    return vt_fail(
        error, VULTUS_ERROR_UNSUPPORTED, "%s: this build cannot read .npz archives (it has no minizip)", path);
}
