/* SPDX-License-Identifier: Apache-2.0 */
#include "face/recognise.h"

enum {
    ARCFACE_SIDE = 112,
    LEAST_EMBEDDING = 32,
    GENDER_AGE_COLUMNS = 202,
    YOLOV5_COLUMNS = 16,
    MOST_KINDS = 4,
};

/* What a model of a function takes. */
struct known {
    const char *function, *channels;
    float mean[3], std;
    bool (*matches)(const struct vt_tensor *input, const struct vt_tensor *outputs, size_t n);
};

static int64_t last_of(const struct vt_tensor *t) { return t->rank ? t->dims[t->rank - 1] : 0; }

/* 1x3xHxW, of any sides, or of those of a crop. */
static bool is_picture(const struct vt_tensor *input) { return input->rank == 4 && input->dims[1] == 3; }
static bool is_crop(const struct vt_tensor *input) {
    return is_picture(input) && input->dims[2] == ARCFACE_SIDE && input->dims[3] == ARCFACE_SIDE;
}

/* Whether the numbers that `of` gives for the outputs are those of `kinds` (ending with 0), `times` each. */
static bool has_outputs(const struct vt_tensor *outputs, size_t n, int64_t (*of)(const struct vt_tensor *),
    const int kinds[MOST_KINDS], size_t times) {
    size_t known = 0;
    for (int k = 0; k < MOST_KINDS && kinds[k]; k++) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++) count += of(&outputs[i]) == kinds[k];
        if (count != times) return false;
        known += count;
    }
    return known == n;
}

static int64_t columns_of(const struct vt_tensor *t) { return t->rank == 2 || t->rank == 3 ? last_of(t) : -1; }
static int64_t maps_of(const struct vt_tensor *t) { return t->rank == 4 ? t->dims[1] : -1; }

/* Scores, boxes and perhaps key points, each for three strides or five. */
static bool is_scrfd(const struct vt_tensor *input, const struct vt_tensor *outputs, size_t n) {
    static const int without[MOST_KINDS] = {1, 4}, with[MOST_KINDS] = {1, 4, 10};
    if (!is_picture(input)) return false;
    return (n == 6 && has_outputs(outputs, n, columns_of, without, 3)) ||
           (n == 9 && has_outputs(outputs, n, columns_of, with, 3)) ||
           (n == 10 && has_outputs(outputs, n, columns_of, without, 5)) ||
           (n == 15 && has_outputs(outputs, n, columns_of, with, 5));
}

/* Classes, boxes and landmarks of two anchors. Their scale cannot be seen. */
static bool is_retinaface(const struct vt_tensor *input, const struct vt_tensor *outputs, size_t n) {
    static const int kinds[MOST_KINDS] = {4, 8, 20};
    return is_picture(input) && n == 9 && has_outputs(outputs, n, maps_of, kinds, 3);
}

/* The networks with masks are of the kind with small landmarks. */
static bool is_retinaface_l(const struct vt_tensor *input, const struct vt_tensor *outputs, size_t n) {
    static const int kinds[MOST_KINDS] = {4, 8, 20, 6};
    return is_picture(input) && n == 12 && has_outputs(outputs, n, maps_of, kinds, 3);
}

/* Of each prior a box, two probabilities and landmarks. */
static bool is_retinaface_torch(const struct vt_tensor *input, const struct vt_tensor *outputs, size_t n) {
    static const int kinds[MOST_KINDS] = {2, 4, 10};
    return is_picture(input) && n == 3 && has_outputs(outputs, n, columns_of, kinds, 1);
}

static bool is_centerface(const struct vt_tensor *input, const struct vt_tensor *outputs, size_t n) {
    static const int kinds[] = {1, 2, 2, 10};
    bool right = is_picture(input) && n == 4;
    for (size_t i = 0; right && i < n; i++) right = maps_of(&outputs[i]) == kinds[i];
    return right;
}

static bool is_yolov5face(const struct vt_tensor *input, const struct vt_tensor *outputs, size_t n) {
    return is_picture(input) && n == 1 && outputs[0].rank == 3 && last_of(&outputs[0]) == YOLOV5_COLUMNS;
}

static bool is_gender_age(const struct vt_tensor *input, const struct vt_tensor *outputs, size_t n) {
    return is_crop(input) && n == 1 && columns_of(&outputs[0]) == GENDER_AGE_COLUMNS;
}

static bool is_embedding(const struct vt_tensor *output) {
    return (output->rank == 1 || output->rank == 2) && last_of(output) >= LEAST_EMBEDDING;
}

static bool is_arcface(const struct vt_tensor *input, const struct vt_tensor *outputs, size_t n) {
    return is_crop(input) && n == 1 && is_embedding(&outputs[0]);
}

/* Embedding and norm. */
static bool is_adaface(const struct vt_tensor *input, const struct vt_tensor *outputs, size_t n) {
    return is_crop(input) && n == 2 && is_embedding(&outputs[0]) && columns_of(&outputs[1]) == 1;
}

/* Pixel by pixel, 112 or 224 a side, to the probabilities of a mask and of none. */
static bool is_mask(const struct vt_tensor *input, const struct vt_tensor *outputs, size_t n) {
    return input->rank == 4 && input->dims[3] == 3 && input->dims[1] == input->dims[2] &&
           (input->dims[1] == ARCFACE_SIDE || input->dims[1] == 2 * ARCFACE_SIDE) && n == 1 &&
           columns_of(&outputs[0]) == 2;
}

static const struct known all[] = {
    {"scrfd", "rgb", {127.5f, 127.5f, 127.5f}, 128, is_scrfd},
    {"retinaface", "rgb", {0}, 1, is_retinaface},
    {"retinaface_l", "rgb", {0}, 1, is_retinaface_l},
    {"retinaface_torch", "bgr", {104, 117, 123}, 1, is_retinaface_torch},
    {"centerface", "rgb", {0}, 1, is_centerface},
    {"yolov5face", "rgb", {0}, 255, is_yolov5face},
    {"genderage", "rgb", {0}, 1, is_gender_age},
    {"arcface", "rgb", {127.5f, 127.5f, 127.5f}, 127.5f, is_arcface},
    {"adaface", "bgr", {127.5f, 127.5f, 127.5f}, 127.5f, is_adaface},
    {"mask", "bgr", {127.5f, 127.5f, 127.5f}, 127.5f, is_mask},
};

void vt_recognise_function(const struct vt_tensor *inputs, size_t n_inputs, const struct vt_tensor *outputs,
    size_t n_outputs, struct vt_plan_model *model) {
    static const struct known none = {"", "rgb", {0}, 1, NULL};
    const struct known *found = &none;
    for (size_t i = 0; n_inputs == 1 && found == &none && i < sizeof all / sizeof *all; i++)
        if (all[i].matches(&inputs[0], outputs, n_outputs)) found = &all[i];
    model->function = found->function;
    model->origin = "shapes";
    model->channels = found->channels;
    for (int k = 0; k < 3; k++) {
        model->mean[k] = found->mean[k];
        model->std[k] = found->std;
    }
}
