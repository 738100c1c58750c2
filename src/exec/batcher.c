/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/batcher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "base/memory.h"

/* One caller's items. */
struct order {
    const void *const *inputs;
    void *const *outputs;
    int64_t count, taken, done;
    enum vultus_status status; /* of the first item that failed */
    struct vultus_error error;
    struct vt_batch_guest *guest; /* of the caller, or NULL */
    struct order *next;
};

struct pick {
    struct order *order;
    int64_t item;
};

/* What leading a batch takes: the picks, and memory for the items of several callers side by side. The leader's alone.
 */
struct seat {
    struct pick *picks;
    int64_t room; /* in items, of the memory */
    void *inputs[VT_BATCH_TENSORS], *outputs[VT_BATCH_TENSORS];
    struct seat *next; /* of those that are free */
};

struct vt_batcher {
    struct vt_batcher_options options;
    size_t input_bytes[VT_BATCH_TENSORS], output_bytes[VT_BATCH_TENSORS];
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t arrival, finished;
    struct order *first, *last; /* orders with items that nobody took yet */
    int64_t waiting_items;
    struct vt_batch_guest *guests;
    size_t expected; /* guests that have not arrived */
    struct seat *free_seats;
    struct vt_batch_statistics statistics;
};

/* ---------------------------------------------------------------- making */

static void release_room(struct seat *seat) {
    for (uint32_t i = 0; i < VT_BATCH_TENSORS; i++) {
        vt_free_aligned(seat->inputs[i]);
        vt_free_aligned(seat->outputs[i]);
        seat->inputs[i] = seat->outputs[i] = NULL;
    }
    seat->room = 0;
}

static void release_seats(struct vt_batcher *batcher) {
    while (batcher->free_seats) {
        struct seat *seat = batcher->free_seats;
        batcher->free_seats = seat->next;
        release_room(seat);
        free(seat->picks);
        free(seat);
    }
}

static bool add_seat(struct vt_batcher *batcher, int64_t most_items) {
    struct seat *seat = calloc(1, sizeof *seat);
    if (!seat) return false;
    seat->next = batcher->free_seats;
    batcher->free_seats = seat;
    return (seat->picks = calloc((size_t)most_items, sizeof *seat->picks)) != NULL;
}

enum vultus_status vt_batcher_create(
    const struct vt_batcher_options *options, struct vt_batcher **out, struct vultus_error *error) {
    if (options->n_inputs > VT_BATCH_TENSORS || options->n_outputs > VT_BATCH_TENSORS || options->most_items < 1)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "batches of %lld items with %u inputs and %u outputs cannot be shared; at least 1 item and at most %d of "
            "the others can",
            (long long)options->most_items, options->n_inputs, options->n_outputs, VT_BATCH_TENSORS);
    struct vt_batcher *batcher = calloc(1, sizeof *batcher);
    bool fine = batcher != NULL;
    for (int i = 0; fine && i < (options->leaders > 0 ? options->leaders : 1); i++)
        fine = add_seat(batcher, options->most_items);
    if (!fine) {
        if (batcher) release_seats(batcher);
        free(batcher);
        return vt_fail_memory(error, "a batcher", sizeof *batcher + (size_t)options->most_items * sizeof(struct pick));
    }
    batcher->options = *options;
    memcpy(batcher->input_bytes, options->input_bytes, options->n_inputs * sizeof *options->input_bytes);
    memcpy(batcher->output_bytes, options->output_bytes, options->n_outputs * sizeof *options->output_bytes);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&batcher->lock, NULL);
    pthread_cond_init(&batcher->arrival, &monotonic);
    pthread_cond_init(&batcher->finished, NULL);
    pthread_condattr_destroy(&monotonic);
    *out = batcher;
    return VULTUS_OK;
}

void vt_batcher_destroy(struct vt_batcher *batcher) {
    if (!batcher) return;
    release_seats(batcher);
    pthread_cond_destroy(&batcher->finished);
    pthread_cond_destroy(&batcher->arrival);
    pthread_mutex_destroy(&batcher->lock);
    free(batcher);
}

/* ---------------------------------------------------------------- guests */

static void announce(struct vt_batcher *batcher, struct vt_batch_guest *guest, pthread_t thread) {
    pthread_mutex_lock(&batcher->lock);
    guest->at = batcher;
    guest->thread = thread;
    guest->arrived = false;
    guest->previous = NULL;
    guest->next = batcher->guests;
    if (guest->next) guest->next->previous = guest;
    batcher->guests = guest;
    batcher->expected++;
    pthread_mutex_unlock(&batcher->lock);
}

void vt_batcher_expect(struct vt_batcher *batcher, struct vt_batch_guest *guest) {
    announce(batcher, guest, pthread_self());
}

/* The thread that led a guest's batch sends it on, before the guest itself goes on. */
static void send_on(struct vt_batch_guest *guest) {
    if (guest && guest->then && !guest->next_guest->at) announce(guest->then, guest->next_guest, guest->thread);
}

void vt_batcher_dismiss(struct vt_batch_guest *guest) {
    struct vt_batcher *batcher = guest->at;
    if (!batcher) return;
    pthread_mutex_lock(&batcher->lock);
    if (guest->previous)
        guest->previous->next = guest->next;
    else
        batcher->guests = guest->next;
    if (guest->next) guest->next->previous = guest->previous;
    if (!guest->arrived) batcher->expected--;
    pthread_cond_signal(&batcher->arrival);
    pthread_mutex_unlock(&batcher->lock);
    guest->at = NULL;
}

static struct vt_batch_guest *welcome(struct vt_batcher *batcher) {
    struct vt_batch_guest *guest = batcher->guests;
    while (guest && !pthread_equal(guest->thread, pthread_self())) guest = guest->next;
    if (guest && !guest->arrived) {
        guest->arrived = true;
        batcher->expected--;
    }
    return guest;
}

/* ---------------------------------------------------------------- a batch */

static bool expects_company(const struct vt_batcher *batcher) {
    return batcher->options.most_delay_us > 0 && batcher->expected > 0 &&
           batcher->waiting_items < batcher->options.most_items;
}

/* Called with the lock, without a place. */
static void wait_for_company(struct vt_batcher *batcher) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t nanoseconds = (uint64_t)until.tv_nsec + 1000ull * batcher->options.most_delay_us;
    until.tv_sec += (time_t)(nanoseconds / 1000000000);
    until.tv_nsec = (long)(nanoseconds % 1000000000);
    for (bool late = false; !late && expects_company(batcher);)
        late = pthread_cond_timedwait(&batcher->arrival, &batcher->lock, &until) == ETIMEDOUT;
}

static void append_order(struct vt_batcher *batcher, struct order *order) {
    order->next = NULL;
    if (batcher->last)
        batcher->last->next = order;
    else
        batcher->first = order;
    batcher->last = order;
}

/* One item of each order in turn; an order that has more goes to the end. */
static int64_t take_items(struct vt_batcher *batcher, struct pick *picks) {
    int64_t n = 0;
    while (n < batcher->options.most_items && batcher->first) {
        struct order *order = batcher->first;
        batcher->first = order->next;
        if (!batcher->first) batcher->last = NULL;
        picks[n++] = (struct pick){order, order->taken++};
        if (order->taken < order->count) append_order(batcher, order);
    }
    batcher->waiting_items -= n;
    return n;
}

/* Whether the batch lies in one caller's memory, one item after the other. */
static bool lies_together(const struct pick *picks, int64_t n) {
    for (int64_t i = 1; i < n; i++)
        if (picks[i].order != picks[0].order) return false;
    return true;
}

static enum vultus_status run_in_place(
    const struct vt_batcher *batcher, const struct pick *first, int64_t n, struct vultus_error *error) {
    const void *inputs[VT_BATCH_TENSORS];
    void *outputs[VT_BATCH_TENSORS];
    for (uint32_t t = 0; t < batcher->options.n_inputs; t++)
        inputs[t] = (const char *)first->order->inputs[t] + (size_t)first->item * batcher->input_bytes[t];
    for (uint32_t t = 0; t < batcher->options.n_outputs; t++)
        outputs[t] = (char *)first->order->outputs[t] + (size_t)first->item * batcher->output_bytes[t];
    return batcher->options.run(batcher->options.context, inputs, outputs, n, error);
}

static bool make_room(const struct vt_batcher *batcher, struct seat *seat, int64_t n) {
    if (n <= seat->room) return true;
    /* Twice as much as before, so that growing ends soon. */
    int64_t room = vt_min_i64(vt_max_i64(n, 2 * seat->room), batcher->options.most_items);
    release_room(seat);
    bool fine = true;
    for (uint32_t t = 0; t < batcher->options.n_inputs; t++)
        fine &= (seat->inputs[t] = vt_alloc_aligned((size_t)room * batcher->input_bytes[t])) != NULL;
    for (uint32_t t = 0; t < batcher->options.n_outputs; t++)
        fine &= (seat->outputs[t] = vt_alloc_aligned((size_t)room * batcher->output_bytes[t])) != NULL;
    if (fine)
        seat->room = room;
    else
        release_room(seat);
    return fine;
}

static bool run_side_by_side(const struct vt_batcher *batcher, struct seat *seat, int64_t n) {
    if (!make_room(batcher, seat, n)) return false;
    for (int64_t i = 0; i < n; i++) {
        const struct pick *p = &seat->picks[i];
        for (uint32_t t = 0; t < batcher->options.n_inputs; t++) {
            size_t bytes = batcher->input_bytes[t];
            memcpy((char *)seat->inputs[t] + (size_t)i * bytes,
                (const char *)p->order->inputs[t] + (size_t)p->item * bytes, bytes);
        }
    }
    if (batcher->options.run(batcher->options.context, (const void *const *)seat->inputs, seat->outputs, n, NULL) < 0)
        return false;
    for (int64_t i = 0; i < n; i++) {
        const struct pick *p = &seat->picks[i];
        for (uint32_t t = 0; t < batcher->options.n_outputs; t++) {
            size_t bytes = batcher->output_bytes[t];
            memcpy((char *)p->order->outputs[t] + (size_t)p->item * bytes,
                (const char *)seat->outputs[t] + (size_t)i * bytes, bytes);
        }
    }
    return true;
}

/* Another leader may have items of the same order. */
static void leave_failure(
    struct vt_batcher *batcher, struct order *order, enum vultus_status status, const struct vultus_error *error) {
    pthread_mutex_lock(&batcher->lock);
    if (!order->status) {
        order->status = status;
        order->error = *error;
    }
    pthread_mutex_unlock(&batcher->lock);
}

/* Leaves failures in the orders. Called without the lock: a taken item is the leader's. */
static void run_batch(struct vt_batcher *batcher, struct seat *seat, int64_t n) {
    const struct pick *picks = seat->picks;
    if (n > 1 && lies_together(picks, n) && run_in_place(batcher, picks, n, NULL) == VULTUS_OK) return;
    if (n > 1 && !lies_together(picks, n) && run_side_by_side(batcher, seat, n)) return;
    for (int64_t i = 0; i < n; i++) {
        struct vultus_error error;
        enum vultus_status status = run_in_place(batcher, &picks[i], 1, &error);
        if (status) leave_failure(batcher, picks[i].order, status, &error);
    }
}

/* Whether there is work for one more leader. Called with the lock. */
static bool needs_leader(const struct vt_batcher *batcher) { return batcher->free_seats && batcher->first; }

/* Runs the next batch. Called with the lock, which it lets go meanwhile. */
static void lead(struct vt_batcher *batcher, struct seat *seat) {
    int64_t n = take_items(batcher, seat->picks);
    if (n == 0) return;
    if (needs_leader(batcher)) pthread_cond_broadcast(&batcher->finished);
    pthread_mutex_unlock(&batcher->lock);
    run_batch(batcher, seat, n);
    pthread_mutex_lock(&batcher->lock);
    batcher->statistics.sizes[vt_min_i64(n, VT_BATCH_SIZES) - 1]++;
    for (int64_t i = 0; i < n; i++) {
        struct order *order = seat->picks[i].order;
        if (++order->done == order->count) send_on(order->guest);
    }
}

/* Until the order is done, or this thread is to lead the next batch, from the seat. Called with the lock and without a
 * place. */
static struct seat *wait_for_seat(struct vt_batcher *batcher, const struct order *order) {
    while (order->done < order->count && !needs_leader(batcher)) pthread_cond_wait(&batcher->finished, &batcher->lock);
    if (order->done == order->count) return NULL;
    struct seat *seat = batcher->free_seats;
    batcher->free_seats = seat->next;
    wait_for_company(batcher);
    return seat;
}

/*
 * A thread that waits has stepped aside from its place, and takes one again without the lock, which others need to give
 * theirs away. Items that come meanwhile join the batch.
 */
enum vultus_status vt_batcher_run(struct vt_batcher *batcher, const void *const *inputs, void *const *outputs,
    int64_t count, struct vultus_error *error) {
    struct vt_pool *pool = batcher->options.pool;
    struct order order = {.inputs = inputs, .outputs = outputs, .count = count};
    pthread_mutex_lock(&batcher->lock);
    order.guest = welcome(batcher);
    append_order(batcher, &order);
    batcher->waiting_items += count;
    pthread_cond_signal(&batcher->arrival);
    while (order.done < order.count) {
        bool aside = (!needs_leader(batcher) || expects_company(batcher)) && vt_pool_step_aside(pool);
        struct seat *seat = wait_for_seat(batcher, &order);
        if (aside) {
            pthread_mutex_unlock(&batcher->lock);
            vt_pool_step_back(pool, aside);
            pthread_mutex_lock(&batcher->lock);
        }
        if (!seat) break;
        lead(batcher, seat);
        seat->next = batcher->free_seats;
        batcher->free_seats = seat;
        pthread_cond_broadcast(&batcher->finished);
    }
    pthread_mutex_unlock(&batcher->lock);
    return order.status ? vt_fail(error, order.status, "%s", order.error.text) : VULTUS_OK;
}

void vt_batcher_statistics(struct vt_batcher *batcher, struct vt_batch_statistics *out) {
    pthread_mutex_lock(&batcher->lock);
    *out = batcher->statistics;
    pthread_mutex_unlock(&batcher->lock);
}

int64_t vt_batcher_waiting(struct vt_batcher *batcher) {
    pthread_mutex_lock(&batcher->lock);
    int64_t items = batcher->waiting_items;
    pthread_mutex_unlock(&batcher->lock);
    return items;
}
