/* SPDX-License-Identifier: Apache-2.0 */
#include "face/attribute.h"

/* Two probabilities, of a mask and of none (section 3.2 of the InsightFace-REST behaviour). */

static const float least_probability = 0.89f;

static void decode(const float *const *numbers, size_t models, struct vt_attributes *out) {
    float mask = 0, none = 0;
    for (size_t m = 0; m < models; m++) {
        mask += numbers[m][0] / (float)models;
        none += numbers[m][1] / (float)models;
    }
    out->mask_probability = mask;
    out->no_mask_probability = none;
    out->mask = mask > none && mask >= least_probability;
}

const struct vt_attribute_kind vt_kind_mask = {"mask", VT_ATTRIBUTE_MASK, VT_CROP_ALIGNED, 2, decode};
