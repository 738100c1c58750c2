/* SPDX-License-Identifier: Apache-2.0 */
#include "noise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct vt_image noise_picture(int width, int height) {
    struct vt_image picture;
    struct vultus_error error;
    if (vt_image_create(width, height, &picture, &error)) fail_msg("%s", error.text);
    size_t count = 3 * (size_t)width * (size_t)height;
    for (size_t i = 0; i < count; i++) {
        uint32_t v = (uint32_t)((i + (size_t)width * 65536 + (size_t)height) * 2654435761u);
        v ^= v >> 15;
        v *= 2246822519u;
        picture.pixels[i] = (uint8_t)(v >> 24);
    }
    return picture;
}

uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

uint64_t picture_checksum(const struct vt_image *picture) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (int y = 0; y < picture->height; y++)
        for (int i = 0; i < 3 * picture->width; i++) {
            hash ^= picture->pixels[(size_t)y * picture->stride + (size_t)i];
            hash *= 0x100000001b3u;
        }
    return hash;
}

void assert_same_picture(const struct vt_image *a, const struct vt_image *b) {
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    for (int y = 0; y < a->height; y++)
        assert_memory_equal(a->pixels + (size_t)y * a->stride, b->pixels + (size_t)y * b->stride, 3 * (size_t)a->width);
}
