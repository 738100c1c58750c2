/* SPDX-License-Identifier: Apache-2.0 */
#include "face/draw.h"

#include <math.h>
#include <stdio.h>

#include "face/labels.h"
#include "image/ops.h"

static const struct vt_colour box_colour = {0, 220, 0};
static const struct vt_colour margin_colour = {0, 200, 255};
static const struct vt_colour text_back = {0, 0, 0};
static const struct vt_colour text_colour = {255, 255, 255};
/* Left eye, right eye, nose, left and right mouth corner, as InsightFace-REST colours them. */
static const struct vt_colour landmark_colours[VT_LANDMARKS] = {
    {0, 0, 255}, {0, 255, 255}, {255, 0, 255}, {0, 255, 0}, {255, 0, 0}};

static double clamp(double v, double low, double high) { return v < low ? low : v > high ? high : v; }

/* Pixels of a stroke: one for small pictures and faces, more where it would vanish when the picture fits a screen. */
static int stroke(const struct vt_image *picture, double face_width) {
    double wanted = fmin(picture->width, picture->height) / 500.0 + 0.5;
    return (int)clamp(fmin(wanted, face_width / 16), 1, 12);
}

static bool is_drawable(const struct vt_face_box *face) {
    for (int i = 0; i < 4; i++)
        if (!(fabsf(face->box[i]) < 1e6f)) return false;
    return true;
}

static void draw_box(struct vt_image *picture, const struct vt_face_box *face, bool landmarks) {
    double width = face->box[2] - face->box[0];
    vt_draw_rectangle(picture, (int)face->box[0], (int)face->box[1], (int)face->box[2], (int)face->box[3],
        stroke(picture, width), face->pass == VT_PASS_MARGIN ? margin_colour : box_colour);
    for (int i = 0; landmarks && i < VT_LANDMARKS; i++)
        vt_draw_disc(
            picture, face->landmarks[i][0], face->landmarks[i][1], clamp(width / 40, 1, 8), landmark_colours[i]);
}

static void draw_label(struct vt_image *picture, const struct vt_label *label, const char *text) {
    const struct vt_area *area = &label->area;
    vt_fill_rectangle(picture, (int)area->left, (int)area->top, (int)area->right, (int)area->bottom, text_back);
    vt_draw_text(picture, (int)area->left + label->pad, (int)area->bottom - label->pad, label->size, text_colour, text);
}

static void label_face(struct vt_image *picture, struct vt_labels *labels, size_t face, const struct vt_face_box *box,
    const struct vt_draw_style *style) {
    char text[32];
    struct vt_label label;
    if (style->scores) {
        snprintf(text, sizeof text, "%.2f", (double)box->score);
        if (vt_labels_place(labels, face, VT_LABEL_TOP, text, &label)) draw_label(picture, &label, text);
    }
    if (style->sizes) {
        snprintf(text, sizeof text, "%d", (int)(box->box[2] - box->box[0]));
        if (vt_labels_place(labels, face, VT_LABEL_BOTTOM, text, &label)) draw_label(picture, &label, text);
    }
}

/* Without memory for places there are boxes alone. */
void vt_draw_faces(
    struct vt_image *picture, const struct vt_face_box *faces, size_t count, const struct vt_draw_style *style) {
    struct vt_labels labels;
    for (size_t i = 0; i < count; i++)
        if (is_drawable(&faces[i])) draw_box(picture, &faces[i], style->landmarks);
    if (!vt_labels_init(&labels, picture, faces, count)) return;
    for (size_t i = 0; i < count; i++)
        if (is_drawable(&faces[i])) label_face(picture, &labels, i, &faces[i], style);
    vt_labels_fini(&labels);
}

void vt_draw_footer(struct vt_image *picture, const char *text) {
    double size = clamp(picture->height / 40.0, 8, 48);
    int pad = (int)ceil(size / 4), left = (int)(size / 2), baseline = (int)(picture->height - size);
    vt_fill_rectangle(picture, left, baseline - (int)size - pad, left + vt_text_width(size, text) + 2 * pad,
        baseline + pad, text_back);
    vt_draw_text(picture, left + pad, baseline, size, text_colour, text);
}

/* ---------------------------------------------------------------- contact sheets */

enum { CELL_GAP = 8, CAPTION_HEIGHT = 20, CAPTION_SIZE = 10, MOST_COLUMNS = 64 };
enum { CELL_WIDTH = VT_CROP_SIZE + CELL_GAP, CELL_HEIGHT = VT_CROP_SIZE + CAPTION_HEIGHT + CELL_GAP };

enum vultus_status vt_draw_contact_sheet(
    const struct vt_sheet_item *items, size_t count, struct vt_image *out, struct vultus_error *error) {
    static const size_t most_items = 20000;
    if (count > most_items)
        return vt_fail(
            error, VULTUS_ERROR_LIMIT, "%zu crops are too many for a contact sheet of at most %zu", count, most_items);
    int columns = (int)clamp(ceil(sqrt((double)count * 4 / 3)), 1, MOST_COLUMNS);
    int rows = count ? ((int)count + columns - 1) / columns : 1;
    enum vultus_status status =
        vt_image_create(columns * CELL_WIDTH + CELL_GAP, rows * CELL_HEIGHT + CELL_GAP, out, error);
    for (size_t i = 0; !status && i < count; i++) {
        int x = CELL_GAP + (int)i % columns * CELL_WIDTH, y = CELL_GAP + (int)i / columns * CELL_HEIGHT;
        if (items[i].crop.pixels) vt_copy_image(&items[i].crop, out, x, y);
        vt_draw_text(out, x, y + VT_CROP_SIZE + CAPTION_SIZE + 5, CAPTION_SIZE, text_colour, items[i].caption);
    }
    return status;
}
