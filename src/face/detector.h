/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_DETECTOR_H
#define VT_FACE_DETECTOR_H

#include "exec/session.h"
#include "face/face.h"

/* SCRFD over an engine. Immutable after creation; detect may be called from many threads. */
struct vt_detector;

/* Tells the nine (or six, without key points) heads apart by their shapes; the engine must outlive the detector. */
enum vultus_status vt_detector_create(
    struct vt_engine *engine, struct vt_pool *pool, struct vt_detector **out, struct vultus_error *error);
void vt_detector_destroy(struct vt_detector *detector);
bool vt_detector_has_landmarks(const struct vt_detector *detector); /* without them faces cannot be aligned */
void vt_detector_input_size(const struct vt_detector *detector, int *width, int *height);

enum vt_robust { VT_ROBUST_OFF, VT_ROBUST_AUTO };

struct vt_detect_options {
    float threshold;     /* strict: a face needs score > threshold */
    float nms_threshold; /* 0: 0.4 */
    enum vt_robust robust;
    int limit_faces;   /* > 0: keep the N largest by area, in that order */
    int min_face_size; /* > 0: drop boxes narrower than this many pixels */
};

/* Time each stage took, milliseconds, summed over passes. */
struct vt_detect_times {
    double letterbox_ms, network_ms, decode_ms;
};

/*
 * Finds faces of one picture, appended to *list in NMS order (or by area when limit_faces cut). The look with a margin
 * follows when no score passed the threshold, whatever min_face_size would drop. scale (may be NULL) gets the letterbox
 * factor of the pass that counted, the plain one when nothing was found. times may be NULL.
 */
enum vultus_status vt_detect(const struct vt_detector *detector, const struct vt_image *picture,
    const struct vt_detect_options *options, struct vt_face_list *list, double *scale, struct vt_detect_times *times,
    struct vultus_error *error);

/*
 * Decodes one item's heads (section 2.4): scores [n], boxes [n,4], landmarks [n,10] or NULL, for `stride`; appends
 * candidates in network pixels with score > threshold. Non-finite boxes are dropped.
 */
enum vultus_status vt_scrfd_decode(const float *scores, const float *boxes, const float *landmarks, int stride,
    int width, int height, float threshold, struct vt_face_list *list, struct vultus_error *error);

#endif
