/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_FACE_H
#define VT_FACE_FACE_H

#include "base/status.h"
#include "image/ops.h"

#define VT_LANDMARKS 5
#define VT_CROP_SIZE 112

/* Which look at the picture found a face: the whole of it, with a black margin, or one tile of it. */
enum vt_face_pass { VT_PASS_PLAIN, VT_PASS_MARGIN, VT_PASS_TILE };

/* One face in pixels of the original picture, not clipped. */
struct vt_face_box {
    float box[4]; /* x1, y1, x2, y2 */
    float score;
    float landmarks[VT_LANDMARKS][2]; /* left eye, right eye, nose, left and right mouth corner, as seen */
    enum vt_face_pass pass;
    int turn; /* degrees the picture was turned clockwise for that look: 0, 90, 180, 270 */
};

/* A growable array, owned by the caller. A zeroed list is empty. */
struct vt_face_list {
    struct vt_face_box *faces;
    size_t count, capacity;
};
void vt_face_list_fini(struct vt_face_list *list);
enum vultus_status vt_face_list_push(
    struct vt_face_list *list, const struct vt_face_box *face, struct vultus_error *error);

/*
 * Faces of a reduced picture become those of the whole one, `reduction` times larger, in which its first pixel lies at
 * (left, top); drops those narrower than least_width there.
 */
void vt_face_list_enlarge(struct vt_face_list *list, int reduction, int left, int top, int least_width);

/* Orders by score or by area (x2 - x1) * (y2 - y1), descending; ties keep their order. */
enum vt_face_order { VT_BY_SCORE, VT_BY_AREA };
enum vultus_status vt_sort_faces(struct vt_face_list *list, enum vt_face_order order, struct vultus_error *error);

/*
 * Greedy non-maximum suppression: descending score, areas and overlaps with the +1 pixel convention, keeps a box whose
 * IoU with every kept one is <= threshold. Sorts and shrinks in place; ties keep their order. Only the
 * VT_NMS_CANDIDATES best enter: a threshold of 0 makes every anchor a candidate, and the work grows with candidates
 * times kept boxes.
 */
#define VT_NMS_CANDIDATES 10000
enum vultus_status vt_nms(struct vt_face_list *list, float threshold, struct vultus_error *error);

/*
 * Least-squares similarity (Umeyama 1991, reflection guarded) from five landmarks to the ArcFace template in a crop of
 * width x height pixels, as the 2x3 matrix source -> crop. The template is that of 112x112, scaled by height / 112 and
 * centred; in squares whose side is a multiple of 128 but not of 112 it is scaled by side / 128, and 8 pixels of 128
 * further right, as InsightFace does. Coincident or non-finite landmarks are an error.
 */
enum vultus_status vt_align_matrix(
    const float landmarks[VT_LANDMARKS][2], int width, int height, double matrix[6], struct vultus_error *error);

/* The aligned 112x112 crop of the full-resolution picture. `crop` is created; the caller releases it. */
enum vultus_status vt_align_crop(const struct vt_image *picture, const float landmarks[VT_LANDMARKS][2],
    struct vt_image *crop, struct vultus_error *error);
/* The same into a crop whose size and pixels are set. */
enum vultus_status vt_align_into(const struct vt_image *picture, const float landmarks[VT_LANDMARKS][2],
    enum vt_warp_method method, struct vt_image *crop, struct vultus_error *error);

#endif
