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

struct vt_batcher {
    struct vt_batcher_options options;
    size_t input_bytes[VT_BATCH_TENSORS], output_bytes[VT_BATCH_TENSORS];
    pthread_mutex_t lock; /* of everything below but what only the leader uses */
    pthread_cond_t arrival, finished;
    struct order *first, *last; /* orders with items that nobody took yet */
    int64_t waiting_items;
    struct vt_batch_guest *guests;
    size_t expected; /* guests that have not arrived */
    bool led;
    struct vt_batch_statistics statistics;

    struct pick *picks; /* the leader's: of the batch, and memory for the items of several callers side by side */
    int64_t room;       /* in items, of the memory */
    void *inputs[VT_BATCH_TENSORS], *outputs[VT_BATCH_TENSORS];
};

/* ---------------------------------------------------------------- making */

enum vultus_status vt_batcher_create(
    const struct vt_batcher_options *options, struct vt_batcher **out, struct vultus_error *error) {
    if (options->n_inputs > VT_BATCH_TENSORS || options->n_outputs > VT_BATCH_TENSORS || options->most_items < 1)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "batches of %lld items with %u inputs and %u outputs cannot be shared; at least 1 item and at most %d of "
            "the others can",
            (long long)options->most_items, options->n_inputs, options->n_outputs, VT_BATCH_TENSORS);
    struct vt_batcher *batcher = calloc(1, sizeof *batcher);
    struct pick *picks = calloc((size_t)options->most_items, sizeof *picks);
    if (!batcher || !picks) {
        free(batcher);
        free(picks);
        return vt_fail_memory(error, "a batcher", sizeof *batcher + (size_t)options->most_items * sizeof *picks);
    }
    batcher->options = *options;
    batcher->picks = picks;
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

static void release_room(struct vt_batcher *batcher) {
    for (uint32_t i = 0; i < VT_BATCH_TENSORS; i++) {
        vt_free_aligned(batcher->inputs[i]);
        vt_free_aligned(batcher->outputs[i]);
        batcher->inputs[i] = batcher->outputs[i] = NULL;
    }
    batcher->room = 0;
}

void vt_batcher_destroy(struct vt_batcher *batcher) {
    if (!batcher) return;
    release_room(batcher);
    pthread_cond_destroy(&batcher->finished);
    pthread_cond_destroy(&batcher->arrival);
    pthread_mutex_destroy(&batcher->lock);
    free(batcher->picks);
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
static int64_t take_items(struct vt_batcher *batcher) {
    int64_t n = 0;
    while (n < batcher->options.most_items && batcher->first) {
        struct order *order = batcher->first;
        batcher->first = order->next;
        if (!batcher->first) batcher->last = NULL;
        batcher->picks[n++] = (struct pick){order, order->taken++};
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

static bool make_room(struct vt_batcher *batcher, int64_t n) {
    if (n <= batcher->room) return true;
    /* Twice as much as before, so that growing ends soon. */
    int64_t room = vt_min_i64(vt_max_i64(n, 2 * batcher->room), batcher->options.most_items);
    release_room(batcher);
    bool fine = true;
    for (uint32_t t = 0; t < batcher->options.n_inputs; t++)
        fine &= (batcher->inputs[t] = vt_alloc_aligned((size_t)room * batcher->input_bytes[t])) != NULL;
    for (uint32_t t = 0; t < batcher->options.n_outputs; t++)
        fine &= (batcher->outputs[t] = vt_alloc_aligned((size_t)room * batcher->output_bytes[t])) != NULL;
    if (fine)
        batcher->room = room;
    else
        release_room(batcher);
    return fine;
}

static bool run_side_by_side(struct vt_batcher *batcher, int64_t n) {
    if (!make_room(batcher, n)) return false;
    for (int64_t i = 0; i < n; i++) {
        const struct pick *p = &batcher->picks[i];
        for (uint32_t t = 0; t < batcher->options.n_inputs; t++) {
            size_t bytes = batcher->input_bytes[t];
            memcpy((char *)batcher->inputs[t] + (size_t)i * bytes,
                (const char *)p->order->inputs[t] + (size_t)p->item * bytes, bytes);
        }
    }
    if (batcher->options.run(
            batcher->options.context, (const void *const *)batcher->inputs, batcher->outputs, n, NULL) < 0)
        return false;
    for (int64_t i = 0; i < n; i++) {
        const struct pick *p = &batcher->picks[i];
        for (uint32_t t = 0; t < batcher->options.n_outputs; t++) {
            size_t bytes = batcher->output_bytes[t];
            memcpy((char *)p->order->outputs[t] + (size_t)p->item * bytes,
                (const char *)batcher->outputs[t] + (size_t)i * bytes, bytes);
        }
    }
    return true;
}

/* Leaves failures in the orders. Called without the lock: a taken item is the leader's. */
static void run_batch(struct vt_batcher *batcher, int64_t n) {
    const struct pick *picks = batcher->picks;
    if (n > 1 && lies_together(picks, n) && run_in_place(batcher, picks, n, NULL) == VULTUS_OK) return;
    if (n > 1 && !lies_together(picks, n) && run_side_by_side(batcher, n)) return;
    for (int64_t i = 0; i < n; i++) {
        struct vultus_error error;
        enum vultus_status status = run_in_place(batcher, &picks[i], 1, &error);
        if (!status || picks[i].order->status) continue;
        picks[i].order->status = status;
        picks[i].order->error = error;
    }
}

/* Runs the next batch. Called with the lock, which it lets go meanwhile. */
static void lead(struct vt_batcher *batcher) {
    int64_t n = take_items(batcher);
    if (n == 0) return;
    pthread_mutex_unlock(&batcher->lock);
    run_batch(batcher, n);
    pthread_mutex_lock(&batcher->lock);
    batcher->statistics.sizes[vt_min_i64(n, VT_BATCH_SIZES) - 1]++;
    for (int64_t i = 0; i < n; i++) {
        struct order *order = batcher->picks[i].order;
        if (++order->done == order->count) send_on(order->guest);
    }
}

/* Until the order is done, or this thread is to lead the next batch. Called with the lock and without a place. */
static bool is_to_lead(struct vt_batcher *batcher, const struct order *order) {
    while (order->done < order->count && batcher->led) pthread_cond_wait(&batcher->finished, &batcher->lock);
    if (order->done == order->count) return false;
    batcher->led = true;
    wait_for_company(batcher);
    return true;
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
        bool aside = (batcher->led || expects_company(batcher)) && vt_pool_step_aside(pool);
        bool leads = is_to_lead(batcher, &order);
        if (aside) {
            pthread_mutex_unlock(&batcher->lock);
            vt_pool_step_back(pool, aside);
            pthread_mutex_lock(&batcher->lock);
        }
        if (!leads) break;
        lead(batcher);
        batcher->led = false;
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
