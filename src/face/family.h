/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_FAMILY_H
#define VT_FACE_FAMILY_H

#include "face/face.h"
#include "tensor/tensor.h"

/*
 * What tells one family of detectors from another: which outputs mean what, and how their numbers become faces. All
 * else (letterbox, looks, suppression) is common. The sections named are those of the InsightFace-REST behaviour.
 */

enum { VT_MOST_LEVELS = 5, VT_NO_OUTPUT = -1 };

/* A network as it is seen from outside: its picture's size and the shapes of one item's outputs. */
struct vt_detector_shape {
    const char *name; /* of the model, for error sentences */
    int width, height;
    const struct vt_tensor *outputs;
    uint32_t n_outputs;
};

/* Outputs, by number, that belong to one grid of cells `stride` pixels apart; VT_NO_OUTPUT where there is none. */
struct vt_detector_level {
    int stride, scores, boxes, offsets, landmarks;
};

struct vt_detector_layout {
    int width, height; /* of the network's picture */
    int anchors;       /* of each cell */
    bool landmarks;
    int n_levels;
    struct vt_detector_level levels[VT_MOST_LEVELS];
    int64_t rows; /* YOLOv5-face: of its one output */
};

struct vt_detector_family {
    const char *function; /* name in catalogue and plans */
    float nms_threshold;  /* where none is asked for */
    /* Finds the outputs by their shapes, whatever their order and names; UNSUPPORTED says which one is missing. */
    enum vultus_status (*bind)(
        const struct vt_detector_shape *shape, struct vt_detector_layout *layout, struct vultus_error *error);
    /*
     * Appends the candidates of one item's outputs that pass the threshold, in network pixels. Boxes that are not
     * finite are dropped.
     */
    enum vultus_status (*decode)(const struct vt_detector_layout *layout, float *const *outputs, float threshold,
        struct vt_face_list *list, struct vultus_error *error);
};

extern const struct vt_detector_family vt_family_scrfd, vt_family_centerface, vt_family_yolov5face;
/* RetinaFace with landmarks as they are (net3), and in fifths of that (net3l). */
extern const struct vt_detector_family vt_family_retinaface, vt_family_retinaface_l;
/* The same method as PyTorch exports it. */
extern const struct vt_detector_family vt_family_retinaface_torch;

/* The family of a function's name; NULL when it is none. */
const struct vt_detector_family *vt_family_find(const char *function);

/* The first output of shape [channels, rows, columns], a batch axis of 1 in front aside, from number `first` on. */
int vt_find_map(const struct vt_detector_shape *shape, int64_t channels, int64_t rows, int64_t columns, int first);

/* Appends a candidate unless its box is not finite. */
enum vultus_status vt_push_candidate(
    struct vt_face_list *list, const struct vt_face_box *face, struct vultus_error *error);

#endif
