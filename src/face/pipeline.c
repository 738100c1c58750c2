/* SPDX-License-Identifier: Apache-2.0 */
#include "face/pipeline.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/log.h"
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

/* Hands the embeddings of the faces that could be aligned to them. */
static enum vultus_status assign_embeddings(
    struct vt_analysis *analysis, const float *norms, struct vultus_error *error) {
    size_t next = 0;
    for (size_t i = 0; i < analysis->count; i++) {
        struct vt_analyzed_face *face = &analysis->faces[i];
        if (face->failure) continue;
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

static enum vultus_status make_room_for_embeddings(
    const struct vt_pipeline *pipeline, struct vt_analysis *analysis, struct vultus_error *error) {
    analysis->dimension = vt_embedder_dimension(pipeline->embedder);
    analysis->embeddings = calloc(analysis->count, (size_t)analysis->dimension * sizeof *analysis->embeddings);
    if (analysis->embeddings) return VULTUS_OK;
    return vt_fail_memory(error, "embeddings", analysis->count * (size_t)analysis->dimension * sizeof(float));
}

static enum vultus_status embed_faces(
    const struct vt_pipeline *pipeline, struct vt_analysis *analysis, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    struct vt_image *crops = malloc(analysis->count * sizeof *crops);
    float *norms = malloc(analysis->count * sizeof *norms);
    enum vultus_status status = make_room_for_embeddings(pipeline, analysis, error);
    if (!status && (!crops || !norms))
        status = vt_fail_memory(error, "embeddings", analysis->count * (sizeof *crops + sizeof *norms));
    if (status) goto out;
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

/* Where each face's crop lies in the picture that the device has, but for those that `failure` says it of. */
static enum vultus_status place_crops(const struct vt_pipeline *pipeline, const struct vt_view *view,
    struct vt_analysis *analysis, double (*inverses)[6], size_t *placed, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    *placed = 0;
    for (size_t i = 0; !status && i < analysis->count; i++) {
        struct vt_analyzed_face *face = &analysis->faces[i];
        struct vultus_error failure;
        float landmarks[VT_LANDMARKS][2];
        double matrix[6];
        vt_view_landmarks(view, face->found.landmarks, landmarks);
        if (vt_align_matrix(landmarks, pipeline->crop_width, pipeline->crop_height, matrix, &failure) ||
            vt_warp_inverse(matrix, inverses[*placed], &failure))
            status = keep_failure(analysis, face, failure.text, error);
        else
            ++*placed;
    }
    return status;
}

static enum vultus_status embed_on_device(const struct vt_pipeline *pipeline, const struct vt_view *view,
    struct vt_analysis *analysis, struct vultus_error *error) {
    double(*inverses)[6] = malloc(analysis->count * sizeof *inverses);
    float *norms = malloc(analysis->count * sizeof *norms);
    size_t placed = 0;
    enum vultus_status status = make_room_for_embeddings(pipeline, analysis, error);
    if (!status && (!inverses || !norms))
        status = vt_fail_memory(error, "embeddings", analysis->count * (sizeof *inverses + sizeof *norms));
    if (!status) status = place_crops(pipeline, view, analysis, inverses, &placed, error);
    if (!status)
        status = vt_embed_on_device(
            pipeline->embedder, view->stay, (const double(*)[6])inverses, placed, analysis->embeddings, norms, error);
    if (!status) status = assign_embeddings(analysis, norms, error);
    free(inverses);
    free(norms);
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
    status = vt_detect(
        pipeline->detector, view.picture, view.stay, &detect, &list, &analysis->scale, &analysis->times.detect, error);
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
    if (view.stay) return embed_on_device(pipeline, &view, analysis, error);
    enum vultus_status status = align_faces(pipeline, view, options->warp, analysis, error);
    if (!status && pipeline->embedder && !options->without_embeddings) status = embed_faces(pipeline, analysis, error);
    if (!status && options->attributes)
        status = vt_tell_attributes(pipeline, &view, options->attributes, analysis, error);
    if (!status && !options->with_crops) drop_crops(analysis);
    return status;
}

/* ---------------------------------------------------------------- pictures */

/* One of the two, and what is wanted of it. */
struct request {
    const struct vt_image *picture;
    const struct vt_encoded_picture *encoded;
    const struct vt_analyze_options *options;
};

static enum vultus_status analyze_view(const struct vt_pipeline *pipeline, struct vt_view view,
    const struct request *request, struct vt_analysis *analysis, struct vultus_error *error) {
    enum vultus_status status = find_faces(pipeline, view, request->options, analysis, error);
    return status ? status : look_closer(pipeline, view, request->options, analysis, error);
}

/* A picture that is too large for the device leaves the view without its place there. */
static enum vultus_status load_picture(
    const struct vt_image *picture, struct vt_view *view, struct vultus_error *error) {
    struct vultus_error failure;
    enum vultus_status status = view->stay->functions->load_pixels(
        view->stay->photo, picture->pixels, picture->width, picture->height, picture->stride, &failure);
    if (status == VULTUS_ERROR_UNSUPPORTED) {
        view->stay = NULL;
        return VULTUS_OK;
    }
    return status ? vt_fail(error, status, "%s", failure.text) : VULTUS_OK;
}

static enum vultus_status analyze_picture(const struct vt_pipeline *pipeline, const struct request *request,
    struct vt_stay *stay, struct vt_analysis *analysis, struct vultus_error *error) {
    struct vt_view view = {request->picture, 1, 0, 0, stay};
    analysis->width = request->picture->width;
    analysis->height = request->picture->height;
    enum vultus_status status = stay ? load_picture(request->picture, &view, error) : VULTUS_OK;
    return status ? status : analyze_view(pipeline, view, request, analysis, error);
}

/* Those of processors are of what they did: decoding pictures, and heads that the device does not decode. */
static void take_device_times(struct vt_stay *stay, struct vt_analyze_times *times) {
    struct vt_photo_times there;
    stay->functions->take_times(stay->photo, &there);
    times->read_ms += there.load_ms;
    times->detect.letterbox_ms += there.letterbox_ms;
    times->detect.network_ms += there.network_ms;
    times->detect.decode_ms += there.decode_ms;
    times->align_ms += there.align_ms;
    times->embed_ms += there.embed_ms;
}

/* ---------------------------------------------------------------- encoded pictures */

/* While the letterbox shrinks what was reduced by this much or more, faces move by a small part of a network pixel. */
enum { DETECTION_SPARE = 3 };

/* Decoded by processors; goes to the device all the same where there is a place. */
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

static enum vultus_status load_view(const struct vt_image *image, const struct vt_image_scale *scale,
    struct vt_stay *stay, struct vt_view *view, struct vultus_error *error) {
    *view = (struct vt_view){image, scale->reduction, scale->left, scale->top, stay};
    return stay ? load_picture(image, view, error) : VULTUS_OK;
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
static enum vultus_status analyze_decoded(const struct vt_pipeline *pipeline, const struct request *request,
    struct vt_stay *stay, struct vt_image *image, struct vt_analysis *analysis, struct vultus_error *error) {
    const struct vt_analyze_options *options = request->options;
    struct vt_image_scale scale = {0};
    struct vt_view view;
    if (!needs_whole(options)) {
        vt_detector_input_size(pipeline->detector, &scale.enough_width, &scale.enough_height);
        scale.enough_width *= DETECTION_SPARE;
        scale.enough_height *= DETECTION_SPARE;
    }
    enum vultus_status status = decode_view(request->encoded, &scale, image, analysis, error);
    if (!status) status = load_view(image, &scale, stay, &view, error);
    if (status) return status;
    analysis->width = scale.width;
    analysis->height = scale.height;
    status = find_faces(pipeline, view, options, analysis, error);
    int wanted =
        !status && wants_crops(pipeline, options) ? reduction_for_crops(pipeline, analysis) : analysis->reduction;
    if (!status && wanted < analysis->reduction) {
        scale.enough_width = scale.width / wanted;
        scale.enough_height = scale.height / wanted;
        status = decode_view(request->encoded, &scale, image, analysis, error);
        if (!status) status = load_view(image, &scale, view.stay, &view, error);
    }
    return status ? status : look_closer(pipeline, view, options, analysis, error);
}

/* By the device's own decoder, whole. False: it does not take this picture. */
static bool load_encoded(const struct vt_encoded_picture *encoded, struct vt_stay *stay, struct vt_image *seen,
    enum vultus_status *status, struct vultus_error *error) {
    *seen = (struct vt_image){0};
    if (!stay || !stay->decodes_jpeg ||
        !vt_image_is_simple_jpeg(encoded->bytes, encoded->size, encoded->limits, &seen->width, &seen->height))
        return false;
    struct vultus_error failure;
    *status =
        stay->functions->load_jpeg(stay->photo, encoded->bytes, encoded->size, seen->width, seen->height, &failure);
    if (*status == VULTUS_ERROR_UNSUPPORTED) {
        vt_log(VT_LOG_DEBUG, "%s is decoded by processors: %s", encoded->name, failure.text);
        return false;
    }
    if (*status) vt_fail(error, *status, "%s", failure.text);
    return true;
}

static enum vultus_status analyze_encoded(const struct vt_pipeline *pipeline, const struct request *request,
    struct vt_stay *stay, struct vt_analysis *analysis, struct vultus_error *error) {
    struct vt_image image;
    enum vultus_status status = VULTUS_OK;
    if (load_encoded(request->encoded, stay, &image, &status, error)) {
        analysis->width = image.width;
        analysis->height = image.height;
        return status ? status
                      : analyze_view(pipeline, (struct vt_view){&image, 1, 0, 0, stay}, request, analysis, error);
    }
    image = (struct vt_image){0};
    status = analyze_decoded(pipeline, request, stay, &image, analysis, error);
    vt_image_release(&image);
    return status;
}

/* ---------------------------------------------------------------- here or there */

static enum vultus_status attempt(const struct vt_pipeline *pipeline, const struct request *request,
    struct vt_stay *stay, struct vt_analysis *analysis, struct vultus_error *error) {
    *analysis = (struct vt_analysis){.reduction = 1};
    vt_arena_init(&analysis->failures, 0);
    enum vultus_status status = request->encoded ? analyze_encoded(pipeline, request, stay, analysis, error)
                                                 : analyze_picture(pipeline, request, stay, analysis, error);
    if (stay) take_device_times(stay, &analysis->times);
    if (status) vt_analysis_release(analysis);
    return status;
}

bool vt_stays_on_device(const struct vt_pipeline *pipeline, const struct vt_analyze_options *options) {
    return vt_resident_is_usable(pipeline->resident) && !options->attributes && !options->with_crops &&
           options->warp == VT_WARP_EXACT;
}

/* A device that fails costs the time of the attempt, not the picture. */
static enum vultus_status analyze(const struct vt_pipeline *pipeline, const struct request *request,
    struct vt_analysis *out, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    struct vt_analysis analysis;
    struct vultus_error failure = {VULTUS_OK, ""};
    struct vt_stay *stay = vt_stays_on_device(pipeline, request->options) ? vt_resident_take(pipeline->resident) : NULL;
    enum vultus_status status = VULTUS_ERROR_BACKEND;
    if (stay) {
        failure.status = status = attempt(pipeline, request, stay, &analysis, &failure);
        vt_resident_give(pipeline->resident, stay, &failure);
        if (status && status != VULTUS_ERROR_BACKEND && status != VULTUS_ERROR_MEMORY)
            return vt_fail(error, status, "%s", failure.text);
    }
    if (status) status = attempt(pipeline, request, NULL, &analysis, error);
    if (status) return status;
    analysis.times.total_ms = vt_ms_since(start);
    *out = analysis;
    return VULTUS_OK;
}

enum vultus_status vt_analyze(const struct vt_pipeline *pipeline, const struct vt_image *picture,
    const struct vt_analyze_options *options, struct vt_analysis *out, struct vultus_error *error) {
    return analyze(pipeline, &(struct request){.picture = picture, .options = options}, out, error);
}

enum vultus_status vt_analyze_encoded(const struct vt_pipeline *pipeline, const struct vt_encoded_picture *picture,
    const struct vt_analyze_options *options, struct vt_analysis *out, struct vultus_error *error) {
    return analyze(pipeline, &(struct request){.encoded = picture, .options = options}, out, error);
}

void vt_analysis_release(struct vt_analysis *analysis) {
    free(analysis->faces);
    vt_free_aligned(analysis->crop_pixels);
    free(analysis->embeddings);
    vt_arena_fini(&analysis->failures);
    *analysis = (struct vt_analysis){0};
}
