/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/protobuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MOST_VARINT_BYTES 10
#define LARGEST_FIELD_NUMBER ((1U << 29) - 1)

enum vultus_status vt_pb_fail(
    const struct vt_pb_source *source, const uint8_t *at, enum vultus_status status, const char *format, ...) {
    char reason[VULTUS_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return vt_fail(
        source->error, status, "%.100s: at byte %zu: %.380s", source->name, (size_t)(at - source->bytes), reason);
}

struct vt_pb vt_pb_whole(const struct vt_pb_source *source) {
    const uint8_t *end = source->size ? source->bytes + source->size : source->bytes;
    return (struct vt_pb){.source = source, .cursor = source->bytes, .end = end};
}

static enum vultus_status read_varint(struct vt_pb *message, uint64_t *out) {
    uint64_t value = 0;
    for (int i = 0; i < MOST_VARINT_BYTES; ++i) {
        if (message->cursor == message->end)
            return vt_pb_fail(message->source, message->cursor, VULTUS_ERROR_FORMAT, "a number is cut off");
        uint8_t byte = *message->cursor++;
        if (i == MOST_VARINT_BYTES - 1 && byte > 1) break; /* only bit 63 is left for the tenth byte */
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte & 0x80) continue;
        *out = value;
        return VULTUS_OK;
    }
    return vt_pb_fail(message->source, message->cursor, VULTUS_ERROR_FORMAT, "a number has more than 64 bits");
}

/* Little-endian, of 4 or 8 bytes. */
static enum vultus_status read_fixed(struct vt_pb *message, size_t size, uint64_t *out) {
    if ((size_t)(message->end - message->cursor) < size)
        return vt_pb_fail(
            message->source, message->cursor, VULTUS_ERROR_FORMAT, "a number of %zu bytes is cut off", size);
    *out = 0;
    for (size_t i = 0; i < size; ++i) *out |= (uint64_t)message->cursor[i] << (8 * i);
    message->cursor += size;
    return VULTUS_OK;
}

static enum vultus_status read_bytes(struct vt_pb *message, struct vt_pb *out) {
    uint64_t size;
    enum vultus_status status = read_varint(message, &size);
    if (status) return status;
    if (size > (size_t)(message->end - message->cursor))
        return vt_pb_fail(message->source, message->cursor, VULTUS_ERROR_FORMAT,
            "a field of %llu bytes does not fit the %zu that are left", (unsigned long long)size,
            (size_t)(message->end - message->cursor));
    *out = (struct vt_pb){.source = message->source, .cursor = message->cursor, .end = message->cursor + size};
    message->cursor += size;
    return VULTUS_OK;
}

static enum vultus_status read_number(struct vt_pb *message, enum vt_pb_wire wire, uint64_t *out) {
    return wire == VT_PB_VARINT ? read_varint(message, out) : read_fixed(message, wire == VT_PB_FIXED32 ? 4 : 8, out);
}

enum vultus_status vt_pb_next(struct vt_pb *message, struct vt_pb_field *field) {
    *field = (struct vt_pb_field){.at = message->cursor, .bytes = {.source = message->source}};
    if (message->cursor == message->end) return VULTUS_OK;
    uint64_t tag = 0;
    enum vultus_status status = read_varint(message, &tag);
    if (status) return status;
    if (tag >> 3 == 0 || tag >> 3 > LARGEST_FIELD_NUMBER)
        return vt_pb_fail(message->source, field->at, VULTUS_ERROR_FORMAT, "field number %llu is out of range",
            (unsigned long long)(tag >> 3));
    field->number = (uint32_t)(tag >> 3);
    field->wire = (enum vt_pb_wire)(tag & 7);
    switch (field->wire) {
    case VT_PB_VARINT:
    case VT_PB_FIXED32:
    case VT_PB_FIXED64: return read_number(message, field->wire, &field->value);
    case VT_PB_BYTES: return read_bytes(message, &field->bytes);
    }
    return vt_pb_fail(message->source, field->at, VULTUS_ERROR_FORMAT,
        "field %u has wire type %u, which ONNX never uses", field->number, (unsigned)(tag & 7));
}

static enum vultus_status require_wire(const struct vt_pb_field *field, enum vt_pb_wire wire) {
    if (field->wire == wire) return VULTUS_OK;
    return vt_pb_fail(field->bytes.source, field->at, VULTUS_ERROR_FORMAT, "field %u has wire type %d, not %d",
        field->number, (int)field->wire, (int)wire);
}

enum vultus_status vt_pb_int(const struct vt_pb_field *field, int64_t *out) {
    *out = (int64_t)field->value;
    return require_wire(field, VT_PB_VARINT);
}

enum vultus_status vt_pb_float(const struct vt_pb_field *field, float *out) {
    uint32_t bits = (uint32_t)field->value;
    memcpy(out, &bits, sizeof *out);
    return require_wire(field, VT_PB_FIXED32);
}

enum vultus_status vt_pb_message(const struct vt_pb_field *field, struct vt_pb *out) {
    *out = field->bytes;
    return require_wire(field, VT_PB_BYTES);
}

enum vultus_status vt_pb_text(const struct vt_pb_field *field, struct vt_arena *arena, const char **out) {
    struct vt_pb text;
    enum vultus_status status = vt_pb_message(field, &text);
    if (status) return status;
    for (const uint8_t *at = text.cursor; at < text.end; ++at)
        if (*at < 0x20 || *at == 0x7F)
            return vt_pb_fail(text.source, at, VULTUS_ERROR_FORMAT, "a text holds the control character %u", *at);
    size_t size = (size_t)(text.end - text.cursor);
    char *copy = vt_arena_alloc(arena, size + 1);
    if (!copy)
        return vt_pb_fail(
            text.source, field->at, VULTUS_ERROR_MEMORY, "a text of %zu bytes exceeds the memory limit", size);
    if (size) memcpy(copy, text.cursor, size);
    *out = copy;
    return VULTUS_OK;
}

static size_t number_size(enum vt_pb_wire wire) { return wire == VT_PB_FIXED32 ? 4 : 8; }

static void store_number(struct vt_pb_numbers *numbers, uint64_t value) {
    if (numbers->wire == VT_PB_FIXED32)
        ((uint32_t *)numbers->items)[numbers->count] = (uint32_t)value;
    else
        ((uint64_t *)numbers->items)[numbers->count] = value;
}

/* Counts the elements of one field (packed: many) and stores them where there is room. */
static enum vultus_status take_numbers(const struct vt_pb_field *field, struct vt_pb_numbers *numbers) {
    if (field->wire == numbers->wire) {
        if (numbers->items) store_number(numbers, field->value);
        ++numbers->count;
        return VULTUS_OK;
    }
    struct vt_pb packed;
    enum vultus_status status = vt_pb_message(field, &packed);
    while (!status && packed.cursor < packed.end) {
        uint64_t value;
        status = read_number(&packed, numbers->wire, &value);
        if (status) break;
        if (numbers->items) store_number(numbers, value);
        ++numbers->count;
    }
    return status;
}

static enum vultus_status walk_numbers(struct vt_pb message, uint32_t number, struct vt_pb_numbers *numbers) {
    struct vt_pb_field field;
    enum vultus_status status;
    numbers->count = 0;
    while (!(status = vt_pb_next(&message, &field)) && field.number) {
        if (field.number == number) status = take_numbers(&field, numbers);
        if (status) break;
    }
    return status;
}

enum vultus_status vt_pb_numbers(const struct vt_pb *message, uint32_t number, enum vt_pb_wire wire,
    struct vt_arena *arena, struct vt_pb_numbers *out) {
    *out = (struct vt_pb_numbers){.wire = wire};
    enum vultus_status status = walk_numbers(*message, number, out);
    if (status || !out->count) return status;
    out->items = vt_arena_alloc_array(arena, out->count, number_size(wire));
    if (!out->items)
        return vt_pb_fail(
            message->source, message->cursor, VULTUS_ERROR_MEMORY, "%zu numbers exceed the memory limit", out->count);
    return walk_numbers(*message, number, out);
}
