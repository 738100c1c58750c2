/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/module/weights.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/checked.h"

struct vt_cuda_weights {
    const struct vt_plan *plan;
    int device;
    void *data;
    int users;
    struct vt_cuda_weights *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct vt_cuda_weights *all; /* under lock */

size_t vt_cuda_constant_bytes(const struct vt_plan *plan) {
    uint64_t end = 0;
    for (uint32_t i = 0; i < plan->n_values; i++) {
        const struct vt_plan_value *v = &plan->values[i];
        if (v->storage == VT_STORAGE_CONSTANT && v->bytes && v->offset + v->bytes > end) end = v->offset + v->bytes;
    }
    return vt_round_up(end, VT_PLAN_ALIGNMENT);
}

static enum vultus_status upload(struct vt_cuda_weights *w, size_t bytes, struct vultus_error *error) {
    struct vt_cuda_stream *stream = NULL;
    enum vultus_status status = vt_cuda_allocate(bytes, &w->data, error);
    if (!status) status = vt_cuda_stream_create(&stream, error);
    if (!status && bytes) status = vt_cuda_copy(stream, w->data, w->plan->weights, bytes, VT_CUDA_TO_DEVICE, error);
    if (!status) status = vt_cuda_stream_wait(stream, error);
    vt_cuda_stream_destroy(stream);
    return status;
}

static enum vultus_status make(
    const struct vt_plan *plan, int device, struct vt_cuda_weights **out, struct vultus_error *error) {
    struct vt_cuda_weights *w = calloc(1, sizeof *w);
    if (!w) return vt_fail_memory(error, "a plan's weights", sizeof *w);
    w->plan = plan;
    w->device = device;
    enum vultus_status status = upload(w, vt_cuda_constant_bytes(plan), error);
    if (status) {
        vt_cuda_release(w->data);
        free(w);
        return status;
    }
    w->next = all;
    *out = all = w;
    return VULTUS_OK;
}

enum vultus_status vt_cuda_weights_acquire(
    const struct vt_plan *plan, int device, struct vt_cuda_weights **out, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    pthread_mutex_lock(&lock);
    struct vt_cuda_weights *w = all;
    while (w && (w->plan != plan || w->device != device)) w = w->next;
    if (!w) status = make(plan, device, &w, error);
    if (!status) w->users++;
    pthread_mutex_unlock(&lock);
    *out = w;
    return status;
}

const uint8_t *vt_cuda_weights_data(const struct vt_cuda_weights *w) { return w->data; }

void vt_cuda_weights_release(struct vt_cuda_weights *w) {
    if (!w) return;
    pthread_mutex_lock(&lock);
    if (--w->users == 0) {
        struct vt_cuda_weights **link = &all;
        while (*link != w) link = &(*link)->next;
        *link = w->next;
        vt_cuda_release(w->data);
        free(w);
    }
    pthread_mutex_unlock(&lock);
}
