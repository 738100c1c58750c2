/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "face/family.h"

/*
 * RetinaFace as exported from MXNet (section 3.1): for each of the strides 32, 16 and 8 a map of class probabilities,
 * one of box deltas and one of landmark deltas, and in models with masks a fourth that is not used. Channels are anchor
 * by anchor, those of the classes background first.
 */
enum { ANCHORS = 2, LEVELS = 3, BOX = 4, KEY_POINTS = 2 * VT_LANDMARKS };

/* Base anchors x1, y1, x2, y2 of the cell at (0, 0), by level; they are square: x1 = y1, x2 = y2. */
static const float base_anchors[LEVELS][ANCHORS][2] = {
    {{-248, 263}, {-120, 135}}, {{-56, 71}, {-24, 39}}, {{-8, 23}, {0, 15}}};

static enum vultus_status bind(
    const struct vt_detector_shape *shape, struct vt_detector_layout *layout, struct vultus_error *error) {
    *layout = (struct vt_detector_layout){
        .width = shape->width, .height = shape->height, .anchors = ANCHORS, .landmarks = true, .n_levels = LEVELS};
    for (int i = 0; i < LEVELS; i++) {
        int stride = 32 >> i;
        int64_t rows = (shape->height + stride - 1) / stride, columns = (shape->width + stride - 1) / stride;
        struct vt_detector_level level = {stride, vt_find_map(shape, 2 * ANCHORS, rows, columns, 0),
            vt_find_map(shape, BOX * ANCHORS, rows, columns, 0), VT_NO_OUTPUT,
            vt_find_map(shape, KEY_POINTS * ANCHORS, rows, columns, 0)};
        layout->levels[i] = level;
        int missing = level.scores == VT_NO_OUTPUT      ? 2
                      : level.boxes == VT_NO_OUTPUT     ? BOX
                      : level.landmarks == VT_NO_OUTPUT ? KEY_POINTS
                                                        : 0;
        if (missing)
            return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
                "%s is no RetinaFace detector: no output has %d maps of %lld x %lld for stride %d at %dx%d",
                shape->name, missing * ANCHORS, (long long)columns, (long long)rows, stride, shape->width,
                shape->height);
    }
    return VULTUS_OK;
}

/* One anchor of one cell: `delta(k)` is the map number k of its level at that cell. */
struct place {
    const float *boxes, *landmarks; /* at the anchor's first map and the cell */
    int64_t plane;                  /* floats from map to map */
    float x, y, size;               /* of the anchor: its centre and its side */
};

static struct vt_face_box face_at(const struct place *p, float score, float landmark_std) {
    float x = p->boxes[0] * p->size + p->x, y = p->boxes[p->plane] * p->size + p->y;
    float half_width = (expf(p->boxes[2 * p->plane]) * p->size - 1) / 2;
    float half_height = (expf(p->boxes[3 * p->plane]) * p->size - 1) / 2;
    struct vt_face_box face = {
        .box = {x - half_width, y - half_height, x + half_width, y + half_height}, .score = score};
    for (int k = 0; k < VT_LANDMARKS; k++) {
        face.landmarks[k][0] = p->landmarks[2 * k * p->plane] * landmark_std * p->size + p->x;
        face.landmarks[k][1] = p->landmarks[(2 * k + 1) * p->plane] * landmark_std * p->size + p->y;
    }
    return face;
}

static enum vultus_status decode_level(const struct vt_detector_layout *layout, int index, float *const *outputs,
    float landmark_std, float threshold, struct vt_face_list *list, struct vultus_error *error) {
    const struct vt_detector_level *level = &layout->levels[index];
    int64_t columns = (layout->width + level->stride - 1) / level->stride;
    int64_t plane = columns * ((layout->height + level->stride - 1) / level->stride);
    for (int64_t cell = 0; cell < plane; cell++)
        for (int a = 0; a < ANCHORS; a++) {
            float score = outputs[level->scores][(ANCHORS + a) * plane + cell];
            if (!(score >= threshold)) continue;
            const float *base = base_anchors[index][a];
            float size = base[1] - base[0] + 1, centre = base[0] + (size - 1) / 2, step = (float)level->stride;
            struct place place = {.boxes = outputs[level->boxes] + BOX * a * plane + cell,
                .landmarks = outputs[level->landmarks] + KEY_POINTS * a * plane + cell,
                .plane = plane,
                .x = centre + (float)(cell % columns) * step,
                .y = centre + (float)(cell / columns) * step,
                .size = size};
            struct vt_face_box face = face_at(&place, score, landmark_std);
            enum vultus_status status = vt_push_candidate(list, &face, error);
            if (status) return status;
        }
    return VULTUS_OK;
}

static enum vultus_status decode_all(const struct vt_detector_layout *layout, float *const *outputs, float landmark_std,
    float threshold, struct vt_face_list *list, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (int i = 0; !status && i < layout->n_levels; i++)
        status = decode_level(layout, i, outputs, landmark_std, threshold, list, error);
    return status;
}

static enum vultus_status decode(const struct vt_detector_layout *layout, float *const *outputs, float threshold,
    struct vt_face_list *list, struct vultus_error *error) {
    return decode_all(layout, outputs, 1, threshold, list, error);
}

static enum vultus_status decode_l(const struct vt_detector_layout *layout, float *const *outputs, float threshold,
    struct vt_face_list *list, struct vultus_error *error) {
    return decode_all(layout, outputs, 0.2f, threshold, list, error);
}

const struct vt_detector_family vt_family_retinaface = {"retinaface", 0.4f, bind, decode};
const struct vt_detector_family vt_family_retinaface_l = {"retinaface_l", 0.4f, bind, decode_l};
