/* SPDX-License-Identifier: Apache-2.0 */
#include "face/draw.h"

#include <math.h>
#include <stdio.h>

#include "image/ops.h"

static const struct vt_colour box_colour = {0, 220, 0};
static const struct vt_colour margin_colour = {0, 200, 255};
static const struct vt_colour text_back = {0, 0, 0};
/* Left eye, right eye, nose, left and right mouth corner, as InsightFace-REST colours them. */
static const struct vt_colour landmark_colours[VT_LANDMARKS] = {
    {0, 0, 255}, {0, 255, 255}, {255, 0, 255}, {0, 255, 0}, {255, 0, 0}};

static double clamp(double v, double low, double high) { return v < low ? low : v > high ? high : v; }

/* Pixels of a stroke: one for small pictures, more where one would vanish when the picture is scaled to a screen. */
static int stroke(const struct vt_image *picture) {
    return (int)clamp(fmin(picture->width, picture->height) / 500.0 + 0.5, 1, 12);
}

/* Cap height of labels: readable on a screen, but never wider than about one and a half small faces. */
static double label_size(const struct vt_image *picture, double face_width) {
    double wanted = fmin(picture->width, picture->height) / 60.0;
    return clamp(fmin(wanted, face_width / 5), 5, 40);
}

static void draw_label(struct vt_image *picture, double x, double y, double size, const char *text) {
    int pad = (int)ceil(size / 4), width = vt_text_width(size, text);
    int left = (int)x, baseline = (int)y;
    vt_fill_rectangle(picture, left, baseline - (int)size - pad, left + width + 2 * pad, baseline + pad, text_back);
    vt_draw_text(picture, left + pad, baseline, size, (struct vt_colour){255, 255, 255}, text);
}

void vt_draw_face(struct vt_image *picture, const struct vt_face_box *face, const struct vt_draw_style *style) {
    for (int i = 0; i < 4; i++)
        if (!(fabsf(face->box[i]) < 1e6f)) return;
    double width = face->box[2] - face->box[0], size = label_size(picture, width);
    int thickness = stroke(picture);
    vt_draw_rectangle(picture, (int)face->box[0], (int)face->box[1], (int)face->box[2], (int)face->box[3], thickness,
        face->pass == VT_PASS_MARGIN ? margin_colour : box_colour);
    for (int i = 0; style->landmarks && i < VT_LANDMARKS; i++)
        vt_draw_disc(
            picture, face->landmarks[i][0], face->landmarks[i][1], clamp(width / 40, 1, 8), landmark_colours[i]);
    char text[32];
    double gap = size / 4 + thickness;
    if (style->scores) {
        snprintf(text, sizeof text, "%.3f", (double)face->score);
        /* Inside the box where there is no room above it. */
        double above = face->box[1] - gap, inside = fmax(face->box[1], 0) + size + gap;
        draw_label(picture, fmax(face->box[0], 0), above - size < 0 ? inside : above, size, text);
    }
    if (style->sizes) {
        snprintf(text, sizeof text, "w:%d", (int)width);
        draw_label(picture, fmax(face->box[0], 0), fmin(face->box[3], picture->height) - gap, size, text);
    }
}

void vt_draw_footer(struct vt_image *picture, const char *text) {
    double size = clamp(picture->height / 40.0, 8, 48);
    draw_label(picture, size / 2, picture->height - size, size, text);
}
