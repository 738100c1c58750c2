/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/npz.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unzip.h>

#include "base/file.h"
#include "tensor/npy.h"

#define LARGEST_ARRAY ((uint64_t)4 << 30)
/* RFC 1951: a length of 258 bytes takes at least two bits. */
#define DEFLATE_RATIO 1032
#define ENCRYPTED 1u
#define CHUNK (1u << 20)

/* An array as it lies in an archive. */
struct member {
    const char *path, *name; /* of the archive, of the array */
    unzFile zip;             /* stands at the member */
    uint8_t *bytes;          /* unpacked */
    size_t size;
};

static enum vultus_status check_size(const struct member *m, const unz_file_info64 *info, struct vultus_error *error) {
    if (info->flag & ENCRYPTED)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "%s: the array %s is encrypted", m->path, m->name);
    if (info->uncompressed_size > LARGEST_ARRAY)
        return vt_fail(error, VULTUS_ERROR_LIMIT, "%s: the array %s has %llu bytes, over the limit of %llu", m->path,
            m->name, (unsigned long long)info->uncompressed_size, (unsigned long long)LARGEST_ARRAY);
    if (info->uncompressed_size / DEFLATE_RATIO > info->compressed_size)
        return vt_fail(error, VULTUS_ERROR_FORMAT,
            "%s: the array %s claims %llu bytes out of %llu, more than deflate can pack", m->path, m->name,
            (unsigned long long)info->uncompressed_size, (unsigned long long)info->compressed_size);
    return VULTUS_OK;
}

static enum vultus_status unpack(struct member *m, struct vultus_error *error) {
    size_t have = 0;
    while (have < m->size) {
        size_t left = m->size - have;
        int got = unzReadCurrentFile(m->zip, m->bytes + have, left < CHUNK ? (unsigned)left : CHUNK);
        if (got <= 0)
            return vt_fail(error, VULTUS_ERROR_FORMAT, "%s: the array %s is damaged after %zu of %zu bytes", m->path,
                m->name, have, m->size);
        have += (size_t)got;
    }
    return VULTUS_OK;
}

static enum vultus_status read_member(struct member *m, struct vultus_error *error) {
    unz_file_info64 info;
    if (unzGetCurrentFileInfo64(m->zip, &info, NULL, 0, NULL, 0, NULL, 0) != UNZ_OK)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "%s: the entry of the array %s is damaged", m->path, m->name);
    enum vultus_status status = check_size(m, &info, error);
    if (status) return status;
    if (unzOpenCurrentFile(m->zip) != UNZ_OK)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "%s: the array %s cannot be unpacked", m->path, m->name);
    m->size = (size_t)info.uncompressed_size;
    m->bytes = malloc(m->size + 1);
    status = m->bytes ? unpack(m, error) : vt_fail_memory(error, m->name, m->size);
    if (unzCloseCurrentFile(m->zip) != UNZ_OK && !status)
        status = vt_fail(error, VULTUS_ERROR_FORMAT, "%s: the checksum of the array %s is wrong", m->path, m->name);
    return status;
}

/* For the sentence that the system has when a file cannot be read; the library only says no. */
static enum vultus_status check_file(const char *path, struct vultus_error *error) {
    struct vt_mapped_file file;
    enum vultus_status status = vt_map_file(path, &file, error);
    if (!status) vt_unmap_file(&file);
    return status;
}

enum vultus_status vt_npz_read(const char *path, const char *name, struct vt_arena *arena, struct vt_tensor *out,
    bool *found, struct vultus_error *error) {
    char file[256], title[PATH_MAX + sizeof file];
    struct member m = {.path = path, .name = name};
    enum vultus_status status = check_file(path, error);
    if (status) return status;
    if (!(m.zip = unzOpen64(path)))
        return vt_fail(error, VULTUS_ERROR_FORMAT, "%s is no .npz archive, or a damaged one", path);
    snprintf(file, sizeof file, "%s.npy", name);
    snprintf(title, sizeof title, "%s of %s", file, path);
    *found = unzLocateFile(m.zip, file, 1) == UNZ_OK;
    if (*found) status = read_member(&m, error);
    if (*found && !status) status = vt_npy_parse(m.bytes, m.size, title, arena, out, error);
    free(m.bytes);
    unzClose(m.zip);
    return status;
}
