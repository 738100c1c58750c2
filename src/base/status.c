/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

enum vultus_status vt_fail(struct vultus_error *error, enum vultus_status status, const char *format, ...) {
    if (!error) return status;
    /* Formatted aside, because the arguments may point into error->text. */
    char text[VULTUS_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) text[0] = '\0';
    va_end(arguments);
    error->status = status;
    snprintf(error->text, sizeof error->text, "%s", text);
    return status;
}

enum vultus_status vt_fail_memory(struct vultus_error *error, const char *what, unsigned long long bytes) {
    return vt_fail(error, VULTUS_ERROR_MEMORY, "out of memory: %llu bytes for %s could not be allocated", bytes, what);
}

const char *vt_status_name(enum vultus_status status) {
    switch (status) {
    case VULTUS_OK: return "ok";
    case VULTUS_ERROR_INVALID: return "invalid";
    case VULTUS_ERROR_FORMAT: return "format";
    case VULTUS_ERROR_UNSUPPORTED: return "unsupported";
    case VULTUS_ERROR_IO: return "io";
    case VULTUS_ERROR_NOT_FOUND: return "not_found";
    case VULTUS_ERROR_MEMORY: return "memory";
    case VULTUS_ERROR_LIMIT: return "limit";
    case VULTUS_ERROR_MISMATCH: return "mismatch";
    case VULTUS_ERROR_BACKEND: return "backend";
    }
    return "unknown";
}
