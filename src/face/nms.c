/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdlib.h>

#include "face/face.h"

/* Kept boxes by coordinate, so that a candidate is held against several at once. */
struct kept {
    float *x1, *y1, *x2, *y2, *area;
    size_t count;
};

static inline float least(float a, float b) { return a < b ? a : b; }
static inline float most(float a, float b) { return a > b ? a : b; }

static float area_of(const float box[4]) { return (box[2] - box[0] + 1) * (box[3] - box[1] + 1); }

/* Blocks are compared without a branch inside; an undefined IoU (areas that overflow) suppresses. */
static bool is_suppressed(const struct kept *kept, const float box[4], float area, float threshold) {
    enum { BLOCK = 32 };
    for (size_t start = 0; start < kept->count; start += BLOCK) {
        size_t end = start + BLOCK < kept->count ? start + BLOCK : kept->count;
        int over = 0;
        for (size_t i = start; i < end; i++) {
            float w = most(0, least(box[2], kept->x2[i]) - most(box[0], kept->x1[i]) + 1);
            float h = most(0, least(box[3], kept->y2[i]) - most(box[1], kept->y1[i]) + 1);
            float iou = w * h / (area + kept->area[i] - w * h);
            over |= !(iou <= threshold);
        }
        if (over) return true;
    }
    return false;
}

static void keep(struct kept *kept, const float box[4], float area) {
    size_t i = kept->count++;
    kept->x1[i] = box[0];
    kept->y1[i] = box[1];
    kept->x2[i] = box[2];
    kept->y2[i] = box[3];
    kept->area[i] = area;
}

enum vultus_status vt_nms(struct vt_face_list *list, float threshold, struct vultus_error *error) {
    if (list->count == 0) return VULTUS_OK;
    enum vultus_status status = vt_sort_faces(list, VT_BY_SCORE, error);
    if (status) return status;
    size_t n = list->count < VT_NMS_CANDIDATES ? list->count : VT_NMS_CANDIDATES;
    float *memory = malloc(5 * n * sizeof *memory);
    if (!memory) return vt_fail_memory(error, "suppressing faces", 5 * n * sizeof *memory);
    struct kept kept = {memory, memory + n, memory + 2 * n, memory + 3 * n, memory + 4 * n, 0};
    for (size_t i = 0; i < n; i++) {
        struct vt_face_box face = list->faces[i];
        float area = area_of(face.box);
        if (is_suppressed(&kept, face.box, area, threshold)) continue;
        list->faces[kept.count] = face;
        keep(&kept, face.box, area);
    }
    list->count = kept.count;
    free(memory);
    return VULTUS_OK;
}
