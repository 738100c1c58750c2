/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"
#include "export.h"

enum vultus_status vt_export_msgpack(FILE *lines, const char *out, struct vultus_error *error) {
    (void)lines;
    return vt_fail(
        error, VULTUS_ERROR_UNSUPPORTED, "%s: msgpack files were left out of this build (option msgpack)", out);
}
