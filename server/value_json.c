/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

/*
 * Counts what opens or separates items outside of strings, an upper bound of the values in the text, and the deepest
 * nesting, before anything is allocated for them.
 */
static enum vultus_status check_size(const char *body, size_t size, struct vultus_error *error) {
    size_t items = 0;
    int depth = 0;
    for (size_t i = 0; i < size; i++) {
        char c = body[i];
        if (c == '"') {
            const char *end = body + i;
            size_t backslashes;
            do {
                end = memchr(end + 1, '"', size - (size_t)(end + 1 - body));
                if (!end) return VULTUS_OK; /* the parser will say so */
                backslashes = 0;
                while (end[-1 - (ptrdiff_t)backslashes] == '\\') backslashes++;
            } while (backslashes % 2);
            i = (size_t)(end - body);
            continue;
        }
        if (c == '[' || c == '{') depth++;
        if (c == ']' || c == '}') depth--;
        if (c == '[' || c == '{' || c == ',') items++;
        if (depth > VT_VALUE_DEPTH)
            return vt_fail(error, VULTUS_ERROR_LIMIT, "the JSON is nested more than %d deep", VT_VALUE_DEPTH);
        if (items > VT_VALUE_ITEMS)
            return vt_fail(error, VULTUS_ERROR_LIMIT, "the JSON has more than %d values", VT_VALUE_ITEMS);
    }
    return VULTUS_OK;
}

static bool convert(struct vt_arena *arena, const json_t *json, struct vt_value *out);

static bool convert_text(struct vt_arena *arena, const char *text, size_t length, struct vt_value *out) {
    char *copy = vt_arena_alloc(arena, length + 1);
    if (!copy) return false;
    memcpy(copy, text, length);
    *out = (struct vt_value){.kind = VT_VALUE_TEXT, .text = {copy, length}};
    return true;
}

static bool convert_list(struct vt_arena *arena, const json_t *json, struct vt_value *out) {
    size_t count = json_array_size(json);
    struct vt_value *items = vt_arena_alloc_array(arena, count + 1, sizeof *items);
    if (!items) return false;
    for (size_t i = 0; i < count; i++)
        if (!convert(arena, json_array_get(json, i), &items[i])) return false;
    *out = (struct vt_value){.kind = VT_VALUE_LIST, .list = {items, count}};
    return true;
}

static bool convert_map(struct vt_arena *arena, const json_t *json, struct vt_value *out) {
    json_t *object = (json_t *)json;
    struct vt_entry *entries = vt_arena_alloc_array(arena, json_object_size(json) + 1, sizeof *entries);
    if (!entries) return false;
    size_t n = 0;
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at), n++) {
        if (!convert_text(arena, json_object_iter_key(at), json_object_iter_key_len(at), &entries[n].name) ||
            !convert(arena, json_object_iter_value(at), &entries[n].value))
            return false;
    }
    *out = (struct vt_value){.kind = VT_VALUE_MAP, .map = {entries, n}};
    return true;
}

static bool convert(struct vt_arena *arena, const json_t *json, struct vt_value *out) {
    switch (json_typeof(json)) {
    case JSON_OBJECT: return convert_map(arena, json, out);
    case JSON_ARRAY: return convert_list(arena, json, out);
    case JSON_STRING: return convert_text(arena, json_string_value(json), json_string_length(json), out);
    case JSON_INTEGER:
        *out = (struct vt_value){.kind = VT_VALUE_INTEGER, .integer = json_integer_value(json)};
        return true;
    case JSON_REAL: *out = (struct vt_value){.kind = VT_VALUE_FLOAT, .number = json_real_value(json)}; return true;
    case JSON_TRUE:
    case JSON_FALSE: *out = (struct vt_value){.kind = VT_VALUE_BOOL, .truth = json_is_true(json)}; return true;
    case JSON_NULL: *out = (struct vt_value){.kind = VT_VALUE_NULL}; return true;
    }
    return false;
}

enum vultus_status vt_value_from_json(struct vt_arena *arena, const char *body, size_t size, struct vt_value *out,
    struct vt_json_problem *problem, struct vultus_error *error) {
    enum vultus_status status = check_size(body, size, error);
    if (status) return status;
    json_error_t why;
    json_t *json = json_loadb(body, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (!json) {
        problem->position = why.position > 0 ? (size_t)why.position : 0;
        snprintf(problem->text, sizeof problem->text, "%.90s", why.text);
        return vt_fail(error, VULTUS_ERROR_FORMAT, "the body is no JSON: %s at %zu", problem->text, problem->position);
    }
    bool fine = convert(arena, json, out);
    json_decref(json);
    return fine ? VULTUS_OK : vt_fail_memory(error, "a request's body", size);
}
