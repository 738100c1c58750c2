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

/* One face: box, five coloured landmarks, score above and width below. Strokes and text scale with picture and face. */
void vt_draw_face(struct vt_image *picture, const struct vt_face_box *face, const struct vt_draw_style *style);
/* Text at the lower left. */
void vt_draw_footer(struct vt_image *picture, const char *text);

#endif
