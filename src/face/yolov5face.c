/* SPDX-License-Identifier: Apache-2.0 */
#include "face/family.h"

/*
 * YOLOv5-face (section 3.1), with its grids decoded in the network: rows of centre, width, height, objectness, five
 * landmarks and the class's score, in network pixels. Objectness alone is compared and reported.
 */
enum { COLUMNS = 16, OBJECTNESS = 4, KEY_POINTS = 5 };

static enum vultus_status bind(
    const struct vt_detector_shape *shape, struct vt_detector_layout *layout, struct vultus_error *error) {
    const struct vt_tensor *output = &shape->outputs[0];
    if (shape->n_outputs != 1 || output->rank < 2 || output->dims[output->rank - 1] != COLUMNS) {
        char text[128];
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "%s is no YOLOv5-face detector: its %u outputs begin with %s, one of rows of %d numbers is needed",
            shape->name, shape->n_outputs, vt_tensor_describe(output, text, sizeof text), COLUMNS);
    }
    *layout = (struct vt_detector_layout){.width = shape->width,
        .height = shape->height,
        .landmarks = true,
        .n_levels = 1,
        .levels = {{.scores = 0}},
        .rows = vt_tensor_count(output) / COLUMNS};
    return VULTUS_OK;
}

static enum vultus_status decode(const struct vt_detector_layout *layout, float *const *outputs, float threshold,
    struct vt_face_list *list, struct vultus_error *error) {
    for (int64_t i = 0; i < layout->rows; i++) {
        const float *row = outputs[0] + COLUMNS * i;
        if (!(row[OBJECTNESS] >= threshold)) continue;
        float half_width = row[2] / 2, half_height = row[3] / 2;
        struct vt_face_box face = {
            .box = {row[0] - half_width, row[1] - half_height, row[0] + half_width, row[1] + half_height},
            .score = row[OBJECTNESS]};
        for (int k = 0; k < VT_LANDMARKS; k++) {
            face.landmarks[k][0] = row[KEY_POINTS + 2 * k];
            face.landmarks[k][1] = row[KEY_POINTS + 2 * k + 1];
        }
        enum vultus_status status = vt_push_candidate(list, &face, error);
        if (status) return status;
    }
    return VULTUS_OK;
}

const struct vt_detector_family vt_family_yolov5face = {"yolov5face", 0.4f, bind, decode};
