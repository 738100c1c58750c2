/* SPDX-License-Identifier: Apache-2.0 */
#include "base64.h"

#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void vt_base64_encode(const uint8_t *bytes, size_t size, struct vt_strbuf *out) {
    char block[1024];
    size_t n = 0;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16;
        if (i + 1 < size) three |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < size) three |= bytes[i + 2];
        block[n++] = alphabet[three >> 18];
        block[n++] = alphabet[three >> 12 & 63];
        block[n++] = i + 1 < size ? alphabet[three >> 6 & 63] : '=';
        block[n++] = i + 2 < size ? alphabet[three & 63] : '=';
        if (n == sizeof block) {
            vt_strbuf_append(out, block, n);
            n = 0;
        }
    }
    vt_strbuf_append(out, block, n);
}

/* Values of the letters by byte; 64: none. */
static const uint8_t values[256] = {64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 64, 64, 63, 52, 53,
    54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 64, 64, 64, 64, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 64, 64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38,
    39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64};

/* Four letters at a time while all are of the alphabet; returns how many letters were read. */
static size_t decode_fast(const unsigned char *text, size_t length, uint8_t *out) {
    size_t i = 0;
    for (; i + 4 <= length; i += 4) {
        uint8_t a = values[text[i]], b = values[text[i + 1]], c = values[text[i + 2]], d = values[text[i + 3]];
        if ((a | b | c | d) & 64) break;
        uint32_t three = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | d;
        *out++ = (uint8_t)(three >> 16);
        *out++ = (uint8_t)(three >> 8);
        *out++ = (uint8_t)three;
    }
    return i;
}

enum vultus_status vt_base64_decode(
    const char *text, size_t length, uint8_t **out, size_t *size, struct vultus_error *error) {
    const char *comma = memrchr(text, ',', length);
    if (comma) {
        length -= (size_t)(comma + 1 - text);
        text = comma + 1;
    }
    uint8_t *bytes = malloc(length / 4 * 3 + 4);
    if (!bytes) return vt_fail_memory(error, "a picture", length / 4 * 3 + 4);
    const unsigned char *letters = (const unsigned char *)text;
    size_t i = decode_fast(letters, length, bytes), n = i / 4 * 3;
    uint32_t group = 0;
    int in_group = 0, padding = 0;
    for (; i < length; i++) {
        if (letters[i] == '=') {
            if (in_group >= 2 && in_group + ++padding >= 4) break;
            continue;
        }
        if (values[letters[i]] >= 64) continue;
        padding = 0;
        group = group << 6 | values[letters[i]];
        if (++in_group < 4) continue;
        bytes[n++] = (uint8_t)(group >> 16);
        bytes[n++] = (uint8_t)(group >> 8);
        bytes[n++] = (uint8_t)group;
        in_group = 0;
    }
    if (in_group == 1 || (in_group > 1 && in_group + padding < 4)) {
        free(bytes);
        return vt_fail(error, VULTUS_ERROR_FORMAT, "the base64 text ends within a group of four letters");
    }
    if (in_group >= 2) bytes[n++] = (uint8_t)(group >> (in_group == 3 ? 10 : 4));
    if (in_group == 3) bytes[n++] = (uint8_t)(group >> 2);
    *out = bytes;
    *size = n;
    return VULTUS_OK;
}
