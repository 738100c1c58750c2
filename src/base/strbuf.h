/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_STRBUF_H
#define VT_BASE_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

/* Growing text. A failed allocation sets `failed`, and later appends do nothing: check it once, at the end. */
struct vt_strbuf {
    char *text; /* NUL-terminated, NULL while empty */
    size_t length, capacity;
    bool failed;
};

void vt_strbuf_fini(struct vt_strbuf *buffer);
void vt_strbuf_append(struct vt_strbuf *buffer, const char *text, size_t length);
void vt_strbuf_puts(struct vt_strbuf *buffer, const char *text);
void vt_strbuf_printf(struct vt_strbuf *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Hands the text to the caller (free it); NULL when an allocation failed. The buffer is empty afterwards. */
char *vt_strbuf_take(struct vt_strbuf *buffer);

#endif
