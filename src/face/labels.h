/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_LABELS_H
#define VT_FACE_LABELS_H

#include <stdbool.h>

#include "face/face.h"
#include "image/image.h"

/* Where labels of faces go, so that they hide neither faces nor each other. Pixels; right and bottom are inside. */
struct vt_area {
    double left, top, right, bottom;
};

struct vt_label {
    struct vt_area area;
    double size; /* of capitals */
    int pad;     /* from the area's edges to the text */
};

/* Owns a list of what is taken. */
struct vt_labels {
    const struct vt_image *picture;
    const struct vt_face_box *faces;
    size_t n_faces;
    struct vt_area *taken; /* by labels */
    size_t n_taken;
};

/* False when out of memory. Picture and faces must outlive it. Each face may be given two labels. */
bool vt_labels_init(
    struct vt_labels *labels, const struct vt_image *picture, const struct vt_face_box *faces, size_t count);
void vt_labels_fini(struct vt_labels *labels);

/* At the upper edge of the face's box rather than the lower, or the other way round. */
enum vt_label_edge { VT_LABEL_TOP, VT_LABEL_BOTTOM };
/* Finds a place for a face's label and takes it. False: there is none. */
bool vt_labels_place(
    struct vt_labels *labels, size_t face, enum vt_label_edge edge, const char *text, struct vt_label *out);

#endif
