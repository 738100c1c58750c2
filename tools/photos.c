/* SPDX-License-Identifier: Apache-2.0 */
#include "photos.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "tar.h"

enum kind { FILES, LISTS, ARCHIVES };

struct vt_photo_source {
    const struct vt_options *options;
    enum kind kind;
    struct vt_file_list files;
    size_t next;     /* file, or operand that is opened next */
    const char *now; /* the operand that is being read */
    FILE *list;
    struct vt_tar *tar;
};

struct vt_photo_source *vt_photo_source_open(const struct vt_options *options) {
    struct vt_photo_source *source = calloc(1, sizeof *source);
    if (!source) {
        vt_cli_fail_memory();
        return NULL;
    }
    source->options = options;
    source->kind = !options->from ? FILES : strcmp(options->from, "tar") == 0 ? ARCHIVES : LISTS;
    if (source->kind != FILES || vt_file_list_expand(options, &source->files)) return source;
    vt_photo_source_close(source);
    return NULL;
}

void vt_photo_source_close(struct vt_photo_source *source) {
    if (!source) return;
    if (source->list && source->list != stdin) fclose(source->list);
    vt_tar_close(source->tar);
    vt_file_list_fini(&source->files);
    free(source);
}

size_t vt_photo_source_count(const struct vt_photo_source *source) { return source->files.count; }

void vt_photo_release(struct vt_photo *photo) {
    free(photo->name);
    free(photo->bytes);
    *photo = (struct vt_photo){0};
}

static enum vultus_status next_file(
    struct vt_photo_source *source, struct vt_photo *photo, bool *end, struct vultus_error *error) {
    *end = source->next == source->files.count;
    if (*end) return VULTUS_OK;
    photo->name = strdup(source->files.paths[source->next++]);
    return photo->name ? VULTUS_OK : vt_fail_memory(error, "a photo's name", 0);
}

/* Goes to the next operand; *end where there is none. */
static bool next_operand(struct vt_photo_source *source, bool *end) {
    *end = source->next == source->options->n_operands;
    if (!*end) source->now = source->options->operands[source->next++];
    return !*end;
}

/* Reads a line of the open list; *end at the list's end. Empty lines are passed over. */
static enum vultus_status read_line(
    struct vt_photo_source *source, struct vt_photo *photo, bool *end, struct vultus_error *error) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    do {
        length = getline(&line, &capacity, source->list);
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) line[--length] = '\0';
    } while (length == 0);
    *end = length < 0;
    if (length > 0) {
        photo->name = line;
        return VULTUS_OK;
    }
    free(line);
    if (ferror(source->list))
        return vt_fail(error, VULTUS_ERROR_IO, "%s: cannot read the list: %s", source->now, strerror(errno));
    return VULTUS_OK;
}

static enum vultus_status next_of_lists(
    struct vt_photo_source *source, struct vt_photo *photo, bool *end, struct vultus_error *error) {
    for (;;) {
        if (!source->list) {
            if (!next_operand(source, end)) return VULTUS_OK;
            source->list = strcmp(source->now, "-") == 0 ? stdin : fopen(source->now, "re");
            if (!source->list)
                return vt_fail(
                    error, VULTUS_ERROR_NOT_FOUND, "%s: cannot open the list: %s", source->now, strerror(errno));
        }
        enum vultus_status status = read_line(source, photo, end, error);
        if (status < 0 || !*end) return status;
        if (source->list != stdin) fclose(source->list);
        source->list = NULL;
    }
}

static enum vultus_status next_of_archives(
    struct vt_photo_source *source, bool only_name, struct vt_photo *photo, bool *end, struct vultus_error *error) {
    size_t limit = vt_cli_most_bytes(source->options);
    for (;;) {
        enum vultus_status status = VULTUS_OK;
        if (!source->tar) {
            if (!next_operand(source, end)) return VULTUS_OK;
            status = vt_tar_open(source->now, &source->tar, error);
        }
        if (status == VULTUS_OK) status = vt_tar_next(source->tar, only_name ? 0 : limit, photo, end, error);
        if (status < 0 || !*end) return status;
        vt_tar_close(source->tar);
        source->tar = NULL;
    }
}

enum vultus_status vt_photo_source_next(
    struct vt_photo_source *source, bool only_name, struct vt_photo *photo, bool *end, struct vultus_error *error) {
    *photo = (struct vt_photo){0};
    switch (source->kind) {
    case FILES: return next_file(source, photo, end, error);
    case LISTS: return next_of_lists(source, photo, end, error);
    case ARCHIVES: break;
    }
    return next_of_archives(source, only_name, photo, end, error);
}
