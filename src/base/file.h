/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_FILE_H
#define VT_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A read-only view of a whole file. `data` is NULL for an empty file. */
struct vt_mapped_file {
    const uint8_t *data;
    size_t size;
};

/* Maps a regular file (a directory, a device or a missing file is an error naming the path). */
enum vultus_status vt_map_file(const char *path, struct vt_mapped_file *out, struct vultus_error *error);
/*
 * The same of a file in `directory` or below: `name` is a relative path without "..", and no part of it may be a
 * symbolic link, so that it cannot lead elsewhere. For names that come from files of others.
 */
enum vultus_status vt_map_file_beneath(
    const char *directory, const char *name, struct vt_mapped_file *out, struct vultus_error *error);
void vt_unmap_file(struct vt_mapped_file *file);
/*
 * The same, but all who share an unchanged file (by device, inode, size and time of its last change) get one mapping,
 * so that its pages are resident once. Released by vt_unshare_file alone. Thread-safe.
 */
enum vultus_status vt_share_file(const char *path, struct vt_mapped_file *out, struct vultus_error *error);
void vt_unshare_file(struct vt_mapped_file *file);

/* Reads `path` ("-": standard input) into malloc'd memory, refusing more than `limit` bytes. The caller frees *data. */
enum vultus_status vt_read_file(
    const char *path, size_t limit, uint8_t **data, size_t *size, struct vultus_error *error);

/*
 * A file that appears whole or not at all: bytes go to a temporary file beside `path`; commit syncs and renames it,
 * discard removes it. Exactly one of commit and discard ends it; commit discards on failure.
 */
struct vt_atomic_file {
    int descriptor;
    char *path, *temporary_path;
};
enum vultus_status vt_atomic_file_open(const char *path, struct vt_atomic_file *out, struct vultus_error *error);
enum vultus_status vt_atomic_file_write(
    struct vt_atomic_file *file, const void *data, size_t size, struct vultus_error *error);
enum vultus_status vt_atomic_file_commit(struct vt_atomic_file *file, struct vultus_error *error);
void vt_atomic_file_discard(struct vt_atomic_file *file);

/* The three calls above in one. */
enum vultus_status vt_write_file_atomically(
    const char *path, const void *data, size_t size, struct vultus_error *error);

/*
 * The folder for `what`: the value of `variable`, else vultus/WHAT in the folder that `xdg` names (the XDG base
 * directory specification), else in `home` of the home folder. malloc'd; NULL and an error when none of them is set.
 */
char *vt_user_folder(
    const char *what, const char *variable, const char *xdg, const char *home, struct vultus_error *error);

/* Creates a directory and its parents; an existing directory is success. */
enum vultus_status vt_make_directories(const char *path, struct vultus_error *error);

/*
 * An advisory exclusive lock between processes (flock on `path`, created when missing); waits until it is granted.
 * The lock dies with the process. The lock file stays.
 */
enum vultus_status vt_lock_file(const char *path, int *descriptor, struct vultus_error *error);
void vt_unlock_file(int descriptor);

/* The part of `path` after the last slash. */
const char *vt_path_basename(const char *path);
/* "a/b/model.onnx" -> malloc'd "model"; NULL when out of memory. */
char *vt_path_stem(const char *path);
/* "a/b/model.onnx" -> malloc'd "a/b", "model.onnx" -> "."; NULL when out of memory. */
char *vt_path_directory(const char *path);
/* malloc'd "directory/name"; NULL when out of memory. */
char *vt_path_join(const char *directory, const char *name);
bool vt_path_exists(const char *path);

#endif
