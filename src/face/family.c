/* SPDX-License-Identifier: Apache-2.0 */
#include "face/family.h"

#include <math.h>
#include <string.h>

const struct vt_detector_family *vt_family_find(const char *function) {
    static const struct vt_detector_family *const families[] = {&vt_family_scrfd, &vt_family_retinaface,
        &vt_family_retinaface_l, &vt_family_retinaface_torch, &vt_family_centerface, &vt_family_yolov5face};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strcmp(families[i]->function, function) == 0) return families[i];
    return NULL;
}

int vt_find_map(const struct vt_detector_shape *shape, int64_t channels, int64_t rows, int64_t columns, int first) {
    for (uint32_t i = (uint32_t)first; i < shape->n_outputs; i++) {
        const struct vt_tensor *output = &shape->outputs[i];
        int skip = output->rank == 4 && output->dims[0] == 1;
        const int64_t *dims = output->dims + skip;
        if (output->rank - skip == 3 && dims[0] == channels && dims[1] == rows && dims[2] == columns) return (int)i;
    }
    return VT_NO_OUTPUT;
}

enum vultus_status vt_push_candidate(
    struct vt_face_list *list, const struct vt_face_box *face, struct vultus_error *error) {
    for (int i = 0; i < 4; i++)
        if (!isfinite(face->box[i])) return VULTUS_OK;
    return vt_face_list_push(list, face, error);
}
