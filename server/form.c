/* SPDX-License-Identifier: Apache-2.0 */
#include "form.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { LONGEST_BOUNDARY = 70 }; /* RFC 2046, section 5.1.1 */

static enum vultus_status broken(struct vultus_error *error, const char *why) {
    return vt_fail(error, VULTUS_ERROR_FORMAT, "the multipart body is broken: %s", why);
}

/* Writes "\r\n--boundary" to `delimiter`, which has LONGEST_BOUNDARY + 5 bytes. */
static bool find_boundary(const char *content_type, char *delimiter) {
    static const char form[] = "multipart/form-data", parameter[] = "boundary=";
    if (!content_type || strncasecmp(content_type, form, sizeof form - 1) != 0) return false;
    const char *at = strcasestr(content_type, parameter);
    if (!at) return false;
    at += sizeof parameter - 1;
    bool quoted = *at == '"';
    at += quoted;
    size_t length = strcspn(at, quoted ? "\"" : "; \t");
    if (length == 0 || length > LONGEST_BOUNDARY) return false;
    memcpy(delimiter, "\r\n--", 4);
    memcpy(delimiter + 4, at, length);
    delimiter[4 + length] = '\0';
    return true;
}

/* The value of `parameter` ("name=") in a Content-Disposition line from `at` to `end`, quoted or not. */
static bool find_parameter(const char *at, const char *end, const char *parameter, const char **value, size_t *length) {
    size_t name = strlen(parameter);
    for (; at + name < end; at++) {
        /* "name=" must not be the end of "filename=". */
        if (strncasecmp(at, parameter, name) != 0 || (at[-1] != ';' && at[-1] != ' ' && at[-1] != '\t')) continue;
        at += name;
        bool quoted = *at == '"';
        at += quoted;
        const char *stop = at;
        while (stop < end && (quoted ? *stop != '"' : *stop != ';' && *stop != ' ')) stop++;
        if (quoted && stop == end) return false;
        *value = at;
        *length = (size_t)(stop - at);
        return true;
    }
    return false;
}

/* Reads the header lines of a part, from `at` to the empty line at `end`. */
static bool read_name(const char *at, const char *end, struct vt_form_field *field) {
    static const char disposition[] = "content-disposition:";
    while (at < end) {
        const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (!line_end) line_end = end;
        if ((size_t)(line_end - at) > sizeof disposition && strncasecmp(at, disposition, sizeof disposition - 1) == 0 &&
            find_parameter(at + sizeof disposition - 1, line_end, "name=", &field->name, &field->name_length))
            return true;
        at = line_end + (line_end < end ? 2 : 0);
    }
    return false;
}

/* One part, which begins at *at behind its boundary; *at becomes the place behind the next boundary. */
static enum vultus_status read_part(
    const char **at, const char *end, const char *delimiter, struct vt_form_field *field, struct vultus_error *error) {
    const char *headers_end = memmem(*at, (size_t)(end - *at), "\r\n\r\n", 4);
    if (!headers_end) return broken(error, "a part has no end of its headers");
    if (!read_name(*at, headers_end, field)) return broken(error, "a part has no name");
    field->value = headers_end + 4;
    /* The line end in front of the delimiter may be that of the headers: an empty value. */
    const char *from = headers_end + 2;
    const char *next = memmem(from, (size_t)(end - from), delimiter, strlen(delimiter));
    if (!next) return broken(error, "a part has no end");
    field->length = next < field->value ? 0 : (size_t)(next - field->value);
    *at = next + strlen(delimiter);
    return VULTUS_OK;
}

enum vultus_status vt_form_read(const char *content_type, const char *body, size_t size,
    struct vt_form_field fields[VT_FORM_FIELDS], size_t *count, struct vultus_error *error) {
    char delimiter[LONGEST_BOUNDARY + 5];
    if (!find_boundary(content_type, delimiter)) return broken(error, "the content type names no boundary");
    const char *end = body + size, *first = delimiter + 2; /* the first one needs no line end */
    const char *at = size ? memmem(body, size, first, strlen(first)) : NULL;
    if (!at) return broken(error, "its boundary is not there");
    at += strlen(first);
    for (*count = 0;; ++*count) {
        if (end - at >= 2 && memcmp(at, "--", 2) == 0) return VULTUS_OK;
        if (end - at < 2 || memcmp(at, "\r\n", 2) != 0) return broken(error, "a boundary's line does not end");
        if (*count == VT_FORM_FIELDS)
            return vt_fail(error, VULTUS_ERROR_LIMIT, "the form has more than %d fields", VT_FORM_FIELDS);
        at += 2;
        enum vultus_status status = read_part(&at, end, delimiter, &fields[*count], error);
        if (status) return status;
    }
}

const struct vt_form_field *vt_form_find(const struct vt_form_field *fields, size_t count, const char *name) {
    for (size_t i = count; i-- > 0;)
        if (strlen(name) == fields[i].name_length && memcmp(name, fields[i].name, fields[i].name_length) == 0)
            return &fields[i];
    return NULL;
}

static struct vt_value text_of(const char *text, size_t length) {
    return (struct vt_value){.kind = VT_VALUE_TEXT, .text = {text, length}};
}

bool vt_form_as_map(struct vt_arena *arena, const struct vt_form_field *fields, size_t count, struct vt_value *out) {
    struct vt_entry *entries = vt_arena_alloc_array(arena, count + 1, sizeof *entries);
    if (!entries) return false;
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct vt_entry){
            text_of(fields[i].name, fields[i].name_length), text_of(fields[i].value, fields[i].length)};
    *out = (struct vt_value){.kind = VT_VALUE_MAP, .map = {entries, count}};
    return true;
}
