/* SPDX-License-Identifier: Apache-2.0 */
#include "face/recognise.h"

enum { ARCFACE_SIDE = 112, LEAST_EMBEDDING = 32, STRIDES = 3 };

/* 1x3xHxW; the batch and, where `free_size`, the sides may be anything. */
static bool is_picture(const struct vt_tensor *input, bool free_size) {
    return input->rank == 4 && input->dims[1] == 3 &&
           (free_size || (input->dims[2] == ARCFACE_SIDE && input->dims[3] == ARCFACE_SIDE));
}

/* Scores, boxes and perhaps key points, each for three strides. */
static bool has_scrfd_heads(const struct vt_tensor *outputs, size_t n) {
    static const int columns[] = {1, 4, 10};
    size_t counts[3] = {0};
    for (size_t i = 0; i < n; i++) {
        const struct vt_tensor *o = &outputs[i];
        if (o->rank < 2 || o->rank > 3) return false;
        for (int c = 0; c < 3; c++) counts[c] += o->dims[o->rank - 1] == columns[c];
    }
    if (counts[0] + counts[1] + counts[2] != n || counts[0] != counts[1]) return false;
    return counts[0] == STRIDES && (counts[2] == 0 || counts[2] == STRIDES);
}

static bool is_embedding(const struct vt_tensor *output) {
    return (output->rank == 1 || output->rank == 2) && output->dims[output->rank - 1] >= LEAST_EMBEDDING;
}

static void set_model(struct vt_plan_model *model, const char *function, float mean, float std) {
    model->function = function;
    model->origin = "shapes";
    model->channels = "rgb";
    for (int k = 0; k < 3; k++) {
        model->mean[k] = mean;
        model->std[k] = std;
    }
}

void vt_recognise_function(const struct vt_tensor *inputs, size_t n_inputs, const struct vt_tensor *outputs,
    size_t n_outputs, struct vt_plan_model *model) {
    if (n_inputs == 1 && is_picture(&inputs[0], true) && has_scrfd_heads(outputs, n_outputs))
        set_model(model, "scrfd", 127.5f, 128);
    else if (n_inputs == 1 && n_outputs == 1 && is_picture(&inputs[0], false) && is_embedding(&outputs[0]))
        set_model(model, "arcface", 127.5f, 127.5f);
    else
        set_model(model, "", 0, 1);
}
