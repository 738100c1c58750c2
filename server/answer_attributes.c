/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "answer.h"

/* Fields are those of `vultus extract --attributes`. */

static void add_number(struct vt_emitter *out, const char *name, double value) {
    vt_emit_key(out, name);
    if (isfinite(value))
        vt_emit_number(out, value);
    else
        vt_emit_null(out);
}

static void add_bool(struct vt_emitter *out, const char *name, bool value) {
    vt_emit_key(out, name);
    vt_emit_bool(out, value);
}

static void write_mask(struct vt_emitter *out, const struct vultus_attributes *a) {
    vt_emit_map(out, 3);
    add_bool(out, "mask", a->mask);
    add_number(out, "probability", a->mask_probability);
    add_number(out, "no_mask_probability", a->no_mask_probability);
    vt_emit_map_end(out);
}

static void write_liveness(struct vt_emitter *out, const struct vultus_attributes *a) {
    vt_emit_map(out, 2);
    add_bool(out, "live", a->live);
    add_number(out, "probability", a->liveness);
    vt_emit_map_end(out);
}

static void write_gender_age(struct vt_emitter *out, const struct vultus_attributes *a) {
    vt_emit_map(out, 2);
    vt_emit_key(out, "gender");
    vt_emit_text(out, a->gender ? "male" : "female");
    vt_emit_key(out, "age");
    vt_emit_integer(out, a->age);
    vt_emit_map_end(out);
}

static void write_quality(struct vt_emitter *out, const struct vultus_attributes *a) {
    const struct vultus_quality *q = &a->quality;
    vt_emit_map(out, 8);
    add_number(out, "overall", q->overall);
    add_number(out, "norm", q->norm > 0 ? q->norm : NAN);
    add_number(out, "sharpness", q->sharpness);
    add_number(out, "size", q->size);
    add_number(out, "yaw", q->yaw);
    add_number(out, "pitch", q->pitch);
    add_number(out, "roll", q->roll);
    vt_emit_key(out, "parts");
    vt_emit_map(out, 4);
    add_number(out, "norm", q->norm_part);
    add_number(out, "sharpness", q->sharpness_part);
    add_number(out, "size", q->size_part);
    add_number(out, "pose", q->pose_part);
    vt_emit_map_end(out);
    vt_emit_map_end(out);
}

static const struct {
    const char *name;
    enum vultus_attribute bit;
    void (*write)(struct vt_emitter *out, const struct vultus_attributes *a);
} kinds[] = {{"mask", VULTUS_ATTRIBUTE_MASK, write_mask}, {"liveness", VULTUS_ATTRIBUTE_LIVENESS, write_liveness},
    {"gender_age", VULTUS_ATTRIBUTE_GENDER_AGE, write_gender_age},
    {"quality", VULTUS_ATTRIBUTE_QUALITY, write_quality}};
enum { KINDS = sizeof kinds / sizeof *kinds };

void vt_answer_attributes(struct vt_emitter *out, unsigned wanted, const struct vultus_attributes *told) {
    uint32_t count = 0;
    for (int i = 0; i < KINDS; i++) count += (wanted & kinds[i].bit) != 0;
    vt_emit_key(out, "attributes");
    vt_emit_map(out, count);
    for (int i = 0; i < KINDS; i++) {
        if (!(wanted & kinds[i].bit)) continue;
        vt_emit_key(out, kinds[i].name);
        if (told->present & kinds[i].bit)
            kinds[i].write(out, told);
        else
            vt_emit_null(out);
    }
    vt_emit_map_end(out);
}
