/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_CONFIG_STARTER_H
#define VT_CONFIG_STARTER_H

#include <stdbool.h>

#include "base/status.h"

/* The models of models/starter, which come with the program so that it does something before any other is there. */
#define VT_STARTER_DETECTOR "starter_det"
#define VT_STARTER_RECOGNISER "starter_rec"

bool vt_is_starter(const char *name);

/*
 * Where a starter model lies. The first of these folders that has it:
 *     ../share/vultus/models/starter, seen from the program's folder, so that an installed tree may be moved,
 *     {datadir}/vultus/models/starter of the configured prefix,
 *     models/starter of the sources, for programs that were never installed.
 * On success the caller frees *out. NOT_FOUND names the folders, INVALID a name that is no starter model's.
 */
enum vultus_status vt_starter_path(const char *name, char **out, struct vultus_error *error);
/* The same as if the program were the file `program`. */
enum vultus_status vt_starter_path_from(const char *program, const char *name, char **out, struct vultus_error *error);

#endif
