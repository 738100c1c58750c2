/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "value.h"

/*
 * jansson reads strings a byte at a time and copies them, which for pictures in base64 takes longer than all the rest.
 * So long strings without escapes are cut out first: the parser sees a short string with their number, behind a zero
 * byte.
 */
enum { LONG_STRING = 512, MARK_SIZE = 40 };

struct cut {
    const char *text;
    size_t length;
};

struct source {
    struct vt_arena *arena;
    const char *body;
    size_t size;
    struct vt_strbuf rest; /* the body with long strings replaced */
    size_t copied;         /* bytes of the body that are in it, or replaced */
    struct cut *cuts;
    size_t n_cuts, capacity;
};

/* The closing quote of the string whose opening one is at `open`, or NULL. */
static const char *string_end(const char *open, const char *end) {
    for (const char *at = open + 1; (at = memchr(at, '"', (size_t)(end - at))); at++) {
        const char *before = at;
        while (before[-1] == '\\') before--;
        if ((at - before) % 2 == 0) return at;
    }
    return NULL;
}

static bool cut_out(struct source *source, const char *open, const char *close) {
    size_t length = (size_t)(close - open - 1);
    if (length < LONG_STRING || memchr(open + 1, '\\', length)) return true;
    if (source->n_cuts == source->capacity) {
        size_t capacity = source->capacity ? 2 * source->capacity : 16;
        struct cut *cuts = vt_arena_alloc_array(source->arena, capacity, sizeof *cuts);
        if (!cuts) return false;
        if (source->n_cuts) memcpy(cuts, source->cuts, source->n_cuts * sizeof *cuts);
        source->cuts = cuts;
        source->capacity = capacity;
    }
    vt_strbuf_append(&source->rest, source->body + source->copied, (size_t)(open - source->body) - source->copied);
    vt_strbuf_printf(&source->rest, "\"\\u0001%zu\"", source->n_cuts);
    source->copied = (size_t)(close + 1 - source->body);
    source->cuts[source->n_cuts++] = (struct cut){open + 1, length};
    return !source->rest.failed;
}

/*
 * Cuts long strings out and counts what opens or separates items outside of strings, an upper bound of the values in
 * the text, and the deepest nesting, before anything is allocated for them.
 */
static enum vultus_status scan(struct source *source, struct vultus_error *error) {
    const char *end = source->body + source->size;
    size_t items = 0;
    int depth = 0;
    for (const char *at = source->body; at < end; at++) {
        if (*at == '"') {
            const char *close = string_end(at, end);
            if (!close) break; /* the parser will say so */
            if (!cut_out(source, at, close)) return vt_fail_memory(error, "a request's body", source->size);
            at = close;
            continue;
        }
        bool opens = *at == '[' || *at == '{';
        if (opens) depth++;
        if (*at == ']' || *at == '}') depth--;
        if (opens || *at == ',') items++;
        if (depth > VT_VALUE_DEPTH)
            return vt_fail(error, VULTUS_ERROR_LIMIT, "the JSON is nested more than %d deep", VT_VALUE_DEPTH);
        if (items > VT_VALUE_ITEMS)
            return vt_fail(error, VULTUS_ERROR_LIMIT, "the JSON has more than %d values", VT_VALUE_ITEMS);
    }
    vt_strbuf_append(&source->rest, source->body + source->copied, source->size - source->copied);
    return source->rest.failed ? vt_fail_memory(error, "a request's body", source->size) : VULTUS_OK;
}

/* The string that a mark stands for, or NULL: it is none. */
static const struct cut *cut_of(const struct source *source, const char *text, size_t length) {
    char digits[MARK_SIZE], *end;
    if (length < 2 || length >= MARK_SIZE || text[0] != '\1' || text[1] < '0' || text[1] > '9') return NULL;
    memcpy(digits, text + 1, length - 1);
    digits[length - 1] = '\0';
    unsigned long long number = strtoull(digits, &end, 10);
    return end == digits + length - 1 && number < source->n_cuts ? &source->cuts[number] : NULL;
}

static bool convert(const struct source *source, const json_t *json, struct vt_value *out);

static bool convert_text(const struct source *source, const char *text, size_t length, struct vt_value *out) {
    const struct cut *cut = cut_of(source, text, length);
    if (cut) {
        *out = (struct vt_value){.kind = VT_VALUE_TEXT, .text = {cut->text, cut->length}};
        return true;
    }
    char *copy = vt_arena_alloc(source->arena, length + 1);
    if (!copy) return false;
    memcpy(copy, text, length);
    *out = (struct vt_value){.kind = VT_VALUE_TEXT, .text = {copy, length}};
    return true;
}

static bool convert_list(const struct source *source, const json_t *json, struct vt_value *out) {
    size_t count = json_array_size(json);
    struct vt_value *items = vt_arena_alloc_array(source->arena, count + 1, sizeof *items);
    if (!items) return false;
    for (size_t i = 0; i < count; i++)
        if (!convert(source, json_array_get(json, i), &items[i])) return false;
    *out = (struct vt_value){.kind = VT_VALUE_LIST, .list = {items, count}};
    return true;
}

static bool convert_map(const struct source *source, const json_t *json, struct vt_value *out) {
    json_t *object = (json_t *)json;
    struct vt_entry *entries = vt_arena_alloc_array(source->arena, json_object_size(json) + 1, sizeof *entries);
    if (!entries) return false;
    size_t n = 0;
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at), n++) {
        if (!convert_text(source, json_object_iter_key(at), json_object_iter_key_len(at), &entries[n].name) ||
            !convert(source, json_object_iter_value(at), &entries[n].value))
            return false;
    }
    *out = (struct vt_value){.kind = VT_VALUE_MAP, .map = {entries, n}};
    return true;
}

static bool convert(const struct source *source, const json_t *json, struct vt_value *out) {
    switch (json_typeof(json)) {
    case JSON_OBJECT: return convert_map(source, json, out);
    case JSON_ARRAY: return convert_list(source, json, out);
    case JSON_STRING: return convert_text(source, json_string_value(json), json_string_length(json), out);
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

/* Where an integer does not fit into 64 bits all of them are read as numbers with a fraction. */
static json_t *parse(const char *text, size_t size, json_error_t *why) {
    static const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_t *json = json_loadb(text, size, flags, why);
    bool overflow = !json && json_error_code(why) == json_error_numeric_overflow;
    return overflow ? json_loadb(text, size, flags | JSON_DECODE_INT_AS_REAL, why) : json;
}

/* What is wrong, where in the body: the parser saw another text, so it has to look again. */
static enum vultus_status tell_problem(
    const struct source *source, json_error_t *why, struct vt_json_problem *problem, struct vultus_error *error) {
    if (source->n_cuts > 0) json_decref(parse(source->body, source->size, why));
    problem->position = why->position > 0 ? (size_t)why->position : 0;
    snprintf(problem->text, sizeof problem->text, "%.90s", why->text);
    return vt_fail(error, VULTUS_ERROR_FORMAT, "the body is no JSON: %s at %zu", problem->text, problem->position);
}

enum vultus_status vt_value_from_json(struct vt_arena *arena, const char *body, size_t size, struct vt_value *out,
    struct vt_json_problem *problem, struct vultus_error *error) {
    struct source source = {.arena = arena, .body = body, .size = size};
    json_error_t why;
    json_t *json = NULL;
    enum vultus_status status = scan(&source, error);
    if (!status) {
        json = parse(source.rest.text ? source.rest.text : "", source.rest.length, &why);
        if (!json) status = tell_problem(&source, &why, problem, error);
    }
    if (!status && !convert(&source, json, out)) status = vt_fail_memory(error, "a request's body", size);
    json_decref(json);
    vt_strbuf_fini(&source.rest);
    return status;
}
