/* SPDX-License-Identifier: Apache-2.0 */
#include "face/pipeline.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "face/attributes.h"

enum vultus_status vt_pipeline_init(struct vt_pipeline *pipeline, const struct vt_detector *detector,
    const struct vt_embedder *embedder, struct vt_pool *pool, struct vultus_error *error) {
    *pipeline = (struct vt_pipeline){.detector = detector,
        .embedder = embedder,
        .crop_width = VT_CROP_SIZE,
        .crop_height = VT_CROP_SIZE,
        .pool = pool};
    if (!embedder) return VULTUS_OK;
    if (!vt_detector_has_landmarks(detector))
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "the detector finds no key points, so faces cannot be aligned for the recogniser");
    vt_embedder_input_size(embedder, &pipeline->crop_width, &pipeline->crop_height);
    return VULTUS_OK;
}

/* Aligned crops of one picture's faces. */
struct align_job {
    const struct vt_pipeline *pipeline;
    const struct vt_image *picture;
    enum vt_warp_method method;
    struct vt_analysis *analysis;
    struct vultus_error *errors; /* one for each face; status 0 where it went well */
};

static void align_face(void *context, size_t unit, int thread) {
    (void)thread;
    const struct align_job *job = context;
    struct vt_analyzed_face *face = &job->analysis->faces[unit];
    int width = job->pipeline->crop_width, height = job->pipeline->crop_height;
    size_t stride = 3 * (size_t)width;
    uint8_t *pixels = job->analysis->crop_pixels + unit * stride * (size_t)height;
    face->crop = (struct vt_image){pixels, width, height, stride};
    job->errors[unit].status = VULTUS_OK;
    if (vt_align_into(job->picture, face->found.landmarks, job->method, &face->crop, &job->errors[unit]))
        face->crop = (struct vt_image){0};
}

static enum vultus_status keep_failure(
    struct vt_analysis *analysis, struct vt_analyzed_face *face, const char *text, struct vultus_error *error) {
    face->failure = vt_arena_strdup(&analysis->failures, text);
    return face->failure ? VULTUS_OK : vt_fail_memory(error, "a face's failure", VULTUS_ERROR_TEXT);
}

static enum vultus_status align_faces(const struct vt_pipeline *pipeline, const struct vt_image *picture,
    enum vt_warp_method method, struct vt_analysis *analysis, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    enum vultus_status status = VULTUS_OK;
    size_t count = analysis->count;
    size_t crop_bytes = 3 * (size_t)pipeline->crop_width * (size_t)pipeline->crop_height;
    struct align_job job = {pipeline, picture, method, analysis, calloc(count, sizeof *job.errors)};
    analysis->crop_pixels = calloc(count, crop_bytes);
    if (job.errors && analysis->crop_pixels)
        vt_pool_run(pipeline->pool, count, align_face, &job);
    else
        status = vt_fail_memory(error, "aligned faces", (unsigned long long)count * crop_bytes);
    for (size_t i = 0; !status && i < count; i++)
        if (job.errors[i].status) status = keep_failure(analysis, &analysis->faces[i], job.errors[i].text, error);
    free(job.errors);
    analysis->times.align_ms = vt_ms_since(start);
    return status;
}

/* Hands the embeddings of the faces that have a crop to them. */
static enum vultus_status assign_embeddings(
    struct vt_analysis *analysis, const float *norms, struct vultus_error *error) {
    size_t next = 0;
    for (size_t i = 0; i < analysis->count; i++) {
        struct vt_analyzed_face *face = &analysis->faces[i];
        if (!face->crop.pixels) continue;
        float norm = norms[next];
        const float *embedding = analysis->embeddings + next++ * (size_t)analysis->dimension;
        enum vultus_status status = VULTUS_OK;
        if (norm > 0) {
            face->embedding = embedding;
            face->norm = norm;
        } else {
            status = keep_failure(analysis, face,
                isnan(norm) ? "the recogniser's embedding is not finite" : "the recogniser's embedding has length 0",
                error);
        }
        if (status) return status;
    }
    return VULTUS_OK;
}

static enum vultus_status embed_faces(
    const struct vt_pipeline *pipeline, struct vt_analysis *analysis, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    analysis->dimension = vt_embedder_dimension(pipeline->embedder);
    struct vt_image *crops = malloc(analysis->count * sizeof *crops);
    float *norms = malloc(analysis->count * sizeof *norms);
    analysis->embeddings = calloc(analysis->count, (size_t)analysis->dimension * sizeof *analysis->embeddings);
    enum vultus_status status = VULTUS_OK;
    if (!crops || !norms || !analysis->embeddings) {
        status = vt_fail_memory(error, "embeddings", analysis->count * (size_t)analysis->dimension * sizeof(float));
        goto out;
    }
    size_t aligned = 0;
    for (size_t i = 0; i < analysis->count; i++)
        if (analysis->faces[i].crop.pixels) crops[aligned++] = analysis->faces[i].crop;
    status = vt_embed(pipeline->embedder, crops, aligned, analysis->embeddings, norms, error);
    if (!status) status = assign_embeddings(analysis, norms, error);
out:
    free(crops);
    free(norms);
    analysis->times.embed_ms = vt_ms_since(start);
    return status;
}

static void drop_crops(struct vt_analysis *analysis) {
    for (size_t i = 0; i < analysis->count; i++) analysis->faces[i].crop = (struct vt_image){0};
    free(analysis->crop_pixels);
    analysis->crop_pixels = NULL;
}

static enum vultus_status take_faces(
    struct vt_analysis *analysis, const struct vt_face_list *list, struct vultus_error *error) {
    analysis->faces = calloc(list->count ? list->count : 1, sizeof *analysis->faces);
    if (!analysis->faces) return vt_fail_memory(error, "faces", list->count * sizeof *analysis->faces);
    analysis->count = list->count;
    for (size_t i = 0; i < list->count; i++) analysis->faces[i].found = list->faces[i];
    return VULTUS_OK;
}

enum vultus_status vt_analyze(const struct vt_pipeline *pipeline, const struct vt_image *picture,
    const struct vt_analyze_options *options, struct vt_analysis *out, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    struct vt_analysis analysis = {0};
    vt_arena_init(&analysis.failures, 0);
    struct vt_face_list list = {0};
    bool embed = pipeline->embedder && !options->without_embeddings;
    bool align = embed || options->attributes || (options->with_crops && vt_detector_has_landmarks(pipeline->detector));
    enum vultus_status status = vt_check_attributes(pipeline, options->attributes, error);
    if (!status)
        status = vt_detect(
            pipeline->detector, picture, &options->detect, &list, &analysis.scale, &analysis.times.detect, error);
    if (!status) status = take_faces(&analysis, &list, error);
    if (!status && align && list.count) status = align_faces(pipeline, picture, options->warp, &analysis, error);
    if (!status && embed && list.count) status = embed_faces(pipeline, &analysis, error);
    if (!status && options->attributes && list.count)
        status = vt_tell_attributes(pipeline, picture, options->attributes, &analysis, error);
    vt_face_list_fini(&list);
    if (status) {
        vt_analysis_release(&analysis);
        return status;
    }
    if (!options->with_crops) drop_crops(&analysis);
    analysis.times.total_ms = vt_ms_since(start);
    *out = analysis;
    return VULTUS_OK;
}

void vt_analysis_release(struct vt_analysis *analysis) {
    free(analysis->faces);
    free(analysis->crop_pixels);
    free(analysis->embeddings);
    vt_arena_fini(&analysis->failures);
    *analysis = (struct vt_analysis){0};
}
