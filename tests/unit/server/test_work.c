/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "server/work.h"

enum { PIECES = 40 };

struct piece {
    struct vt_work work;
    int name;
};

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static int order[4 * PIECES];
static atomic_int done;

static void note(struct vt_work *work) { order[atomic_fetch_add(&done, 1)] = ((struct piece *)work)->name; }

static void wait_at_gate(struct vt_work *work) {
    (void)work;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

/* One worker, held up until all is queued: a piece of each flow in turn. */
static void flows_take_turns(void **state) {
    (void)state;
    struct vt_workers *workers;
    struct vt_flow gate_flow = {0}, long_flow = {0}, short_flow = {0};
    struct vt_work gate_work = {.run = wait_at_gate};
    struct piece long_pieces[PIECES], short_pieces[2];
    done = 0;
    pthread_mutex_lock(&gate);
    assert_int_equal(vt_workers_create(1, &workers, NULL), VULTUS_OK);
    assert_true(vt_workers_push(workers, &gate_flow, &gate_work));
    for (int i = 0; i < PIECES; i++) {
        long_pieces[i] = (struct piece){.work.run = note, .name = i};
        assert_true(vt_workers_push(workers, &long_flow, &long_pieces[i].work));
    }
    for (int i = 0; i < 2; i++) {
        short_pieces[i] = (struct piece){.work.run = note, .name = 1000 + i};
        assert_true(vt_workers_push(workers, &short_flow, &short_pieces[i].work));
    }
    pthread_mutex_unlock(&gate);
    vt_workers_stop(workers); /* runs what is queued */
    assert_int_equal(done, PIECES + 2);
    assert_int_equal(order[1], 1000);
    assert_int_equal(order[3], 1001);
    assert_int_equal(order[PIECES + 1], PIECES - 1);
    assert_false(vt_workers_push(workers, &short_flow, &short_pieces[0].work));
    vt_workers_destroy(workers);
}

struct chain {
    struct vt_work work;
    struct vt_workers *workers;
    struct vt_flow flow;
    int left;
};

static void go_on(struct vt_work *work) {
    struct chain *chain = (struct chain *)work;
    atomic_fetch_add(&done, 1);
    if (--chain->left > 0) assert_true(vt_workers_push(chain->workers, &chain->flow, work));
}

/* Work that makes work is done too when the workers are asked to stop. */
static void work_makes_work(void **state) {
    (void)state;
    enum { CHAINS = 10, LENGTH = 200 };
    struct vt_workers *workers;
    static struct chain chains[CHAINS];
    done = 0;
    assert_int_equal(vt_workers_create(4, &workers, NULL), VULTUS_OK);
    for (int i = 0; i < CHAINS; i++) {
        chains[i] = (struct chain){.work.run = go_on, .workers = workers, .left = LENGTH};
        assert_true(vt_workers_push(workers, &chains[i].flow, &chains[i].work));
    }
    vt_workers_destroy(workers);
    assert_int_equal(done, CHAINS * LENGTH);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(flows_take_turns), cmocka_unit_test(work_makes_work)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
