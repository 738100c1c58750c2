/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "face/face.h"

void vt_face_list_fini(struct vt_face_list *list) {
    free(list->faces);
    *list = (struct vt_face_list){0};
}

enum vultus_status vt_face_list_push(
    struct vt_face_list *list, const struct vt_face_box *face, struct vultus_error *error) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64, bytes;
        if (!vt_mul_size(capacity, sizeof *list->faces, &bytes))
            return vt_fail(error, VULTUS_ERROR_LIMIT, "%zu faces do not fit the address space", capacity);
        struct vt_face_box *grown = realloc(list->faces, bytes);
        if (!grown) return vt_fail_memory(error, "faces", bytes);
        list->faces = grown;
        list->capacity = capacity;
    }
    list->faces[list->count++] = *face;
    return VULTUS_OK;
}

void vt_face_list_enlarge(struct vt_face_list *list, int reduction, int left, int top, int least_width) {
    const float factor = (float)reduction, offset[2] = {(float)left, (float)top};
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct vt_face_box face = list->faces[i];
        for (int k = 0; k < 4; k++) face.box[k] = face.box[k] * factor + offset[k % 2];
        for (int k = 0; k < VT_LANDMARKS; k++)
            for (int axis = 0; axis < 2; axis++)
                face.landmarks[k][axis] = face.landmarks[k][axis] * factor + offset[axis];
        if (least_width <= 0 || face.box[2] - face.box[0] >= (float)least_width) list->faces[kept++] = face;
    }
    list->count = kept;
}

/* Floats as integers that sort the same way, so that NaN has a place too. */
static uint32_t sortable(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float rank_of(const struct vt_face_box *face, enum vt_face_order order) {
    const float *b = face->box;
    return order == VT_BY_SCORE ? face->score : (b[2] - b[0]) * (b[3] - b[1]);
}

static int compare_keys(const void *a, const void *b) {
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

enum vultus_status vt_sort_faces(struct vt_face_list *list, enum vt_face_order order, struct vultus_error *error) {
    if (list->count > UINT32_MAX)
        return vt_fail(error, VULTUS_ERROR_LIMIT, "%zu faces are too many to sort", list->count);
    if (list->count < 2) return VULTUS_OK;
    enum vultus_status status = VULTUS_OK;
    uint64_t *keys = malloc(list->count * sizeof *keys);
    struct vt_face_box *sorted = malloc(list->count * sizeof *sorted);
    if (!keys || !sorted) {
        status = vt_fail_memory(error, "sorting faces", list->count * (sizeof *keys + sizeof *sorted));
        goto out;
    }
    for (size_t i = 0; i < list->count; i++) keys[i] = (uint64_t)~sortable(rank_of(&list->faces[i], order)) << 32 | i;
    qsort(keys, list->count, sizeof *keys, compare_keys);
    for (size_t i = 0; i < list->count; i++) sorted[i] = list->faces[(uint32_t)keys[i]];
    memcpy(list->faces, sorted, list->count * sizeof *sorted);
out:
    free(keys);
    free(sorted);
    return status;
}
