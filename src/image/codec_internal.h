/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_IMAGE_CODEC_INTERNAL_H
#define VT_IMAGE_CODEC_INTERNAL_H

#include <stdbool.h>

#include "image/image.h"

/* An encoded picture; every byte may be hostile. `name` is for error sentences. The limits have no zero fields. */
struct vt_encoded {
    const uint8_t *bytes;
    size_t size;
    const char *name;
    struct vt_image_limits limits;
    int enough_width, enough_height; /* of the upright picture, as in struct vt_image_scale */
};

/* What a codec makes of it: the pixels as stored, not yet upright. */
struct vt_decoded {
    struct vt_image image;
    int orientation;   /* EXIF's, 1 to 8 */
    int reduction;     /* 1, 2, 4 or 8 */
    int width, height; /* as stored, before the reduction */
};

/*
 * A format and the library that reads it; one file for each. On success the caller releases out->image, which is
 * zeroed before; what a failed decoder leaves there is released too. orientation and reduction are 1 before, width and
 * height 0, which stands for the size of the image.
 */
struct vt_codec {
    enum vultus_status (*decode)(const struct vt_encoded *encoded, struct vt_decoded *out, struct vultus_error *error);
    void (*library)(char *text, size_t size); /* "libjpeg-turbo 2.1.5" */
    /* Of JPEG: as vt_image_is_simple_jpeg says. NULL: no picture of this format is. */
    bool (*is_simple)(const struct vt_encoded *encoded, int *width, int *height);
};
extern const struct vt_codec vt_codec_bmp, vt_codec_gif, vt_codec_heif, vt_codec_jpeg, vt_codec_png, vt_codec_tiff,
    vt_codec_webp;

/* Whether a picture of that size may be allocated. */
enum vultus_status vt_check_dimensions(
    const struct vt_encoded *encoded, uint64_t width, uint64_t height, struct vultus_error *error);

/* Red and blue change places in `count` pixels of 3 bytes. */
void vt_swap_red_and_blue(uint8_t *pixels, size_t count);

/*
 * The orientation (1 to 8) that EXIF states in its first directory; 1 when absent or malformed. The block is TIFF, with
 * or without "Exif\0\0" before it.
 */
int vt_exif_orientation(const uint8_t *block, size_t size);

/* Turns the picture upright: 2 mirror, 3 rotate 180, 4 flip, 5 transpose, 6 rotate 90 clockwise, 7 anti-transpose, 8
 * rotate 90 anticlockwise. The picture is replaced where its sides swap. On failure it is left as it was. */
enum vultus_status vt_image_orient(struct vt_image *image, int orientation, struct vultus_error *error);
/* Whether rows and columns change places. */
static inline bool vt_orientation_swaps(int orientation) { return orientation >= 5 && orientation <= 8; }
/* Whether columns, whether rows of the upright picture come in reverse, after any swap. */
void vt_orientation_mirrors(int orientation, bool *columns, bool *rows);

#endif
