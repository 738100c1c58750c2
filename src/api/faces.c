/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "config/config.h"
#include "config/keys.h"
#include "face/attributes.h"
#include "face/draw.h"
#include "face/pipeline.h"

/* ------------------------------------------------------------ pipeline */

struct vultus_pipeline {
    struct vt_engine *detector_engine, *recogniser_engine, *attribute_engines[VT_MOST_CLASSIFIERS];
    struct vt_detector *detector;
    struct vt_embedder *embedder;
    struct vt_pipeline pipeline;
    struct vt_resident *resident; /* NULL: pictures do not stay on a device */
    float match_threshold;        /* 0: unknown */
    struct vt_image_limits limits;
};

/* Plans say by digest, and by name, which model they come from; one that the catalogue does not know has an empty
 * entry. */
static enum vultus_status find_entry(struct vultus_runtime *runtime, const struct vt_engine *engine,
    struct vt_catalogue_entry *entry, struct vultus_error *error) {
    const struct vt_plan *plan = vt_engine_plan(engine);
    const struct vt_catalogue_entry *e;
    enum vultus_status status = vt_api_find_model(runtime, plan->key.model_sha256, plan->model.name, &e, error);
    *entry = e ? *e : (struct vt_catalogue_entry){0};
    return status;
}

static enum vultus_status open_classifiers(struct vultus_runtime *runtime,
    const struct vultus_pipeline_options *options, struct vultus_pipeline *p, struct vultus_error *error) {
    if (options->n_attribute_models > VT_MOST_CLASSIFIERS)
        return vt_fail(error, VULTUS_ERROR_INVALID, "a pipeline takes %d models for attributes at most, not %zu",
            VT_MOST_CLASSIFIERS, options->n_attribute_models);
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; !status && i < options->n_attribute_models; i++) {
        struct vt_classifier **classifier = &p->pipeline.classifiers[i];
        struct vt_catalogue_entry entry;
        struct vultus_build_options build = options->attribute_build;
        if (options->attribute_fallback_plans) build.fallback_plan = options->attribute_fallback_plans[i];
        status = vt_api_open_engine(runtime, options->attribute_models[i], &build, &p->attribute_engines[i], error);
        if (!status) status = find_entry(runtime, p->attribute_engines[i], &entry, error);
        if (!status)
            status = vt_classifier_create(p->attribute_engines[i], runtime->pool, entry.crop_scale, classifier, error);
        if (!status) p->pipeline.n_classifiers++;
    }
    return status;
}

static enum vultus_status share_batches(
    const struct vultus_batching *batching, struct vultus_pipeline *p, struct vultus_error *error) {
    if (batching->max_batch < 0 || batching->max_delay_us < 0)
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "batches of %d items and a delay of %d microseconds were asked for; neither may be negative",
            batching->max_batch, batching->max_delay_us);
    uint32_t delay = (uint32_t)batching->max_delay_us;
    enum vultus_status status = vt_engine_share_batches(p->detector_engine, batching->max_batch, delay, error);
    if (!status && p->recogniser_engine)
        status = vt_engine_share_batches(p->recogniser_engine, batching->max_batch, delay, error);
    for (size_t i = 0; !status && i < p->pipeline.n_classifiers; i++)
        status = vt_engine_share_batches(p->attribute_engines[i], batching->max_batch, delay, error);
    return status;
}

/* Whether a setting is on, which it is unless it is set otherwise. */
static enum vultus_status read_switch(enum vt_setting setting, bool *on, struct vultus_error *error) {
    const char *text = vt_setting_text(setting, NULL);
    int64_t value = 1;
    if (text && !vt_key_read_switch(text, &value))
        return vt_fail(error, VULTUS_ERROR_INVALID, "%s is \"%.32s\"; it takes on or off",
            vt_setting_info(setting)->environment, text);
    *on = value;
    return VULTUS_OK;
}

static enum vultus_status keep_pictures(
    const struct vultus_pipeline_options *options, struct vultus_pipeline *p, struct vultus_error *error) {
    bool stay = true, nvjpeg = true;
    enum vultus_status status = read_switch(VT_SETTING_RESIDENT, &stay, error);
    if (!status) status = read_switch(VT_SETTING_USE_NVJPEG, &nvjpeg, error);
    if (status || !stay || options->without_resident_pictures) return status;
    status = vt_resident_create(p->detector, p->embedder, nvjpeg && !options->without_nvjpeg, &p->resident, error);
    p->pipeline.resident = p->resident;
    return status;
}

static enum vultus_status open_pipeline(struct vultus_runtime *runtime, const struct vultus_pipeline_options *options,
    struct vultus_pipeline *p, struct vultus_error *error) {
    enum vultus_status status =
        vt_api_open_engine(runtime, options->detector, &options->detector_build, &p->detector_engine, error);
    if (!status) status = vt_detector_create(p->detector_engine, runtime->pool, &p->detector, error);
    if (!status && options->recogniser) {
        status =
            vt_api_open_engine(runtime, options->recogniser, &options->recogniser_build, &p->recogniser_engine, error);
        if (!status) status = vt_embedder_create(p->recogniser_engine, runtime->pool, &p->embedder, error);
    }
    if (!status) status = vt_pipeline_init(&p->pipeline, p->detector, p->embedder, runtime->pool, error);
    struct vt_catalogue_entry entry;
    if (!status && p->recogniser_engine) status = find_entry(runtime, p->recogniser_engine, &entry, error);
    if (!status && p->recogniser_engine) {
        p->match_threshold = entry.match_threshold;
        p->pipeline.typical_norm = entry.typical_norm;
    }
    if (!status) status = open_classifiers(runtime, options, p, error);
    if (!status) status = keep_pictures(options, p, error);
    return !status && options->batching.shared ? share_batches(&options->batching, p, error) : status;
}

enum vultus_status vultus_pipeline_open(struct vultus_runtime *runtime, const struct vultus_pipeline_options *options,
    struct vultus_pipeline **out, struct vultus_error *error) {
    if (!runtime || !options || !options->detector || !out)
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "vultus_pipeline_open needs a runtime, a detector and a place for the pipeline");
    struct vultus_pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (!pipeline) return vt_fail_memory(error, "a pipeline", sizeof *pipeline);
    pipeline->limits = runtime->limits;
    enum vultus_status status = open_pipeline(runtime, options, pipeline, error);
    if (status) {
        vultus_pipeline_close(pipeline);
        return status;
    }
    *out = pipeline;
    return VULTUS_OK;
}

void vultus_pipeline_close(struct vultus_pipeline *pipeline) {
    if (!pipeline) return;
    vt_resident_destroy(pipeline->resident);
    vt_detector_destroy(pipeline->detector);
    vt_embedder_destroy(pipeline->embedder);
    for (size_t i = 0; i < VT_MOST_CLASSIFIERS; i++) {
        vt_classifier_destroy(pipeline->pipeline.classifiers[i]);
        vt_engine_destroy(pipeline->attribute_engines[i]);
    }
    vt_engine_destroy(pipeline->detector_engine);
    vt_engine_destroy(pipeline->recogniser_engine);
    free(pipeline);
}

float vultus_pipeline_match_threshold(const struct vultus_pipeline *pipeline) { return pipeline->match_threshold; }

static const char *model_name(const struct vt_engine *engine) {
    const char *name = vt_engine_plan(engine)->model.name;
    return name ? name : "";
}

void vultus_pipeline_describe(const struct vultus_pipeline *pipeline, struct vultus_pipeline_info *out) {
    const struct vt_engine *detector = pipeline->detector_engine, *recogniser = pipeline->recogniser_engine;
    *out = (struct vultus_pipeline_info){.detector = model_name(detector),
        .detector_precision = vt_engine_plan(detector)->key.precision,
        .detector_backend = vt_engine_backend(detector),
        .detector_failure = vt_engine_failure(detector)};
    out->keeps_pictures = vt_resident_is_usable(pipeline->resident);
    vt_detector_input_size(pipeline->detector, &out->detector_width, &out->detector_height);
    if (!recogniser) return;
    out->recogniser = model_name(recogniser);
    out->recogniser_precision = vt_engine_plan(recogniser)->key.precision;
    out->recogniser_backend = vt_engine_backend(recogniser);
    out->recogniser_failure = vt_engine_failure(recogniser);
    out->dimension = vt_embedder_dimension(pipeline->embedder);
    vt_embedder_input_size(pipeline->embedder, &out->crop_width, &out->crop_height);
}

static void add_batches(const struct vt_engine *engine, uint64_t sizes[VULTUS_BATCH_SIZES]) {
    _Static_assert(VULTUS_BATCH_SIZES == VT_BATCH_SIZES, "both sides count the same sizes");
    struct vt_batch_statistics counted = {{0}};
    if (engine && vt_engine_batcher(engine)) vt_batcher_statistics(vt_engine_batcher(engine), &counted);
    for (int i = 0; i < VT_BATCH_SIZES; i++) sizes[i] += counted.sizes[i];
}

void vultus_pipeline_measure(const struct vultus_pipeline *pipeline, struct vultus_pipeline_statistics *out) {
    *out = (struct vultus_pipeline_statistics){0};
    add_batches(pipeline->detector_engine, out->detector_batches);
    add_batches(pipeline->recogniser_engine, out->recogniser_batches);
    for (size_t i = 0; i < pipeline->pipeline.n_classifiers; i++)
        add_batches(pipeline->attribute_engines[i], out->attribute_batches);
    struct vt_resident_statistics resident;
    vt_resident_measure(pipeline->resident, &resident);
    out->resident_pictures = resident.pictures;
    out->bytes_to_device = resident.to_device;
    out->bytes_from_device = resident.from_device;
}

/* ------------------------------------------------------------ faces */

/* What the caller sees and what it points into. */
struct owned_faces {
    struct vultus_faces shown;
    struct vt_analysis analysis;
};

_Static_assert((int)VULTUS_ATTRIBUTE_MASK == VT_ATTRIBUTE_MASK &&
                   (int)VULTUS_ATTRIBUTE_LIVENESS == VT_ATTRIBUTE_LIVENESS &&
                   (int)VULTUS_ATTRIBUTE_GENDER_AGE == VT_ATTRIBUTE_GENDER_AGE &&
                   (int)VULTUS_ATTRIBUTE_QUALITY == VT_ATTRIBUTE_QUALITY,
    "attributes have the same bits on both sides");

static struct vultus_attributes show_attributes(const struct vt_attributes *a) {
    const struct vt_quality *q = &a->quality;
    return (struct vultus_attributes){.present = a->present,
        .mask_probability = a->mask_probability,
        .no_mask_probability = a->no_mask_probability,
        .mask = a->mask,
        .liveness = a->liveness,
        .live = a->live,
        .gender = a->gender,
        .age = a->age,
        .quality = {.overall = q->overall,
            .norm = q->norm,
            .sharpness = q->sharpness,
            .size = q->size,
            .yaw = q->yaw,
            .pitch = q->pitch,
            .roll = q->roll,
            .norm_part = q->norm_part,
            .sharpness_part = q->sharpness_part,
            .size_part = q->size_part,
            .pose_part = q->pose_part}};
}

_Static_assert((int)VULTUS_PASS_PLAIN == VT_PASS_PLAIN && (int)VULTUS_PASS_MARGIN == VT_PASS_MARGIN &&
                   (int)VULTUS_PASS_TILE == VT_PASS_TILE,
    "passes are counted alike on both sides");

static void show_face(const struct vt_analyzed_face *from, struct vultus_face *to) {
    *to = (struct vultus_face){.score = from->found.score,
        .pass = (enum vultus_pass)from->found.pass,
        .turn = from->found.turn,
        .crop = vt_api_picture(&from->crop),
        .embedding = from->embedding,
        .norm = from->norm,
        .failure = from->failure,
        .attributes = show_attributes(&from->attributes)};
    memcpy(to->box, from->found.box, sizeof to->box);
    memcpy(to->landmarks, from->found.landmarks, sizeof to->landmarks);
}

static bool show(struct owned_faces *owned) {
    const struct vt_analysis *a = &owned->analysis;
    struct vultus_face *faces = calloc(a->count + 1, sizeof *faces);
    if (!faces) return false;
    for (size_t i = 0; i < a->count; i++) show_face(&a->faces[i], &faces[i]);
    owned->shown = (struct vultus_faces){.faces = faces,
        .count = a->count,
        .dimension = a->dimension,
        .scale = a->scale,
        .width = a->width,
        .height = a->height,
        .reduction = a->reduction,
        .times = {a->times.read_ms, a->times.detect.letterbox_ms, a->times.detect.network_ms, a->times.detect.decode_ms,
            a->times.align_ms, a->times.embed_ms, a->times.total_ms, a->times.attributes_ms}};
    return true;
}

/* A caller of vt_analyze, announced to the batchers of the networks that it passes, in their order. */
struct company {
    struct vt_batch_guest guests[2 + VT_MOST_CLASSIFIERS];
    size_t count;
};

static void add_stop(struct company *company, struct vt_batcher *batcher) {
    struct vt_batch_guest *guest = &company->guests[company->count++];
    if (guest == company->guests) return;
    guest[-1].then = batcher;
    guest[-1].next_guest = guest;
}

/* Nothing without batchers, nor of pictures that go another way. */
static void join_company(
    struct vultus_pipeline *pipeline, const struct vt_analyze_options *options, struct company *company) {
    struct vt_batcher *detector = vt_engine_batcher(pipeline->detector_engine);
    *company = (struct company){0};
    if (!detector || vt_stays_on_device(&pipeline->pipeline, options)) return;
    add_stop(company, detector);
    if (pipeline->recogniser_engine && !options->without_embeddings)
        add_stop(company, vt_engine_batcher(pipeline->recogniser_engine));
    for (unsigned attribute = 1; attribute <= VT_ATTRIBUTE_GENDER_AGE; attribute <<= 1)
        for (size_t i = 0; i < pipeline->pipeline.n_classifiers && options->attributes & attribute; i++)
            if ((unsigned)vt_classifier_kind(pipeline->pipeline.classifiers[i])->attribute == attribute)
                add_stop(company, vt_engine_batcher(pipeline->attribute_engines[i]));
    vt_batcher_expect(detector, company->guests);
}

static void leave_company(struct company *company) {
    for (size_t i = 0; i < company->count; i++) vt_batcher_dismiss(&company->guests[i]);
}

static enum vt_robust robust_of(enum vultus_robust robust) {
    return robust == VULTUS_ROBUST_OFF ? VT_ROBUST_OFF : robust == VULTUS_ROBUST_FULL ? VT_ROBUST_FULL : VT_ROBUST_AUTO;
}

static struct vt_analyze_options analyze_options(const struct vultus_analyze_options *options) {
    static const struct vultus_analyze_options defaults;
    const struct vultus_analyze_options *o = options ? options : &defaults;
    return (struct vt_analyze_options){.detect = {.threshold = o->threshold != 0 ? o->threshold : 0.6f,
                                           .robust = robust_of(o->robust),
                                           .tile = o->tile,
                                           .limit_faces = o->limit_faces,
                                           .min_face_size = o->min_face_size},
        .without_embeddings = o->without_embeddings,
        .attributes = o->attributes,
        .with_crops = o->with_crops,
        .whole_picture = o->whole_picture};
}

/* Takes the analysis in any case. */
static enum vultus_status hand_over(
    struct vt_analysis *analysis, struct vultus_faces **out, struct vultus_error *error) {
    struct owned_faces *owned = calloc(1, sizeof *owned);
    if (owned) owned->analysis = *analysis;
    if (!owned || !show(owned)) {
        vt_analysis_release(analysis);
        free(owned);
        return vt_fail_memory(error, "faces", sizeof *owned);
    }
    *out = &owned->shown;
    return VULTUS_OK;
}

enum vultus_status vultus_analyze(struct vultus_pipeline *pipeline, const struct vultus_picture *picture,
    const struct vultus_analyze_options *options, struct vultus_faces **out, struct vultus_error *error) {
    if (!pipeline || !picture || !picture->pixels || !out)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "vultus_analyze needs a pipeline, a picture and a place for the faces");
    struct vt_analyze_options analyze = analyze_options(options);
    struct vt_image image = vt_api_image(picture);
    struct vt_analysis analysis;
    struct company company;
    join_company(pipeline, &analyze, &company);
    bool entered = vt_pool_enter(pipeline->pipeline.pool);
    enum vultus_status status = vt_analyze(&pipeline->pipeline, &image, &analyze, &analysis, error);
    vt_pool_leave(pipeline->pipeline.pool, entered);
    leave_company(&company);
    return status ? status : hand_over(&analysis, out, error);
}

enum vultus_status vultus_analyze_encoded(struct vultus_pipeline *pipeline, const void *bytes, size_t size,
    const char *name, const struct vultus_analyze_options *options, struct vultus_faces **out,
    struct vultus_error *error) {
    if (!pipeline || (!bytes && size) || !out)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "vultus_analyze_encoded needs a pipeline, bytes and a place for the faces");
    struct vt_analyze_options analyze = analyze_options(options);
    struct vt_encoded_picture picture = {bytes, size, name ? name : "picture", &pipeline->limits};
    struct vt_analysis analysis;
    struct company company;
    join_company(pipeline, &analyze, &company);
    bool entered = vt_pool_enter(pipeline->pipeline.pool);
    enum vultus_status status = vt_analyze_encoded(&pipeline->pipeline, &picture, &analyze, &analysis, error);
    vt_pool_leave(pipeline->pipeline.pool, entered);
    leave_company(&company);
    return status ? status : hand_over(&analysis, out, error);
}

void vultus_faces_free(struct vultus_faces *faces) {
    if (!faces) return;
    struct owned_faces *owned = (struct owned_faces *)faces;
    vt_analysis_release(&owned->analysis);
    free(owned->shown.faces);
    free(owned);
}

static struct vt_face_box box_of(const struct vultus_face *face) {
    struct vt_face_box box = {.score = face->score, .pass = (enum vt_face_pass)face->pass, .turn = face->turn};
    memcpy(box.box, face->box, sizeof box.box);
    memcpy(box.landmarks, face->landmarks, sizeof box.landmarks);
    return box;
}

void vultus_draw(struct vultus_picture *picture, const struct vultus_face *faces, size_t count,
    const struct vultus_draw_options *options) {
    static const struct vultus_draw_options defaults;
    const struct vultus_draw_options *o = options ? options : &defaults;
    struct vt_image image = vt_api_image(picture);
    struct vt_draw_style style = {!o->without_landmarks, !o->without_scores, !o->without_sizes, o->footer};
    struct vt_face_box *boxes = calloc(count + 1, sizeof *boxes);
    for (size_t i = 0; boxes && i < count; i++) boxes[i] = box_of(&faces[i]);
    if (boxes) vt_draw_faces(&image, boxes, count, &style);
    free(boxes);
    if (style.footer) vt_draw_footer(&image, style.footer);
}

enum vultus_status vultus_contact_sheet(
    const struct vultus_face *faces, size_t count, struct vultus_picture *out, struct vultus_error *error) {
    if ((count && !faces) || !out)
        return vt_fail(error, VULTUS_ERROR_INVALID, "vultus_contact_sheet needs faces and a place for the picture");
    struct vt_sheet_item *items = calloc(count + 1, sizeof *items);
    if (!items) return vt_fail_memory(error, "a contact sheet", count * sizeof *items);
    for (size_t i = 0; i < count; i++) {
        items[i].crop = vt_api_image(&faces[i].crop);
        snprintf(items[i].caption, sizeof items[i].caption, "%zu: %.2f", i, (double)faces[i].score);
    }
    struct vt_image sheet = {0};
    enum vultus_status status = vt_draw_contact_sheet(items, count, &sheet, error);
    if (!status) *out = vt_api_picture(&sheet);
    free(items);
    return status;
}

float vultus_cosine(const float *a, const float *b, int dimension) {
    double dot = 0, aa = 0, bb = 0;
    for (int i = 0; i < dimension; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    if (!(aa > 0) || !(bb > 0)) return 0;
    double cosine = dot / sqrt(aa * bb);
    return (float)(cosine > 1 ? 1 : cosine < -1 ? -1 : cosine);
}

/* ------------------------------------------------------------ crops */

struct vultus_embedder {
    struct vt_engine *engine;
    struct vt_embedder *embedder;
    struct vt_pool *pool; /* the runtime's */
};

enum vultus_status vultus_embedder_open(struct vultus_runtime *runtime, const char *path,
    const struct vultus_build_options *options, struct vultus_embedder **out, struct vultus_error *error) {
    if (!runtime || !path || !out)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "vultus_embedder_open needs a runtime, a path and a place for the embedder");
    struct vultus_embedder *embedder = calloc(1, sizeof *embedder);
    if (!embedder) return vt_fail_memory(error, "an embedder", sizeof *embedder);
    embedder->pool = runtime->pool;
    enum vultus_status status = vt_api_open_engine(runtime, path, options, &embedder->engine, error);
    if (!status) status = vt_embedder_create(embedder->engine, runtime->pool, &embedder->embedder, error);
    if (status) {
        vultus_embedder_close(embedder);
        return status;
    }
    *out = embedder;
    return VULTUS_OK;
}

void vultus_embedder_close(struct vultus_embedder *embedder) {
    if (!embedder) return;
    vt_embedder_destroy(embedder->embedder);
    vt_engine_destroy(embedder->engine);
    free(embedder);
}

int vultus_embedder_dimension(const struct vultus_embedder *embedder) {
    return vt_embedder_dimension(embedder->embedder);
}

void vultus_embedder_input_size(const struct vultus_embedder *embedder, int *width, int *height) {
    vt_embedder_input_size(embedder->embedder, width, height);
}

/* Views of crops that lie one behind the other. */
static struct vt_image *view_crops(const uint8_t *crops, size_t count, int width, int height) {
    struct vt_image *images = calloc(count + 1, sizeof *images);
    size_t stride = (size_t)width * 3;
    for (size_t i = 0; images && i < count; i++)
        images[i] = (struct vt_image){(uint8_t *)crops + i * stride * (size_t)height, width, height, stride};
    return images;
}

static enum vultus_status embed_crops(const struct vt_embedder *embedder, struct vt_pool *pool, const uint8_t *crops,
    size_t count, float *embeddings, float *norms, struct vultus_error *error) {
    int width, height;
    vt_embedder_input_size(embedder, &width, &height);
    struct vt_image *images = view_crops(crops, count, width, height);
    if (!images) return vt_fail_memory(error, "crops", count * sizeof *images);
    bool entered = vt_pool_enter(pool);
    enum vultus_status status = vt_embed(embedder, images, count, embeddings, norms, error);
    vt_pool_leave(pool, entered);
    free(images);
    return status;
}

enum vultus_status vultus_embed(struct vultus_embedder *embedder, const uint8_t *crops, size_t count, float *embeddings,
    float *norms, struct vultus_error *error) {
    if (!embedder || (count && (!crops || !embeddings)))
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "vultus_embed needs an embedder, crops and a place for their embeddings");
    return embed_crops(embedder->embedder, embedder->pool, crops, count, embeddings, norms, error);
}

enum vultus_status vultus_pipeline_embed(struct vultus_pipeline *pipeline, const uint8_t *crops, size_t count,
    float *embeddings, float *norms, struct vultus_error *error) {
    if (!pipeline || !pipeline->embedder || (count && (!crops || !embeddings)))
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "vultus_pipeline_embed needs a pipeline with a recogniser, crops and a place for their embeddings");
    return embed_crops(pipeline->embedder, pipeline->pipeline.pool, crops, count, embeddings, norms, error);
}

enum vultus_status vultus_pipeline_classify(struct vultus_pipeline *pipeline, const uint8_t *crops, size_t count,
    unsigned attributes, struct vultus_attributes *out, struct vultus_error *error) {
    if (!pipeline || (count && (!crops || !out)))
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "vultus_pipeline_classify needs a pipeline, crops and a place for attributes");
    struct vt_image *images = view_crops(crops, count, VT_CROP_SIZE, VT_CROP_SIZE);
    struct vt_attributes *told = calloc(count + 1, sizeof *told);
    bool entered = vt_pool_enter(pipeline->pipeline.pool);
    enum vultus_status status = images && told
                                    ? vt_tell_crops(&pipeline->pipeline, images, count, attributes, told, error)
                                    : vt_fail_memory(error, "crops", count * (sizeof *images + sizeof *told));
    vt_pool_leave(pipeline->pipeline.pool, entered);
    for (size_t i = 0; !status && i < count; i++) out[i] = show_attributes(&told[i]);
    free(images);
    free(told);
    return status;
}
