/* SPDX-License-Identifier: Apache-2.0
 * How HEIC pictures are turned is said by boxes of the container, which libheif's encoder writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libheif/heif.h>

#include "image/image.h"

enum { WIDTH = 96, HEIGHT = 64, SPOT = 16 };

/* Grey, with one red spot at the top left: where it comes out tells the turn. */
static struct heif_image *make_picture(void) {
    struct heif_image *image = NULL;
    heif_image_create(WIDTH, HEIGHT, heif_colorspace_RGB, heif_chroma_interleaved_RGB, &image);
    assert_non_null(image);
    heif_image_add_plane(image, heif_channel_interleaved, WIDTH, HEIGHT, 24);
    int stride = 0;
    uint8_t *pixels = heif_image_get_plane(image, heif_channel_interleaved, &stride);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            uint8_t *p = pixels + y * stride + 3 * x;
            memset(p, 128, 3);
            if (x < SPOT && y < SPOT) memcpy(p, "\xf0\x10\x10", 3);
        }
    return image;
}

struct bytes {
    uint8_t *data;
    size_t size;
};

static struct heif_error append(struct heif_context *context, const void *data, size_t size, void *user) {
    (void)context;
    struct bytes *bytes = user;
    bytes->data = realloc(bytes->data, bytes->size + size);
    assert_non_null(bytes->data);
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    return (struct heif_error){heif_error_Ok, heif_suberror_Unspecified, "fine"};
}

/* Empty where libheif has no encoder here. */
static struct bytes encode(enum heif_orientation orientation) {
    struct bytes bytes = {NULL, 0};
    struct heif_context *context = heif_context_alloc();
    struct heif_encoder *encoder = NULL;
    if (heif_context_get_encoder_for_format(context, heif_compression_HEVC, &encoder).code == heif_error_Ok) {
        struct heif_image *image = make_picture();
        struct heif_encoding_options *options = heif_encoding_options_alloc();
        struct heif_writer writer = {1, append};
        options->image_orientation = orientation;
        heif_encoder_set_lossy_quality(encoder, 90);
        assert_int_equal(heif_context_encode_image(context, image, encoder, options, NULL).code, heif_error_Ok);
        assert_int_equal(heif_context_write(context, &writer, &bytes).code, heif_error_Ok);
        heif_encoding_options_free(options);
        heif_image_release(image);
        heif_encoder_release(encoder);
    }
    heif_context_free(context);
    return bytes;
}

/* Of the upright picture, where the top left corner of the stored one is: x and y are 0 or 1. */
static const struct {
    int swaps, x, y;
} corners[9] = {[1] = {0, 0, 0},
    [2] = {0, 1, 0},
    [3] = {0, 1, 1},
    [4] = {0, 0, 1},
    [5] = {1, 0, 0},
    [6] = {1, 1, 0},
    [7] = {1, 1, 1},
    [8] = {1, 0, 1}};

static void test_orientations(void **state) {
    (void)state;
    for (int orientation = 1; orientation <= 8; orientation++) {
        struct bytes file = encode((enum heif_orientation)orientation);
        if (!file.data) skip();
        struct vt_image picture;
        struct vultus_error error;
        if (vt_image_decode(file.data, file.size, "the file", NULL, &picture, &error)) fail_msg("%s", error.text);
        assert_int_equal(picture.width, corners[orientation].swaps ? HEIGHT : WIDTH);
        assert_int_equal(picture.height, corners[orientation].swaps ? WIDTH : HEIGHT);
        for (int corner = 0; corner < 4; corner++) {
            int right = corner % 2, bottom = corner / 2;
            int x = right ? picture.width - SPOT / 2 : SPOT / 2, y = bottom ? picture.height - SPOT / 2 : SPOT / 2;
            const uint8_t *p = picture.pixels + (size_t)y * picture.stride + 3 * (size_t)x;
            int red = right == corners[orientation].x && bottom == corners[orientation].y;
            if ((p[2] > 200 && p[1] < 60) != red) fail_msg("orientation %d, corner %d, %d", orientation, right, bottom);
        }
        vt_image_release(&picture);
        free(file.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_orientations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
