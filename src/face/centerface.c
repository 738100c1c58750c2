/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "face/family.h"

/*
 * CenterFace (section 3.1): a heat map at a quarter of the picture's size and, for each of its cells, logarithms of
 * height and width in cells, the centre's offset and five landmarks relative to the box. The two maps of two channels
 * look alike: sizes come first, as in the networks that its authors give out.
 */
enum { STRIDE = 4 };

static enum vultus_status bind(
    const struct vt_detector_shape *shape, struct vt_detector_layout *layout, struct vultus_error *error) {
    int64_t rows = shape->height / STRIDE, columns = shape->width / STRIDE;
    struct vt_detector_level level = {STRIDE, vt_find_map(shape, 1, rows, columns, 0),
        vt_find_map(shape, 2, rows, columns, 0), VT_NO_OUTPUT, vt_find_map(shape, 2 * VT_LANDMARKS, rows, columns, 0)};
    if (level.boxes != VT_NO_OUTPUT) level.offsets = vt_find_map(shape, 2, rows, columns, level.boxes + 1);
    if (shape->width % STRIDE || shape->height % STRIDE || level.scores == VT_NO_OUTPUT ||
        level.offsets == VT_NO_OUTPUT || level.landmarks == VT_NO_OUTPUT)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "%s is no CenterFace detector: outputs of 1, 2, 2 and 10 maps, a quarter of %dx%d large, are needed",
            shape->name, shape->width, shape->height);
    *layout = (struct vt_detector_layout){.width = shape->width,
        .height = shape->height,
        .anchors = 1,
        .landmarks = true,
        .n_levels = 1,
        .levels = {level}};
    return VULTUS_OK;
}

static float clamp(float value, float most) { return fminf(fmaxf(value, 0), most); }

static enum vultus_status decode(const struct vt_detector_layout *layout, float *const *outputs, float threshold,
    struct vt_face_list *list, struct vultus_error *error) {
    const struct vt_detector_level *level = &layout->levels[0];
    int64_t columns = layout->width / STRIDE, plane = columns * (layout->height / STRIDE);
    float right = (float)layout->width, bottom = (float)layout->height;
    for (int64_t cell = 0; cell < plane; cell++) {
        float score = outputs[level->scores][cell];
        if (!(score > threshold)) continue;
        const float *size = outputs[level->boxes] + cell, *offset = outputs[level->offsets] + cell;
        const float *landmarks = outputs[level->landmarks] + cell;
        float h = STRIDE * expf(size[0]), w = STRIDE * expf(size[plane]);
        float centre_x = ((float)(cell % columns) + offset[plane] + 0.5f) * STRIDE;
        float centre_y = ((float)(cell / columns) + offset[0] + 0.5f) * STRIDE;
        /* Clamping would hide numbers that are none. */
        if (!isfinite(h) || !isfinite(w) || !isfinite(centre_x) || !isfinite(centre_y)) continue;
        float x = clamp(centre_x - w / 2, right), y = clamp(centre_y - h / 2, bottom);
        struct vt_face_box face = {.box = {x, y, fminf(x + w, right), fminf(y + h, bottom)}, .score = score};
        for (int k = 0; k < VT_LANDMARKS; k++) {
            face.landmarks[k][0] = landmarks[(2 * k + 1) * plane] * w + x;
            face.landmarks[k][1] = landmarks[2 * k * plane] * h + y;
        }
        enum vultus_status status = vt_push_candidate(list, &face, error);
        if (status) return status;
    }
    return VULTUS_OK;
}

const struct vt_detector_family vt_family_centerface = {"centerface", 0.3f, bind, decode};
