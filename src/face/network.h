/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_NETWORK_H
#define VT_FACE_NETWORK_H

#include <pthread.h>

#include "exec/session.h"
#include "image/ops.h"

/*
 * What detector and embedder share: an engine that eats pictures, and memory for its inputs and outputs that concurrent
 * callers borrow, made on first need and kept, so that steady use allocates nothing.
 */
struct vt_network {
    struct vt_engine *engine;
    int width, height; /* of the picture input */
    bool interleaved;  /* it takes [1,H,W,3] instead of [1,3,H,W] */
    int64_t batch;     /* most items of one run */
    uint32_t n_outputs;
    struct vt_normalisation normalisation;
    pthread_mutex_t mutex; /* of idle */
    struct vt_network_memory *idle;
};

/* What the plan's model says of pictures; FORMAT or UNSUPPORTED when it makes no sense. */
enum vultus_status vt_network_normalisation(
    const struct vt_plan_model *model, struct vt_normalisation *out, struct vultus_error *error);

/* The same for a device. */
struct vt_photo_normalisation vt_photo_normalisation_of(const struct vt_normalisation *normalisation);

struct vt_network_memory {
    struct vt_network_memory *next;
    float *input;    /* `batch` pictures */
    float **outputs; /* `batch` items each */
};

/*
 * Fails unless the plan has one float32 input [1,3,H,W] or [1,H,W,3], float32 outputs and a usable normalisation. Runs
 * take up to `most_items`, or what the plan allows if that is less.
 */
enum vultus_status vt_network_init(
    struct vt_network *network, struct vt_engine *engine, int64_t most_items, struct vultus_error *error);
void vt_network_fini(struct vt_network *network);

enum vultus_status vt_network_borrow(
    struct vt_network *network, struct vt_network_memory **out, struct vultus_error *error);
void vt_network_return(struct vt_network *network, struct vt_network_memory *memory);

/* Writes a picture of the network's size as item `item` of the memory's input. */
void vt_network_put(const struct vt_network *network, const struct vt_network_memory *memory, size_t item,
    const struct vt_image *picture);

enum vultus_status vt_network_run(const struct vt_network *network, const struct vt_network_memory *memory,
    int64_t batch, struct vultus_error *error);

#endif
