/* SPDX-License-Identifier: Apache-2.0
 * Builds without libcurl.
 */
#include "hub/download.h"

enum vultus_status vt_download(const struct vt_download *download, struct vultus_error *error) {
    return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
        "this build has no libcurl: fetch %s by other means and import the file", download->url);
}
