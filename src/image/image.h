/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_IMAGE_IMAGE_H
#define VT_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* An 8-bit BGR picture, rows top to bottom. `stride` is bytes from row to row (>= 3 * width). */
struct vt_image {
    uint8_t *pixels;
    int width, height;
    size_t stride;
};

/* What decoding refuses to exceed; zero fields take the defaults. */
struct vt_image_limits {
    size_t bytes;   /* of the file: 64 MiB */
    int64_t pixels; /* width * height: 100 million */
    int dimension;  /* width or height: 32,768 */
};

enum vultus_status vt_image_create(int width, int height, struct vt_image *out, struct vultus_error *error);
void vt_image_release(struct vt_image *image); /* frees and clears; a cleared image is fine */

/*
 * Decodes JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF, told apart by their content, as far as this build has the
 * libraries. The picture comes out upright (EXIF orientation, or the container's own). Of several frames or pages the
 * first is taken; what it leaves uncovered of the canvas is black. Alpha is dropped: the colours stand as stored.
 * Samples of 16 bit are reduced to 8. Ink (CMYK) becomes light without a profile; colour profiles are not applied.
 * `name` is used in error sentences. On success the caller releases *out. Sizes are checked against `limits` (NULL:
 * defaults) before anything is allocated.
 */
enum vultus_status vt_image_decode(const uint8_t *bytes, size_t size, const char *name,
    const struct vt_image_limits *limits, struct vt_image *out, struct vultus_error *error);

/*
 * How fine a picture must be, and what was made of it. A JPEG may come reduced by 2, 4 or 8 as long as its width or its
 * height does not fall below what is enough; other formats come whole. Pixel (x, y) of the reduced picture covers the
 * square of `reduction` pixels of the whole one whose first is (reduction * x + left, reduction * y + top).
 */
struct vt_image_scale {
    int enough_width, enough_height; /* 0: the whole picture is wanted */
    /* Set on success. */
    int reduction;     /* 1, 2, 4 or 8 */
    int width, height; /* of the whole picture, upright */
    int left, top;     /* -7 to 0: not 0 where a turned picture's size is no multiple of the reduction */
};
enum vultus_status vt_image_decode_scaled(const uint8_t *bytes, size_t size, const char *name,
    const struct vt_image_limits *limits, struct vt_image_scale *scale, struct vt_image *out,
    struct vultus_error *error);

/*
 * Whether it is a JPEG as every decoder reads it, upright by itself: one scan of one or three components, 8 bits,
 * Huffman codes, no orientation but the first. Its size, within the limits (NULL: defaults), then. Only its header is
 * read.
 */
bool vt_image_is_simple_jpeg(
    const uint8_t *bytes, size_t size, const struct vt_image_limits *limits, int *width, int *height);

/* The bytes of an encoded picture, within the limits (NULL: defaults); "-" is standard input. The caller frees them. */
enum vultus_status vt_image_read_bytes(
    const char *path, const struct vt_image_limits *limits, uint8_t **bytes, size_t *size, struct vultus_error *error);

/* Reads and decodes a file; "-" is standard input. */
enum vultus_status vt_image_read(
    const char *path, const struct vt_image_limits *limits, struct vt_image *out, struct vultus_error *error);

/* Encodes as JPEG, 4:2:0 baseline, quality 1-100 (OpenCV's default is 95), into malloc'd memory that the caller frees.
 */
enum vultus_status vt_image_encode_jpeg(
    const struct vt_image *image, int quality, uint8_t **bytes, size_t *size, struct vultus_error *error);

/* "libjpeg-turbo 2.1.5, libspng 0.7.3, BMP": what this build reads pictures with, for doctor. */
void vt_image_codecs(char *text, size_t size);

#endif
