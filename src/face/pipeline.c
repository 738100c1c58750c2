/* SPDX-License-Identifier: Apache-2.0 */
#include "face/pipeline.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/memory.h"
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
    struct vt_view view;
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
    float landmarks[VT_LANDMARKS][2];
    vt_view_landmarks(&job->view, face->found.landmarks, landmarks);
    if (vt_align_into(job->view.picture, landmarks, job->method, &face->crop, &job->errors[unit]))
        face->crop = (struct vt_image){0};
}

static enum vultus_status keep_failure(
    struct vt_analysis *analysis, struct vt_analyzed_face *face, const char *text, struct vultus_error *error) {
    face->failure = vt_arena_strdup(&analysis->failures, text);
    return face->failure ? VULTUS_OK : vt_fail_memory(error, "a face's failure", VULTUS_ERROR_TEXT);
}

static enum vultus_status align_faces(const struct vt_pipeline *pipeline, struct vt_view view,
    enum vt_warp_method method, struct vt_analysis *analysis, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    enum vultus_status status = VULTUS_OK;
    size_t count = analysis->count;
    size_t crop_bytes = 3 * (size_t)pipeline->crop_width * (size_t)pipeline->crop_height, bytes;
    struct align_job job = {pipeline, view, method, analysis, calloc(count, sizeof *job.errors)};
    analysis->crop_pixels =
        vt_mul_size(count, crop_bytes, &bytes) ? vt_alloc_aligned(bytes) : NULL; /* each crop is written whole */
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
    vt_free_aligned(analysis->crop_pixels);
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

static bool wants_crops(const struct vt_pipeline *pipeline, const struct vt_analyze_options *options) {
    return (pipeline->embedder && !options->without_embeddings) || options->attributes ||
           (options->with_crops && vt_detector_has_landmarks(pipeline->detector));
}

/* Faces of the view, in coordinates of the whole picture. */
static enum vultus_status find_faces(const struct vt_pipeline *pipeline, struct vt_view view,
    const struct vt_analyze_options *options, struct vt_analysis *analysis, struct vultus_error *error) {
    struct vt_detect_options detect = options->detect;
    if (view.reduction > 1) detect.min_face_size = 0; /* held against the whole picture's pixels below */
    struct vt_face_list list = {0};
    enum vultus_status status = vt_check_attributes(pipeline, options->attributes, error);
    if (status) return status;
    status =
        vt_detect(pipeline->detector, view.picture, &detect, &list, &analysis->scale, &analysis->times.detect, error);
    if (view.reduction > 1)
        vt_face_list_enlarge(&list, view.reduction, view.left, view.top, options->detect.min_face_size);
    analysis->scale /= view.reduction;
    if (!status) status = take_faces(analysis, &list, error);
    vt_face_list_fini(&list);
    return status;
}

/* Crops, embeddings and attributes, as far as they are asked for. */
static enum vultus_status look_closer(const struct vt_pipeline *pipeline, struct vt_view view,
    const struct vt_analyze_options *options, struct vt_analysis *analysis, struct vultus_error *error) {
    if (analysis->count == 0 || !wants_crops(pipeline, options)) return VULTUS_OK;
    enum vultus_status status = align_faces(pipeline, view, options->warp, analysis, error);
    if (!status && pipeline->embedder && !options->without_embeddings) status = embed_faces(pipeline, analysis, error);
    if (!status && options->attributes)
        status = vt_tell_attributes(pipeline, &view, options->attributes, analysis, error);
    if (!status && !options->with_crops) drop_crops(analysis);
    return status;
}

enum vultus_status vt_analyze(const struct vt_pipeline *pipeline, const struct vt_image *picture,
    const struct vt_analyze_options *options, struct vt_analysis *out, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    struct vt_view view = {picture, 1, 0, 0};
    struct vt_analysis analysis = {.width = picture->width, .height = picture->height, .reduction = 1};
    vt_arena_init(&analysis.failures, 0);
    enum vultus_status status = find_faces(pipeline, view, options, &analysis, error);
    if (!status) status = look_closer(pipeline, view, options, &analysis, error);
    if (status) {
        vt_analysis_release(&analysis);
        return status;
    }
    analysis.times.total_ms = vt_ms_since(start);
    *out = analysis;
    return VULTUS_OK;
}

/* ---------------------------------------------------------------- encoded pictures */

/* While the letterbox shrinks what was reduced by this much or more, faces move by a small part of a network pixel. */
enum { DETECTION_SPARE = 3 };

static enum vultus_status decode_view(const struct vt_encoded_picture *picture, struct vt_image_scale *scale,
    struct vt_image *image, struct vt_analysis *analysis, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    struct vt_image decoded;
    enum vultus_status status =
        vt_image_decode_scaled(picture->bytes, picture->size, picture->name, picture->limits, scale, &decoded, error);
    if (!status) {
        vt_image_release(image);
        *image = decoded;
        analysis->reduction = scale->reduction;
    }
    analysis->times.read_ms += vt_ms_since(start);
    return status;
}

static struct vt_view view_of(const struct vt_image *image, const struct vt_image_scale *scale) {
    return (struct vt_view){image, scale->reduction, scale->left, scale->top};
}

/* The largest reduction at which no face has fewer pixels than its crop. */
static int reduction_for_crops(const struct vt_pipeline *pipeline, const struct vt_analysis *analysis) {
    int reduction = analysis->reduction;
    for (size_t i = 0; i < analysis->count; i++) {
        double matrix[6];
        if (vt_align_matrix(
                analysis->faces[i].found.landmarks, pipeline->crop_width, pipeline->crop_height, matrix, NULL))
            continue;
        while (reduction > 1 && hypot(matrix[0], matrix[3]) * reduction > 1) reduction /= 2;
    }
    return reduction;
}

/* Tiles are there for what a smaller picture would lose, and models of liveness judge its finest pixels. */
static bool needs_whole(const struct vt_analyze_options *options) {
    return options->whole_picture || options->detect.tile || options->attributes & VT_ATTRIBUTE_LIVENESS;
}

/* Decodes the picture as small as serves finding faces, and again where a face's crop needs more. */
static enum vultus_status analyze_encoded(const struct vt_pipeline *pipeline, const struct vt_encoded_picture *picture,
    const struct vt_analyze_options *options, struct vt_image *image, struct vt_analysis *analysis,
    struct vultus_error *error) {
    struct vt_image_scale scale = {0};
    if (!needs_whole(options)) {
        vt_detector_input_size(pipeline->detector, &scale.enough_width, &scale.enough_height);
        scale.enough_width *= DETECTION_SPARE;
        scale.enough_height *= DETECTION_SPARE;
    }
    enum vultus_status status = decode_view(picture, &scale, image, analysis, error);
    if (status) return status;
    analysis->width = scale.width;
    analysis->height = scale.height;
    status = find_faces(pipeline, view_of(image, &scale), options, analysis, error);
    int wanted =
        !status && wants_crops(pipeline, options) ? reduction_for_crops(pipeline, analysis) : analysis->reduction;
    if (!status && wanted < analysis->reduction) {
        scale.enough_width = scale.width / wanted;
        scale.enough_height = scale.height / wanted;
        status = decode_view(picture, &scale, image, analysis, error);
    }
    return status ? status : look_closer(pipeline, view_of(image, &scale), options, analysis, error);
}

enum vultus_status vt_analyze_encoded(const struct vt_pipeline *pipeline, const struct vt_encoded_picture *picture,
    const struct vt_analyze_options *options, struct vt_analysis *out, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    struct vt_analysis analysis = {.reduction = 1};
    struct vt_image image = {0};
    vt_arena_init(&analysis.failures, 0);
    enum vultus_status status = analyze_encoded(pipeline, picture, options, &image, &analysis, error);
    vt_image_release(&image);
    if (status) {
        vt_analysis_release(&analysis);
        return status;
    }
    analysis.times.total_ms = vt_ms_since(start);
    *out = analysis;
    return VULTUS_OK;
}

void vt_analysis_release(struct vt_analysis *analysis) {
    free(analysis->faces);
    vt_free_aligned(analysis->crop_pixels);
    free(analysis->embeddings);
    vt_arena_fini(&analysis->failures);
    *analysis = (struct vt_analysis){0};
}
