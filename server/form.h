/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_FORM_H
#define VT_SERVER_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"
#include "value.h"

/* A field of a multipart/form-data body (RFC 7578); both point into it and are not terminated. */
struct vt_form_field {
    const char *name;
    size_t name_length;
    const char *value;
    size_t length;
};

enum { VT_FORM_FIELDS = 1088 }; /* most of one form: as many pictures as a request has by default, and settings */

/*
 * Finds the fields of `body`, whose content type (with the boundary) is `content_type`; NULL is none. FORMAT: broken,
 * or no form at all; LIMIT: more than VT_FORM_FIELDS fields.
 */
enum vultus_status vt_form_read(const char *content_type, const char *body, size_t size,
    struct vt_form_field fields[VT_FORM_FIELDS], size_t *count, struct vultus_error *error);

/* The last field of that name, or NULL. */
const struct vt_form_field *vt_form_find(const struct vt_form_field *fields, size_t count, const char *name);

/* The fields as a map of texts, as a body in JSON would have them. False: the arena is full. */
bool vt_form_as_map(struct vt_arena *arena, const struct vt_form_field *fields, size_t count, struct vt_value *out);

#endif
