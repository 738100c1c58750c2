/* SPDX-License-Identifier: Apache-2.0 */
#include "face/family.h"

/*
 * SCRFD (section 2.4): scores after the sigmoid, distances from the cell's corner to the box's sides and offsets of
 * five key points, both in strides. Three strides have two anchors a cell; exports of five strides have one.
 */

/* Number of columns of each kind of head. */
enum { SCORE = 1, BOX = 4, KEY_POINTS = 2 * VT_LANDMARKS };

static int64_t rows_of(const struct vt_detector_layout *layout, int stride) {
    return (int64_t)layout->anchors * (layout->width / stride) * (layout->height / stride);
}

/* [rows, columns], or [rows] for one column, with or without axes of 1 in front. */
static bool is_head(const struct vt_tensor *output, int64_t rows, int64_t columns) {
    int rank = output->rank;
    if (rank < 1 || vt_tensor_count(output) != rows * columns) return false;
    if (columns == 1 && output->dims[rank - 1] == rows) return true;
    return rank >= 2 && output->dims[rank - 1] == columns && output->dims[rank - 2] == rows;
}

static int find_head(const struct vt_detector_shape *shape, int64_t rows, int64_t columns) {
    for (uint32_t i = 0; i < shape->n_outputs; i++)
        if (is_head(&shape->outputs[i], rows, columns)) return (int)i;
    return VT_NO_OUTPUT;
}

static enum vultus_status bind(
    const struct vt_detector_shape *shape, struct vt_detector_layout *layout, struct vultus_error *error) {
    bool five = shape->n_outputs == 10 || shape->n_outputs == 15;
    *layout = (struct vt_detector_layout){
        .width = shape->width, .height = shape->height, .anchors = five ? 1 : 2, .n_levels = five ? 5 : 3};
    int coarsest = 8 << (layout->n_levels - 1);
    if (shape->width % coarsest || shape->height % coarsest)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "%s takes pictures of %dx%d; both sides must be multiples of %d for SCRFD's strides", shape->name,
            shape->width, shape->height, coarsest);
    for (int i = 0; i < layout->n_levels; i++) {
        struct vt_detector_level *level = &layout->levels[i];
        int stride = 8 << i;
        int64_t rows = rows_of(layout, stride);
        *level = (struct vt_detector_level){stride, find_head(shape, rows, SCORE), find_head(shape, rows, BOX),
            VT_NO_OUTPUT, find_head(shape, rows, KEY_POINTS)};
        if (level->scores == VT_NO_OUTPUT || level->boxes == VT_NO_OUTPUT)
            return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
                "%s is no SCRFD detector: no output has %lld rows of %d numbers for stride %d at %dx%d", shape->name,
                (long long)rows, level->scores == VT_NO_OUTPUT ? SCORE : BOX, stride, shape->width, shape->height);
        if ((level->landmarks == VT_NO_OUTPUT) != (layout->levels[0].landmarks == VT_NO_OUTPUT))
            return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "%s has key points for some strides only", shape->name);
    }
    layout->landmarks = layout->levels[0].landmarks != VT_NO_OUTPUT;
    return VULTUS_OK;
}

static enum vultus_status decode_level(const struct vt_detector_layout *layout, const struct vt_detector_level *level,
    float *const *outputs, float threshold, struct vt_face_list *list, struct vultus_error *error) {
    const float *scores = outputs[level->scores], *boxes = outputs[level->boxes];
    const float *landmarks = level->landmarks == VT_NO_OUTPUT ? NULL : outputs[level->landmarks];
    int64_t rows = rows_of(layout, level->stride), columns = layout->width / level->stride;
    float step = (float)level->stride;
    for (int64_t i = 0; i < rows; i++) {
        if (!(scores[i] > threshold)) continue;
        int64_t cell = i / layout->anchors;
        float x = (float)(cell % columns) * step, y = (float)(cell / columns) * step;
        const float *distance = boxes + BOX * i;
        struct vt_face_box face = {
            .box = {x - distance[0] * step, y - distance[1] * step, x + distance[2] * step, y + distance[3] * step},
            .score = scores[i]};
        for (int k = 0; landmarks && k < VT_LANDMARKS; k++) {
            const float *delta = landmarks + KEY_POINTS * i + 2 * k;
            face.landmarks[k][0] = delta[0] * step + x;
            face.landmarks[k][1] = delta[1] * step + y;
        }
        enum vultus_status status = vt_push_candidate(list, &face, error);
        if (status) return status;
    }
    return VULTUS_OK;
}

static enum vultus_status decode(const struct vt_detector_layout *layout, float *const *outputs, float threshold,
    struct vt_face_list *list, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (int i = 0; !status && i < layout->n_levels; i++)
        status = decode_level(layout, &layout->levels[i], outputs, threshold, list, error);
    return status;
}

const struct vt_detector_family vt_family_scrfd = {"scrfd", 0.4f, bind, decode};
