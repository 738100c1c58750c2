/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strbuf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

#define FIRST_CAPACITY 128

void vt_strbuf_fini(struct vt_strbuf *buffer) {
    free(buffer->text);
    *buffer = (struct vt_strbuf){0};
}

/* Room for `more` bytes and a NUL. */
static bool reserve(struct vt_strbuf *buffer, size_t more) {
    size_t needed;
    if (buffer->failed) return false;
    if (!vt_add_size(buffer->length, more, &needed) || !vt_add_size(needed, 1, &needed) || needed > SIZE_MAX / 2) {
        buffer->failed = true;
        return false;
    }
    if (needed <= buffer->capacity) return true;
    size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
    while (capacity < needed) capacity *= 2;
    char *text = realloc(buffer->text, capacity);
    if (!text) {
        buffer->failed = true;
        return false;
    }
    buffer->text = text;
    buffer->capacity = capacity;
    return true;
}

void vt_strbuf_append(struct vt_strbuf *buffer, const char *text, size_t length) {
    if (!reserve(buffer, length)) return;
    if (length) memcpy(buffer->text + buffer->length, text, length);
    buffer->length += length;
    buffer->text[buffer->length] = '\0';
}

void vt_strbuf_puts(struct vt_strbuf *buffer, const char *text) { vt_strbuf_append(buffer, text, strlen(text)); }

void vt_strbuf_printf(struct vt_strbuf *buffer, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0) {
        buffer->failed = true;
    } else if (reserve(buffer, (size_t)length)) {
        vsnprintf(buffer->text + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

char *vt_strbuf_take(struct vt_strbuf *buffer) {
    if (reserve(buffer, 0)) buffer->text[buffer->length] = '\0';
    char *text = buffer->failed ? NULL : buffer->text;
    if (text) buffer->text = NULL;
    vt_strbuf_fini(buffer);
    return text;
}
