/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/strbuf.h"

/* errno as the end of a sentence about `path`. */
static enum vultus_status fail_errno(struct vultus_error *error, const char *path, const char *what) {
    int code = errno;
    enum vultus_status status = code == ENOENT || code == ENOTDIR ? VULTUS_ERROR_NOT_FOUND : VULTUS_ERROR_IO;
    return vt_fail(error, status, "%s: %s: %s", path, what, strerror(code));
}

/* Whether the descriptor is a regular file; closes it otherwise. `path` is for the sentence. */
static enum vultus_status check_regular(int fd, const char *path, struct stat *info, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    if (fstat(fd, info) != 0)
        status = fail_errno(error, path, "cannot stat");
    else if (!S_ISREG(info->st_mode))
        status = vt_fail(error, VULTUS_ERROR_INVALID, "%s is not a regular file", path);
    if (status) close(fd);
    return status;
}

/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
static enum vultus_status open_regular(
    const char *path, int *descriptor, struct stat *info, struct vultus_error *error) {
    *descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return *descriptor < 0 ? fail_errno(error, path, "cannot open") : check_regular(*descriptor, path, info, error);
}

static enum vultus_status map_descriptor(
    int fd, size_t size, const char *path, struct vt_mapped_file *out, struct vultus_error *error) {
    void *data = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    if (data == MAP_FAILED) return fail_errno(error, path, "cannot map");
    *out = (struct vt_mapped_file){data, size};
    return VULTUS_OK;
}

enum vultus_status vt_map_file(const char *path, struct vt_mapped_file *out, struct vultus_error *error) {
    int fd = -1;
    struct stat info;
    *out = (struct vt_mapped_file){0};
    enum vultus_status status = open_regular(path, &fd, &info, error);
    if (status) return status;
    status = map_descriptor(fd, (size_t)info.st_size, path, out, error);
    close(fd);
    return status;
}

/* Opens the part of a path that ends at `end`, a folder or the file itself. */
static int open_part(int directory, const char *part, const char *end) {
    char name[NAME_MAX + 1];
    size_t length = (size_t)(end - part);
    if (length > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, part, length);
    name[length] = '\0';
    return openat(directory, name, O_NOFOLLOW | O_CLOEXEC | (*end ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK));
}

/* Part by part, so that no symbolic link is followed whoever makes one meanwhile. */
static int open_beneath(const char *directory, const char *name) {
    int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (const char *part = name; fd >= 0 && *part;) {
        const char *end = part + strcspn(part, "/");
        int inner = open_part(fd, part, end);
        int code = errno;
        close(fd);
        errno = code;
        fd = inner;
        part = *end ? end + 1 : end;
    }
    return fd;
}

/* Relative, of parts that are names. */
static bool is_confined(const char *name) {
    for (const char *part = name;; part++) {
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 2 && memcmp(part, "..", 2) == 0)) return false;
        part += length;
        if (!*part) return true;
    }
}

enum vultus_status vt_map_file_beneath(
    const char *directory, const char *name, struct vt_mapped_file *out, struct vultus_error *error) {
    struct stat info;
    char shown[104]; /* others may have made the name any length */
    snprintf(shown, sizeof shown, "%.100s", name);
    *out = (struct vt_mapped_file){0};
    if (!is_confined(name))
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "'%s' is no path of a file in the folder %.100s: it must be relative and without '..'", shown, directory);
    int fd = open_beneath(directory, name);
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "'%s' in the folder %.100s is or passes through what is no file or folder itself; symbolic links are not"
            " followed",
            shown, directory);
    if (fd < 0) return fail_errno(error, shown, "cannot open");
    enum vultus_status status = check_regular(fd, shown, &info, error);
    if (status) return status;
    status = map_descriptor(fd, (size_t)info.st_size, shown, out, error);
    close(fd);
    return status;
}

void vt_unmap_file(struct vt_mapped_file *file) {
    if (file->data) munmap((void *)file->data, file->size);
    *file = (struct vt_mapped_file){0};
}

/* ---------------------------------------------------------------- shared mappings */

struct shared_mapping {
    struct stat info; /* of the file when it was mapped */
    struct vt_mapped_file file;
    size_t uses;
    struct shared_mapping *next;
};

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared_mapping *shared_mappings; /* under the lock */

static bool is_unchanged(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The mapping of an open file, made where there is none; under the lock. */
static enum vultus_status find_or_map(
    int fd, const struct stat *info, const char *path, struct shared_mapping **out, struct vultus_error *error) {
    for (struct shared_mapping *m = shared_mappings; m; m = m->next)
        if (is_unchanged(&m->info, info)) {
            *out = m;
            return VULTUS_OK;
        }
    struct shared_mapping *made = calloc(1, sizeof *made);
    if (!made) return vt_fail_memory(error, path, sizeof *made);
    enum vultus_status status = map_descriptor(fd, (size_t)info->st_size, path, &made->file, error);
    if (status) {
        free(made);
        return status;
    }
    made->info = *info;
    made->next = shared_mappings;
    *out = shared_mappings = made;
    return VULTUS_OK;
}

enum vultus_status vt_share_file(const char *path, struct vt_mapped_file *out, struct vultus_error *error) {
    int fd = -1;
    struct stat info;
    struct shared_mapping *mapping = NULL;
    *out = (struct vt_mapped_file){0};
    enum vultus_status status = open_regular(path, &fd, &info, error);
    if (status) return status;
    if (info.st_size > 0) { /* an empty file has no address to find it by */
        pthread_mutex_lock(&shared_lock);
        status = find_or_map(fd, &info, path, &mapping, error);
        if (!status) {
            mapping->uses++;
            *out = mapping->file;
        }
        pthread_mutex_unlock(&shared_lock);
    }
    close(fd);
    return status;
}

void vt_unshare_file(struct vt_mapped_file *file) {
    if (!file->data) return;
    pthread_mutex_lock(&shared_lock);
    struct shared_mapping **at = &shared_mappings;
    while (*at && (*at)->file.data != file->data) at = &(*at)->next;
    struct shared_mapping *mapping = *at;
    if (mapping && --mapping->uses == 0) {
        *at = mapping->next;
        vt_unmap_file(&mapping->file);
        free(mapping);
    }
    pthread_mutex_unlock(&shared_lock);
    *file = (struct vt_mapped_file){0};
}

/* ---------------------------------------------------------------- reading and writing */

/* read() that retries after signals; -1 with errno. */
static ssize_t read_some(int fd, void *buffer, size_t size) {
    ssize_t got;
    do got = read(fd, buffer, size);
    while (got < 0 && errno == EINTR);
    return got;
}

#define FIRST_READ 65536

/* Reads to the end; `expected` bytes are likely. One byte more than `limit` is asked for, to notice longer files. */
static enum vultus_status read_all(
    int fd, const char *path, size_t limit, size_t expected, uint8_t **data, size_t *size, struct vultus_error *error) {
    size_t capacity = expected < FIRST_READ ? FIRST_READ : expected + 1, used = 0;
    uint8_t *bytes = malloc(capacity);
    enum vultus_status status = bytes ? VULTUS_OK : vt_fail_memory(error, path, capacity);
    while (!status) {
        ssize_t got = read_some(fd, bytes + used, capacity - used);
        if (got < 0) status = fail_errno(error, path, "cannot read");
        if (got <= 0) break;
        used += (size_t)got;
        if (used > limit)
            status = vt_fail(error, VULTUS_ERROR_LIMIT, "%s is longer than the limit of %zu bytes", path, limit);
        if (status || used < capacity) continue;
        size_t larger = capacity > SIZE_MAX / 2 ? SIZE_MAX : capacity * 2;
        uint8_t *moved = realloc(bytes, larger);
        if (!moved) status = vt_fail_memory(error, path, larger);
        if (moved) bytes = moved, capacity = larger;
    }
    if (status) {
        free(bytes);
        return status;
    }
    *data = bytes;
    *size = used;
    return VULTUS_OK;
}

enum vultus_status vt_read_file(
    const char *path, size_t limit, uint8_t **data, size_t *size, struct vultus_error *error) {
    if (strcmp(path, "-") == 0) return read_all(STDIN_FILENO, "standard input", limit, 0, data, size, error);
    int fd = -1;
    struct stat info;
    enum vultus_status status = open_regular(path, &fd, &info, error);
    if (status) return status;
    size_t expected = (size_t)info.st_size;
    if (expected > limit)
        status =
            vt_fail(error, VULTUS_ERROR_LIMIT, "%s has %zu bytes, more than the limit of %zu", path, expected, limit);
    else
        status = read_all(fd, path, limit, expected, data, size, error);
    close(fd);
    return status;
}

/* Names tried before giving up; leftovers of killed processes with the same id may be in the way. */
#define TEMPORARY_NAMES 100

enum vultus_status vt_atomic_file_open(const char *path, struct vt_atomic_file *out, struct vultus_error *error) {
    static atomic_uint counter;
    size_t bytes = strlen(path) + 64;
    *out = (struct vt_atomic_file){.descriptor = -1, .path = strdup(path), .temporary_path = malloc(bytes)};
    if (!out->path || !out->temporary_path) {
        vt_atomic_file_discard(out);
        return vt_fail_memory(error, "a path", bytes);
    }
    /* Not mkstemp: its mode 0600 ignores the umask. */
    for (int i = 0; i < TEMPORARY_NAMES && out->descriptor < 0; i++) {
        snprintf(out->temporary_path, bytes, "%s.%ld.%u.tmp", path, (long)getpid(), atomic_fetch_add(&counter, 1));
        out->descriptor = open(out->temporary_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (out->descriptor < 0 && errno != EEXIST) break;
    }
    if (out->descriptor >= 0) return VULTUS_OK;
    enum vultus_status status = fail_errno(error, path, "cannot create a temporary file beside it");
    vt_atomic_file_discard(out);
    return status;
}

enum vultus_status vt_atomic_file_write(
    struct vt_atomic_file *file, const void *data, size_t size, struct vultus_error *error) {
    const uint8_t *bytes = data;
    while (size) {
        ssize_t written = write(file->descriptor, bytes, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail_errno(error, file->temporary_path, "cannot write");
        bytes += written;
        size -= (size_t)written;
    }
    return VULTUS_OK;
}

/* Makes the rename itself durable; a file system that cannot sync directories is no failure. */
static void sync_directory_of(const char *path) {
    const char *name = vt_path_basename(path);
    char *directory = name == path ? strdup(".") : strndup(path, (size_t)(name - path));
    int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(directory);
}

enum vultus_status vt_atomic_file_commit(struct vt_atomic_file *file, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    if (fsync(file->descriptor) != 0) status = fail_errno(error, file->temporary_path, "cannot sync");
    if (close(file->descriptor) != 0 && !status) status = fail_errno(error, file->temporary_path, "cannot close");
    file->descriptor = -1;
    if (!status && rename(file->temporary_path, file->path) != 0)
        status = fail_errno(error, file->path, "cannot rename the temporary file to it");
    if (!status) {
        sync_directory_of(file->path);
        free(file->temporary_path);
        file->temporary_path = NULL;
    }
    vt_atomic_file_discard(file);
    return status;
}

void vt_atomic_file_discard(struct vt_atomic_file *file) {
    if (file->descriptor >= 0) close(file->descriptor);
    if (file->temporary_path) unlink(file->temporary_path);
    free(file->temporary_path);
    free(file->path);
    *file = (struct vt_atomic_file){.descriptor = -1};
}

enum vultus_status vt_write_file_atomically(
    const char *path, const void *data, size_t size, struct vultus_error *error) {
    struct vt_atomic_file file;
    enum vultus_status status = vt_atomic_file_open(path, &file, error);
    if (status) return status;
    status = vt_atomic_file_write(&file, data, size, error);
    if (!status) return vt_atomic_file_commit(&file, error);
    vt_atomic_file_discard(&file);
    return status;
}

static bool is_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

enum vultus_status vt_make_directories(const char *path, struct vultus_error *error) {
    char *prefix = strdup(path);
    if (!prefix) return vt_fail_memory(error, "a path", strlen(path) + 1);
    enum vultus_status status = VULTUS_OK;
    for (char *end = prefix; !status && *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        char separator = *end;
        *end = '\0';
        int code = mkdir(prefix, 0777) == 0 ? 0 : errno;
        if (code && !is_directory(prefix))
            status = vt_fail(error, VULTUS_ERROR_IO, "%s: cannot create directory: %s", prefix, strerror(code));
        *end = separator;
    }
    free(prefix);
    return status;
}

char *vt_user_folder(
    const char *what, const char *variable, const char *xdg, const char *home, struct vultus_error *error) {
    const char *const variables[] = {variable, xdg, "HOME"};
    for (int i = 0; i < 3; i++) {
        const char *base = getenv(variables[i]);
        /* The specification: relative paths are to be ignored. */
        if (!base || !*base || (i > 0 && *base != '/')) continue;
        struct vt_strbuf path = {0};
        vt_strbuf_puts(&path, base);
        if (i == 2) vt_strbuf_printf(&path, "/%s", home);
        if (i > 0) vt_strbuf_printf(&path, "/vultus/%s", what);
        char *text = vt_strbuf_take(&path);
        if (!text) vt_fail_memory(error, "a path", strlen(base));
        return text;
    }
    vt_fail(
        error, VULTUS_ERROR_INVALID, "there is no place for %s: none of %s, %s and HOME is set", what, variable, xdg);
    return NULL;
}

enum vultus_status vt_lock_file(const char *path, int *descriptor, struct vultus_error *error) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return fail_errno(error, path, "cannot open the lock file");
    int result;
    do result = flock(fd, LOCK_EX);
    while (result != 0 && errno == EINTR);
    if (result != 0) {
        enum vultus_status status = fail_errno(error, path, "cannot lock");
        close(fd);
        return status;
    }
    *descriptor = fd;
    return VULTUS_OK;
}

void vt_unlock_file(int descriptor) { close(descriptor); }

const char *vt_path_basename(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *vt_path_stem(const char *path) {
    const char *name = vt_path_basename(path);
    const char *dot = strrchr(name, '.');
    return strndup(name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
}

char *vt_path_directory(const char *path) {
    const char *name = vt_path_basename(path);
    if (name == path) return strdup(".");
    return name - path == 1 ? strdup("/") : strndup(path, (size_t)(name - path - 1));
}

char *vt_path_join(const char *directory, const char *name) {
    size_t length = strlen(directory), bytes;
    if (!vt_add_size(length, strlen(name), &bytes) || !vt_add_size(bytes, 2, &bytes)) return NULL;
    bool slash = length > 0 && directory[length - 1] != '/';
    char *path = malloc(bytes);
    if (path) snprintf(path, bytes, "%s%s%s", directory, slash ? "/" : "", name);
    return path;
}

bool vt_path_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}
