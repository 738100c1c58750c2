/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_DRAW_H
#define VT_FACE_DRAW_H

#include <stdbool.h>

#include "face/face.h"
#include "image/image.h"

struct vt_draw_style {
    bool landmarks, scores, sizes;
    const char *footer; /* NULL: none */
};

/*
 * Boxes, landmarks, and on each face its score and below it its width. Strokes and text scale with picture and face. Of
 * a label's places (above, below, beside, inside the box) the first is taken that hides no other face and no other
 * label, in letters small enough to fit; a label that has none is left out.
 */
void vt_draw_faces(
    struct vt_image *picture, const struct vt_face_box *faces, size_t count, const struct vt_draw_style *style);
/* Text at the lower left. */
void vt_draw_footer(struct vt_image *picture, const char *text);

/* A crop and its caption, for a contact sheet. */
struct vt_sheet_item {
    struct vt_image crop; /* pixels NULL: an empty cell */
    char caption[32];
};
/* All items row by row on a picture somewhat wider than high, captions below. The caller releases *out. */
enum vultus_status vt_draw_contact_sheet(
    const struct vt_sheet_item *items, size_t count, struct vt_image *out, struct vultus_error *error);

#endif
