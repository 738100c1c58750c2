/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "face/attribute.h"

/*
 * MiniFASNet, of silent-face anti-spoofing: three logits, the second that of a living face. Its models see the face
 * with more or less around it; their probabilities are added, and the largest sum decides.
 */
enum { CLASSES = 3, LIVE = 1 };

static void add_softmax(const float logits[CLASSES], double sum[CLASSES]) {
    double most = fmax(logits[0], fmax(logits[1], logits[2])), exponentials[CLASSES], total = 0;
    for (int i = 0; i < CLASSES; i++) total += exponentials[i] = exp(logits[i] - most);
    for (int i = 0; i < CLASSES; i++) sum[i] += exponentials[i] / total;
}

static void decode(const float *const *numbers, size_t models, struct vt_attributes *out) {
    double sum[CLASSES] = {0};
    for (size_t m = 0; m < models; m++) add_softmax(numbers[m], sum);
    out->liveness = (float)(sum[LIVE] / (double)models);
    out->live = sum[LIVE] > sum[0] && sum[LIVE] > sum[2];
}

const struct vt_attribute_kind vt_kind_liveness = {"minifasnet", VT_ATTRIBUTE_LIVENESS, VT_CROP_BOX, CLASSES, decode};
