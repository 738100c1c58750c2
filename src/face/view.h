/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_VIEW_H
#define VT_FACE_VIEW_H

#include "face/face.h"

/* A picture as it was decoded: `reduction` times smaller than the one that coordinates of faces are of, and from where.
 */
struct vt_stay; /* face/resident.h */
struct vt_view {
    const struct vt_image *picture;
    int reduction, left, top;
    struct vt_stay *stay; /* that has the picture loaded, whose pixels may then be NULL; NULL: on processors */
};

/* Points and boxes of the whole picture in pixels of the view. Points lie at pixels' centres, boxes at their edges. */
void vt_view_landmarks(
    const struct vt_view *view, const float landmarks[VT_LANDMARKS][2], float viewed[VT_LANDMARKS][2]);
void vt_view_box(const struct vt_view *view, const float box[4], float viewed[4]);

#endif
