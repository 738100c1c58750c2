/* SPDX-License-Identifier: Apache-2.0 */
#include "emit.h"

#include <msgpack.h>
#include <string.h>

#include "base64.h"
#include "number.h"
#include "value.h"

static int append(void *data, const char *bytes, size_t length) {
    vt_strbuf_append(data, bytes, length);
    return 0;
}

static msgpack_packer packer_of(const struct vt_emitter *e) {
    msgpack_packer packer;
    msgpack_packer_init(&packer, e->out, append);
    return packer;
}

/* A comma where one is due; afterwards a value has been written. */
static void separate(struct vt_emitter *e) {
    if (e->after_value) vt_strbuf_append(e->out, ",", 1);
    e->after_value = true;
}

static void open_bracket(struct vt_emitter *e, const char *bracket) {
    separate(e);
    vt_strbuf_append(e->out, bracket, 1);
    e->after_value = false;
}

static void close_bracket(struct vt_emitter *e, const char *bracket) {
    if (e->msgpack) return;
    vt_strbuf_append(e->out, bracket, 1);
    e->after_value = true;
}

void vt_emit_map(struct vt_emitter *e, uint32_t entries) {
    if (!e->msgpack) {
        open_bracket(e, "{");
        return;
    }
    msgpack_packer packer = packer_of(e);
    msgpack_pack_map(&packer, entries);
}

void vt_emit_map_end(struct vt_emitter *e) { close_bracket(e, "}"); }

void vt_emit_list(struct vt_emitter *e, uint32_t items) {
    if (!e->msgpack) {
        open_bracket(e, "[");
        return;
    }
    msgpack_packer packer = packer_of(e);
    msgpack_pack_array(&packer, items);
}

void vt_emit_list_end(struct vt_emitter *e) { close_bracket(e, "]"); }

static void pack_text(struct vt_emitter *e, const char *text, size_t length) {
    msgpack_packer packer = packer_of(e);
    msgpack_pack_str(&packer, length);
    msgpack_pack_str_body(&packer, text, length);
}

void vt_emit_key(struct vt_emitter *e, const char *name) {
    vt_emit_text(e, name);
    if (e->msgpack) return;
    vt_strbuf_append(e->out, ":", 1);
    e->after_value = false;
}

/* Text of which only slashes need another form than in other JSON. */
static void write_slashes(struct vt_strbuf *out, const char *text, size_t length) {
    while (length) {
        const char *slash = memchr(text, '/', length);
        size_t plain = slash ? (size_t)(slash - text) : length;
        vt_strbuf_append(out, text, plain);
        if (!slash) return;
        vt_strbuf_append(out, "\\/", 2);
        text += plain + 1;
        length -= plain + 1;
    }
}

void vt_emit_text(struct vt_emitter *e, const char *text) {
    if (e->msgpack) {
        pack_text(e, text, strlen(text));
        return;
    }
    separate(e);
    struct vt_strbuf quoted = {0};
    vt_write_json_text(&quoted, text, strlen(text));
    if (quoted.failed)
        e->out->failed = true;
    else
        write_slashes(e->out, quoted.text, quoted.length);
    vt_strbuf_fini(&quoted);
}

void vt_emit_integer(struct vt_emitter *e, int64_t value) {
    if (e->msgpack) {
        msgpack_packer packer = packer_of(e);
        msgpack_pack_int64(&packer, value);
        return;
    }
    separate(e);
    vt_strbuf_printf(e->out, "%lld", (long long)value);
}

void vt_emit_number(struct vt_emitter *e, double value) {
    if (e->msgpack) {
        msgpack_packer packer = packer_of(e);
        msgpack_pack_float(&packer, (float)value);
        return;
    }
    char text[VT_NUMBER_SIZE];
    separate(e);
    vt_strbuf_append(e->out, text, vt_write_number(text, value));
}

void vt_emit_bool(struct vt_emitter *e, bool value) {
    if (!e->msgpack) {
        separate(e);
        vt_strbuf_puts(e->out, value ? "true" : "false");
        return;
    }
    msgpack_packer packer = packer_of(e);
    if (value)
        msgpack_pack_true(&packer);
    else
        msgpack_pack_false(&packer);
}

void vt_emit_null(struct vt_emitter *e) {
    if (e->msgpack) {
        msgpack_packer packer = packer_of(e);
        msgpack_pack_nil(&packer);
        return;
    }
    separate(e);
    vt_strbuf_append(e->out, "null", 4);
}

void vt_emit_floats(struct vt_emitter *e, const float *values, uint32_t count) {
    vt_emit_list(e, count);
    for (uint32_t i = 0; i < count; i++) vt_emit_number(e, values[i]);
    vt_emit_list_end(e);
}

void vt_emit_base64(struct vt_emitter *e, const uint8_t *bytes, size_t size) {
    struct vt_strbuf text = {0};
    vt_base64_encode(bytes, size, &text);
    if (text.failed) {
        e->out->failed = true;
    } else if (e->msgpack) {
        pack_text(e, text.text, text.length);
    } else {
        separate(e);
        vt_strbuf_append(e->out, "\"", 1);
        write_slashes(e->out, text.text, text.length);
        vt_strbuf_append(e->out, "\"", 1);
    }
    vt_strbuf_fini(&text);
}
