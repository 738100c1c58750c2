/* SPDX-License-Identifier: Apache-2.0 */
#include <msgpack.h>
#include <string.h>

#include "base/checked.h"
#include "value.h"

/*
 * msgpack-c allocates as many items as a header claims, so the structure is walked first: every item needs a byte at
 * least. The encoding is that of the msgpack specification.
 */
struct walk {
    const uint8_t *at, *end;
    size_t items;
};

static bool read_length(struct walk *w, int bytes, size_t *length) {
    if (w->end - w->at < bytes) return false;
    *length = 0;
    for (int i = 0; i < bytes; i++) *length = *length << 8 | *w->at++;
    return true;
}

static bool skip(struct walk *w, size_t bytes) {
    if ((size_t)(w->end - w->at) < bytes) return false;
    w->at += bytes;
    return true;
}

static bool walk_value(struct walk *w, int depth);

static bool walk_items(struct walk *w, size_t count, int depth) {
    if (count > (size_t)(w->end - w->at) || count > VT_VALUE_ITEMS - w->items) return false;
    w->items += count;
    for (size_t i = 0; i < count; i++)
        if (!walk_value(w, depth + 1)) return false;
    return true;
}

/* The types from 0xc0 to 0xdf. */
static bool walk_long_form(struct walk *w, uint8_t type, int depth) {
    size_t length = 0;
    if (type == 0xc1) return false;
    if (type <= 0xc3) return true;                                                               /* nil, false, true */
    if (type <= 0xc6) return read_length(w, 1 << (type - 0xc4), &length) && skip(w, length);     /* bin */
    if (type <= 0xc9) return read_length(w, 1 << (type - 0xc7), &length) && skip(w, length + 1); /* ext */
    if (type <= 0xcb) return skip(w, type == 0xca ? 4 : 8);                                      /* float */
    if (type <= 0xd3) return skip(w, (size_t)1 << ((type - 0xcc) % 4));                          /* uint, int */
    if (type <= 0xd8) return skip(w, ((size_t)1 << (type - 0xd4)) + 1);                          /* fixext */
    if (type <= 0xdb) return read_length(w, 1 << (type - 0xd9), &length) && skip(w, length);     /* str */
    bool map = type >= 0xde;
    if (!read_length(w, type % 2 ? 4 : 2, &length)) return false;
    return walk_items(w, map ? 2 * length : length, depth);
}

static bool walk_value(struct walk *w, int depth) {
    if (depth > VT_VALUE_DEPTH || w->at == w->end) return false;
    uint8_t type = *w->at++;
    if (type < 0x80 || type >= 0xe0) return true; /* small integers */
    if (type < 0x90) return walk_items(w, 2 * (size_t)(type & 15), depth);
    if (type < 0xa0) return walk_items(w, type & 15, depth);
    if (type < 0xc0) return skip(w, type & 31);
    return walk_long_form(w, type, depth);
}

static bool convert(struct vt_arena *arena, const msgpack_object *object, struct vt_value *out);

static bool convert_list(struct vt_arena *arena, const msgpack_object_array *array, struct vt_value *out) {
    struct vt_value *items = vt_arena_alloc_array(arena, (size_t)array->size + 1, sizeof *items);
    if (!items) return false;
    for (uint32_t i = 0; i < array->size; i++)
        if (!convert(arena, &array->ptr[i], &items[i])) return false;
    *out = (struct vt_value){.kind = VT_VALUE_LIST, .list = {items, array->size}};
    return true;
}

static bool convert_map(struct vt_arena *arena, const msgpack_object_map *map, struct vt_value *out) {
    struct vt_entry *entries = vt_arena_alloc_array(arena, (size_t)map->size + 1, sizeof *entries);
    if (!entries) return false;
    for (uint32_t i = 0; i < map->size; i++)
        if (!convert(arena, &map->ptr[i].key, &entries[i].name) || !convert(arena, &map->ptr[i].val, &entries[i].value))
            return false;
    *out = (struct vt_value){.kind = VT_VALUE_MAP, .map = {entries, map->size}};
    return true;
}

static bool convert(struct vt_arena *arena, const msgpack_object *object, struct vt_value *out) {
    switch (object->type) {
    case MSGPACK_OBJECT_BOOLEAN:
        *out = (struct vt_value){.kind = VT_VALUE_BOOL, .truth = object->via.boolean};
        return true;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        *out = object->via.u64 <= INT64_MAX
                   ? (struct vt_value){.kind = VT_VALUE_INTEGER, .integer = (int64_t)object->via.u64}
                   : (struct vt_value){.kind = VT_VALUE_FLOAT, .number = (double)object->via.u64};
        return true;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        *out = (struct vt_value){.kind = VT_VALUE_INTEGER, .integer = object->via.i64};
        return true;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        *out = (struct vt_value){.kind = VT_VALUE_FLOAT, .number = object->via.f64};
        return true;
    case MSGPACK_OBJECT_STR:
        *out = (struct vt_value){.kind = VT_VALUE_TEXT, .text = {object->via.str.ptr, object->via.str.size}};
        return true;
    case MSGPACK_OBJECT_BIN:
        *out = (struct vt_value){.kind = VT_VALUE_BYTES, .text = {object->via.bin.ptr, object->via.bin.size}};
        return true;
    case MSGPACK_OBJECT_ARRAY: return convert_list(arena, &object->via.array, out);
    case MSGPACK_OBJECT_MAP: return convert_map(arena, &object->via.map, out);
    default: *out = (struct vt_value){.kind = VT_VALUE_NULL}; return true; /* nil, and ext */
    }
}

enum vultus_status vt_value_from_msgpack(
    struct vt_arena *arena, const char *body, size_t size, struct vt_value *out, struct vultus_error *error) {
    struct walk walk = {(const uint8_t *)body, (const uint8_t *)body + size, 0};
    if (!walk_value(&walk, 0) || walk.at != walk.end)
        return vt_fail(error, VULTUS_ERROR_FORMAT,
            "the body is no single msgpack value of at most %d items, nested at most %d deep", VT_VALUE_ITEMS,
            VT_VALUE_DEPTH);
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    enum vultus_status status = VULTUS_OK;
    if (msgpack_unpack_next(&unpacked, body, size, NULL) != MSGPACK_UNPACK_SUCCESS)
        status = vt_fail(error, VULTUS_ERROR_FORMAT, "the body is no msgpack");
    else if (!convert(arena, &unpacked.data, out))
        status = vt_fail_memory(error, "a request's body", size);
    msgpack_unpacked_destroy(&unpacked);
    return status;
}
