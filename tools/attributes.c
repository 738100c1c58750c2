/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "common.h"

/* Words of --attributes, and where their models come from. */
static const struct attribute {
    const char *word;
    enum vultus_attribute bit;
    enum vt_setting setting; /* VT_SETTING_COUNT: no model is needed */
    const char *function;    /* of a pack's model */
} attributes[] = {
    {"mask", VULTUS_ATTRIBUTE_MASK, VT_SETTING_MASK, "mask"},
    {"liveness", VULTUS_ATTRIBUTE_LIVENESS, VT_SETTING_LIVENESS, "minifasnet"},
    {"gender-age", VULTUS_ATTRIBUTE_GENDER_AGE, VT_SETTING_GENDER_AGE, "genderage"},
    {"quality", VULTUS_ATTRIBUTE_QUALITY, VT_SETTING_COUNT, NULL},
};
enum { N_ATTRIBUTES = sizeof attributes / sizeof *attributes };

unsigned vt_cli_attributes(const struct vt_options *options) {
    unsigned bits = 0;
    for (const char *at = options->attributes; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        for (int i = 0; i < N_ATTRIBUTES; i++)
            if (strcspn(at, ",") == strlen(attributes[i].word) &&
                strncmp(at, attributes[i].word, strcspn(at, ",")) == 0)
                bits |= attributes[i].bit;
    return bits;
}

/* Models separated by commas. */
static bool append_models(
    const struct vt_options *options, const char *models, const char *function, struct vt_file_list *out) {
    for (const char *at = models; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char *named = strndup(at, strcspn(at, ","));
        if (!named) return vt_file_list_append(out, NULL);
        char *path = vt_cli_resolve(options, named, function);
        if (!path || !vt_file_list_append(out, path)) return false;
    }
    return true;
}

bool vt_cli_attribute_models(const struct vt_options *options, struct vt_file_list *out) {
    const char *const flags[N_ATTRIBUTES] = {options->mask_model, options->liveness_models, options->gender_age_model};
    unsigned wanted = vt_cli_attributes(options);
    bool fine = true;
    for (int i = 0; fine && i < N_ATTRIBUTES; i++) {
        const struct attribute *a = &attributes[i];
        if (!(wanted & a->bit) || a->setting == VT_SETTING_COUNT) continue;
        const char *models = vt_setting_text(a->setting, flags[i]);
        fine = append_models(options, models ? models : vt_setting_info(a->setting)->fallback, a->function, out);
    }
    return fine;
}

static json_t *quality_record(const struct vultus_quality *q) {
    json_t *norm = q->norm > 0 ? vt_cli_json_float(q->norm) : json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o, s:o}}", "overall",
        vt_cli_json_float(q->overall), "norm", norm, "sharpness", vt_cli_json_float(q->sharpness), "size",
        vt_cli_json_float(q->size), "yaw", vt_cli_json_float(q->yaw), "pitch", vt_cli_json_float(q->pitch), "roll",
        vt_cli_json_float(q->roll), "parts", "norm", vt_cli_json_float(q->norm_part), "sharpness",
        vt_cli_json_float(q->sharpness_part), "size", vt_cli_json_float(q->size_part), "pose",
        vt_cli_json_float(q->pose_part));
}

json_t *vt_cli_json_attributes(const struct vultus_attributes *a) {
    json_t *record = json_object();
    int failed = 0;
    if (a->present & VULTUS_ATTRIBUTE_MASK)
        failed |= json_object_set_new(record, "mask",
            json_pack("{s:b, s:o, s:o}", "mask", a->mask, "probability", vt_cli_json_float(a->mask_probability),
                "no_mask_probability", vt_cli_json_float(a->no_mask_probability)));
    if (a->present & VULTUS_ATTRIBUTE_LIVENESS)
        failed |= json_object_set_new(record, "liveness",
            json_pack("{s:b, s:o}", "live", a->live, "probability", vt_cli_json_float(a->liveness)));
    if (a->present & VULTUS_ATTRIBUTE_GENDER_AGE)
        failed |= json_object_set_new(
            record, "gender_age", json_pack("{s:s, s:i}", "gender", a->gender ? "male" : "female", "age", a->age));
    if (a->present & VULTUS_ATTRIBUTE_QUALITY)
        failed |= json_object_set_new(record, "quality", quality_record(&a->quality));
    if (!failed) return record;
    json_decref(record);
    return NULL;
}

void vt_cli_print_attributes(FILE *out, const struct vultus_attributes *a) {
    if (a->present & VULTUS_ATTRIBUTE_MASK)
        fprintf(out, ", %s %.3f", a->mask ? "mask" : "no mask", a->mask_probability);
    if (a->present & VULTUS_ATTRIBUTE_LIVENESS) fprintf(out, ", %s %.3f", a->live ? "live" : "not live", a->liveness);
    if (a->present & VULTUS_ATTRIBUTE_GENDER_AGE) fprintf(out, ", %s, %d years", a->gender ? "male" : "female", a->age);
    if (!(a->present & VULTUS_ATTRIBUTE_QUALITY)) return;
    const struct vultus_quality *q = &a->quality;
    fprintf(out, ", quality %.3f (sharpness %.1f, %.0f px, yaw %.0f, pitch %.0f, roll %.0f degrees)", q->overall,
        q->sharpness, q->size, q->yaw, q->pitch, q->roll);
}
