/* SPDX-License-Identifier: Apache-2.0 */
#include "images_root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum vultus_status vt_images_root_open(const char *path, struct vt_images_root *out, struct vultus_error *error) {
    *out = (struct vt_images_root){.descriptor = -1, .path = strdup(path)};
    if (!out->path) return vt_fail_memory(error, "a path", strlen(path));
    size_t length = strlen(out->path);
    while (length > 1 && out->path[length - 1] == '/') out->path[--length] = '\0';
    out->descriptor = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return VULTUS_OK;
}

void vt_images_root_close(struct vt_images_root *root) {
    if (root->descriptor >= 0) close(root->descriptor);
    free(root->path);
    *root = (struct vt_images_root){.descriptor = -1};
}

static int open_beneath(int root, const char *name) {
    /* Not blocking, so that a pipe's name does not hold up the worker; regular files do not care. */
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root, name, &how, sizeof how);
}

static enum vultus_status read_all(int descriptor, size_t size, uint8_t **bytes, struct vultus_error *error) {
    uint8_t *memory = malloc(size + 1);
    if (!memory) return vt_fail_memory(error, "a picture", size);
    for (size_t have = 0; have < size;) {
        ssize_t n = read(descriptor, memory + have, size - have);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            free(memory);
            return vt_fail(error, VULTUS_ERROR_IO, "the file could be read up to byte %zu of %zu only", have, size);
        }
        have += (size_t)n;
    }
    *bytes = memory;
    return VULTUS_OK;
}

enum vultus_status vt_images_root_read(const struct vt_images_root *root, const char *name, size_t length, size_t limit,
    uint8_t **bytes, size_t *size, struct vultus_error *error) {
    char path[PATH_MAX];
    size_t root_length = strlen(root->path);
    bool inside = length > root_length && memcmp(name, root->path, root_length) == 0 && name[root_length] == '/';
    size_t skipped = inside ? root_length + 1 : 0;
    int descriptor = -1;
    if (root->descriptor >= 0 && length < sizeof path && !memchr(name, 0, length)) {
        memcpy(path, name + skipped, length - skipped);
        path[length - skipped] = '\0';
        descriptor = open_beneath(root->descriptor, path);
    }
    struct stat about;
    if (descriptor < 0 || fstat(descriptor, &about) < 0 || !S_ISREG(about.st_mode)) {
        if (descriptor >= 0) close(descriptor);
        return vt_fail(error, VULTUS_ERROR_NOT_FOUND, "File: '%.*s' not found", length < 200 ? (int)length : 200, name);
    }
    enum vultus_status status = VULTUS_OK;
    if ((uint64_t)about.st_size > limit)
        status = vt_fail(error, VULTUS_ERROR_LIMIT, "the file has %lld bytes; at most %zu are read",
            (long long)about.st_size, limit);
    else
        status = read_all(descriptor, (size_t)about.st_size, bytes, error);
    close(descriptor);
    if (!status) *size = (size_t)about.st_size;
    return status;
}
