/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exec/batcher.h"

enum { WIDTH = 3, MOST = 8 };

/* A network that doubles numbers, writes down what it ran, and can be held up or made to fail. */
struct doubler {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held;
    int inside;   /* runs at the moment */
    float poison; /* a run with this first number fails; 0: none */
    int64_t sizes[64];
    float firsts[64][MOST]; /* the first number of each item of each run */
    size_t runs;
};

static enum vultus_status run_doubler(
    void *context, const void *const *inputs, void *const *outputs, int64_t batch, struct vultus_error *error) {
    struct doubler *d = context;
    const float *in = inputs[0];
    float *out = outputs[0];
    pthread_mutex_lock(&d->lock);
    d->inside++;
    pthread_cond_broadcast(&d->changed);
    while (d->held) pthread_cond_wait(&d->changed, &d->lock);
    d->inside--;
    d->sizes[d->runs] = batch;
    bool poisoned = false;
    for (int64_t i = 0; i < batch; i++) {
        d->firsts[d->runs][i] = in[i * WIDTH];
        poisoned |= d->poison != 0 && in[i * WIDTH] == d->poison;
    }
    d->runs++;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    if (poisoned) return vt_fail(error, VULTUS_ERROR_BACKEND, "poisoned");
    for (int64_t i = 0; i < batch * WIDTH; i++) out[i] = 2 * in[i];
    return VULTUS_OK;
}

struct fixture {
    struct doubler doubler;
    struct vt_batcher *batcher;
};

static struct vt_batcher *make_batcher(struct doubler *doubler, uint32_t delay_us, int leaders) {
    size_t bytes = WIDTH * sizeof(float);
    struct vt_batcher_options options = {.run = run_doubler,
        .context = doubler,
        .most_items = MOST,
        .most_delay_us = delay_us,
        .leaders = leaders,
        .n_inputs = 1,
        .n_outputs = 1,
        .input_bytes = &bytes,
        .output_bytes = &bytes};
    struct vt_batcher *batcher;
    assert_int_equal(vt_batcher_create(&options, &batcher, NULL), VULTUS_OK);
    return batcher;
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    pthread_mutex_init(&f->doubler.lock, NULL);
    pthread_cond_init(&f->doubler.changed, NULL);
    f->batcher = make_batcher(&f->doubler, UINT32_MAX, 1);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    vt_batcher_destroy(f->batcher);
    free(f);
    return 0;
}

/* ---------------------------------------------------------------- callers */

struct caller {
    struct vt_batcher *batcher;
    float first;
    int64_t count;
    float in[4 * MOST * WIDTH], out[4 * MOST * WIDTH];
    enum vultus_status status;
    struct vultus_error error;
    pthread_t thread;
};

static void *call(void *context) {
    struct caller *c = context;
    for (int64_t i = 0; i < c->count * WIDTH; i++) c->in[i] = c->first + (float)(i / WIDTH) / 64 + (float)(i % WIDTH);
    c->status = vt_batcher_run(c->batcher, (const void *[]){c->in}, (void *[]){c->out}, c->count, &c->error);
    return NULL;
}

static void start(struct caller *c, struct vt_batcher *batcher, float first, int64_t count) {
    *c = (struct caller){.batcher = batcher, .first = first, .count = count};
    assert_int_equal(pthread_create(&c->thread, NULL, call, c), 0);
}

static void check_outputs(const struct caller *c) {
    assert_int_equal(c->status, VULTUS_OK);
    for (int64_t i = 0; i < c->count * WIDTH; i++) assert_true(c->out[i] == 2 * c->in[i]);
}

static void hold(struct doubler *d, bool held) {
    pthread_mutex_lock(&d->lock);
    d->held = held;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

static void wait_until_inside(struct doubler *d, int runs) {
    pthread_mutex_lock(&d->lock);
    while (d->inside < runs) pthread_cond_wait(&d->changed, &d->lock);
    pthread_mutex_unlock(&d->lock);
}

/* ---------------------------------------------------------------- tests */

/* The delay is more than an hour: waiting would not end. */
static void alone_runs_at_once(void **state) {
    struct fixture *f = *state;
    struct caller c;
    start(&c, f->batcher, 1, 1);
    pthread_join(c.thread, NULL);
    check_outputs(&c);
    assert_int_equal(f->doubler.runs, 1);
}

static void more_than_a_batch(void **state) {
    struct fixture *f = *state;
    struct caller c;
    start(&c, f->batcher, 1, 2 * MOST + 3);
    pthread_join(c.thread, NULL);
    check_outputs(&c);
    assert_int_equal(f->doubler.runs, 3);
    assert_int_equal(f->doubler.sizes[0], MOST);
    assert_int_equal(f->doubler.sizes[2], 3);
    struct vt_batch_statistics statistics;
    vt_batcher_statistics(f->batcher, &statistics);
    assert_int_equal(statistics.sizes[MOST - 1], 2);
    assert_int_equal(statistics.sizes[2], 1);
}

/*
 * Starts callers of together at least MOST items while somebody is expected: whoever leads waits until the batch is
 * full, so all of the first MOST items are of one batch however the threads are scheduled.
 */
static void start_together(struct fixture *f, struct caller *callers, int n, const int64_t *counts) {
    struct vt_batch_guest guest = {0};
    vt_batcher_expect(f->batcher, &guest);
    for (int i = 0; i < n; i++) start(&callers[i], f->batcher, (float)(i + 1), counts[i]);
    pthread_mutex_lock(&f->doubler.lock);
    while (f->doubler.runs == 0) pthread_cond_wait(&f->doubler.changed, &f->doubler.lock);
    pthread_mutex_unlock(&f->doubler.lock);
    vt_batcher_dismiss(&guest);
    for (int i = 0; i < n; i++) pthread_join(callers[i].thread, NULL);
}

static void callers_share_batches(void **state) {
    struct fixture *f = *state;
    struct caller callers[4];
    start_together(f, callers, 4, (const int64_t[]){2, 2, 2, 2});
    for (int i = 0; i < 4; i++) check_outputs(&callers[i]);
    assert_int_equal(f->doubler.runs, 1);
    assert_int_equal(f->doubler.sizes[0], MOST);
}

/* One item of each caller in turn: nobody's single item waits for the whole of a long order. */
static void batches_are_fair(void **state) {
    struct fixture *f = *state;
    struct caller callers[2];
    hold(&f->doubler, true);
    start(&callers[0], f->batcher, 1, 3 * MOST);
    wait_until_inside(&f->doubler, 1); /* with the first of its three batches */
    start(&callers[1], f->batcher, 2, 1);
    struct vt_batch_guest guest = {0};
    vt_batcher_expect(f->batcher, &guest); /* 16 items wait, so nobody waits for the guest */
    while (vt_batcher_waiting(f->batcher) < 2 * MOST + 1) sched_yield();
    hold(&f->doubler, false);
    pthread_join(callers[1].thread, NULL);
    vt_batcher_dismiss(&guest);
    pthread_join(callers[0].thread, NULL);
    check_outputs(&callers[0]);
    check_outputs(&callers[1]);
    bool second_batch = false;
    for (int64_t i = 0; i < f->doubler.sizes[1]; i++) second_batch |= f->doubler.firsts[1][i] == 2;
    assert_true(second_batch);
    assert_int_equal(f->doubler.runs, 4);
}

static void failures_are_the_callers_own(void **state) {
    struct fixture *f = *state;
    struct caller callers[3];
    f->doubler.poison = 2;
    start_together(f, callers, 3, (const int64_t[]){3, 3, 2});
    check_outputs(&callers[0]);
    check_outputs(&callers[2]);
    assert_int_equal(callers[1].status, VULTUS_ERROR_BACKEND);
    assert_string_equal(callers[1].error.text, "poisoned");
}

/* ---------------------------------------------------------------- guests */

static void a_guest_is_waited_for(void **state) {
    struct fixture *f = *state;
    struct caller c;
    struct vt_batch_guest guest = {0};
    vt_batcher_expect(f->batcher, &guest);
    start(&c, f->batcher, 1, 1);
    float in[WIDTH] = {7, 8, 9}, out[WIDTH];
    assert_int_equal(vt_batcher_run(f->batcher, (const void *[]){in}, (void *[]){out}, 1, NULL), VULTUS_OK);
    pthread_join(c.thread, NULL);
    vt_batcher_dismiss(&guest);
    check_outputs(&c);
    assert_true(out[2] == 18);
}

static void a_dismissed_guest_is_not_waited_for(void **state) {
    struct fixture *f = *state;
    struct caller c;
    struct vt_batch_guest guest = {0};
    vt_batcher_expect(f->batcher, &guest);
    start(&c, f->batcher, 1, 1);
    vt_batcher_dismiss(&guest);
    pthread_join(c.thread, NULL);
    check_outputs(&c);
}

static void the_delay_ends_waiting(void **state) {
    struct fixture *f = *state;
    struct vt_batcher *hasty = make_batcher(&f->doubler, 1000, 1);
    struct caller c;
    struct vt_batch_guest guest = {0};
    vt_batcher_expect(hasty, &guest);
    start(&c, hasty, 1, 1);
    pthread_join(c.thread, NULL); /* without a delay's end this would not return */
    check_outputs(&c);
    vt_batcher_dismiss(&guest);
    vt_batcher_destroy(hasty);
}

struct traveller {
    struct vt_batcher *batchers[2];
    struct vt_pool *pool;
    float first;
    bool second_stop, fine;
    pthread_t thread;
};

static void *travel(void *context) {
    struct traveller *t = context;
    struct vt_batch_guest second = {0}, guest = {.then = t->batchers[1], .next_guest = &second};
    t->fine = true;
    for (int round = 0; round < 200; round++) {
        float in[WIDTH] = {t->first, 1, (float)round}, middle[WIDTH] = {0}, out[WIDTH] = {0};
        second = (struct vt_batch_guest){0};
        guest = (struct vt_batch_guest){.then = t->batchers[1], .next_guest = &second};
        vt_batcher_expect(t->batchers[0], &guest);
        bool entered = vt_pool_enter(t->pool);
        t->fine &= !vt_batcher_run(t->batchers[0], (const void *[]){in}, (void *[]){middle}, 1, NULL);
        if (t->second_stop || round % 3)
            t->fine &= !vt_batcher_run(t->batchers[1], (const void *[]){middle}, (void *[]){out}, 1, NULL) &&
                       out[0] == 4 * t->first && out[2] == 4 * (float)round;
        vt_pool_leave(t->pool, entered);
        vt_batcher_dismiss(&guest);
        vt_batcher_dismiss(&second);
    }
    return NULL;
}

static enum vultus_status run_plain_doubler(
    void *context, const void *const *inputs, void *const *outputs, int64_t batch, struct vultus_error *error) {
    (void)context;
    (void)error;
    for (int64_t i = 0; i < batch * WIDTH; i++) ((float *)outputs[0])[i] = 2 * ((const float *)inputs[0])[i];
    return VULTUS_OK;
}

/* Many threads through two batchers, some of which leave out the second: everybody gets their own numbers back. */
static void crowd_travels_through_two(struct vt_pool *pool) {
    enum { TRAVELLERS = 12 };
    size_t bytes = WIDTH * sizeof(float);
    struct vt_batcher_options options = {.run = run_plain_doubler,
        .most_items = MOST,
        .most_delay_us = 200,
        .pool = pool,
        .n_inputs = 1,
        .n_outputs = 1,
        .input_bytes = &bytes,
        .output_bytes = &bytes};
    struct vt_batcher *first, *second;
    assert_int_equal(vt_batcher_create(&options, &first, NULL), VULTUS_OK);
    assert_int_equal(vt_batcher_create(&options, &second, NULL), VULTUS_OK);
    struct traveller travellers[TRAVELLERS];
    for (int i = 0; i < TRAVELLERS; i++) {
        travellers[i] =
            (struct traveller){.batchers = {first, second}, .pool = pool, .first = (float)i, .second_stop = i % 2};
        assert_int_equal(pthread_create(&travellers[i].thread, NULL, travel, &travellers[i]), 0);
    }
    for (int i = 0; i < TRAVELLERS; i++) {
        pthread_join(travellers[i].thread, NULL);
        assert_true(travellers[i].fine);
    }
    struct vt_batch_statistics statistics;
    vt_batcher_statistics(first, &statistics);
    uint64_t items = 0;
    for (size_t i = 0; i < VT_BATCH_SIZES; i++) items += statistics.sizes[i] * (i + 1);
    assert_int_equal(items, TRAVELLERS * 200);
    vt_batcher_destroy(first);
    vt_batcher_destroy(second);
}

static void crowds_travel_through_two(void **state) {
    (void)state;
    crowd_travels_through_two(NULL);
    for (int threads = 1; threads <= 3; threads++) {
        struct vt_pool *pool;
        assert_int_equal(vt_pool_create(threads, &pool, NULL), VULTUS_OK);
        crowd_travels_through_two(pool);
        vt_pool_destroy(pool);
    }
}

/* One who comes while a batch runs leads another, and the batches of one who has many run at the same time. */
static void two_lead(void **state) {
    struct fixture *f = *state;
    struct vt_batcher *batcher = make_batcher(&f->doubler, 0, 2);
    struct caller callers[4];
    hold(&f->doubler, true);
    start(&callers[0], batcher, 1, 1);
    wait_until_inside(&f->doubler, 1);
    start(&callers[1], batcher, 2, 1);
    wait_until_inside(&f->doubler, 2);
    start(&callers[2], batcher, 3, 3 * MOST + 1);
    start(&callers[3], batcher, 4, 2 * MOST);
    hold(&f->doubler, false);
    for (int i = 0; i < 4; i++) pthread_join(callers[i].thread, NULL);
    for (int i = 0; i < 4; i++) check_outputs(&callers[i]);
    assert_int_equal(vt_batcher_waiting(batcher), 0);
    vt_batcher_destroy(batcher);
}

/* Every caller is told of its own items, whoever led them. */
static void two_lead_through_failures(void **state) {
    struct fixture *f = *state;
    struct vt_batcher *batcher = make_batcher(&f->doubler, 0, 2);
    struct caller callers[3];
    f->doubler.poison = 2;
    for (int i = 0; i < 3; i++) start(&callers[i], batcher, (float)(i + 1), 2 * MOST);
    for (int i = 0; i < 3; i++) pthread_join(callers[i].thread, NULL);
    check_outputs(&callers[0]);
    check_outputs(&callers[2]);
    assert_int_equal(callers[1].status, VULTUS_ERROR_BACKEND);
    assert_string_equal(callers[1].error.text, "poisoned");
    vt_batcher_destroy(batcher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(alone_runs_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(more_than_a_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(callers_share_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(batches_are_fair, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_are_the_callers_own, setup, teardown),
        cmocka_unit_test_setup_teardown(a_guest_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dismissed_guest_is_not_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(the_delay_ends_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(two_lead, setup, teardown),
        cmocka_unit_test_setup_teardown(two_lead_through_failures, setup, teardown),
        cmocka_unit_test(crowds_travel_through_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
