/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "face/detector.h"

enum { ANCHORS_PER_CELL = 2 };

static bool all_finite(const float *values, int count) {
    for (int i = 0; i < count; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

enum vultus_status vt_scrfd_decode(const float *scores, const float *boxes, const float *landmarks, int stride,
    int width, int height, float threshold, struct vt_face_list *list, struct vultus_error *error) {
    int columns = width / stride, anchors = columns * (height / stride) * ANCHORS_PER_CELL;
    for (int i = 0; i < anchors; i++) {
        if (!(scores[i] > threshold)) continue;
        int cell = i / ANCHORS_PER_CELL;
        float x = (float)(cell % columns * stride), y = (float)(cell / columns * stride), step = (float)stride;
        const float *distance = boxes + 4 * (size_t)i;
        struct vt_face_box face = {
            .box = {x - distance[0] * step, y - distance[1] * step, x + distance[2] * step, y + distance[3] * step},
            .score = scores[i]};
        for (int k = 0; landmarks && k < VT_LANDMARKS; k++) {
            const float *delta = landmarks + 2 * (VT_LANDMARKS * (size_t)i + (size_t)k);
            face.landmarks[k][0] = delta[0] * step + x;
            face.landmarks[k][1] = delta[1] * step + y;
        }
        if (!all_finite(face.box, 4)) continue;
        enum vultus_status status = vt_face_list_push(list, &face, error);
        if (status) return status;
    }
    return VULTUS_OK;
}
