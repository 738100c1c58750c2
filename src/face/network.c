/* SPDX-License-Identifier: Apache-2.0 */
#include "face/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"

enum { MOST_OUTPUTS = 64, LARGEST_SIDE = 1 << 15 };

static enum vultus_status check_shapes(struct vt_network *network, struct vultus_error *error) {
    const struct vt_plan *plan = vt_engine_plan(network->engine);
    const char *name = plan->model.name ? plan->model.name : "the model";
    if (plan->n_inputs != 1 || plan->n_outputs < 1 || plan->n_outputs > MOST_OUTPUTS)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "%s has %u inputs and %u outputs; one input and 1 to %d outputs are needed", name, plan->n_inputs,
            plan->n_outputs, MOST_OUTPUTS);
    char text[128];
    struct vt_tensor input = vt_engine_input(network->engine, 0, 1);
    network->interleaved = input.rank == 4 && input.dims[1] != 3 && input.dims[3] == 3;
    const int64_t *sides = input.dims + (network->interleaved ? 1 : 2);
    if (input.dtype != VT_DTYPE_F32 || input.rank != 4 || (!network->interleaved && input.dims[1] != 3) ||
        sides[0] < 1 || sides[0] > LARGEST_SIDE || sides[1] < 1 || sides[1] > LARGEST_SIDE)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "%s takes %s; pictures need float32[1,3,height,width] or float32[1,height,width,3]", name,
            vt_tensor_describe(&input, text, sizeof text));
    network->height = (int)sides[0];
    network->width = (int)sides[1];
    for (uint32_t i = 0; i < plan->n_outputs; i++) {
        struct vt_tensor output = vt_engine_output(network->engine, i, 1);
        if (output.dtype != VT_DTYPE_F32)
            return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "output %u of %s is %s; float32 is needed", i, name,
                vt_tensor_describe(&output, text, sizeof text));
    }
    network->n_outputs = plan->n_outputs;
    return VULTUS_OK;
}

enum vultus_status vt_network_normalisation(
    const struct vt_plan_model *model, struct vt_normalisation *out, struct vultus_error *error) {
    const char *name = model->name ? model->name : "the model", *channels = model->channels ? model->channels : "";
    bool rgb = strcmp(channels, "rgb") == 0;
    if (!rgb && strcmp(channels, "bgr") != 0)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "the plan of %s names the channel order \"%s\"; rgb or bgr is needed", name, channels);
    out->rgb = rgb;
    for (int k = 0; k < 3; k++) {
        float inverse = 1 / model->std[k];
        if (!isfinite(model->mean[k]) || !isfinite(inverse) || model->std[k] <= 0)
            return vt_fail(error, VULTUS_ERROR_FORMAT, "the plan of %s normalises channel %d by mean %g and std %g",
                name, k, (double)model->mean[k], (double)model->std[k]);
        out->mean[k] = model->mean[k];
        out->inverse_std[k] = inverse;
    }
    return VULTUS_OK;
}

enum vultus_status vt_network_init(
    struct vt_network *network, struct vt_engine *engine, int64_t most_items, struct vultus_error *error) {
    *network =
        (struct vt_network){.engine = engine, .batch = vt_min_i64(most_items, vt_engine_plan(engine)->max_batch)};
    enum vultus_status status = check_shapes(network, error);
    if (!status) status = vt_network_normalisation(&vt_engine_plan(engine)->model, &network->normalisation, error);
    if (!status && pthread_mutex_init(&network->mutex, NULL))
        status = vt_fail(error, VULTUS_ERROR_MEMORY, "a mutex could not be made");
    return status;
}

static void free_memory(const struct vt_network *network, struct vt_network_memory *memory) {
    if (!memory) return;
    for (uint32_t i = 0; memory->outputs && i < network->n_outputs; i++) vt_free_aligned(memory->outputs[i]);
    free(memory->outputs);
    vt_free_aligned(memory->input);
    free(memory);
}

void vt_network_fini(struct vt_network *network) {
    while (network->idle) {
        struct vt_network_memory *memory = network->idle;
        network->idle = memory->next;
        free_memory(network, memory);
    }
    pthread_mutex_destroy(&network->mutex);
}

static struct vt_network_memory *allocate_memory(const struct vt_network *network) {
    struct vt_network_memory *memory = calloc(1, sizeof *memory);
    if (!memory) return NULL;
    struct vt_tensor input = vt_engine_input(network->engine, 0, network->batch);
    memory->input = vt_alloc_aligned(vt_tensor_bytes(&input));
    memory->outputs = calloc(network->n_outputs, sizeof *memory->outputs);
    if (!memory->input || !memory->outputs) goto fail;
    for (uint32_t i = 0; i < network->n_outputs; i++) {
        struct vt_tensor output = vt_engine_output(network->engine, i, network->batch);
        memory->outputs[i] = vt_alloc_aligned(vt_tensor_bytes(&output));
        if (!memory->outputs[i]) goto fail;
    }
    return memory;
fail:
    free_memory(network, memory);
    return NULL;
}

enum vultus_status vt_network_borrow(
    struct vt_network *network, struct vt_network_memory **out, struct vultus_error *error) {
    pthread_mutex_lock(&network->mutex);
    struct vt_network_memory *memory = network->idle;
    if (memory) network->idle = memory->next;
    pthread_mutex_unlock(&network->mutex);
    if (!memory) memory = allocate_memory(network);
    if (!memory) {
        struct vt_tensor input = vt_engine_input(network->engine, 0, network->batch);
        return vt_fail_memory(error, "a network's inputs and outputs", vt_tensor_bytes(&input));
    }
    *out = memory;
    return VULTUS_OK;
}

void vt_network_return(struct vt_network *network, struct vt_network_memory *memory) {
    pthread_mutex_lock(&network->mutex);
    memory->next = network->idle;
    network->idle = memory;
    pthread_mutex_unlock(&network->mutex);
}

void vt_network_put(const struct vt_network *network, const struct vt_network_memory *memory, size_t item,
    const struct vt_image *picture) {
    const struct vt_normalisation *n = &network->normalisation;
    float *input = memory->input + item * 3 * (size_t)network->width * (size_t)network->height;
    if (!network->interleaved) {
        vt_image_to_planes(picture, n, input);
        return;
    }
    for (int y = 0; y < picture->height; y++) {
        const uint8_t *row = picture->pixels + (size_t)y * picture->stride;
        for (int x = 0; x < picture->width; x++, row += 3)
            for (int k = 0; k < 3; k++) *input++ = ((float)row[n->rgb ? 2 - k : k] - n->mean[k]) * n->inverse_std[k];
    }
}

enum vultus_status vt_network_run(const struct vt_network *network, const struct vt_network_memory *memory,
    int64_t batch, struct vultus_error *error) {
    const void *inputs[1] = {memory->input};
    void *outputs[MOST_OUTPUTS];
    for (uint32_t i = 0; i < network->n_outputs; i++) outputs[i] = memory->outputs[i];
    return vt_engine_run(network->engine, inputs, outputs, batch, NULL, error);
}
