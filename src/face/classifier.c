/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "face/attribute.h"
#include "face/network.h"

struct vt_classifier {
    struct vt_network network;
    struct vt_pool *pool;
    const struct vt_attribute_kind *kind;
    double crop_scale;
};

const struct vt_attribute_kind *vt_attribute_kind_find(const char *function) {
    static const struct vt_attribute_kind *const kinds[] = {&vt_kind_mask, &vt_kind_gender_age, &vt_kind_liveness};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i]->function, function) == 0) return kinds[i];
    return NULL;
}

const struct vt_attribute_kind *vt_classifier_kind(const struct vt_classifier *classifier) { return classifier->kind; }

/* ---------------------------------------------------------------- creation */

static enum vultus_status find_kind(struct vt_classifier *c, struct vt_engine *engine, struct vultus_error *error) {
    const struct vt_plan_model *model = &vt_engine_plan(engine)->model;
    const char *name = model->name ? model->name : "the model", *function = model->function ? model->function : "";
    c->kind = vt_attribute_kind_find(function);
    if (!c->kind)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "%s tells no attribute: its function is \"%s\"; mask, genderage or minifasnet is needed", name, function);
    struct vt_tensor output = vt_engine_output(engine, 0, 1);
    if (vt_tensor_count(&output) != c->kind->numbers) {
        char text[128];
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "the first output of %s is %s; %d numbers are needed for %s",
            name, vt_tensor_describe(&output, text, sizeof text), c->kind->numbers, function);
    }
    if (c->kind->rule == VT_CROP_BOX && !(c->crop_scale > 0))
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "how much around a face %s is to be shown is not known; its catalogue entry needs crop_scale", name);
    return VULTUS_OK;
}

enum vultus_status vt_classifier_create(struct vt_engine *engine, struct vt_pool *pool, double crop_scale,
    struct vt_classifier **out, struct vultus_error *error) {
    struct vt_classifier *classifier = calloc(1, sizeof *classifier);
    if (!classifier) return vt_fail_memory(error, "a classifier", sizeof *classifier);
    classifier->pool = pool;
    classifier->crop_scale = crop_scale;
    enum vultus_status status = vt_network_init(&classifier->network, engine, INT64_MAX, error);
    if (status) {
        free(classifier);
        return status;
    }
    status = find_kind(classifier, engine, error);
    if (status)
        vt_classifier_destroy(classifier);
    else
        *out = classifier;
    return status;
}

void vt_classifier_destroy(struct vt_classifier *classifier) {
    if (!classifier) return;
    vt_network_fini(&classifier->network);
    free(classifier);
}

/* ---------------------------------------------------------------- cutting */

/* One axis: `extent` pixels around `centre`, moved into 0 .. size - 1. */
static void place(double centre, double extent, int size, int *first, int *last) {
    double from = centre - extent / 2, to = centre + extent / 2, most = size - 1;
    if (from < 0) {
        to -= from;
        from = 0;
    }
    if (to > most) {
        from -= to - most;
        to = most;
    }
    *first = from > 0 ? (int)from : 0;
    *last = to > *first ? (int)to : *first;
}

bool vt_scaled_box(const float box[4], double scale, int width, int height, int pixels[4]) {
    double w = (double)box[2] - box[0], h = (double)box[3] - box[1];
    if (!(w > 0 && h > 0 && isfinite(w) && isfinite(h) && isfinite(box[0]) && isfinite(box[1]))) return false;
    double factor = fmin(scale, fmin((height - 1) / h, (width - 1) / w));
    place(box[0] + w / 2, w * factor, width, &pixels[0], &pixels[2]);
    place(box[1] + h / 2, h * factor, height, &pixels[1], &pixels[3]);
    return true;
}

static bool is_ready(const struct vt_classifier *classifier, const struct vt_cutting *cutting) {
    int pixels[4];
    if (classifier->kind->rule == VT_CROP_ALIGNED) return cutting->aligned && cutting->aligned->pixels;
    return vt_scaled_box(
        cutting->box, classifier->crop_scale, cutting->picture->width, cutting->picture->height, pixels);
}

/* The part of the picture that the model is shown; is_ready() holds. */
static struct vt_image part_of(const struct vt_classifier *classifier, const struct vt_cutting *cutting) {
    if (classifier->kind->rule == VT_CROP_ALIGNED) return *cutting->aligned;
    const struct vt_image *picture = cutting->picture;
    int p[4];
    vt_scaled_box(cutting->box, classifier->crop_scale, picture->width, picture->height, p);
    return (struct vt_image){picture->pixels + (size_t)p[1] * picture->stride + 3 * (size_t)p[0], p[2] - p[0] + 1,
        p[3] - p[1] + 1, picture->stride};
}

/* ---------------------------------------------------------------- running */

/* One batch: which faces are in it, and what came of cutting each. */
struct batch_job {
    const struct vt_classifier *classifier;
    const struct vt_network_memory *memory;
    const struct vt_cutting *cuttings;
    const size_t *faces;
    struct vultus_error *errors;
};

static void put_face(void *context, size_t unit, int thread) {
    (void)thread;
    const struct batch_job *job = context;
    const struct vt_network *network = &job->classifier->network;
    struct vt_image part = part_of(job->classifier, &job->cuttings[job->faces[unit]]), scaled;
    struct vultus_error *error = &job->errors[unit];
    error->status = VULTUS_OK;
    if (part.width == network->width && part.height == network->height) {
        vt_network_put(network, job->memory, unit, &part);
        return;
    }
    if (vt_image_create(network->width, network->height, &scaled, error)) return;
    if (!vt_image_resize(&part, &scaled, error)) vt_network_put(network, job->memory, unit, &scaled);
    vt_image_release(&scaled);
}

static enum vultus_status run_batch(
    const struct batch_job *job, size_t batch, float *numbers, struct vultus_error *error) {
    const struct vt_classifier *classifier = job->classifier;
    size_t width = (size_t)classifier->kind->numbers;
    vt_pool_run(classifier->pool, batch, put_face, (void *)job);
    for (size_t i = 0; i < batch; i++)
        if (job->errors[i].status) return vt_fail(error, job->errors[i].status, "%s", job->errors[i].text);
    enum vultus_status status = vt_network_run(&classifier->network, job->memory, (int64_t)batch, error);
    for (size_t i = 0; !status && i < batch; i++)
        memcpy(numbers + job->faces[i] * width, job->memory->outputs[0] + i * width, width * sizeof *numbers);
    return status;
}

enum vultus_status vt_classify(const struct vt_classifier *classifier, const struct vt_cutting *cuttings, size_t count,
    float *numbers, bool *done, struct vultus_error *error) {
    /* The borrowing of memory is the classifier's only changing state, and it is locked. */
    struct vt_network *network = (struct vt_network *)&classifier->network;
    size_t most = (size_t)network->batch, ready = 0;
    struct vt_network_memory *memory;
    enum vultus_status status = vt_network_borrow(network, &memory, error);
    if (status) return status;
    size_t *faces = calloc(count + 1, sizeof *faces);
    struct vultus_error *errors = calloc(most < count ? most : count + 1, sizeof *errors);
    if (!faces || !errors) status = vt_fail_memory(error, "faces to classify", count * sizeof *faces);
    for (size_t i = 0; !status && i < count; i++) {
        done[i] = is_ready(classifier, &cuttings[i]);
        if (done[i]) faces[ready++] = i;
    }
    for (size_t start = 0; !status && start < ready; start += most) {
        struct batch_job job = {classifier, memory, cuttings, faces + start, errors};
        status = run_batch(&job, ready - start < most ? ready - start : most, numbers, error);
    }
    free(faces);
    free(errors);
    vt_network_return(network, memory);
    return status;
}
