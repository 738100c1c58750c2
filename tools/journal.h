/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_JOURNAL_H
#define VT_TOOLS_JOURNAL_H

#include <jansson.h>

#include "photos.h"

/*
 * The records of a long run, in order, one JSON object a line, in OUT.part while it goes on; beside it OUT.run says
 * what the run is of. A process that is killed leaves whole lines and perhaps part of one, so a later one can go on
 * after the last whole line.
 */
struct vt_journal {
    char *out, *part, *about; /* paths */
    int descriptor;           /* of `part`, locked; -1: closed */
    size_t records, failures; /* lines so far, and those of photos that could not be read */
};

/*
 * Begins a run of `identity` (taken), whatever decides its records. With `resume`, a run that was interrupted is gone
 * on with: its photos are taken from `source` and held against its lines. *complete is set, and nothing opened, where
 * such a run already is complete. Fails where an interrupted run is there but not to be resumed, was of another
 * identity or of other photos, or is still being written by another process.
 */
enum vultus_status vt_journal_open(struct vt_journal *journal, const char *out, json_t *identity, bool resume,
    struct vt_photo_source *source, bool *complete, struct vultus_error *error);
/* `line` ends with a newline. */
enum vultus_status vt_journal_append(
    struct vt_journal *journal, const char *line, size_t length, struct vultus_error *error);
/*
 * Ends a run: `export` writes OUT (path) from the lines (a stream at its beginning); NULL: they are the file. The
 * journal goes when OUT is there whole.
 */
typedef enum vultus_status vt_journal_export(FILE *lines, const char *out, struct vultus_error *error);
enum vultus_status vt_journal_finish(struct vt_journal *journal, vt_journal_export *export, struct vultus_error *error);
void vt_journal_fini(struct vt_journal *journal); /* leaves an unfinished journal for a later run */

#endif
