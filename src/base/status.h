/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_STATUS_H
#define VT_BASE_STATUS_H

#include "vultus/status.h"

/*
 * Writes one sentence into `error` (which may be NULL) and returns `status`, so that whoever detects a failure says
 * `return vt_fail(error, VULTUS_ERROR_FORMAT, "...")` and every caller just passes the status on.
 */
enum vultus_status vt_fail(struct vultus_error *error, enum vultus_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The failure of an allocation of `bytes` bytes for `what`. */
enum vultus_status vt_fail_memory(struct vultus_error *error, const char *what, unsigned long long bytes);

/* The enumerator's name in lower case without its prefix, "format" for VULTUS_ERROR_FORMAT. */
const char *vt_status_name(enum vultus_status status);

#endif
