/* SPDX-License-Identifier: Apache-2.0 */
#include "face/attribute.h"

/* Two numbers for the genders, then for each year a pair that says whether the face is older (section 3.2). */
enum { YEARS = 100, NUMBERS = 2 + 2 * YEARS };

/* Of several models the first is believed. */
static void decode(const float *const *numbers, size_t models, struct vt_attributes *out) {
    (void)models;
    const float *genders = numbers[0], *years = numbers[0] + 2;
    out->gender = genders[1] > genders[0];
    out->age = 0;
    for (int i = 0; i < YEARS; i++) out->age += years[2 * i + 1] > years[2 * i];
}

const struct vt_attribute_kind vt_kind_gender_age = {
    "genderage", VT_ATTRIBUTE_GENDER_AGE, VT_CROP_ALIGNED, NUMBERS, decode};
