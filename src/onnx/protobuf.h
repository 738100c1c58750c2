/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_ONNX_PROTOBUF_H
#define VT_ONNX_PROTOBUF_H

/*
 * Reads protobuf's wire format (protobuf.dev, "Encoding") where it lies, never past its end. Messages are visited field
 * by field; nothing descends by itself, so the depth of nesting costs nothing and unknown fields are stepped over.
 * Groups, which ONNX does not use, are refused.
 */

#include "base/arena.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* The whole file, for error sentences that name it and the offset. */
struct vt_pb_source {
    const uint8_t *bytes;
    size_t size;
    const char *name;
    struct vultus_error *error;
};

/* A message not yet read to its end; copy it to come back. */
struct vt_pb {
    const struct vt_pb_source *source;
    const uint8_t *cursor, *end;
};

enum vt_pb_wire { VT_PB_VARINT = 0, VT_PB_FIXED64 = 1, VT_PB_BYTES = 2, VT_PB_FIXED32 = 5 };

struct vt_pb_field {
    uint32_t number; /* 0: the message ended */
    enum vt_pb_wire wire;
    uint64_t value;     /* VARINT, FIXED32, FIXED64 */
    struct vt_pb bytes; /* BYTES */
    const uint8_t *at;  /* where the field starts */
};

struct vt_pb vt_pb_whole(const struct vt_pb_source *source);

/* The next field. Everything but its payload's own structure has been checked. */
enum vultus_status vt_pb_next(struct vt_pb *message, struct vt_pb_field *field);

/* The payload as what the schema says; another wire type is an error. */
enum vultus_status vt_pb_int(const struct vt_pb_field *field, int64_t *out);
enum vultus_status vt_pb_float(const struct vt_pb_field *field, float *out);
enum vultus_status vt_pb_message(const struct vt_pb_field *field, struct vt_pb *out);
/* A copy with a final NUL; control characters, NUL among them, are an error. */
enum vultus_status vt_pb_text(const struct vt_pb_field *field, struct vt_arena *arena, const char **out);

/* What a repeated number holds; in memory int64_t (VARINT), uint32_t or float (FIXED32), uint64_t or double (FIXED64).
 */
struct vt_pb_numbers {
    enum vt_pb_wire wire;
    void *items;
    size_t count;
};
/* All elements of the repeated field `number`, packed or not, in any number of pieces, decoded into the arena. */
enum vultus_status vt_pb_numbers(const struct vt_pb *message, uint32_t number, enum vt_pb_wire wire,
    struct vt_arena *arena, struct vt_pb_numbers *out);

/* One sentence that starts with the file's name and the offset of `at`. */
enum vultus_status vt_pb_fail(const struct vt_pb_source *source, const uint8_t *at, enum vultus_status status,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
