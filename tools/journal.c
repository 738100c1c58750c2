/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/status.h"

#define LARGEST_IDENTITY ((size_t)16 << 20)

static enum vultus_status fail_errno(const char *path, const char *what, struct vultus_error *error) {
    return vt_fail(error, VULTUS_ERROR_IO, "%s: %s: %s", path, what, strerror(errno));
}

/* ---------------------------------------------------------------- going on */

/* Whether a line is a whole record of that photo; *failed where it tells of a failure. */
static bool is_record_of(const char *line, size_t length, const char *name, bool *failed) {
    json_t *text = vt_json_text(name);
    char *quoted = json_dumps(text, JSON_ENCODE_ANY), *start = NULL;
    json_decref(text);
    int head = quoted ? asprintf(&start, "{\"file\": %s, ", quoted) : -1;
    free(quoted);
    if (head < 0) return false;
    bool fits = length > (size_t)head + 2 && memcmp(line, start, (size_t)head) == 0 && line[length - 2] == '}' &&
                !memchr(line, '\0', length);
    *failed = fits && strncmp(line + head, "\"error\"", 7) == 0;
    free(start);
    return fits;
}

/* Takes the photo of a whole line from the source. */
static enum vultus_status check_line(struct vt_journal *journal, const char *line, size_t length,
    struct vt_photo_source *source, struct vultus_error *error) {
    struct vt_photo photo;
    bool end, failed = false;
    enum vultus_status status = vt_photo_source_next(source, true, &photo, &end, error);
    if (status < 0) return status;
    if (end || !is_record_of(line, length, photo.name, &failed))
        status = vt_fail(error, VULTUS_ERROR_MISMATCH,
            "%s cannot be resumed: its record %zu is not of %s, which is what the photos' order says now", journal->out,
            journal->records + 1, end ? "any photo" : photo.name);
    vt_photo_release(&photo);
    journal->records++;
    journal->failures += failed;
    return status;
}

/* Reads what is there; the last line goes unless it is whole. */
static enum vultus_status read_lines(
    struct vt_journal *journal, struct vt_photo_source *source, struct vultus_error *error) {
    FILE *lines = fopen(journal->part, "re");
    if (!lines) return fail_errno(journal->part, "cannot open", error);
    char *line = NULL;
    size_t capacity = 0;
    off_t whole = 0;
    enum vultus_status status = VULTUS_OK;
    for (ssize_t length; status == VULTUS_OK && (length = getline(&line, &capacity, lines)) > 0;) {
        if (line[length - 1] != '\n') break;
        status = check_line(journal, line, (size_t)length, source, error);
        whole += length;
    }
    free(line);
    fclose(lines);
    if (status < 0) return status;
    if (ftruncate(journal->descriptor, whole) != 0 || lseek(journal->descriptor, whole, SEEK_SET) < 0)
        return fail_errno(journal->part, "cannot cut off its last line", error);
    return VULTUS_OK;
}

static enum vultus_status check_identity(
    const struct vt_journal *journal, const json_t *identity, struct vultus_error *error) {
    uint8_t *bytes;
    size_t size;
    enum vultus_status status = vt_read_file(journal->about, LARGEST_IDENTITY, &bytes, &size, error);
    if (status < 0) return status;
    json_t *before = json_loadb((char *)bytes, size, 0, NULL);
    free(bytes);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)identity, key, value) {
        if (json_equal(value, json_object_get(before, key))) continue;
        status = vt_fail(error, VULTUS_ERROR_MISMATCH,
            "%s cannot be resumed: %s was another when it was begun; take the same options, or remove %s and %s",
            journal->out, key, journal->about, journal->part);
        break;
    }
    json_decref(before);
    return status;
}

/* ---------------------------------------------------------------- beginning and ending */

static enum vultus_status open_part(struct vt_journal *journal, struct vultus_error *error) {
    journal->descriptor = open(journal->part, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (journal->descriptor < 0) return fail_errno(journal->part, "cannot open", error);
    if (flock(journal->descriptor, LOCK_EX | LOCK_NB) == 0) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_IO, "%s is being written by another process", journal->part);
}

/* The identity first: without it, lines are no run. */
static enum vultus_status begin(struct vt_journal *journal, const json_t *identity, struct vultus_error *error) {
    char *text = json_dumps(identity, JSON_INDENT(1));
    if (!text) return vt_fail_memory(error, "what a run is of", 0);
    enum vultus_status status = vt_write_file_atomically(journal->about, text, strlen(text), error);
    free(text);
    if (status == VULTUS_OK && ftruncate(journal->descriptor, 0) != 0)
        status = fail_errno(journal->part, "cannot empty", error);
    return status;
}

static enum vultus_status open_journal(struct vt_journal *journal, const json_t *identity, bool resume,
    struct vt_photo_source *source, bool *complete, struct vultus_error *error) {
    if (!journal->out || !journal->part || !journal->about) return vt_fail_memory(error, "paths", 0);
    bool begun = vt_path_exists(journal->about), interrupted = begun && vt_path_exists(journal->part);
    if (interrupted && !resume)
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "%s was begun by a run that was interrupted; --resume goes on with it, or remove %s", journal->out,
            journal->part);
    enum vultus_status status = begun && resume ? check_identity(journal, identity, error) : VULTUS_OK;
    if (status < 0) return status;
    /* A run ends by its lines going first, what it was of last. */
    *complete = resume && !interrupted && vt_path_exists(journal->out) && (begun || !vt_path_exists(journal->part));
    if (*complete) {
        unlink(journal->about);
        return VULTUS_OK;
    }
    status = open_part(journal, error);
    if (status < 0) return status;
    return interrupted ? read_lines(journal, source, error) : begin(journal, identity, error);
}

enum vultus_status vt_journal_open(struct vt_journal *journal, const char *out, json_t *identity, bool resume,
    struct vt_photo_source *source, bool *complete, struct vultus_error *error) {
    *journal = (struct vt_journal){.out = strdup(out), .descriptor = -1};
    if (asprintf(&journal->part, "%s.part", out) < 0) journal->part = NULL;
    if (asprintf(&journal->about, "%s.run", out) < 0) journal->about = NULL;
    *complete = false;
    enum vultus_status status = identity ? open_journal(journal, identity, resume, source, complete, error)
                                         : vt_fail_memory(error, "what a run is of", 0);
    json_decref(identity);
    return status;
}

enum vultus_status vt_journal_append(
    struct vt_journal *journal, const char *line, size_t length, struct vultus_error *error) {
    while (length) {
        ssize_t written = write(journal->descriptor, line, length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail_errno(journal->part, "cannot write", error);
        line += written;
        length -= (size_t)written;
    }
    journal->records++;
    return VULTUS_OK;
}

enum vultus_status vt_journal_finish(
    struct vt_journal *journal, vt_journal_export *export, struct vultus_error *error) {
    if (fsync(journal->descriptor) != 0) return fail_errno(journal->part, "cannot write", error);
    if (export) {
        FILE *lines = fopen(journal->part, "re");
        if (!lines) return fail_errno(journal->part, "cannot open", error);
        enum vultus_status status = export(lines, journal->out, error);
        fclose(lines);
        if (status < 0) return status;
        unlink(journal->part);
    } else if (rename(journal->part, journal->out) != 0) {
        return fail_errno(journal->out, "cannot rename the finished file to it", error);
    }
    unlink(journal->about);
    return VULTUS_OK;
}

void vt_journal_fini(struct vt_journal *journal) {
    if (journal->descriptor >= 0) close(journal->descriptor);
    free(journal->out);
    free(journal->part);
    free(journal->about);
    *journal = (struct vt_journal){.descriptor = -1};
}
