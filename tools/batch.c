/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/status.h"

enum { UNDER_WAY = 4 }; /* photos for each thread, begun and not yet written */

/* One photo's place in the ring, by its number. */
struct slot {
    bool ready;
    struct vt_batch_result result;
};

struct run {
    struct vt_batch *batch;
    struct slot *slots;
    size_t n_slots;

    pthread_mutex_t lock; /* guards all below, the slots and the source */
    pthread_cond_t changed;
    size_t begun, written; /* photos of this run */
    size_t faces, working;
    bool reading, ended, writing, failed;
    struct vultus_error error; /* of the first failure */
};

static void release_result(struct vt_batch_result *result) {
    free(result->text);
    free(result->why);
}

static void fail(struct run *run, const struct vultus_error *error) {
    if (!run->failed) run->error = *error;
    run->failed = true;
    pthread_cond_broadcast(&run->changed);
}

/* Under the lock, which is given up while the source is read: one thread at a time reads. False: there are no more. */
static bool next_photo(struct run *run, struct vt_photo *photo, void **ticket, size_t *number) {
    struct vultus_error error;
    while (!run->failed && !run->ended && (run->reading || run->begun - run->written >= run->n_slots))
        pthread_cond_wait(&run->changed, &run->lock);
    if (run->failed || run->ended) return false;
    run->reading = true;
    pthread_mutex_unlock(&run->lock);
    bool end = false;
    enum vultus_status status = vt_photo_source_next(run->batch->source, false, photo, &end, &error);
    if (status == VULTUS_OK && !end && run->batch->begin)
        status = run->batch->begin(run->batch->context, photo, ticket, &error);
    pthread_mutex_lock(&run->lock);
    run->reading = false;
    if (status < 0) {
        vt_photo_release(photo);
        fail(run, &error);
    }
    run->ended |= end;
    *number = run->begun;
    bool more = status == VULTUS_OK && !end;
    run->begun += more;
    pthread_cond_broadcast(&run->changed);
    return more;
}

/* Under the lock, which is given up while results are written: whoever comes first writes for all. */
static void write_ready(struct run *run) {
    struct vultus_error error;
    if (run->writing) return;
    run->writing = true;
    for (;;) {
        struct slot *slot = &run->slots[run->written % run->n_slots];
        if (run->failed || !slot->ready) break;
        pthread_mutex_unlock(&run->lock);
        enum vultus_status status = run->batch->write(run->batch->context, &slot->result, &error);
        pthread_mutex_lock(&run->lock);
        if (status < 0) {
            fail(run, &error);
            break;
        }
        run->faces += slot->result.faces;
        run->batch->failures += slot->result.why != NULL;
        run->batch->done++;
        release_result(&slot->result);
        *slot = (struct slot){0};
        run->written++;
        pthread_cond_broadcast(&run->changed);
    }
    run->writing = false;
}

static void *work(void *context) {
    struct run *run = context;
    struct vt_photo photo;
    void *ticket = NULL;
    size_t number;
    pthread_mutex_lock(&run->lock);
    while (next_photo(run, &photo, &ticket, &number)) {
        struct vultus_error error;
        struct vt_batch_result result = {0};
        pthread_mutex_unlock(&run->lock);
        enum vultus_status status = run->batch->work(run->batch->context, &photo, ticket, &result, &error);
        vt_photo_release(&photo);
        ticket = NULL;
        pthread_mutex_lock(&run->lock);
        run->slots[number % run->n_slots] = (struct slot){status == VULTUS_OK, result};
        if (status < 0) fail(run, &error);
        write_ready(run);
    }
    run->working--;
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->lock);
    return NULL;
}

/* ---------------------------------------------------------------- progress */

static void show_progress(const struct run *run, uint64_t start, bool terminal) {
    double seconds = vt_ms_since(start) * 1e-3, rate = (double)run->written / (seconds > 0 ? seconds : 1);
    size_t total = vt_photo_source_count(run->batch->source), done = run->batch->done;
    char of[32] = "", left[48] = "";
    if (total) snprintf(of, sizeof of, " of %zu", total);
    if (total && run->written) {
        long seconds_left = (long)((double)(total - done) / rate);
        snprintf(left, sizeof left, ", %ld:%02ld:%02ld left", seconds_left / 3600, seconds_left / 60 % 60,
            seconds_left % 60);
    }
    fprintf(stderr, "%svultus: %zu%s photos, %.1f photos/s, %.1f faces/s%s, %zu failed%s", terminal ? "\r\033[K" : "",
        done, of, rate, (double)run->faces / (seconds > 0 ? seconds : 1), left, run->batch->failures,
        terminal ? "" : "\n");
    fflush(stderr);
}

/* Waits for the threads; a terminal is told often, everything else now and then. */
static void watch(struct run *run) {
    bool terminal = isatty(STDERR_FILENO) == 1, shown = false;
    long pause_ms = terminal ? 200 : 10000;
    uint64_t start = vt_now_ns(), last = start;
    pthread_mutex_lock(&run->lock);
    while (run->working) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += pause_ms / 1000;
        until.tv_nsec += pause_ms % 1000 * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&run->changed, &run->lock, &until);
        if (!run->batch->progress || vt_ms_since(last) < (double)pause_ms) continue;
        last = vt_now_ns();
        show_progress(run, start, terminal);
        shown = true;
    }
    if (shown && terminal) fputs("\r\033[K", stderr);
    pthread_mutex_unlock(&run->lock);
}

/* ---------------------------------------------------------------- running */

static enum vultus_status run_threads(struct run *run, pthread_t *threads, struct vultus_error *error) {
    int started = 0;
    enum vultus_status status = VULTUS_OK;
    pthread_mutex_lock(&run->lock);
    for (; started < run->batch->jobs; started++) {
        if (pthread_create(&threads[started], NULL, work, run) != 0) break;
        run->working++;
    }
    pthread_mutex_unlock(&run->lock);
    if (started == 0) status = vt_fail(error, VULTUS_ERROR_MEMORY, "no thread could be started");
    watch(run);
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    if (run->failed) {
        *error = run->error;
        status = run->error.status;
    }
    return status;
}

enum vultus_status vt_batch_run(struct vt_batch *batch, struct vultus_error *error) {
    struct run run = {.batch = batch, .n_slots = (size_t)batch->jobs * UNDER_WAY};
    pthread_condattr_t attributes;
    pthread_t *threads = calloc((size_t)batch->jobs, sizeof *threads);
    run.slots = calloc(run.n_slots, sizeof *run.slots);
    enum vultus_status status = VULTUS_OK;
    if (!threads || !run.slots) {
        status = vt_fail_memory(error, "photos under way", run.n_slots * sizeof *run.slots);
    } else {
        pthread_mutex_init(&run.lock, NULL);
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&run.changed, &attributes);
        status = run_threads(&run, threads, error);
        pthread_cond_destroy(&run.changed);
        pthread_condattr_destroy(&attributes);
        pthread_mutex_destroy(&run.lock);
    }
    for (size_t i = 0; run.slots && i < run.n_slots; i++) release_result(&run.slots[i].result);
    free(run.slots);
    free(threads);
    return status;
}
