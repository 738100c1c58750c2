/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_IMAGE_IMAGE_H
#define VT_IMAGE_IMAGE_H

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
 * Decodes JPEG (libjpeg-turbo; EXIF orientation 1-8 applied) or PNG (libspng; 16 bit reduced, alpha dropped), told
 * apart by their content. `name` is used in error sentences. On success the caller releases *out. Sizes are checked
 * against `limits` (NULL: defaults) before anything is allocated.
 */
enum vultus_status vt_image_decode(const uint8_t *bytes, size_t size, const char *name,
    const struct vt_image_limits *limits, struct vt_image *out, struct vultus_error *error);

/* Reads and decodes a file; "-" is standard input. */
enum vultus_status vt_image_read(
    const char *path, const struct vt_image_limits *limits, struct vt_image *out, struct vultus_error *error);

/* Encodes as JPEG, 4:2:0 baseline, quality 1-100 (OpenCV's default is 95), into malloc'd memory that the caller frees.
 */
enum vultus_status vt_image_encode_jpeg(
    const struct vt_image *image, int quality, uint8_t **bytes, size_t *size, struct vultus_error *error);

/* "libjpeg-turbo 2.1.5, libspng 0.7.3", for doctor. */
void vt_image_codecs(char *text, size_t size);

#endif
