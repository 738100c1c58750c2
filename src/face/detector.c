/* SPDX-License-Identifier: Apache-2.0 */
#include "face/detector.h"

#include <stdlib.h>

#include "base/memory.h"
#include "face/detector_internal.h"

static const double margin_fraction = 0.5;

/* ---------------------------------------------------------------- creation */

static enum vultus_status bind_outputs(struct vt_detector *detector, struct vultus_error *error) {
    const struct vt_network *network = &detector->network;
    const struct vt_plan_model *model = &vt_engine_plan(network->engine)->model;
    struct vt_detector_shape shape = {.name = model->name ? model->name : "the model",
        .width = network->width,
        .height = network->height,
        .n_outputs = network->n_outputs};
    if (network->interleaved)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "%s takes pictures of 3 numbers a pixel; detectors need float32[1,3,height,width]", shape.name);
    detector->family = vt_family_find(model->function ? model->function : "");
    if (!detector->family) detector->family = &vt_family_scrfd;
    struct vt_tensor *outputs = calloc(shape.n_outputs, sizeof *outputs);
    if (!outputs) return vt_fail_memory(error, "a detector", shape.n_outputs * sizeof *outputs);
    for (uint32_t i = 0; i < shape.n_outputs; i++) outputs[i] = vt_engine_output(network->engine, i, 1);
    shape.outputs = outputs;
    enum vultus_status status = detector->family->bind(&shape, &detector->layout, error);
    free(outputs);
    return status;
}

enum vultus_status vt_detector_create(
    struct vt_engine *engine, struct vt_pool *pool, struct vt_detector **out, struct vultus_error *error) {
    struct vt_detector *detector = calloc(1, sizeof *detector);
    if (!detector) return vt_fail_memory(error, "a detector", sizeof *detector);
    detector->pool = pool;
    enum vultus_status status = vt_network_init(&detector->network, engine, 1, error);
    if (status) {
        free(detector);
        return status;
    }
    status = bind_outputs(detector, error);
    if (status)
        vt_detector_destroy(detector);
    else
        *out = detector;
    return status;
}

void vt_detector_destroy(struct vt_detector *detector) {
    if (!detector) return;
    vt_network_fini(&detector->network);
    free(detector);
}

void vt_detector_input_size(const struct vt_detector *detector, int *width, int *height) {
    *width = detector->network.width;
    *height = detector->network.height;
}

bool vt_detector_has_landmarks(const struct vt_detector *detector) { return detector->layout.landmarks; }

/* ---------------------------------------------------------------- looks */

static enum vultus_status look_at_tiles(struct vt_search *search, struct vultus_error *error) {
    const struct vt_network *network = &search->detector->network;
    struct vt_look tiles[VT_MOST_TILES];
    size_t count =
        vt_plan_tiles(search->picture->width, search->picture->height, network->width, network->height, tiles);
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; !status && i < count; i++) status = vt_look_once(search, &tiles[i], error);
    return status;
}

static struct vt_look look_at_all(const struct vt_image *picture, enum vt_face_pass pass, int turn) {
    return (struct vt_look){
        pass, turn, pass == VT_PASS_MARGIN ? margin_fraction : 0, 0, 0, picture->width, picture->height};
}

/* Whether a further step of looks is due. */
static bool goes_on(const struct vt_search *search) {
    return search->options->robust == VT_ROBUST_FULL ||
           (search->options->robust == VT_ROBUST_AUTO && search->successes == 0);
}

static enum vultus_status look_turned(struct vt_search *search, enum vt_face_pass pass, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (int turn = 90; !status && turn < 360; turn += 90) {
        struct vt_look look = look_at_all(search->picture, pass, turn);
        status = vt_look_once(search, &look, error);
    }
    return status;
}

static enum vultus_status run_looks(struct vt_search *search, struct vultus_error *error) {
    struct vt_look plain = look_at_all(search->picture, VT_PASS_PLAIN, 0);
    struct vt_look margin = look_at_all(search->picture, VT_PASS_MARGIN, 0);
    enum vultus_status status = vt_look_once(search, &plain, error);
    if (!status && search->options->tile) status = look_at_tiles(search, error);
    if (!status && goes_on(search)) status = vt_look_once(search, &margin, error);
    if (!status && goes_on(search)) status = look_turned(search, VT_PASS_PLAIN, error);
    if (!status && goes_on(search)) status = look_turned(search, VT_PASS_MARGIN, error);
    if (!status && search->successes > 1) status = vt_nms(&search->found, search->nms_threshold, error);
    return status;
}

/* Appends those of the found faces that are asked for. */
static enum vultus_status select_faces(
    struct vt_search *search, struct vt_face_list *list, struct vultus_error *error) {
    const struct vt_detect_options *options = search->options;
    struct vt_face_list *found = &search->found;
    if (options->limit_faces > 0 && found->count > (size_t)options->limit_faces) {
        enum vultus_status status = vt_sort_faces(found, VT_BY_AREA, error);
        if (status) return status;
        found->count = (size_t)options->limit_faces;
    }
    for (size_t i = 0; i < found->count; i++) {
        const struct vt_face_box *face = &found->faces[i];
        if (options->min_face_size > 0 && !(face->box[2] - face->box[0] >= (float)options->min_face_size)) continue;
        enum vultus_status status = vt_face_list_push(list, face, error);
        if (status) return status;
    }
    return VULTUS_OK;
}

enum vultus_status vt_detect(const struct vt_detector *detector, const struct vt_image *picture, struct vt_stay *stay,
    const struct vt_detect_options *options, struct vt_face_list *list, double *scale, struct vt_detect_times *times,
    struct vultus_error *error) {
    /* The borrowing of memory is the detector's only changing state, and it is locked. */
    struct vt_network *network = (struct vt_network *)&detector->network;
    struct vt_network_memory *memory;
    enum vultus_status status = vt_network_borrow(network, &memory, error);
    if (status) return status;
    struct vt_search search = {.detector = detector,
        .memory = memory,
        .picture = picture,
        .stay = stay,
        .options = options,
        .nms_threshold = options->nms_threshold > 0 ? options->nms_threshold : detector->family->nms_threshold};
    size_t before = list->count;
    status = run_looks(&search, error);
    if (!status) status = select_faces(&search, list, error);
    if (status) list->count = before;
    if (!status && scale) *scale = search.successes ? search.scale : search.plain_scale;
    if (!status && times) *times = search.times;
    vt_face_list_fini(&search.candidates);
    vt_face_list_fini(&search.found);
    vt_free_aligned(search.canvas);
    vt_network_return(network, memory);
    return status;
}
