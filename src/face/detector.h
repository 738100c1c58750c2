/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_DETECTOR_H
#define VT_FACE_DETECTOR_H

#include "exec/session.h"
#include "face/face.h"

/*
 * A detector of some family (face/family.h) over an engine. Immutable after creation; detect may be called from many
 * threads.
 */
struct vt_detector;

/*
 * Takes the family that the plan's model names, SCRFD where it names none, and finds its outputs by their shapes; the
 * engine must outlive the detector.
 */
enum vultus_status vt_detector_create(
    struct vt_engine *engine, struct vt_pool *pool, struct vt_detector **out, struct vultus_error *error);
void vt_detector_destroy(struct vt_detector *detector);
bool vt_detector_has_landmarks(const struct vt_detector *detector); /* without them faces cannot be aligned */
void vt_detector_input_size(const struct vt_detector *detector, int *width, int *height);

/*
 * Looks beyond the plain one, for faces that fill the frame and faces that are turned. AUTO takes them in three steps,
 * each only while nothing was found: with a margin; turned by 90, 180 and 270 degrees; turned, with a margin. FULL
 * takes all of them always.
 */
enum vt_robust { VT_ROBUST_OFF, VT_ROBUST_AUTO, VT_ROBUST_FULL };

struct vt_detect_options {
    float threshold;     /* least score; whether a score equal to it passes is the family's rule */
    float nms_threshold; /* 0: the family's */
    enum vt_robust robust;
    bool tile;         /* look also at overlapping parts of pictures that are larger than the network's */
    int limit_faces;   /* > 0: keep the N largest by area, in that order */
    int min_face_size; /* > 0: drop boxes narrower than this many pixels */
};

/* Time each stage took, milliseconds, summed over looks. */
struct vt_detect_times {
    double letterbox_ms, network_ms, decode_ms;
};

/*
 * Finds faces of one picture, appended to *list in NMS order (or by area when limit_faces cut). Candidates of each look
 * are suppressed in network pixels; those that several looks leave, together once more in picture pixels. Whether
 * something was found does not depend on min_face_size. scale (may be NULL) gets the letterbox factor of the first look
 * that found something, of the plain one when none did. times may be NULL.
 */
struct vt_stay; /* face/resident.h */
/* `stay` is NULL, or a place on the device that has the picture loaded: then the picture's pixels may be NULL, and
 * times are the stay's. */
enum vultus_status vt_detect(const struct vt_detector *detector, const struct vt_image *picture, struct vt_stay *stay,
    const struct vt_detect_options *options, struct vt_face_list *list, double *scale, struct vt_detect_times *times,
    struct vultus_error *error);

#endif
