/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_CATALOGUE_H
#define VT_FACE_CATALOGUE_H

#include "base/status.h"
#include "plan/plan.h"

/* One model of models/catalogue.yaml. Strings belong to the catalogue. */
struct vt_catalogue_entry {
    const char *name, *function, *origin, *licence, *sha256; /* sha256 "" where it could not be verified */
    const char *channels;
    float mean[3], std[3];
    int width, height;
};

struct vt_catalogue;
/* Reads a catalogue from YAML text (libyaml); every field is checked, errors name line and key. */
enum vultus_status vt_catalogue_parse(
    const char *text, size_t size, const char *name, struct vt_catalogue **out, struct vultus_error *error);
/* The catalogue compiled into the library. */
enum vultus_status vt_catalogue_builtin(struct vt_catalogue **out, struct vultus_error *error);
void vt_catalogue_destroy(struct vt_catalogue *catalogue);
size_t vt_catalogue_count(const struct vt_catalogue *catalogue);
const struct vt_catalogue_entry *vt_catalogue_at(const struct vt_catalogue *catalogue, size_t i);
/* By sha256 first, then by name (the file's stem); NULL when unknown. */
const struct vt_catalogue_entry *vt_catalogue_find(
    const struct vt_catalogue *catalogue, const char *sha256, const char *name);

/*
 * Recognises a model's function from the shapes of its inputs and outputs when the catalogue does not know it: SCRFD (6
 * or 9 heads with 1, 4, 10 columns), ArcFace (one 3x112x112 picture to one vector), else "". Sets function, origin
 * ("shapes"), mean, std, channels.
 */
void vt_recognise_function(const struct vt_tensor *inputs, size_t n_inputs, const struct vt_tensor *outputs,
    size_t n_outputs, struct vt_plan_model *model);

#endif
