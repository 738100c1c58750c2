/* SPDX-License-Identifier: Apache-2.0 */
#include "face/attributes.h"

#include <stdlib.h>

#include "base/clock.h"

enum { MOST_MODELS = VT_MOST_CLASSIFIERS, EVERY = 15 };

enum vultus_status vt_check_attributes(
    const struct vt_pipeline *pipeline, unsigned wanted, struct vultus_error *error) {
    static const char *const names[] = {"mask", "liveness", "gender-age", "quality"};
    unsigned have = VT_ATTRIBUTE_QUALITY;
    for (size_t i = 0; i < pipeline->n_classifiers; i++)
        have |= vt_classifier_kind(pipeline->classifiers[i])->attribute;
    if (wanted & ~(unsigned)EVERY)
        return vt_fail(error, VULTUS_ERROR_INVALID, "attributes %#x are none; all of them are %#x", wanted, EVERY);
    for (int i = 0; i < 4; i++)
        if (wanted & ~have & 1u << i)
            return vt_fail(
                error, VULTUS_ERROR_INVALID, "%s was asked for, but the pipeline has no model for it", names[i]);
    if (wanted && !vt_detector_has_landmarks(pipeline->detector))
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "attributes were asked for, but the detector finds no key points, so faces cannot be aligned");
    return VULTUS_OK;
}

/* What one round of models works on: each face's aligned crop of 112x112, and how to cut it. */
struct faces {
    const struct vt_view *view;
    const struct vt_analysis *analysis;
    struct vt_image *aligned; /* pixels NULL where a face cannot be aligned */
    uint8_t *pixels;          /* of crops made here, because the recogniser's are of another size */
    float (*boxes)[4];        /* in pixels of the view */
    struct vt_cutting *cuttings;
};

static void align_again(void *context, size_t unit, int thread) {
    (void)thread;
    const struct faces *f = context;
    const size_t stride = 3 * VT_CROP_SIZE;
    struct vt_image *crop = &f->aligned[unit];
    *crop = (struct vt_image){f->pixels + unit * stride * VT_CROP_SIZE, VT_CROP_SIZE, VT_CROP_SIZE, stride};
    float landmarks[VT_LANDMARKS][2];
    vt_view_landmarks(f->view, f->analysis->faces[unit].found.landmarks, landmarks);
    if (vt_align_into(f->view->picture, landmarks, VT_WARP_EXACT, crop, NULL)) *crop = (struct vt_image){0};
}

static enum vultus_status prepare(struct faces *f, const struct vt_pipeline *pipeline, struct vultus_error *error) {
    size_t count = f->analysis->count, crop_bytes = 3 * VT_CROP_SIZE * VT_CROP_SIZE;
    bool same = pipeline->crop_width == VT_CROP_SIZE && pipeline->crop_height == VT_CROP_SIZE;
    f->aligned = calloc(count, sizeof *f->aligned);
    f->boxes = calloc(count, sizeof *f->boxes);
    f->cuttings = calloc(count, sizeof *f->cuttings);
    if (!same) f->pixels = calloc(count, crop_bytes);
    if (!f->aligned || !f->boxes || !f->cuttings || (!same && !f->pixels))
        return vt_fail_memory(error, "faces to look at", (unsigned long long)count * crop_bytes);
    for (size_t i = 0; same && i < count; i++) f->aligned[i] = f->analysis->faces[i].crop;
    if (!same) vt_pool_run(pipeline->pool, count, align_again, f);
    for (size_t i = 0; i < count; i++) {
        vt_view_box(f->view, f->analysis->faces[i].found.box, f->boxes[i]);
        f->cuttings[i] = (struct vt_cutting){f->view->picture, f->boxes[i], &f->aligned[i]};
    }
    return VULTUS_OK;
}

static void faces_fini(struct faces *f) {
    free(f->aligned);
    free(f->pixels);
    free(f->boxes);
    free(f->cuttings);
}

/* What all models of one kind say of all faces. */
static enum vultus_status ask_models(const struct vt_pipeline *pipeline, const struct faces *f,
    enum vt_attribute wanted, struct vt_analysis *analysis, struct vultus_error *error) {
    const struct vt_attribute_kind *kind = NULL;
    float *numbers[MOST_MODELS] = {0};
    size_t count = analysis->count, models = 0;
    bool *done = calloc(count, sizeof *done);
    enum vultus_status status = done ? VULTUS_OK : vt_fail_memory(error, "faces to classify", count);
    for (size_t i = 0; !status && i < pipeline->n_classifiers; i++) {
        const struct vt_classifier *classifier = pipeline->classifiers[i];
        if (vt_classifier_kind(classifier)->attribute != wanted) continue;
        kind = vt_classifier_kind(classifier);
        float *of_all = numbers[models++] = calloc(count, (size_t)kind->numbers * sizeof *of_all);
        status = of_all ? vt_classify(classifier, f->cuttings, count, of_all, done, error)
                        : vt_fail_memory(error, "a model's answers", count * (size_t)kind->numbers * sizeof *of_all);
    }
    for (size_t i = 0; !status && kind && i < count; i++) {
        const float *of_face[MOST_MODELS];
        if (!done[i]) continue;
        for (size_t m = 0; m < models; m++) of_face[m] = numbers[m] + i * (size_t)kind->numbers;
        kind->decode(of_face, models, &analysis->faces[i].attributes);
        analysis->faces[i].attributes.present |= wanted;
    }
    for (size_t m = 0; m < models; m++) free(numbers[m]);
    free(done);
    return status;
}

static void measure_all(const struct vt_pipeline *pipeline, const struct faces *f, struct vt_analysis *analysis) {
    for (size_t i = 0; i < analysis->count; i++) {
        struct vt_analyzed_face *face = &analysis->faces[i];
        if (!f->aligned[i].pixels) continue;
        vt_measure_quality(&face->found, &f->aligned[i], face->norm, pipeline->typical_norm, &face->attributes.quality);
        face->attributes.present |= VT_ATTRIBUTE_QUALITY;
    }
}

enum vultus_status vt_tell_attributes(const struct vt_pipeline *pipeline, const struct vt_view *view, unsigned wanted,
    struct vt_analysis *analysis, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    struct faces faces = {.view = view, .analysis = analysis};
    enum vultus_status status = prepare(&faces, pipeline, error);
    static const enum vt_attribute by_models[] = {VT_ATTRIBUTE_MASK, VT_ATTRIBUTE_LIVENESS, VT_ATTRIBUTE_GENDER_AGE};
    for (int i = 0; !status && i < 3; i++)
        if (wanted & by_models[i]) status = ask_models(pipeline, &faces, by_models[i], analysis, error);
    if (!status && wanted & VT_ATTRIBUTE_QUALITY) measure_all(pipeline, &faces, analysis);
    faces_fini(&faces);
    analysis->times.attributes_ms = vt_ms_since(start);
    return status;
}

enum vultus_status vt_tell_crops(const struct vt_pipeline *pipeline, const struct vt_image *crops, size_t count,
    unsigned wanted, struct vt_attributes *out, struct vultus_error *error) {
    static const enum vt_attribute by_models[] = {VT_ATTRIBUTE_MASK, VT_ATTRIBUTE_GENDER_AGE};
    if (wanted & ~(unsigned)(VT_ATTRIBUTE_MASK | VT_ATTRIBUTE_GENDER_AGE))
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "a crop alone tells masks, gender and age, not attributes %#x", wanted);
    enum vultus_status status = vt_check_attributes(pipeline, wanted, error);
    if (status || count == 0) return status;
    struct vt_analysis analysis = {.faces = calloc(count, sizeof *analysis.faces), .count = count};
    struct faces faces = {.analysis = &analysis, .cuttings = calloc(count, sizeof *faces.cuttings)};
    if (!analysis.faces || !faces.cuttings)
        status = vt_fail_memory(error, "crops to look at", count * (sizeof *analysis.faces + sizeof *faces.cuttings));
    for (size_t i = 0; !status && i < count; i++)
        faces.cuttings[i] = (struct vt_cutting){.picture = &crops[i], .aligned = &crops[i]};
    for (int i = 0; !status && i < 2; i++)
        if (wanted & by_models[i]) status = ask_models(pipeline, &faces, by_models[i], &analysis, error);
    for (size_t i = 0; !status && i < count; i++) out[i] = analysis.faces[i].attributes;
    free(faces.cuttings);
    free(analysis.faces);
    return status;
}
