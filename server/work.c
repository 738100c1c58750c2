/* SPDX-License-Identifier: Apache-2.0 */
#include "work.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct vt_workers {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct vt_flow *first, *last; /* flows with work */
    size_t waiting, busy;
    bool ending;
    int n_threads, alive;
    pthread_t threads[];
};

static void append_flow(struct vt_workers *workers, struct vt_flow *flow) {
    flow->next = NULL;
    flow->queued = true;
    if (workers->last)
        workers->last->next = flow;
    else
        workers->first = flow;
    workers->last = flow;
}

/* The next piece, with the lock; NULL: there is none. A flow that has more goes to the end. */
static struct vt_work *take(struct vt_workers *workers) {
    struct vt_flow *flow = workers->first;
    if (!flow) return NULL;
    workers->first = flow->next;
    if (!workers->first) workers->last = NULL;
    flow->queued = false;
    struct vt_work *work = flow->first;
    flow->first = work->next;
    if (!flow->first) flow->last = NULL;
    if (flow->first) append_flow(workers, flow);
    workers->waiting--;
    return work;
}

static void *work_on(void *context) {
    struct vt_workers *workers = context;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        struct vt_work *work = take(workers);
        if (work) {
            workers->busy++;
            pthread_mutex_unlock(&workers->lock);
            work->run(work);
            pthread_mutex_lock(&workers->lock);
            workers->busy--;
        } else if (workers->ending) {
            break;
        } else {
            pthread_cond_wait(&workers->more, &workers->lock);
        }
    }
    workers->alive--;
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

enum vultus_status vt_workers_create(int threads, struct vt_workers **out, struct vultus_error *error) {
    struct vt_workers *workers = calloc(1, sizeof *workers + (size_t)threads * sizeof *workers->threads);
    if (!workers) return vt_fail_memory(error, "workers", (size_t)threads * sizeof *workers->threads);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->more, NULL);
    workers->alive = threads;
    for (; workers->n_threads < threads; workers->n_threads++) {
        int code = pthread_create(&workers->threads[workers->n_threads], NULL, work_on, workers);
        if (!code) continue;
        vt_fail(error, VULTUS_ERROR_MEMORY, "worker %d of %d cannot be started: %s", workers->n_threads + 1, threads,
            strerror(code));
        vt_workers_destroy(workers);
        return VULTUS_ERROR_MEMORY;
    }
    *out = workers;
    return VULTUS_OK;
}

void vt_workers_stop(struct vt_workers *workers) {
    if (!workers) return;
    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_cond_broadcast(&workers->more);
    pthread_mutex_unlock(&workers->lock);
    for (int i = 0; i < workers->n_threads; i++) pthread_join(workers->threads[i], NULL);
    workers->n_threads = 0;
}

void vt_workers_destroy(struct vt_workers *workers) {
    if (!workers) return;
    vt_workers_stop(workers);
    pthread_cond_destroy(&workers->more);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}

bool vt_workers_push(struct vt_workers *workers, struct vt_flow *flow, struct vt_work *work) {
    pthread_mutex_lock(&workers->lock);
    if (workers->alive == 0) {
        pthread_mutex_unlock(&workers->lock);
        return false;
    }
    work->next = NULL;
    if (flow->last)
        flow->last->next = work;
    else
        flow->first = work;
    flow->last = work;
    if (!flow->queued) append_flow(workers, flow);
    workers->waiting++;
    pthread_cond_signal(&workers->more);
    pthread_mutex_unlock(&workers->lock);
    return true;
}

void vt_workers_load(struct vt_workers *workers, size_t *waiting, size_t *busy) {
    pthread_mutex_lock(&workers->lock);
    *waiting = workers->waiting;
    *busy = workers->busy;
    pthread_mutex_unlock(&workers->lock);
}
