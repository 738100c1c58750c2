/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "face/family.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Outputs of detectors, whatever their shapes and numbers. The input: family, sides of the network's picture in eights,
 * threshold, number of outputs; for each the number of its dimensions and those; then floats, over and over again.
 */
enum { HEADER = 5, MOST_SIDE = 32, MOST_OUTPUTS = 16, MOST_DIMS = 5, MOST_NUMBERS = 1 << 16 };

struct input {
    const uint8_t *data;
    size_t size, at;
};

static uint8_t next_byte(struct input *in) { return in->at < in->size ? in->data[in->at++] : 0; }

/* Numbers that some family asks for, by the sides of the picture, or what two bytes say. */
static int64_t next_dim(struct input *in, int width, int height) {
    static const uint8_t channels[] = {1, 2, 4, 8, 10, 16, 20, 6};
    unsigned kind = next_byte(in);
    if (kind < sizeof channels) return channels[kind];
    int stride = 4 << (kind >> 2 & 7) % 6;
    int64_t columns = (width + stride - 1) / stride, rows = (height + stride - 1) / stride;
    switch (kind & 3) {
    case 0: return columns;
    case 1: return rows;
    case 2: return kind & 64 ? columns * rows : 2 * columns * rows;
    default: break;
    }
    if (kind & 64) { /* all priors of three strides */
        int64_t all = 0;
        for (stride = 8; stride <= 32; stride *= 2)
            all += 2 * ((width + stride - 1) / stride) * (int64_t)((height + stride - 1) / stride);
        return all;
    }
    return next_byte(in) << 8 | next_byte(in);
}

static bool read_shape(struct input *in, int width, int height, struct vt_tensor *shape) {
    *shape = (struct vt_tensor){.dtype = VT_DTYPE_F32, .rank = next_byte(in) % MOST_DIMS};
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) {
        shape->dims[i] = next_dim(in, width, height);
        count *= shape->dims[i];
        if (count > MOST_NUMBERS) return false;
    }
    return true;
}

static float *make_numbers(struct input *in, const struct vt_tensor *shape) {
    size_t bytes = (size_t)vt_tensor_count(shape) * sizeof(float), left = in->size - in->at;
    uint8_t *numbers = malloc(bytes ? bytes : 1);
    if (!numbers) abort();
    for (size_t i = 0; i < bytes; i++) numbers[i] = left ? in->data[in->at + i % left] : 0;
    return (float *)numbers;
}

static void decode(const struct vt_detector_family *family, const struct vt_detector_shape *shape, float threshold,
    float *const *outputs) {
    struct vt_detector_layout layout;
    struct vt_face_list list = {0};
    struct vultus_error error;
    if (family->bind(shape, &layout, &error) == VULTUS_OK &&
        family->decode(&layout, outputs, threshold, &list, &error) == VULTUS_OK &&
        vt_nms(&list, family->nms_threshold, &error) == VULTUS_OK)
        for (size_t i = 0; i < list.count; i++) {
            double matrix[6];
            vt_align_matrix((const float(*)[2])list.faces[i].landmarks, VT_CROP_SIZE, VT_CROP_SIZE, matrix, &error);
        }
    vt_face_list_fini(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct vt_detector_family *const families[] = {&vt_family_scrfd, &vt_family_retinaface,
        &vt_family_retinaface_l, &vt_family_retinaface_torch, &vt_family_centerface, &vt_family_yolov5face};
    static const float thresholds[] = {0.5f, 0, -1, 0.99f};
    struct input in = {data, size, 0};
    if (size < HEADER) return 0;
    const struct vt_detector_family *family = families[next_byte(&in) % (sizeof families / sizeof *families)];
    int width = 8 * (1 + next_byte(&in) % MOST_SIDE), height = 8 * (1 + next_byte(&in) % MOST_SIDE);
    float threshold = thresholds[next_byte(&in) % 4];
    struct vt_tensor shapes[MOST_OUTPUTS];
    float *outputs[MOST_OUTPUTS];
    struct vt_detector_shape shape = {"input", width, height, shapes, 1 + next_byte(&in) % (MOST_OUTPUTS - 1)};
    for (uint32_t i = 0; i < shape.n_outputs; i++)
        if (!read_shape(&in, width, height, &shapes[i])) return 0;
    for (uint32_t i = 0; i < shape.n_outputs; i++) outputs[i] = make_numbers(&in, &shapes[i]);
    decode(family, &shape, threshold, outputs);
    for (uint32_t i = 0; i < shape.n_outputs; i++) free(outputs[i]);
    return 0;
}
