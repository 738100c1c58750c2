/* SPDX-License-Identifier: Apache-2.0 */
#include "face/detector.h"

#include <stdlib.h>

#include "base/clock.h"
#include "face/network.h"

enum { STRIDES = 3, NO_OUTPUT = -1 };
static const int strides[STRIDES] = {8, 16, 32};
static const float default_nms_threshold = 0.4f, margin_fraction = 0.5f;

/* Which outputs of the network belong to one stride. */
struct heads {
    int scores, boxes, landmarks; /* landmarks may be NO_OUTPUT */
};

struct vt_detector {
    struct vt_network network;
    struct vt_pool *pool;
    struct heads heads[STRIDES];
};

static int64_t anchors_of(const struct vt_network *network, int stride) {
    return 2 * (int64_t)(network->width / stride) * (network->height / stride);
}

/* The output of `columns` columns and one row for each anchor of the stride; the batch axis may be there or not. */
static int find_head(const struct vt_network *network, int stride, int columns) {
    for (uint32_t i = 0; i < network->n_outputs; i++) {
        struct vt_tensor output = vt_engine_output(network->engine, i, 1);
        if (output.rank >= 2 && output.dims[output.rank - 1] == columns &&
            vt_tensor_count(&output) == anchors_of(network, stride) * columns)
            return (int)i;
    }
    return NO_OUTPUT;
}

static enum vultus_status find_heads(struct vt_detector *detector, struct vultus_error *error) {
    const struct vt_network *network = &detector->network;
    const char *name = vt_engine_plan(network->engine)->model.name;
    for (int s = 0; s < STRIDES; s++) {
        struct heads *heads = &detector->heads[s];
        *heads = (struct heads){find_head(network, strides[s], 1), find_head(network, strides[s], 4),
            find_head(network, strides[s], 2 * VT_LANDMARKS)};
        if (heads->scores == NO_OUTPUT || heads->boxes == NO_OUTPUT)
            return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
                "%s is no SCRFD detector: no output has %lld rows of %d numbers for stride %d at %dx%d",
                name ? name : "the model", (long long)anchors_of(network, strides[s]),
                heads->scores == NO_OUTPUT ? 1 : 4, strides[s], network->width, network->height);
        if ((heads->landmarks == NO_OUTPUT) != (detector->heads[0].landmarks == NO_OUTPUT))
            return vt_fail(
                error, VULTUS_ERROR_UNSUPPORTED, "%s has key points for some strides only", name ? name : "the model");
    }
    return VULTUS_OK;
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
    status = find_heads(detector, error);
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

bool vt_detector_has_landmarks(const struct vt_detector *detector) { return detector->heads[0].landmarks != NO_OUTPUT; }

/* One picture being searched. */
struct search {
    const struct vt_detector *detector;
    const struct vt_network_memory *memory;
    const struct vt_image *picture;
    const struct vt_detect_options *options;
    double margin;             /* of the last look: 0 or margin_fraction */
    double scale;              /* of the last look */
    struct vt_face_list found; /* network pixels */
    struct vt_detect_times times;
};

static enum vultus_status decode_heads(struct search *search, struct vultus_error *error) {
    const struct vt_detector *detector = search->detector;
    float *const *outputs = search->memory->outputs;
    for (int s = 0; s < STRIDES; s++) {
        struct heads heads = detector->heads[s];
        const float *landmarks = heads.landmarks == NO_OUTPUT ? NULL : outputs[heads.landmarks];
        enum vultus_status status = vt_scrfd_decode(outputs[heads.scores], outputs[heads.boxes], landmarks, strides[s],
            detector->network.width, detector->network.height, search->options->threshold, &search->found, error);
        if (status) return status;
    }
    float threshold = search->options->nms_threshold;
    return vt_nms(&search->found, threshold > 0 ? threshold : default_nms_threshold, error);
}

static enum vultus_status look(struct search *search, double margin, struct vultus_error *error) {
    const struct vt_network *network = &search->detector->network;
    struct vt_letterbox letterbox;
    uint64_t start = vt_now_ns();
    enum vultus_status status = vt_letterbox_to_planes(search->picture, margin, network->width, network->height,
        &network->normalisation, search->detector->pool, search->memory->input, &letterbox, error);
    if (status) return status;
    search->times.letterbox_ms += vt_ms_since(start);

    start = vt_now_ns();
    status = vt_network_run(network, search->memory, 1, error);
    if (status) return status;
    search->times.network_ms += vt_ms_since(start);

    start = vt_now_ns();
    search->found.count = 0;
    status = decode_heads(search, error);
    search->times.decode_ms += vt_ms_since(start);
    if (status) return status;
    search->margin = margin;
    search->scale = letterbox.scale;
    return VULTUS_OK;
}

/* Network pixels to pixels of the picture, without the margin. */
static void reproject(struct vt_face_box *face, float scale, float left, float top) {
    for (int i = 0; i < 4; i++) face->box[i] = face->box[i] / scale - (i % 2 ? top : left);
    for (int i = 0; i < VT_LANDMARKS; i++) {
        face->landmarks[i][0] = face->landmarks[i][0] / scale - left;
        face->landmarks[i][1] = face->landmarks[i][1] / scale - top;
    }
}

/* Appends those of the found faces that are asked for, in picture pixels. */
static enum vultus_status select_faces(struct search *search, struct vt_face_list *list, struct vultus_error *error) {
    const struct vt_detect_options *options = search->options;
    struct vt_face_list *found = &search->found;
    if (options->limit_faces > 0 && found->count > (size_t)options->limit_faces) {
        enum vultus_status status = vt_sort_faces(found, VT_BY_AREA, error);
        if (status) return status;
        found->count = (size_t)options->limit_faces;
    }
    float left = (float)vt_margin_pixels(search->picture->width, search->margin);
    float top = (float)vt_margin_pixels(search->picture->height, search->margin);
    for (size_t i = 0; i < found->count; i++) {
        struct vt_face_box face = found->faces[i];
        reproject(&face, (float)search->scale, left, top);
        face.pass = search->margin > 0 ? VT_PASS_MARGIN : VT_PASS_PLAIN;
        if (options->min_face_size > 0 && !(face.box[2] - face.box[0] >= (float)options->min_face_size)) continue;
        enum vultus_status status = vt_face_list_push(list, &face, error);
        if (status) return status;
    }
    return VULTUS_OK;
}

static enum vultus_status run_search(struct search *search, struct vt_face_list *list, struct vultus_error *error) {
    enum vultus_status status = look(search, 0, error);
    double plain_scale = search->scale;
    if (!status && search->found.count == 0 && search->options->robust == VT_ROBUST_AUTO) {
        status = look(search, margin_fraction, error);
        if (search->found.count == 0) search->scale = plain_scale;
    }
    return status ? status : select_faces(search, list, error);
}

enum vultus_status vt_detect(const struct vt_detector *detector, const struct vt_image *picture,
    const struct vt_detect_options *options, struct vt_face_list *list, double *scale, struct vt_detect_times *times,
    struct vultus_error *error) {
    /* The borrowing of memory is the detector's only changing state, and it is locked. */
    struct vt_network *network = (struct vt_network *)&detector->network;
    struct vt_network_memory *memory;
    enum vultus_status status = vt_network_borrow(network, &memory, error);
    if (status) return status;
    struct search search = {.detector = detector, .memory = memory, .picture = picture, .options = options};
    size_t before = list->count;
    status = run_search(&search, list, error);
    if (status) list->count = before;
    if (!status && scale) *scale = search.scale;
    if (!status && times) *times = search.times;
    vt_face_list_fini(&search.found);
    vt_network_return(network, memory);
    return status;
}
