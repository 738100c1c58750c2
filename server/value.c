/* SPDX-License-Identifier: Apache-2.0 */
#include "value.h"

#include <math.h>
#include <string.h>

const struct vt_value *vt_value_get(const struct vt_value *map, const char *name) {
    if (!map || map->kind != VT_VALUE_MAP) return NULL;
    size_t length = strlen(name);
    for (size_t i = map->map.count; i-- > 0;) {
        const struct vt_value *key = &map->map.entries[i].name;
        if (key->kind == VT_VALUE_TEXT && key->text.length == length && memcmp(key->text.bytes, name, length) == 0)
            return &map->map.entries[i].value;
    }
    return NULL;
}

/* ---------------------------------------------------------------- texts */

/* Bytes of the UTF-8 sequence at `text`, or 0 when it is none (overlong, surrogate, too large, cut). */
static size_t utf8_length(const unsigned char *text, size_t rest) {
    unsigned char first = text[0];
    if (first < 0x80) return 1;
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length > rest) return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80) return 0;
    if (first == 0xe0 && text[1] < 0xa0) return 0;
    if (first == 0xed && text[1] > 0x9f) return 0;
    if (first == 0xf0 && text[1] < 0x90) return 0;
    if (first == 0xf4 && text[1] > 0x8f) return 0;
    return length;
}

static void write_ascii(struct vt_strbuf *out, unsigned char c) {
    static const char short_forms[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
    const char *found = c ? strchr(short_forms, c) : NULL;
    if (found)
        vt_strbuf_append(out, (char[]){'\\', letters[found - short_forms]}, 2);
    else if (c < 0x20)
        vt_strbuf_printf(out, "\\u%04x", c);
    else
        vt_strbuf_append(out, (const char *)&c, 1);
}

void vt_write_json_text(struct vt_strbuf *out, const char *text, size_t length) {
    const unsigned char *bytes = (const unsigned char *)text;
    vt_strbuf_append(out, "\"", 1);
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(bytes + i, length - i);
        if (n == 1)
            write_ascii(out, bytes[i]);
        else if (n > 1)
            vt_strbuf_append(out, text + i, n);
        else
            vt_strbuf_puts(out, "\xef\xbf\xbd");
        i += n ? n : 1;
    }
    vt_strbuf_append(out, "\"", 1);
}

/* ---------------------------------------------------------------- echo */

enum { ECHO_TEXT = 200, ECHO_ITEMS = 8, ECHO_DEPTH = 4 };

static void echo(const struct vt_value *value, struct vt_strbuf *out, int depth);

static void echo_list(const struct vt_value *value, struct vt_strbuf *out, int depth) {
    vt_strbuf_puts(out, "[");
    for (size_t i = 0; i < value->list.count && i < ECHO_ITEMS; i++) {
        if (i) vt_strbuf_puts(out, ",");
        echo(&value->list.items[i], out, depth + 1);
    }
    vt_strbuf_puts(out, "]");
}

static void echo_map(const struct vt_value *value, struct vt_strbuf *out, int depth) {
    size_t written = 0;
    vt_strbuf_puts(out, "{");
    for (size_t i = 0; i < value->map.count && written < ECHO_ITEMS; i++) {
        const struct vt_entry *entry = &value->map.entries[i];
        if (entry->name.kind != VT_VALUE_TEXT) continue;
        if (written++) vt_strbuf_puts(out, ",");
        echo(&entry->name, out, depth + 1);
        vt_strbuf_puts(out, ":");
        echo(&entry->value, out, depth + 1);
    }
    vt_strbuf_puts(out, "}");
}

static void echo(const struct vt_value *value, struct vt_strbuf *out, int depth) {
    if (depth > ECHO_DEPTH) {
        vt_strbuf_puts(out, "null");
        return;
    }
    switch (value->kind) {
    case VT_VALUE_BOOL: vt_strbuf_puts(out, value->truth ? "true" : "false"); break;
    case VT_VALUE_INTEGER: vt_strbuf_printf(out, "%lld", (long long)value->integer); break;
    case VT_VALUE_FLOAT:
        if (isfinite(value->number))
            vt_strbuf_printf(out, "%.17g", value->number);
        else
            vt_strbuf_puts(out, "null");
        break;
    case VT_VALUE_TEXT:
        vt_write_json_text(
            out, value->text.bytes, value->text.length < ECHO_TEXT ? value->text.length : (size_t)ECHO_TEXT);
        break;
    case VT_VALUE_LIST: echo_list(value, out, depth); break;
    case VT_VALUE_MAP: echo_map(value, out, depth); break;
    case VT_VALUE_NULL:
    case VT_VALUE_BYTES: vt_strbuf_puts(out, "null"); break;
    }
}

void vt_value_echo(const struct vt_value *value, struct vt_strbuf *out) { echo(value, out, 0); }
