/* SPDX-License-Identifier: Apache-2.0 */
#include "face/pipeline.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

enum { CROP_STRIDE = 3 * VT_CROP_SIZE, CROP_BYTES = CROP_STRIDE * VT_CROP_SIZE };

enum vultus_status vt_pipeline_init(struct vt_pipeline *pipeline, const struct vt_detector *detector,
    const struct vt_embedder *embedder, struct vt_pool *pool, struct vultus_error *error) {
    if (embedder) {
        int width, height;
        vt_embedder_input_size(embedder, &width, &height);
        if (width != VT_CROP_SIZE || height != VT_CROP_SIZE)
            return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
                "the recogniser takes %d x %d pixels; aligned faces have %d x %d", width, height, VT_CROP_SIZE,
                VT_CROP_SIZE);
        if (!vt_detector_has_landmarks(detector))
            return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
                "the detector finds no key points, so faces cannot be aligned for the recogniser");
    }
    *pipeline = (struct vt_pipeline){detector, embedder, pool};
    return VULTUS_OK;
}

/* A picture as it was decoded: `reduction` times smaller than the one that coordinates of faces are of, and from where.
 */
struct view {
    const struct vt_image *picture;
    int reduction, left, top;
};

/* Aligned crops of one picture's faces. */
struct align_job {
    struct view view;
    enum vt_warp_method method;
    struct vt_analysis *analysis;
    struct vultus_error *errors; /* one for each face; status 0 where it went well */
};

/* The centre of pixel 0 lies at 0 in both pictures. */
static void view_landmarks(
    const float landmarks[VT_LANDMARKS][2], const struct view *view, float viewed[VT_LANDMARKS][2]) {
    const float offset[2] = {(float)view->left, (float)view->top};
    for (int i = 0; i < VT_LANDMARKS; i++)
        for (int k = 0; k < 2; k++)
            viewed[i][k] = view->reduction == 1 ? landmarks[i][k]
                                                : (landmarks[i][k] - offset[k] + 0.5f) / (float)view->reduction - 0.5f;
}

static void align_face(void *context, size_t unit, int thread) {
    (void)thread;
    const struct align_job *job = context;
    struct vt_analyzed_face *face = &job->analysis->faces[unit];
    face->crop =
        (struct vt_image){job->analysis->crop_pixels + unit * CROP_BYTES, VT_CROP_SIZE, VT_CROP_SIZE, CROP_STRIDE};
    job->errors[unit].status = VULTUS_OK;
    float landmarks[VT_LANDMARKS][2];
    view_landmarks(face->found.landmarks, &job->view, landmarks);
    if (vt_align_into(job->view.picture, landmarks, job->method, &face->crop, &job->errors[unit]))
        face->crop = (struct vt_image){0};
}

static enum vultus_status keep_failure(
    struct vt_analysis *analysis, struct vt_analyzed_face *face, const char *text, struct vultus_error *error) {
    face->failure = vt_arena_strdup(&analysis->failures, text);
    return face->failure ? VULTUS_OK : vt_fail_memory(error, "a face's failure", VULTUS_ERROR_TEXT);
}

static enum vultus_status align_faces(const struct vt_pipeline *pipeline, struct view view, enum vt_warp_method method,
    struct vt_analysis *analysis, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    enum vultus_status status = VULTUS_OK;
    size_t count = analysis->count;
    struct align_job job = {view, method, analysis, calloc(count, sizeof *job.errors)};
    analysis->crop_pixels = calloc(count, CROP_BYTES);
    if (job.errors && analysis->crop_pixels)
        vt_pool_run(pipeline->pool, count, align_face, &job);
    else
        status = vt_fail_memory(error, "aligned faces", (unsigned long long)count * CROP_BYTES);
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

static bool wants_crops(const struct vt_pipeline *pipeline, const struct vt_analyze_options *options) {
    return (pipeline->embedder && !options->without_embeddings) ||
           (options->with_crops && vt_detector_has_landmarks(pipeline->detector));
}

/* Faces of the view, in coordinates of the whole picture. */
static enum vultus_status find_faces(const struct vt_pipeline *pipeline, struct view view,
    const struct vt_analyze_options *options, struct vt_analysis *analysis, struct vultus_error *error) {
    struct vt_detect_options detect = options->detect;
    if (view.reduction > 1) detect.min_face_size = 0; /* held against the whole picture's pixels below */
    struct vt_face_list list = {0};
    enum vultus_status status =
        vt_detect(pipeline->detector, view.picture, &detect, &list, &analysis->scale, &analysis->times.detect, error);
    if (view.reduction > 1)
        vt_face_list_enlarge(&list, view.reduction, view.left, view.top, options->detect.min_face_size);
    analysis->scale /= view.reduction;
    if (!status) status = take_faces(analysis, &list, error);
    vt_face_list_fini(&list);
    return status;
}

/* Crops and embeddings, as far as they are asked for. */
static enum vultus_status look_closer(const struct vt_pipeline *pipeline, struct view view,
    const struct vt_analyze_options *options, struct vt_analysis *analysis, struct vultus_error *error) {
    if (analysis->count == 0 || !wants_crops(pipeline, options)) return VULTUS_OK;
    enum vultus_status status = align_faces(pipeline, view, options->warp, analysis, error);
    if (!status && pipeline->embedder && !options->without_embeddings) status = embed_faces(pipeline, analysis, error);
    if (!status && !options->with_crops) drop_crops(analysis);
    return status;
}

enum vultus_status vt_analyze(const struct vt_pipeline *pipeline, const struct vt_image *picture,
    const struct vt_analyze_options *options, struct vt_analysis *out, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    struct view view = {picture, 1, 0, 0};
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

static struct view view_of(const struct vt_image *image, const struct vt_image_scale *scale) {
    return (struct view){image, scale->reduction, scale->left, scale->top};
}

/* The largest reduction at which no face has fewer pixels than its crop. */
static int reduction_for_crops(const struct vt_analysis *analysis) {
    int reduction = analysis->reduction;
    for (size_t i = 0; i < analysis->count; i++) {
        double matrix[6];
        if (vt_align_matrix(analysis->faces[i].found.landmarks, matrix, NULL)) continue;
        while (reduction > 1 && hypot(matrix[0], matrix[3]) * reduction > 1) reduction /= 2;
    }
    return reduction;
}

/* Decodes the picture as small as serves finding faces, and again where a face's crop needs more. */
static enum vultus_status analyze_encoded(const struct vt_pipeline *pipeline, const struct vt_encoded_picture *picture,
    const struct vt_analyze_options *options, struct vt_image *image, struct vt_analysis *analysis,
    struct vultus_error *error) {
    struct vt_image_scale scale = {0};
    if (!options->whole_picture) {
        vt_detector_input_size(pipeline->detector, &scale.enough_width, &scale.enough_height);
        scale.enough_width *= DETECTION_SPARE;
        scale.enough_height *= DETECTION_SPARE;
    }
    enum vultus_status status = decode_view(picture, &scale, image, analysis, error);
    if (status) return status;
    analysis->width = scale.width;
    analysis->height = scale.height;
    status = find_faces(pipeline, view_of(image, &scale), options, analysis, error);
    int wanted = !status && wants_crops(pipeline, options) ? reduction_for_crops(analysis) : analysis->reduction;
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
    free(analysis->crop_pixels);
    free(analysis->embeddings);
    vt_arena_fini(&analysis->failures);
    *analysis = (struct vt_analysis){0};
}
