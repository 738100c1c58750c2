/* SPDX-License-Identifier: Apache-2.0 */
#include "face/labels.h"

#include <math.h>
#include <stdlib.h>

#include "image/ops.h"

/* Capitals below this cannot be read. */
static const double least_size = 7, largest_size = 40;

bool vt_labels_init(
    struct vt_labels *labels, const struct vt_image *picture, const struct vt_face_box *faces, size_t count) {
    *labels = (struct vt_labels){picture, faces, count, calloc(2 * count + 1, sizeof(struct vt_area)), 0};
    return labels->taken != NULL;
}

void vt_labels_fini(struct vt_labels *labels) {
    free(labels->taken);
    *labels = (struct vt_labels){0};
}

static bool overlap(const struct vt_area *a, const struct vt_area *b) {
    return a->left <= b->right && b->left <= a->right && a->top <= b->bottom && b->top <= a->bottom;
}

static struct vt_area area_of(const struct vt_face_box *face) {
    return (struct vt_area){face->box[0], face->box[1], face->box[2], face->box[3]};
}

/* What of a face must stay visible under its own label: from its eyes to its mouth. */
static struct vt_area features_of(const struct vt_face_box *face) {
    const float(*points)[2] = face->landmarks;
    struct vt_area area = {points[0][0], points[0][1], points[0][0], points[0][1]};
    for (int i = 1; i < VT_LANDMARKS; i++) {
        if (points[i][0] < area.left) area.left = points[i][0];
        if (points[i][0] > area.right) area.right = points[i][0];
        if (points[i][1] < area.top) area.top = points[i][1];
        if (points[i][1] > area.bottom) area.bottom = points[i][1];
    }
    double space = (face->box[2] - face->box[0]) / 20;
    return (struct vt_area){area.left - space, area.top - space, area.right + space, area.bottom + space};
}

static bool is_free(const struct vt_labels *labels, size_t face, const struct vt_area *area) {
    const struct vt_image *picture = labels->picture;
    if (area->left < 0 || area->top < 0 || area->right >= picture->width || area->bottom >= picture->height)
        return false;
    for (size_t i = 0; i < labels->n_taken; i++)
        if (overlap(area, &labels->taken[i])) return false;
    for (size_t i = 0; i < labels->n_faces; i++) {
        struct vt_area other = i == face ? features_of(&labels->faces[i]) : area_of(&labels->faces[i]);
        if (overlap(area, &other)) return false;
    }
    return true;
}

enum { PLACES = 9 };

/* Places of a label of that size, the best first; `gap` keeps it off the box's line. */
static void list_places(const struct vt_area *box, enum vt_label_edge edge, double width, double height, double gap,
    struct vt_area places[PLACES]) {
    double above = box->top - gap - height, below = box->bottom + gap, left = box->left, right = box->right - width;
    double inside_top = box->top + gap, inside_bottom = box->bottom - gap - height;
    double beside_left = box->left - gap - width, beside_right = box->right + gap;
    const double top_edge[PLACES][2] = {{left, above}, {right, above}, {beside_right, box->top},
        {beside_left, box->top}, {left + gap, inside_top}, {right - gap, inside_top}, {left, below}, {right, below},
        {left + gap, inside_bottom}};
    const double bottom_edge[PLACES][2] = {{left, below}, {right, below}, {beside_right, box->bottom - height},
        {beside_left, box->bottom - height}, {left + gap, inside_bottom}, {right - gap, inside_bottom},
        {beside_right, box->top}, {left, above}, {right, above}};
    const double(*corners)[2] = edge == VT_LABEL_TOP ? top_edge : bottom_edge;
    for (int i = 0; i < PLACES; i++) {
        double x = round(corners[i][0]), y = round(corners[i][1]);
        places[i] = (struct vt_area){x, y, x + width - 1, y + height - 1};
    }
}

/* A box that the picture cuts off is labelled at its visible part. */
static struct vt_area visible_part(const struct vt_labels *labels, size_t face) {
    struct vt_area box = area_of(&labels->faces[face]);
    box.left = fmax(box.left, 0);
    box.top = fmax(box.top, 0);
    box.right = fmin(box.right, labels->picture->width - 1);
    box.bottom = fmin(box.bottom, labels->picture->height - 1);
    return box;
}

/* Readable on a screen that shows the whole picture, but no wider than the face where that can be read too. */
static double wanted_size(const struct vt_labels *labels, size_t face) {
    const struct vt_image *picture = labels->picture;
    double width = labels->faces[face].box[2] - labels->faces[face].box[0];
    double size = fmin(fmin(picture->width, picture->height) / 45.0, width / 4);
    return fmax(least_size, fmin(size, largest_size));
}

bool vt_labels_place(
    struct vt_labels *labels, size_t face, enum vt_label_edge edge, const char *text, struct vt_label *out) {
    struct vt_area box = visible_part(labels, face);
    for (double size = wanted_size(labels, face); size >= least_size; size = fmin(size * 0.75, size - 1)) {
        struct vt_area places[PLACES];
        int pad = (int)ceil(size / 4);
        double gap = 2 + size / 8;
        list_places(&box, edge, vt_text_width(size, text) + 2 * pad, ceil(size) + 2 * pad, gap, places);
        for (int i = 0; i < PLACES; i++) {
            if (!is_free(labels, face, &places[i])) continue;
            labels->taken[labels->n_taken++] = places[i];
            *out = (struct vt_label){places[i], size, pad};
            return true;
        }
    }
    return false;
}
