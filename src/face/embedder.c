/* SPDX-License-Identifier: Apache-2.0 */
#include "face/embedder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "face/network.h"
#include "face/resident.h"

struct vt_embedder {
    struct vt_network network;
    struct vt_pool *pool;
    int dimension;
    bool states_norm; /* the second output is the norm that the first was divided by, as in AdaFace's exports */
};

/* A model of which nothing is known may be one. */
static bool is_recogniser(const char *function) {
    return !*function || strcmp(function, "arcface") == 0 || strcmp(function, "adaface") == 0;
}

enum vultus_status vt_embedder_create(
    struct vt_engine *engine, struct vt_pool *pool, struct vt_embedder **out, struct vultus_error *error) {
    struct vt_embedder *embedder = calloc(1, sizeof *embedder);
    if (!embedder) return vt_fail_memory(error, "an embedder", sizeof *embedder);
    embedder->pool = pool;
    enum vultus_status status = vt_network_init(&embedder->network, engine, INT64_MAX, error);
    if (status) {
        free(embedder);
        return status;
    }
    const struct vt_plan_model *model = &vt_engine_plan(engine)->model;
    if (!is_recogniser(model->function ? model->function : "")) {
        status = vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "%s is no recogniser: its function is \"%s\", not arcface or adaface",
            model->name ? model->name : "the model", model->function);
        vt_embedder_destroy(embedder);
        return status;
    }
    struct vt_tensor embedding = vt_engine_output(engine, 0, 1);
    int64_t dimension = vt_tensor_count(&embedding);
    if (dimension < 1 || dimension > INT32_MAX) {
        char text[128];
        status = vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "the first output, %s, is no embedding",
            vt_tensor_describe(&embedding, text, sizeof text));
        vt_embedder_destroy(embedder);
        return status;
    }
    embedder->dimension = (int)dimension;
    if (embedder->network.n_outputs == 2) {
        struct vt_tensor second = vt_engine_output(engine, 1, 1);
        embedder->states_norm = vt_tensor_count(&second) == 1;
    }
    *out = embedder;
    return VULTUS_OK;
}

void vt_embedder_destroy(struct vt_embedder *embedder) {
    if (!embedder) return;
    vt_network_fini(&embedder->network);
    free(embedder);
}

struct vt_engine *vt_embedder_engine(const struct vt_embedder *embedder) {
    return embedder->network.engine;
}

int vt_embedder_dimension(const struct vt_embedder *embedder) { return embedder->dimension; }

void vt_embedder_input_size(const struct vt_embedder *embedder, int *width, int *height) {
    *width = embedder->network.width;
    *height = embedder->network.height;
}

struct normalise_job {
    const struct vt_network *network;
    const struct vt_network_memory *memory;
    const struct vt_image *crops;
};

static void normalise_crop(void *context, size_t unit, int thread) {
    (void)thread;
    const struct normalise_job *job = context;
    vt_network_put(job->network, job->memory, unit, &job->crops[unit]);
}

/* Scales to unit length; returns the length. */
static float normalise_embedding(const float *raw, float *unit, int dimension) {
    double sum = 0;
    for (int i = 0; i < dimension; i++) sum += (double)raw[i] * raw[i];
    float norm = (float)sqrt(sum);
    if (!isfinite(norm)) norm = NAN;
    for (int i = 0; i < dimension; i++) unit[i] = norm > 0 ? raw[i] / norm : 0;
    return norm;
}

static enum vultus_status embed_batches(const struct vt_embedder *embedder, const struct vt_network_memory *memory,
    const struct vt_image *crops, size_t count, float *embeddings, float *norms, struct vultus_error *error) {
    const struct vt_network *network = &embedder->network;
    size_t dimension = (size_t)embedder->dimension, most = (size_t)network->batch;
    for (size_t start = 0; start < count; start += most) {
        size_t batch = count - start < most ? count - start : most;
        struct normalise_job job = {network, memory, crops + start};
        vt_pool_run(embedder->pool, batch, normalise_crop, &job);
        enum vultus_status status = vt_network_run(network, memory, (int64_t)batch, error);
        if (status) return status;
        for (size_t i = 0; i < batch; i++) {
            float norm = normalise_embedding(
                memory->outputs[0] + i * dimension, embeddings + (start + i) * dimension, embedder->dimension);
            if (embedder->states_norm) norm *= memory->outputs[1][i];
            if (norms) norms[start + i] = isfinite(norm) ? norm : NAN;
        }
    }
    return VULTUS_OK;
}

enum vultus_status vt_embed(const struct vt_embedder *embedder, const struct vt_image *crops, size_t count,
    float *embeddings, float *norms, struct vultus_error *error) {
    /* The borrowing of memory is the embedder's only changing state, and it is locked. */
    struct vt_network *network = (struct vt_network *)&embedder->network;
    for (size_t i = 0; i < count; i++)
        if (crops[i].width != network->width || crops[i].height != network->height)
            return vt_fail(error, VULTUS_ERROR_INVALID,
                "crop %zu is %d x %d pixels large; the recogniser takes %d x %d", i, crops[i].width, crops[i].height,
                network->width, network->height);
    struct vt_network_memory *memory;
    enum vultus_status status = vt_network_borrow(network, &memory, error);
    if (status) return status;
    status = embed_batches(embedder, memory, crops, count, embeddings, norms, error);
    vt_network_return(network, memory);
    return status;
}

/* ---------------------------------------------------------------- on the device */

/* Of one batch there; more would only take more of its memory. */
enum { MOST_ON_DEVICE = 128 };

bool vt_embedder_fits_device(const struct vt_embedder *embedder) { return !embedder->network.interleaved; }

enum vultus_status vt_embed_on_device(const struct vt_embedder *embedder, struct vt_stay *stay,
    const double (*inverses)[6], size_t count, float *embeddings, float *norms, struct vultus_error *error) {
    const struct vt_network *network = &embedder->network;
    enum vultus_status status = VULTUS_OK;
    bool aside = vt_pool_step_aside(embedder->pool);
    struct vt_photo_crops crops = {.most = vt_min_i64(network->batch, MOST_ON_DEVICE),
        .width = network->width,
        .height = network->height,
        .normalisation = vt_photo_normalisation_of(&network->normalisation),
        .dimension = embedder->dimension,
        .states_norm = embedder->states_norm};
    for (size_t start = 0; !status && start < count; start += (size_t)crops.most) {
        crops.inverses = inverses + start;
        crops.count = vt_min_i64((int64_t)(count - start), crops.most);
        status = stay->functions->embed(stay->photo, stay->recogniser, &crops,
            embeddings + start * (size_t)embedder->dimension, norms + start, error);
    }
    vt_pool_step_back(embedder->pool, aside);
    return status;
}
