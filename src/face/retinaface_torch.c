/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "face/family.h"

/*
 * RetinaFace as exported from PyTorch (github.com/biubug6/Pytorch_Retinaface): three outputs of a row for every prior,
 * that is for the strides 8, 16 and 32 row by row, column by column, two squares each: boxes [4], class probabilities
 * [2], the face last, and landmarks [10]. Deltas are in tenths of the prior's side, logarithms of sizes in fifths.
 */
enum { PRIORS = 2, LEVELS = 3, BOX = 4, CLASSES = 2, KEY_POINTS = 2 * VT_LANDMARKS };
static const float centre_variance = 0.1f, size_variance = 0.2f;
static const float sides[LEVELS][PRIORS] = {{16, 32}, {64, 128}, {256, 512}};

static int64_t cells_along(int size, int stride) { return ((int64_t)size + stride - 1) / stride; }

static int64_t rows_for(int width, int height) {
    int64_t rows = 0;
    for (int i = 0; i < LEVELS; i++) rows += PRIORS * cells_along(width, 8 << i) * cells_along(height, 8 << i);
    return rows;
}

/* [rows, columns], with or without a batch axis of 1. */
static int find_rows(const struct vt_detector_shape *shape, int64_t rows, int64_t columns) {
    for (uint32_t i = 0; i < shape->n_outputs; i++) {
        const struct vt_tensor *output = &shape->outputs[i];
        int skip = output->rank == 3 && output->dims[0] == 1;
        if (output->rank - skip == 2 && output->dims[skip] == rows && output->dims[skip + 1] == columns) return (int)i;
    }
    return VT_NO_OUTPUT;
}

static enum vultus_status bind(
    const struct vt_detector_shape *shape, struct vt_detector_layout *layout, struct vultus_error *error) {
    int64_t rows = rows_for(shape->width, shape->height);
    struct vt_detector_level level = {.scores = find_rows(shape, rows, CLASSES),
        .boxes = find_rows(shape, rows, BOX),
        .offsets = VT_NO_OUTPUT,
        .landmarks = find_rows(shape, rows, KEY_POINTS)};
    int missing = level.scores == VT_NO_OUTPUT      ? CLASSES
                  : level.boxes == VT_NO_OUTPUT     ? BOX
                  : level.landmarks == VT_NO_OUTPUT ? KEY_POINTS
                                                    : 0;
    if (missing)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "%s is no RetinaFace detector of PyTorch's: no output has %lld rows of %d numbers at %dx%d", shape->name,
            (long long)rows, missing, shape->width, shape->height);
    *layout = (struct vt_detector_layout){.width = shape->width,
        .height = shape->height,
        .anchors = PRIORS,
        .landmarks = true,
        .n_levels = 1,
        .levels = {level},
        .rows = rows};
    return VULTUS_OK;
}

static struct vt_face_box face_at(const float *box, const float *landmarks, float x, float y, float side, float score) {
    float centre[2] = {x + box[0] * centre_variance * side, y + box[1] * centre_variance * side};
    struct vt_face_box face = {.score = score};
    for (int k = 0; k < 2; k++) {
        float half = side * expf(box[2 + k] * size_variance) / 2;
        face.box[k] = centre[k] - half;
        face.box[2 + k] = centre[k] + half;
    }
    for (int k = 0; k < VT_LANDMARKS; k++) {
        face.landmarks[k][0] = x + landmarks[2 * k] * centre_variance * side;
        face.landmarks[k][1] = y + landmarks[2 * k + 1] * centre_variance * side;
    }
    return face;
}

static enum vultus_status decode(const struct vt_detector_layout *layout, float *const *outputs, float threshold,
    struct vt_face_list *list, struct vultus_error *error) {
    const struct vt_detector_level *found = &layout->levels[0];
    const float *scores = outputs[found->scores], *boxes = outputs[found->boxes], *points = outputs[found->landmarks];
    int64_t row = 0;
    for (int i = 0; i < LEVELS; i++) {
        float stride = (float)(8 << i);
        int64_t columns = cells_along(layout->width, 8 << i);
        int64_t end = row + PRIORS * columns * cells_along(layout->height, 8 << i);
        for (int64_t prior = 0; row < end; row++, prior++) {
            float score = scores[CLASSES * row + 1];
            if (!(score > threshold)) continue;
            int64_t cell = prior / PRIORS;
            float x = ((float)(cell % columns) + 0.5f) * stride, y = ((float)(cell / columns) + 0.5f) * stride;
            struct vt_face_box face =
                face_at(boxes + BOX * row, points + KEY_POINTS * row, x, y, sides[i][prior % PRIORS], score);
            enum vultus_status status = vt_push_candidate(list, &face, error);
            if (status) return status;
        }
    }
    return VULTUS_OK;
}

const struct vt_detector_family vt_family_retinaface_torch = {"retinaface_torch", 0.4f, bind, decode};
