/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/archive.h"

#include <stdlib.h>
#include <string.h>
#include <unzip.h>

enum { MOST_MEMBERS = 1000, LONGEST_PATH = 1024, CHUNK = 1 << 18, MOST_RATIO = 100, ENCRYPTED = 1 };
#define SMALL_ENOUGH ((uint64_t)1 << 20) /* whatever its ratio */

struct vt_archive {
    unzFile zip;
    char *path;
    uint64_t members;        /* seen so far */
    struct vt_member member; /* where the archive stands */
    unsigned char chunk[CHUNK];
};

enum vultus_status vt_archive_open(const char *path, struct vt_archive **out, struct vultus_error *error) {
    struct vt_archive *archive = calloc(1, sizeof *archive);
    if (!archive || !(archive->path = strdup(path))) {
        free(archive);
        return vt_fail_memory(error, path, sizeof *archive);
    }
    archive->zip = unzOpen64(path);
    if (!archive->zip) {
        vt_archive_close(archive);
        return vt_fail(error, VULTUS_ERROR_FORMAT, "%s is no zip archive, or a damaged one", path);
    }
    *out = archive;
    return VULTUS_OK;
}

void vt_archive_close(struct vt_archive *archive) {
    if (!archive) return;
    if (archive->zip) unzClose(archive->zip);
    free(archive->path);
    free(archive);
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), ending = strlen(end);
    return length >= ending && strcmp(text + length - ending, end) == 0;
}

/* Relative, without "..", backslashes, drive letters and control characters. */
static bool is_harmless(const char *path) {
    if (!*path || *path == '/' || strpbrk(path, "\\:")) return false;
    for (const char *c = path; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F) return false;
    for (const char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        if (strcmp(part, "..") == 0 || strncmp(part, "../", 3) == 0) return false;
    return true;
}

/* What the archive says of the member it stands at; name "" for what is not taken. */
static enum vultus_status describe(struct vt_archive *archive, struct vultus_error *error) {
    char path[LONGEST_PATH];
    unz_file_info64 info;
    struct vt_member *m = &archive->member;
    *m = (struct vt_member){0};
    if (unzGetCurrentFileInfo64(archive->zip, &info, path, sizeof path - 1, NULL, 0, NULL, 0) != UNZ_OK)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "%s: the entry of member %llu is damaged", archive->path,
            (unsigned long long)archive->members);
    path[sizeof path - 1] = '\0';
    if (info.size_filename >= sizeof path || strlen(path) != info.size_filename || !is_harmless(path))
        return vt_fail(error, VULTUS_ERROR_FORMAT,
            "%s: member %llu has a name that is no plain relative path, so nothing of it is taken", archive->path,
            (unsigned long long)archive->members);
    const char *name = vt_path_basename(path);
    if (!ends_with(name, ".onnx") || strlen(name) >= sizeof m->name) return VULTUS_OK;
    if (info.flag & ENCRYPTED)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "%s: %s is encrypted", archive->path, name);
    if (info.uncompressed_size > SMALL_ENOUGH && info.uncompressed_size / MOST_RATIO > info.compressed_size)
        return vt_fail(error, VULTUS_ERROR_LIMIT,
            "%s: %s claims to be %llu bytes out of %llu, more than %d times as many", archive->path, name,
            (unsigned long long)info.uncompressed_size, (unsigned long long)info.compressed_size, MOST_RATIO);
    memcpy(m->name, name, strlen(name) + 1);
    m->bytes = info.uncompressed_size;
    return VULTUS_OK;
}

enum vultus_status vt_archive_next(
    struct vt_archive *archive, struct vt_member *member, bool *found, struct vultus_error *error) {
    *found = false;
    while (!*found) {
        int code = archive->members ? unzGoToNextFile(archive->zip) : unzGoToFirstFile(archive->zip);
        if (code == UNZ_END_OF_LIST_OF_FILE) break;
        if (code != UNZ_OK) return vt_fail(error, VULTUS_ERROR_FORMAT, "%s: its directory is damaged", archive->path);
        if (++archive->members > MOST_MEMBERS)
            return vt_fail(error, VULTUS_ERROR_LIMIT, "%s has more than %d members", archive->path, MOST_MEMBERS);
        enum vultus_status status = describe(archive, error);
        if (status) return status;
        *found = *archive->member.name;
    }
    *member = archive->member;
    return VULTUS_OK;
}

static enum vultus_status copy_member(
    struct vt_archive *archive, struct vt_atomic_file *file, struct vultus_error *error) {
    const struct vt_member *m = &archive->member;
    uint64_t left = m->bytes;
    for (;;) {
        int got = unzReadCurrentFile(archive->zip, archive->chunk, CHUNK);
        if (got == 0) break;
        if (got < 0 || (uint64_t)got > left)
            return vt_fail(error, VULTUS_ERROR_FORMAT, "%s: %s is damaged", archive->path, m->name);
        left -= (uint64_t)got;
        enum vultus_status status = vt_atomic_file_write(file, archive->chunk, (size_t)got, error);
        if (status) return status;
    }
    if (left)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "%s: %s ends %llu bytes early", archive->path, m->name,
            (unsigned long long)left);
    return VULTUS_OK;
}

enum vultus_status vt_archive_extract(
    struct vt_archive *archive, uint64_t limit, struct vt_atomic_file *file, struct vultus_error *error) {
    const struct vt_member *m = &archive->member;
    if (m->bytes > limit)
        return vt_fail(error, VULTUS_ERROR_LIMIT, "%s: %s has %llu bytes, over the limit of %llu", archive->path,
            m->name, (unsigned long long)m->bytes, (unsigned long long)limit);
    if (unzOpenCurrentFile(archive->zip) != UNZ_OK)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "%s: %s cannot be unpacked", archive->path, m->name);
    enum vultus_status status = copy_member(archive, file, error);
    if (unzCloseCurrentFile(archive->zip) != UNZ_OK && !status)
        status = vt_fail(error, VULTUS_ERROR_FORMAT, "%s: the checksum of %s is wrong", archive->path, m->name);
    return status;
}
