/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_EMIT_H
#define VT_SERVER_EMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

/*
 * Writes one value as JSON or as msgpack: the answers of /extract have the same fields in the same order in both. JSON
 * is compact with "\/" for slashes, as InsightFace-REST's; msgpack has all floats in 32 bits. A failed allocation shows
 * in `out`.
 */
struct vt_emitter {
    bool msgpack;
    bool after_value; /* JSON: a comma is due */
    struct vt_strbuf *out;
};

void vt_emit_map(struct vt_emitter *emitter, uint32_t entries);
void vt_emit_map_end(struct vt_emitter *emitter);
void vt_emit_list(struct vt_emitter *emitter, uint32_t items);
void vt_emit_list_end(struct vt_emitter *emitter);
void vt_emit_key(struct vt_emitter *emitter, const char *name);
void vt_emit_text(struct vt_emitter *emitter, const char *text);
void vt_emit_integer(struct vt_emitter *emitter, int64_t value);
void vt_emit_number(struct vt_emitter *emitter, double value);
void vt_emit_bool(struct vt_emitter *emitter, bool value);
void vt_emit_null(struct vt_emitter *emitter);
/* A list of numbers. */
void vt_emit_floats(struct vt_emitter *emitter, const float *values, uint32_t count);
/* A text: base64 with padding. */
void vt_emit_base64(struct vt_emitter *emitter, const uint8_t *bytes, size_t size);

#endif
