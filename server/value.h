/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_VALUE_H
#define VT_SERVER_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/strbuf.h"

/* What a request's body says, whichever format it came in. */
enum vt_value_kind {
    VT_VALUE_NULL,
    VT_VALUE_BOOL,
    VT_VALUE_INTEGER,
    VT_VALUE_FLOAT,
    VT_VALUE_TEXT,  /* UTF-8, may hold NUL */
    VT_VALUE_BYTES, /* msgpack's bin */
    VT_VALUE_LIST,
    VT_VALUE_MAP
};

struct vt_value {
    enum vt_value_kind kind;
    union {
        bool truth;
        int64_t integer;
        double number;
        struct {
            const char *bytes;
            size_t length;
        } text; /* of TEXT and BYTES */
        struct {
            const struct vt_value *items;
            size_t count;
        } list;
        struct {
            const struct vt_entry *entries; /* of equal names the last counts */
            size_t count;
        } map;
    };
};

struct vt_entry {
    struct vt_value name, value; /* names that are not texts are found by nobody */
};

/* What a body may consist of at most, so that a small one does not become a large one in memory. */
enum { VT_VALUE_DEPTH = 32, VT_VALUE_ITEMS = 1 << 18 };

/* Where and why a text is no JSON. */
struct vt_json_problem {
    size_t position;
    char text[96];
};

/*
 * Both build the value in `arena`; texts may point into `body`, which has to live as long. FORMAT: broken; LIMIT: too
 * deep or too many items; MEMORY.
 */
enum vultus_status vt_value_from_json(struct vt_arena *arena, const char *body, size_t size, struct vt_value *out,
    struct vt_json_problem *problem, struct vultus_error *error);
enum vultus_status vt_value_from_msgpack(
    struct vt_arena *arena, const char *body, size_t size, struct vt_value *out, struct vultus_error *error);

/* The value of that name in a map, or NULL; NULL too for other kinds. */
const struct vt_value *vt_value_get(const struct vt_value *map, const char *name);

/* As JSON, for echoing what was wrong: long texts and lists are cut, bytes become null. */
void vt_value_echo(const struct vt_value *value, struct vt_strbuf *out);
/* A JSON string with quotes; bytes that are no UTF-8 become U+FFFD. */
void vt_write_json_text(struct vt_strbuf *out, const char *text, size_t length);

#endif
