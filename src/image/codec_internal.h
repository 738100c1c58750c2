/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_IMAGE_CODEC_INTERNAL_H
#define VT_IMAGE_CODEC_INTERNAL_H

#include "image/image.h"

/* An encoded picture; every byte may be hostile. `name` is for error sentences. The limits have no zero fields. */
struct vt_encoded {
    const uint8_t *bytes;
    size_t size;
    const char *name;
    struct vt_image_limits limits;
};

/* Whether a picture of that size may be allocated. */
enum vultus_status vt_check_dimensions(
    const struct vt_encoded *encoded, uint64_t width, uint64_t height, struct vultus_error *error);

/* One function per codec library. On success the caller releases *out; *orientation is EXIF's, 1 to 8. */
enum vultus_status vt_decode_jpeg(
    const struct vt_encoded *encoded, struct vt_image *out, int *orientation, struct vultus_error *error);
enum vultus_status vt_decode_png(
    const struct vt_encoded *encoded, struct vt_image *out, int *orientation, struct vultus_error *error);

/* "libjpeg-turbo 2.1.5" */
void vt_jpeg_library(char *text, size_t size);
void vt_png_library(char *text, size_t size);

/* The orientation (1 to 8) that a TIFF block as EXIF uses it states in its first directory; 1 when absent or malformed.
 */
int vt_exif_orientation(const uint8_t *tiff, size_t size);

/* Turns the picture upright: 2 mirror, 3 rotate 180, 4 flip, 5 transpose, 6 rotate 90 clockwise, 7 anti-transpose, 8
 * rotate 90 anticlockwise. The picture is replaced where its sides swap. On failure it is left as it was. */
enum vultus_status vt_image_orient(struct vt_image *image, int orientation, struct vultus_error *error);

#endif
