/* SPDX-License-Identifier: Apache-2.0 */
#include "face/view.h"

void vt_view_landmarks(
    const struct vt_view *view, const float landmarks[VT_LANDMARKS][2], float viewed[VT_LANDMARKS][2]) {
    const float offset[2] = {(float)view->left, (float)view->top};
    for (int i = 0; i < VT_LANDMARKS; i++)
        for (int k = 0; k < 2; k++)
            viewed[i][k] = view->reduction == 1 ? landmarks[i][k]
                                                : (landmarks[i][k] - offset[k] + 0.5f) / (float)view->reduction - 0.5f;
}

void vt_view_box(const struct vt_view *view, const float box[4], float viewed[4]) {
    const float offset[2] = {(float)view->left, (float)view->top};
    for (int i = 0; i < 4; i++)
        viewed[i] = view->reduction == 1 ? box[i] : (box[i] - offset[i % 2]) / (float)view->reduction;
}
