/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/status.h"
#include "export.h"
#include "journal.h"
#include "photos.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * What a run of `vultus extract` reads besides pictures. The first byte says what the rest is: a list, an archive, an
 * interrupted run (what it is of, the list of its photos, its records; a NUL between them), or records to export.
 */
enum what { LIST, ARCHIVE, RUN, NPZ, MSGPACK, WHATS };
enum { MOST_PHOTOS = 1000, LARGEST_PHOTO = 1 << 20 };

static char folder[64]; /* of this process; what is written into it is removed again */

static void make_folder(void) {
    if (*folder) return;
    snprintf(folder, sizeof folder, "/tmp/vultus-fuzz-%d", (int)getpid());
    if (mkdir(folder, 0700)) abort();
}

static void remove_folder(void) {
    if (*folder) rmdir(folder);
    *folder = '\0';
}

static char *write_input(const char *name, const uint8_t *data, size_t size) {
    char *path = vt_path_join(folder, name);
    FILE *file = path ? fopen(path, "we") : NULL;
    if (!file || fwrite(data, 1, size, file) != size || fclose(file)) abort();
    return path;
}

static void remove_file(char *path) {
    unlink(path);
    free(path);
}

static struct vt_options options_for(const char *from, char **list) {
    return (struct vt_options){
        .from = from, .operands = (const char **)list, .n_operands = 1, .max_bytes = LARGEST_PHOTO};
}

static void read_source(const char *from, const uint8_t *data, size_t size) {
    char *path = write_input("source", data, size);
    struct vt_options options = options_for(from, &path);
    struct vt_photo_source *source = vt_photo_source_open(&options);
    struct vt_photo photo;
    struct vultus_error error;
    bool end = false;
    for (int i = 0; source && !end && i < MOST_PHOTOS; i++) {
        if (vt_photo_source_next(source, i % 2, &photo, &end, &error) < 0) break;
        vt_photo_release(&photo);
    }
    vt_photo_source_close(source);
    remove_file(path);
}

static void resume(const uint8_t *data, size_t size) {
    const uint8_t *list = memchr(data, '\0', size);
    const uint8_t *lines = list ? memchr(list + 1, '\0', size - (size_t)(list + 1 - data)) : NULL;
    if (!lines) return;
    char *about = write_input("out.run", data, (size_t)(list - data));
    char *photos = write_input("photos", list + 1, (size_t)(lines - list - 1));
    char *part = write_input("out.part", lines + 1, size - (size_t)(lines + 1 - data));
    char *out = vt_path_join(folder, "out");
    struct vt_options options = options_for("list", &photos);
    struct vt_photo_source *source = vt_photo_source_open(&options);
    struct vt_journal journal = {.descriptor = -1};
    struct vultus_error error;
    bool complete;
    if (!source || !out) abort();
    if (!vt_journal_open(&journal, out, json_pack("{s:i}", "threshold", 1), true, source, &complete, &error))
        vt_journal_append(&journal, "{}\n", 3, &error);
    vt_journal_fini(&journal);
    vt_photo_source_close(source);
    remove_file(about);
    remove_file(photos);
    remove_file(part);
    free(out);
}

static void export_lines(vt_journal_export *export, const uint8_t *data, size_t size) {
    char *path = write_input("lines", data, size), *out = vt_path_join(folder, "out");
    FILE *lines = fopen(path, "re");
    struct vultus_error error;
    if (!lines || !out) abort();
    export(lines, out, &error);
    fclose(lines);
    remove_file(path);
    remove_file(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    make_folder();
    switch ((enum what)(*data % WHATS)) {
    case LIST: read_source("list", data + 1, size - 1); break;
    case ARCHIVE: read_source("tar", data + 1, size - 1); break;
    case RUN: resume(data + 1, size - 1); break;
    case NPZ: export_lines(vt_export_npz, data + 1, size - 1); break;
    case MSGPACK: export_lines(vt_export_msgpack, data + 1, size - 1); break;
    case WHATS: break;
    }
    remove_folder();
    return 0;
}
