/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_IMAGE_OPS_H
#define VT_IMAGE_OPS_H

#include <stdbool.h>

#include "base/pool.h"
#include "image/image.h"

/*
 * The letterbox of section 2.3 of the InsightFace-REST behaviour: scale s = min(cw/w, ch/h), 0.7 s when s > 2; area
 * interpolation below 1, bilinear above, sampling step exactly 1/s; the picture at the top left, black right and
 * bottom.
 */
struct vt_letterbox {
    double scale;
    int width, height; /* of the scaled picture inside the canvas */
};
/*
 * Fails when a side of the scaled picture rounds to 0 (extreme aspect ratios). `margin` (0 or 0.5) first surrounds the
 * picture with black of that fraction of its size (rounded down) on every side, without copying it.
 */
int vt_margin_pixels(int size, double margin);
enum vultus_status vt_letterbox_plan(int picture_width, int picture_height, double margin, int canvas_width,
    int canvas_height, struct vt_letterbox *out, struct vultus_error *error);

/* How pixels become numbers: value = (pixel - mean[k]) * inverse_std[k] for network channel k; rgb swaps the picture's
 * BGR. */
struct vt_normalisation {
    float mean[3], inverse_std[3];
    bool rgb;
};

/* Letterboxes and normalises straight into planes [3][canvas_height][canvas_width]. scratch memory is allocated per
 * call. */
enum vultus_status vt_letterbox_to_planes(const struct vt_image *picture, double margin, int canvas_width,
    int canvas_height, const struct vt_normalisation *normalisation, struct vt_pool *pool, float *planes,
    struct vt_letterbox *letterbox, struct vultus_error *error);

/* The same as 8-bit picture (tests, drawing). */
enum vultus_status vt_letterbox_image(const struct vt_image *picture, double margin, int canvas_width,
    int canvas_height, struct vt_image *out, struct vt_letterbox *letterbox, struct vultus_error *error);

/* 8-bit BGR crop to planes [3][h][w]. */
void vt_image_to_planes(const struct vt_image *crop, const struct vt_normalisation *normalisation, float *planes);

/*
 * Bilinear interpolation into a picture whose size and pixels are set, each axis by its own factor, in the arithmetic
 * of the letterbox's enlarging; what lies outside is the edge's pixel. Nothing is averaged where it shrinks.
 */
enum vultus_status vt_image_resize(const struct vt_image *source, struct vt_image *target, struct vultus_error *error);

/*
 * Affine warp with bilinear interpolation; matrix maps source to output; constant border 0. `out` has its size set and
 * pixels allocated. Fails when the matrix is singular or not finite.
 */
enum vt_warp_method {
    VT_WARP_EXACT, /* single precision, as OpenCV does from 5.0 on, up to a grey level here and there */
    VT_WARP_FIXED  /* fractions of 1/32 pixel: section 2.6, bit for bit what OpenCV 4.6 does; for galleries made with it
                    */
};
enum vultus_status vt_warp_affine(const struct vt_image *source, const double matrix[6], enum vt_warp_method method,
    struct vt_image *out, struct vultus_error *error);

/* The matrix from output to source; INVALID when there is none. */
enum vultus_status vt_warp_inverse(const double matrix[6], double inverse[6], struct vultus_error *error);

/* Drawing, clipped to the picture; colours are BGR; rectangles include both corners. Text, discs: anti-aliased. */
struct vt_colour {
    uint8_t b, g, r;
};
void vt_draw_rectangle(struct vt_image *image, int x1, int y1, int x2, int y2, int thickness, struct vt_colour colour);
void vt_fill_rectangle(struct vt_image *image, int x1, int y1, int x2, int y2, struct vt_colour colour);
void vt_draw_disc(struct vt_image *image, double x, double y, double radius, struct vt_colour colour);
/* Text in an own stroke font, printable ASCII, capitals `size` pixels high, baseline-left at (x, y). */
void vt_draw_text(struct vt_image *image, int x, int y, double size, struct vt_colour colour, const char *text);
/* The same with one pixel of another colour around it, legible on any ground. */
void vt_draw_outlined_text(struct vt_image *image, int x, int y, double size, struct vt_colour colour,
    struct vt_colour outline, const char *text);
int vt_text_width(double size, const char *text);
void vt_copy_image(const struct vt_image *source, struct vt_image *target, int x, int y); /* pastes, clipped */

#endif
