/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strbuf.h"
#include "hub/download.h"

enum vultus_status vt_check_file(const char *path, const char *what, const char *sha256, uint64_t bytes,
    char digest[VT_SHA256_HEX], struct vultus_error *error) {
    struct vt_mapped_file file;
    enum vultus_status status = vt_map_file(path, &file, error);
    if (status) return status;
    if (bytes && file.size != bytes)
        status = vt_fail(error, VULTUS_ERROR_MISMATCH, "%s has %zu bytes, and should have %llu", what, file.size,
            (unsigned long long)bytes);
    if (!status) status = vt_sha256_hex(file.data, file.size, digest, error);
    if (!status && *sha256 && strcmp(digest, sha256))
        status =
            vt_fail(error, VULTUS_ERROR_MISMATCH, "the sha256 of %s is %s, and should be %s", what, digest, sha256);
    vt_unmap_file(&file);
    return status;
}

bool vt_download_discard(const char *part) {
    struct vt_strbuf note = {0};
    vt_strbuf_printf(&note, "%s.json", part);
    if (note.text) unlink(note.text);
    vt_strbuf_fini(&note);
    return unlink(part) == 0;
}
