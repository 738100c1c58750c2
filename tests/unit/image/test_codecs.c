/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jpeglib.h>
#include <spng.h>

#include "base/log.h"
#include "config.h"
#include "image/codec_internal.h"
#include "noise.h"

struct bytes {
    uint8_t *data;
    size_t size;
};

/* Noise smoothed by enlarging, so that JPEG keeps it well. */
static struct vt_image smooth_picture(int width, int height) {
    struct vt_image small = noise_picture((width + 7) / 8, (height + 7) / 8), picture = noise_picture(width, height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            memcpy(picture.pixels + (size_t)y * picture.stride + 3 * (size_t)x,
                small.pixels + (size_t)(y / 8) * small.stride + 3 * (size_t)(x / 8), 3);
    vt_image_release(&small);
    return picture;
}

static struct bytes encode(const struct vt_image *picture) {
    struct bytes file;
    struct vultus_error error;
    if (vt_image_encode_jpeg(picture, 95, &file.data, &file.size, &error)) fail_msg("%s", error.text);
    return file;
}

static struct vt_image decode(struct bytes file) {
    struct vt_image picture;
    struct vultus_error error;
    if (vt_image_decode(file.data, file.size, "picture", NULL, &picture, &error)) fail_msg("%s", error.text);
    return picture;
}

static void expect_failure(const void *data, size_t size, enum vultus_status status, const char *words) {
    struct vt_image untouched = {NULL, -1, -1, 0}, picture = untouched;
    struct vultus_error error = {0};
    assert_int_equal(vt_image_decode(data, size, "the file", NULL, &picture, &error), status);
    if (!strstr(error.text, words) || !strstr(error.text, "the file")) fail_msg("unexpected sentence: %s", error.text);
    assert_memory_equal(&picture, &untouched, sizeof picture);
}

static void test_jpeg_round_trip(void **state) {
    (void)state;
    static const int sizes[][2] = {{160, 96}, {1, 1}, {17, 3}, {8, 200}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct vt_image picture = smooth_picture(sizes[i][0], sizes[i][1]);
        struct bytes file = encode(&picture);
        struct vt_image back = decode(file);
        assert_int_equal(back.width, picture.width);
        assert_int_equal(back.height, picture.height);
        double difference = 0;
        size_t count = picture.stride * (size_t)picture.height;
        for (size_t k = 0; k < count; k++) difference += abs(picture.pixels[k] - back.pixels[k]);
        assert_true(difference / (double)count < 12); /* chroma is halved */
        free(file.data);
        vt_image_release(&picture);
        vt_image_release(&back);
    }
}

static void test_jpeg_is_jfif_420(void **state) {
    (void)state;
    struct vt_image picture = smooth_picture(32, 32);
    struct bytes file = encode(&picture);
    assert_memory_equal(file.data, "\xff\xd8\xff\xe0\0\x10JFIF", 11);
    size_t at = 2;
    while (file.data[at + 1] != 0xc0) at += 2 + ((size_t)file.data[at + 2] << 8 | file.data[at + 3]);
    assert_int_equal(file.data[at + 11], 0x22); /* luma twice as fine both ways */
    assert_int_equal(file.data[at + 14], 0x11);
    struct vultus_error error;
    assert_int_equal(vt_image_encode_jpeg(&picture, 0, &file.data, &file.size, &error), VULTUS_ERROR_INVALID);
    assert_int_equal(vt_image_encode_jpeg(&picture, 101, &file.data, &file.size, &error), VULTUS_ERROR_INVALID);
    free(file.data);
    vt_image_release(&picture);
}

static void test_jpeg_too_large_to_write(void **state) {
    (void)state;
    uint8_t pixel[3] = {0};
    struct vt_image picture = {pixel, 70000, 1, sizeof pixel};
    struct bytes file;
    struct vultus_error error;
    assert_int_equal(vt_image_encode_jpeg(&picture, 95, &file.data, &file.size, &error), VULTUS_ERROR_INVALID);
    assert_non_null(strstr(error.text, "70000 x 1"));
}

/* Orientation in a TIFF block of one entry, either byte order. */
static size_t write_tiff(uint8_t *out, bool big_endian, unsigned type, unsigned orientation) {
    static const uint8_t little[26] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 0, 0, 1, 0, 0, 0};
    static const uint8_t big[26] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 0, 0, 0, 0, 1};
    memcpy(out, big_endian ? big : little, sizeof big);
    out[big_endian ? 13 : 12] = (uint8_t)type;
    out[big_endian ? 19 : 18] = (uint8_t)orientation;
    return sizeof big;
}

static struct bytes with_exif(struct bytes jpeg, bool big_endian, unsigned orientation) {
    uint8_t marker[36] = {0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0, 0};
    assert_int_equal(write_tiff(marker + 10, big_endian, 3, orientation), 26);
    struct bytes out = {malloc(jpeg.size + sizeof marker), jpeg.size + sizeof marker};
    assert_non_null(out.data);
    memcpy(out.data, jpeg.data, 2);
    memcpy(out.data + 2, marker, sizeof marker);
    memcpy(out.data + 2 + sizeof marker, jpeg.data + 2, jpeg.size - 2);
    return out;
}

/* Where pixel (x, y) of the upright picture comes from in the stored one of w x h. */
static void stored_place(int orientation, int w, int h, int x, int y, int *sx, int *sy) {
    const int places[9][2] = {{x, y}, {x, y}, {w - 1 - x, y}, {w - 1 - x, h - 1 - y}, {x, h - 1 - y}, {y, x},
        {y, h - 1 - x}, {w - 1 - y, h - 1 - x}, {w - 1 - y, x}};
    *sx = places[orientation][0];
    *sy = places[orientation][1];
}

static void check_orientation(const struct vt_image *stored, const struct vt_image *upright, int orientation) {
    int w = stored->width, h = stored->height;
    assert_int_equal(upright->width, orientation > 4 ? h : w);
    assert_int_equal(upright->height, orientation > 4 ? w : h);
    for (int y = 0; y < upright->height; y++)
        for (int x = 0; x < upright->width; x++) {
            int sx, sy;
            stored_place(orientation, w, h, x, y, &sx, &sy);
            assert_memory_equal(upright->pixels + (size_t)y * upright->stride + 3 * (size_t)x,
                stored->pixels + (size_t)sy * stored->stride + 3 * (size_t)sx, 3);
        }
}

static void test_exif_orientations(void **state) {
    (void)state;
    struct vt_image picture = smooth_picture(75, 41);
    struct bytes plain = encode(&picture);
    struct vt_image stored = decode(plain);
    for (int orientation = 0; orientation <= 9; orientation++)
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            struct bytes file = with_exif(plain, big_endian, (unsigned)orientation);
            struct vt_image upright = decode(file);
            check_orientation(&stored, &upright, orientation <= 8 ? orientation : 1);
            vt_image_release(&upright);
            free(file.data);
        }
    vt_image_release(&stored);
    vt_image_release(&picture);
    free(plain.data);
}

static void test_exif_hostile(void **state) {
    (void)state;
    uint8_t tiff[64] = {0};
    size_t size = write_tiff(tiff, false, 3, 6);
    assert_int_equal(vt_exif_orientation(tiff, size), 6);
    for (size_t cut = 0; cut < 20; cut++) {
        uint8_t *copy = malloc(cut + 1); /* its own allocation, so that reads past the cut are seen */
        assert_non_null(copy);
        memcpy(copy, tiff, cut);
        assert_int_equal(vt_exif_orientation(copy, cut), 1);
        free(copy);
    }
    tiff[4] = tiff[5] = tiff[6] = tiff[7] = 0xff; /* the directory at the end of the address space */
    assert_int_equal(vt_exif_orientation(tiff, size), 1);
    write_tiff(tiff, false, 3, 6);
    tiff[8] = tiff[9] = 0xff; /* 65535 entries */
    tiff[10] = 0;
    assert_int_equal(vt_exif_orientation(tiff, size), 1);
    write_tiff(tiff, true, 4, 6); /* LONG instead of SHORT */
    assert_int_equal(vt_exif_orientation(tiff, size), 1);
}

/* Mean of the pixels of the whole picture that pixel (x, y) of the reduced one covers. */
static double mean_of_block(
    const struct vt_image *whole, const struct vt_image_scale *scale, int x, int y, int channel) {
    double sum = 0;
    int r = scale->reduction, left = r * x + scale->left, top = r * y + scale->top;
    for (int v = top; v < top + r; v++)
        for (int u = left; u < left + r; u++)
            sum += whole->pixels[(size_t)v * whole->stride + 3 * (size_t)u + (size_t)channel];
    return sum / (r * r);
}

static void check_reduced(struct bytes file, const struct vt_image *whole, int enough, int reduction) {
    struct vt_image_scale scale = {.enough_width = enough, .enough_height = enough};
    struct vt_image picture;
    struct vultus_error error;
    if (vt_image_decode_scaled(file.data, file.size, "p", NULL, &scale, &picture, &error)) fail_msg("%s", error.text);
    assert_int_equal(scale.reduction, reduction);
    assert_int_equal(scale.width, whole->width);
    assert_int_equal(scale.height, whole->height);
    assert_int_equal(picture.width, (whole->width + reduction - 1) / reduction);
    assert_int_equal(picture.height, (whole->height + reduction - 1) / reduction);
    double worst = 0; /* within the border, where blocks may be incomplete */
    for (int y = 1; y < picture.height - 1; y++)
        for (int x = 1; x < picture.width - 1; x++)
            for (int k = 0; k < 3; k++)
                worst = fmax(worst, fabs(picture.pixels[(size_t)y * picture.stride + 3 * (size_t)x + (size_t)k] -
                                         mean_of_block(whole, &scale, x, y, k)));
    if (worst > 3) fail_msg("reduced by %d, a pixel differs by %.2f", reduction, worst);
    vt_image_release(&picture);
}

/* Waves longer than what is averaged: a reduction that only leaves fine detail out keeps them. */
static struct vt_image waves(int width, int height) {
    struct vt_image picture = noise_picture(width, height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < 3 * width; x++)
            picture.pixels[(size_t)y * picture.stride + (size_t)x] =
                (uint8_t)(128 + 60 * sin(x / 60.0 + x % 3) * cos(y / 25.0));
    return picture;
}

/* The least that is enough decides, on the longer side, whichever way the picture is turned. */
static void test_jpeg_reduced(void **state) {
    (void)state;
    struct vt_image picture = waves(405, 203);
    struct bytes plain = encode(&picture);
    for (int orientation = 1; orientation <= 8; orientation++) {
        struct bytes file = with_exif(plain, false, (unsigned)orientation);
        struct vt_image whole = decode(file);
        check_reduced(file, &whole, 0, 1);
        check_reduced(file, &whole, 203, 1);
        check_reduced(file, &whole, 202, 2);
        check_reduced(file, &whole, 101, 4);
        check_reduced(file, &whole, 50, 8);
        check_reduced(file, &whole, 1, 8);
        vt_image_release(&whole);
        free(file.data);
    }
    free(plain.data);
    vt_image_release(&picture);
}

/* JPEG straight from libjpeg: any components, any scans. */
static struct bytes encode_raw(int components, J_COLOR_SPACE space, const uint8_t *pixel, bool adobe_marker,
    const jpeg_scan_info *scans, int n_scans) {
    struct jpeg_compress_struct codec;
    struct jpeg_error_mgr errors;
    codec.err = jpeg_std_error(&errors);
    jpeg_create_compress(&codec);
    struct bytes file = {NULL, 0};
    unsigned long size = 0;
    jpeg_mem_dest(&codec, &file.data, &size);
    codec.image_width = 40;
    codec.image_height = 24;
    codec.input_components = components;
    codec.in_color_space = space;
    jpeg_set_defaults(&codec);
    jpeg_set_quality(&codec, 95, TRUE);
    codec.write_Adobe_marker = adobe_marker;
    codec.scan_info = scans;
    codec.num_scans = n_scans;
    jpeg_start_compress(&codec, TRUE);
    uint8_t row[40 * 4];
    for (int x = 0; x < 40; x++) memcpy(row + x * components, pixel, (size_t)components);
    JSAMPROW rows = row;
    for (int y = 0; y < 24; y++) jpeg_write_scanlines(&codec, &rows, 1);
    jpeg_finish_compress(&codec);
    jpeg_destroy_compress(&codec);
    file.size = size;
    return file;
}

static void expect_colour(struct bytes file, int b, int g, int r) {
    struct vt_image picture = decode(file);
    assert_int_equal(picture.width, 40);
    for (int i = 0; i < 40 * 24; i++) {
        assert_in_range(picture.pixels[3 * i] + 3, b, b + 6);
        assert_in_range(picture.pixels[3 * i + 1] + 3, g, g + 6);
        assert_in_range(picture.pixels[3 * i + 2] + 3, r, r + 6);
    }
    vt_image_release(&picture);
    free(file.data);
}

static void test_jpeg_colour_spaces(void **state) {
    (void)state;
    expect_colour(encode_raw(1, JCS_GRAYSCALE, (const uint8_t[]){90}, false, NULL, 0), 90, 90, 90);
    expect_colour(encode_raw(3, JCS_RGB, (const uint8_t[]){200, 100, 50}, false, NULL, 0), 50, 100, 200);
    /* Adobe stores ink inverted: (0, 255, 255, 255) is full cyan. */
    expect_colour(encode_raw(4, JCS_CMYK, (const uint8_t[]){0, 255, 255, 255}, true, NULL, 0), 255, 255, 0);
    expect_colour(encode_raw(4, JCS_CMYK, (const uint8_t[]){255, 255, 255, 128}, true, NULL, 0), 128, 128, 128);
    expect_colour(encode_raw(4, JCS_CMYK, (const uint8_t[]){0, 0, 0, 0}, false, NULL, 0), 255, 255, 255);
    expect_colour(encode_raw(4, JCS_CMYK, (const uint8_t[]){0, 0, 255, 0}, false, NULL, 0), 0, 255, 255);
}

static void test_jpeg_scan_bomb(void **state) {
    (void)state;
    enum { LEVELS = 3 };
    jpeg_scan_info scans[1 + 3 * 63 * LEVELS];
    int n = 0;
    scans[n++] = (jpeg_scan_info){3, {0, 1, 2}, 0, 0, 0, 0};
    for (int level = 0; level < LEVELS; level++) /* every coefficient alone, then refined bit by bit */
        for (int component = 0; component < 3; component++)
            for (int k = 1; k < 64; k++)
                scans[n++] = (jpeg_scan_info){1, {component}, k, k, level ? LEVELS - level : 0, LEVELS - 1 - level};
    struct bytes bomb = encode_raw(3, JCS_RGB, (const uint8_t[]){200, 100, 50}, false, scans, n);
    expect_failure(bomb.data, bomb.size, VULTUS_ERROR_FORMAT, "more than 500 scans");
    free(bomb.data);
    /* A quarter as many is odd but fine. */
    n = 1 + 63;
    struct bytes grey = encode_raw(3, JCS_RGB, (const uint8_t[]){100, 100, 100}, false, scans, n);
    expect_colour(grey, 100, 100, 100);
}

static struct bytes encode_png(
    struct spng_ihdr header, const void *pixels, size_t size, struct spng_plte *palette, struct spng_exif *exif) {
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    assert_non_null(png);
    spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1);
    assert_int_equal(spng_set_ihdr(png, &header), 0);
    if (palette) assert_int_equal(spng_set_plte(png, palette), 0);
    if (exif) assert_int_equal(spng_set_exif(png, exif), 0);
    int code = spng_encode_image(png, pixels, size, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    if (code) fail_msg("%s", spng_strerror(code));
    struct bytes file;
    file.data = spng_get_png_buffer(png, &file.size, &code);
    assert_non_null(file.data);
    spng_ctx_free(png);
    return file;
}

static void expect_bgr(struct bytes file, const uint8_t *bgr, int width, int height) {
    struct vt_image picture = decode(file);
    assert_int_equal(picture.width, width);
    assert_int_equal(picture.height, height);
    for (int y = 0; y < height; y++)
        assert_memory_equal(
            picture.pixels + (size_t)y * picture.stride, bgr + 3 * (size_t)width * (size_t)y, 3 * (size_t)width);
    vt_image_release(&picture);
    free(file.data);
}

static void test_png_formats(void **state) {
    (void)state;
    const uint8_t rgb[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const uint8_t bgr[] = {3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10};
    expect_bgr(
        encode_png((struct spng_ihdr){2, 2, 8, SPNG_COLOR_TYPE_TRUECOLOR, 0, 0, 0}, rgb, 12, NULL, NULL), bgr, 2, 2);
    const uint8_t rgba[] = {1, 2, 3, 0, 4, 5, 6, 128}; /* alpha is dropped, not applied */
    expect_bgr(encode_png((struct spng_ihdr){2, 1, 8, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 0, 0, 0}, rgba, 8, NULL, NULL),
        bgr, 2, 1);
    const uint16_t deep[] = {0x01ff, 0x0280, 0x0300, 0x04ff, 0x0501, 0x06fe}; /* the high byte stays */
    expect_bgr(
        encode_png((struct spng_ihdr){2, 1, 16, SPNG_COLOR_TYPE_TRUECOLOR, 0, 0, 0}, deep, 12, NULL, NULL), bgr, 2, 1);
    const uint8_t grey[] = {7, 250}, grey_bgr[] = {7, 7, 7, 250, 250, 250};
    expect_bgr(encode_png((struct spng_ihdr){2, 1, 8, SPNG_COLOR_TYPE_GRAYSCALE, 0, 0, 0}, grey, 2, NULL, NULL),
        grey_bgr, 2, 1);
    const uint8_t bits[] = {0x40}, bits_bgr[] = {0, 0, 0, 255, 255, 255, 0, 0, 0}; /* 0 1 0 */
    expect_bgr(encode_png((struct spng_ihdr){3, 1, 1, SPNG_COLOR_TYPE_GRAYSCALE, 0, 0, 0}, bits, 1, NULL, NULL),
        bits_bgr, 3, 1);
    struct spng_plte palette = {.n_entries = 2, .entries = {{1, 2, 3, 0}, {4, 5, 6, 0}}};
    const uint8_t indices[] = {0, 1};
    expect_bgr(encode_png((struct spng_ihdr){2, 1, 8, SPNG_COLOR_TYPE_INDEXED, 0, 0, 0}, indices, 2, &palette, NULL),
        bgr, 2, 1);
}

static void test_png_interlaced_and_turned(void **state) {
    (void)state;
    struct vt_image picture = noise_picture(19, 13), upright;
    struct bytes plain = encode_png((struct spng_ihdr){19, 13, 8, SPNG_COLOR_TYPE_TRUECOLOR, 0, 0, 0}, picture.pixels,
        picture.stride * 13, NULL, NULL);
    struct bytes interlaced = encode_png((struct spng_ihdr){19, 13, 8, SPNG_COLOR_TYPE_TRUECOLOR, 0, 0, 1},
        picture.pixels, picture.stride * 13, NULL, NULL);
    struct vt_image stored = decode(plain);
    expect_bgr(interlaced, stored.pixels, 19, 13);
    uint8_t tiff[26];
    struct spng_exif exif = {write_tiff(tiff, true, 3, 6), (char *)tiff};
    struct bytes turned = encode_png((struct spng_ihdr){19, 13, 8, SPNG_COLOR_TYPE_TRUECOLOR, 0, 0, 0}, picture.pixels,
        picture.stride * 13, NULL, &exif);
    upright = decode(turned);
    check_orientation(&stored, &upright, 6);
    free(plain.data);
    free(turned.data);
    vt_image_release(&picture);
    vt_image_release(&stored);
    vt_image_release(&upright);
}

/* The CRC of PNG, bit by bit. */
static void fix_header_crc(uint8_t *png) {
    uint32_t crc = 0xffffffff;
    for (int i = 12; i < 29; i++) {
        crc ^= png[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    crc = ~crc;
    for (int i = 0; i < 4; i++) png[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
}

static struct bytes noise_png(void) {
    struct vt_image picture = noise_picture(24, 16);
    struct bytes file = encode_png((struct spng_ihdr){24, 16, 8, SPNG_COLOR_TYPE_TRUECOLOR, 0, 0, 0}, picture.pixels,
        picture.stride * 16, NULL, NULL);
    vt_image_release(&picture);
    return file;
}

static void test_absurd_dimensions(void **state) {
    (void)state;
    struct bytes png = noise_png();
    memcpy(png.data + 16, "\0\xff\xff\xff\0\xff\xff\xff", 8);
    fix_header_crc(png.data);
    expect_failure(png.data, png.size, VULTUS_ERROR_LIMIT, "16777215 x 16777215");
    memcpy(png.data + 16, "\0\0\x7f\xff\0\0\x7f\xff", 8); /* each side in order, the product over 100 million */
    fix_header_crc(png.data);
    expect_failure(png.data, png.size, VULTUS_ERROR_LIMIT, "over the limit of 100000000 in all");
    memset(png.data + 16, 0, 8);
    fix_header_crc(png.data);
    expect_failure(png.data, png.size, VULTUS_ERROR_FORMAT, "");
    free(png.data);

    struct vt_image picture = smooth_picture(16, 16);
    struct bytes jpeg = encode(&picture);
    size_t at = 2;
    while (jpeg.data[at + 1] != 0xc0) at += 2 + ((size_t)jpeg.data[at + 2] << 8 | jpeg.data[at + 3]);
    memset(jpeg.data + at + 5, 0xff, 4);
    expect_failure(jpeg.data, jpeg.size, VULTUS_ERROR_FORMAT, "65500"); /* libjpeg's own limit */
    memcpy(jpeg.data + at + 5, "\xff\x00\xff\x00", 4);
    expect_failure(jpeg.data, jpeg.size, VULTUS_ERROR_LIMIT, "65280 x 65280");
    free(jpeg.data);
    vt_image_release(&picture);
}

static void test_limits(void **state) {
    (void)state;
    struct bytes png = noise_png(); /* 24 x 16 */
    struct vt_image picture;
    struct vultus_error error;
    const struct vt_image_limits refused[] = {{.bytes = png.size - 1}, {.pixels = 24 * 16 - 1}, {.dimension = 23}};
    const struct vt_image_limits accepted[] = {{.bytes = png.size}, {.pixels = 24 * 16}, {.dimension = 24}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(vt_image_decode(png.data, png.size, "p", &refused[i], &picture, &error), VULTUS_ERROR_LIMIT);
        assert_int_equal(vt_image_decode(png.data, png.size, "p", &accepted[i], &picture, &error), VULTUS_OK);
        vt_image_release(&picture);
    }
    free(png.data);
}

static void test_other_formats(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } files[] = {{"\xff\x0a\0\0", 4, "JPEG XL"}, {"\0\0\0\x0cjP  \r\n\x87\n", 12, "JPEG 2000"}, {"%PDF-1.4", 8, "PDF"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        expect_failure(files[i].bytes, files[i].size, VULTUS_ERROR_UNSUPPORTED, files[i].words);
    expect_failure("", 0, VULTUS_ERROR_FORMAT, "is empty");
    expect_failure("<html>", 6, VULTUS_ERROR_FORMAT, "starts with 3c 68 74 6d 6c 3e");
    expect_failure("\xff", 1, VULTUS_ERROR_FORMAT, "starts with ff");
    expect_failure("\xff\xd8\xff", 3, VULTUS_ERROR_FORMAT, "JPEG that cannot be decoded");
    expect_failure("\x89PNG\r\n\x1a\n", 8, VULTUS_ERROR_FORMAT, "PNG that cannot be decoded");
}

/* A codec that this build has finds the data damaged; one that it leaves out is named with its option. */
static void expect_codec(bool have, const char *bytes, size_t size, const char *format, const char *option) {
    expect_failure(bytes, size, have ? VULTUS_ERROR_FORMAT : VULTUS_ERROR_UNSUPPORTED, format);
    if (!have) expect_failure(bytes, size, VULTUS_ERROR_UNSUPPORTED, option);
}

static void test_formats_by_their_bytes(void **state) {
    (void)state;
    expect_codec(VT_HAVE_WEBP, "RIFF\x10\0\0\0WEBPVP8 ", 16, "WebP", "option webp");
    expect_codec(VT_HAVE_GIF, "GIF89a\1\0\1\0", 10, "GIF", "option gif");
    expect_codec(VT_HAVE_TIFF, "II*\0\x08\0\0\0", 8, "TIFF", "option tiff");
    expect_codec(VT_HAVE_TIFF, "MM\0*\0\0\0\x08", 8, "TIFF", "option tiff");
    expect_codec(VT_HAVE_HEIF,
        "\0\0\0\x10"
        "ftypheic\0\0\0\0",
        16, "HEIC", "option heif");
    expect_codec(VT_HAVE_HEIF,
        "\0\0\0\x10"
        "ftypavif\0\0\0\0",
        16, "AVIF", "option heif");
    expect_codec(true, "BM\x10\0\0\0\0\0", 8, "BMP", "");
}

/* A cut JPEG still shows what came before the cut. */
static void test_truncated_jpeg(void **state) {
    (void)state;
    struct vt_image picture = smooth_picture(64, 256);
    struct bytes file = encode(&picture);
    struct vt_image whole = decode(file), part = decode((struct bytes){file.data, file.size * 3 / 4});
    assert_int_equal(part.height, 256);
    assert_memory_equal(part.pixels, whole.pixels, whole.stride * 128);
    assert_memory_not_equal(part.pixels, whole.pixels, whole.stride * 256);
    free(file.data);
    vt_image_release(&picture);
    vt_image_release(&whole);
    vt_image_release(&part);
}

/* Decodes a copy in an allocation of its own size, so that a sanitizer sees every read past its end. */
static bool survives(const uint8_t *data, size_t size) {
    const struct vt_image_limits limits = {.pixels = 1 << 20};
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    struct vt_image picture;
    struct vultus_error error = {0};
    enum vultus_status status = vt_image_decode(copy, size, "mangled", &limits, &picture, &error);
    if (status)
        assert_true(strncmp(error.text, "mangled", 7) == 0);
    else
        vt_image_release(&picture);
    free(copy);
    return status == VULTUS_OK;
}

static void mangle(struct bytes file, bool cut_is_fatal) {
    for (size_t size = 0; size < file.size; size += size < 700 ? 1 : 97)
        assert_true(!survives(file.data, size) || !cut_is_fatal);
    uint32_t random = 11;
    for (int round = 0; round < 1500; round++) {
        size_t at = next_random(&random) % (round % 2 ? file.size : file.size < 700 ? file.size : 700);
        uint8_t kept = file.data[at];
        file.data[at] ^= (uint8_t)(1 << next_random(&random) % 8);
        survives(file.data, file.size);
        file.data[at] = kept;
    }
}

static void test_hostile_bytes(void **state) {
    (void)state;
    struct vt_image picture = smooth_picture(60, 44);
    struct bytes jpeg = encode(&picture), turned = with_exif(jpeg, true, 7), png = noise_png();
    struct bytes cmyk = encode_raw(4, JCS_CMYK, (const uint8_t[]){9, 99, 199, 29}, true, NULL, 0);
    mangle(turned, false);
    mangle(cmyk, false);
    mangle((struct bytes){png.data, png.size - 12}, true); /* without the empty last chunk */
    free(jpeg.data);
    free(turned.data);
    free(png.data);
    free(cmyk.data);
    vt_image_release(&picture);
}

static void test_read_file(void **state) {
    (void)state;
    char path[] = "/tmp/vultus-test-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    struct bytes png = noise_png();
    assert_int_equal(write(descriptor, png.data, png.size), (ssize_t)png.size);
    close(descriptor);
    struct vt_image picture;
    struct vultus_error error;
    assert_int_equal(vt_image_read(path, NULL, &picture, &error), VULTUS_OK);
    assert_int_equal(picture.width, 24);
    vt_image_release(&picture);
    const struct vt_image_limits limits = {.bytes = 100};
    assert_int_equal(vt_image_read(path, &limits, &picture, &error), VULTUS_ERROR_LIMIT);
    unlink(path);
    assert_int_equal(vt_image_read(path, NULL, &picture, &error), VULTUS_ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, path));
    free(png.data);
}

static void test_create(void **state) {
    (void)state;
    struct vt_image picture;
    struct vultus_error error;
    assert_int_equal(vt_image_create(0, 5, &picture, &error), VULTUS_ERROR_INVALID);
    assert_int_equal(vt_image_create(5, -1, &picture, &error), VULTUS_ERROR_INVALID);
    assert_int_equal(vt_image_create(3, 2, &picture, &error), VULTUS_OK);
    assert_int_equal(picture.stride, 9);
    for (int i = 0; i < 18; i++) assert_int_equal(picture.pixels[i], 0);
    vt_image_release(&picture);
    assert_null(picture.pixels);
    vt_image_release(&picture);
}

static void test_library_names(void **state) {
    (void)state;
    char text[256];
    vt_image_codecs(text, sizeof text);
    assert_non_null(strstr(text, "libjpeg-turbo "));
    assert_non_null(strstr(text, ", libspng "));
}

static bool is_simple(const struct bytes *jpeg, const struct vt_image_limits *limits) {
    int width = 0, height = 0;
    if (!vt_image_is_simple_jpeg(jpeg->data, jpeg->size, limits, &width, &height)) return false;
    assert_int_equal(width, 40);
    assert_int_equal(height, 30);
    return true;
}

/* What every decoder reads alike; that its header alone is read shows in a file of nothing else. */
static void test_simple_jpeg(void **state) {
    (void)state;
    struct vt_image picture = noise_picture(40, 30);
    struct bytes jpeg = encode(&picture), upright = with_exif(jpeg, true, 1), turned = with_exif(jpeg, true, 6);
    const struct vt_image_limits small = {.dimension = 39}, few = {.bytes = 100};
    assert_true(is_simple(&jpeg, NULL) && is_simple(&upright, NULL));
    assert_false(is_simple(&turned, NULL) || is_simple(&jpeg, &small) || is_simple(&jpeg, &few));
    size_t frame = 0;
    while (frame < jpeg.size && !(jpeg.data[frame] == 0xff && jpeg.data[frame + 1] == 0xc0)) frame++;
    assert_true(frame < jpeg.size);
    for (size_t size = 0; size < frame; size++) {
        const struct bytes part = {jpeg.data, size};
        assert_false(is_simple(&part, NULL));
    }
    jpeg.data[frame + 1] = 0xc2; /* progressive */
    assert_false(is_simple(&jpeg, NULL));
    jpeg.data[frame + 1] = 0xc9; /* arithmetic codes */
    assert_false(is_simple(&jpeg, NULL));
    free(jpeg.data);
    free(upright.data);
    free(turned.data);
    vt_image_release(&picture);
}

int main(void) {
    vt_log_set_level(VT_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jpeg_round_trip),
        cmocka_unit_test(test_jpeg_is_jfif_420),
        cmocka_unit_test(test_jpeg_too_large_to_write),
        cmocka_unit_test(test_exif_orientations),
        cmocka_unit_test(test_exif_hostile),
        cmocka_unit_test(test_jpeg_reduced),
        cmocka_unit_test(test_jpeg_colour_spaces),
        cmocka_unit_test(test_jpeg_scan_bomb),
        cmocka_unit_test(test_simple_jpeg),
        cmocka_unit_test(test_png_formats),
        cmocka_unit_test(test_png_interlaced_and_turned),
        cmocka_unit_test(test_absurd_dimensions),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_other_formats),
        cmocka_unit_test(test_formats_by_their_bytes),
        cmocka_unit_test(test_truncated_jpeg),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_read_file),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_library_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
