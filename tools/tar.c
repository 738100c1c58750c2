/* SPDX-License-Identifier: Apache-2.0 */
#include "tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"

#define BLOCK ((size_t)64 << 10)

struct vt_tar {
    struct archive *archive;
    char *path;
};

static enum vultus_status fail_tar(const struct vt_tar *tar, struct vultus_error *error) {
    const char *why = archive_error_string(tar->archive);
    return vt_fail(
        error, VULTUS_ERROR_FORMAT, "%s: cannot read the archive: %s", tar->path, why ? why : "it is damaged");
}

enum vultus_status vt_tar_open(const char *path, struct vt_tar **out, struct vultus_error *error) {
    struct vt_tar *tar = calloc(1, sizeof *tar);
    if (tar) tar->path = strdup(path);
    if (tar) tar->archive = archive_read_new();
    if (!tar || !tar->path || !tar->archive) {
        vt_tar_close(tar);
        return vt_fail_memory(error, "an archive", sizeof *tar);
    }
    archive_read_support_format_tar(tar->archive);
    archive_read_support_filter_gzip(tar->archive);
    archive_read_support_filter_bzip2(tar->archive);
    archive_read_support_filter_xz(tar->archive);
    archive_read_support_filter_zstd(tar->archive);
    int code = strcmp(path, "-") == 0 ? archive_read_open_fd(tar->archive, STDIN_FILENO, BLOCK)
                                      : archive_read_open_filename(tar->archive, path, BLOCK);
    if (code != ARCHIVE_OK) {
        enum vultus_status status = fail_tar(tar, error);
        vt_tar_close(tar);
        return status;
    }
    *out = tar;
    return VULTUS_OK;
}

void vt_tar_close(struct vt_tar *tar) {
    if (!tar) return;
    archive_read_free(tar->archive);
    free(tar->path);
    free(tar);
}

/* The size that the header states is the size of the allocation, so it is held against the limit first. */
static enum vultus_status read_member(
    struct vt_tar *tar, int64_t size, size_t limit, struct vt_photo *photo, struct vultus_error *error) {
    if (size < 0 || (uint64_t)size > limit) {
        vt_fail(&photo->error, VULTUS_ERROR_LIMIT, "%s has %lld bytes, over the limit of %zu", photo->name,
            (long long)size, limit);
        return VULTUS_OK;
    }
    photo->bytes = malloc((size_t)size + 1);
    if (!photo->bytes) return vt_fail_memory(error, "a photo", (unsigned long long)size);
    for (;;) {
        la_ssize_t got = archive_read_data(tar->archive, photo->bytes + photo->size, (size_t)size - photo->size);
        if (got < 0) return fail_tar(tar, error);
        if (got == 0) return VULTUS_OK;
        photo->size += (size_t)got;
    }
}

enum vultus_status vt_tar_next(
    struct vt_tar *tar, size_t limit, struct vt_photo *photo, bool *end, struct vultus_error *error) {
    struct archive_entry *entry;
    const char *name;
    do {
        int code = archive_read_next_header(tar->archive, &entry);
        *end = code == ARCHIVE_EOF;
        if (*end) return VULTUS_OK;
        if (code < ARCHIVE_WARN) return fail_tar(tar, error);
        name = archive_entry_pathname(entry);
    } while (!name || archive_entry_filetype(entry) != AE_IFREG || !vt_has_picture_suffix(name));
    photo->name = strdup(name);
    enum vultus_status status = photo->name ? VULTUS_OK : vt_fail_memory(error, "a photo's name", 0);
    if (status == VULTUS_OK && limit) status = read_member(tar, archive_entry_size(entry), limit, photo, error);
    if (status < 0) vt_photo_release(photo);
    return status;
}
