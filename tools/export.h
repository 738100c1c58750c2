/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_EXPORT_H
#define VT_TOOLS_EXPORT_H

#include "journal.h"

/* The formats that records are written in other than lines of JSON; docs/cli.md describes them. Memory stays flat. */
vt_journal_export vt_export_msgpack;
vt_journal_export vt_export_npz; /* builds without minizip fail with UNSUPPORTED */

/* A line as an object, NULL at the end; the caller releases it. `line` and `capacity` are getline's. */
json_t *vt_next_record(FILE *lines, char **line, size_t *capacity);

#endif
