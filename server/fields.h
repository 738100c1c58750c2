/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_FIELDS_H
#define VT_SERVER_FIELDS_H

#include "value.h"

/*
 * What is wrong with a request's fields, as the items of a 422 answer's "detail": {"type","loc","msg","input"}. Zero
 * it; release with vt_strbuf_fini(&problems.json).
 */
struct vt_problems {
    struct vt_strbuf json;
    size_t count;
};

/* `place` is the part of "loc" behind "body", such as "\"images\",\"urls\",3", or "". `input` NULL is null. */
void vt_problem(struct vt_problems *problems, const char *type, const char *place, const char *sentence,
    const struct vt_value *input);

/*
 * Fields of a body, read leniently: switches take 0, 1 and words such as "Yes", numbers take texts. A field that is
 * missing or null is `fallback`. Values that cannot be read become problems, and `fallback`.
 */
bool vt_field_switch(const struct vt_value *body, const char *name, bool fallback, struct vt_problems *problems);
int64_t vt_field_integer(const struct vt_value *body, const char *name, int64_t fallback, struct vt_problems *problems);
double vt_field_number(const struct vt_value *body, const char *name, double fallback, struct vt_problems *problems);

/* The same of one value at `place`. */
bool vt_read_switch(const struct vt_value *value, const char *place, bool fallback, struct vt_problems *problems);
int64_t vt_read_integer(
    const struct vt_value *value, const char *place, int64_t fallback, struct vt_problems *problems);
double vt_read_number(const struct vt_value *value, const char *place, double fallback, struct vt_problems *problems);

#endif
