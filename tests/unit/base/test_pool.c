/* SPDX-License-Identifier: Apache-2.0
 * The thread pool. To be run under ThreadSanitizer too.
 */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "base/places.h"
#include "base/pool.h"

#define MOST_UNITS 1000
#define THREADS 4

/* Linked with --wrap: counts what the code under test takes from the heap. */
static atomic_int allocations;
void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
int __real_posix_memalign(void **memory, size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes);

void *__wrap_malloc(size_t bytes) {
    atomic_fetch_add(&allocations, 1);
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes) {
    atomic_fetch_add(&allocations, 1);
    return __real_calloc(count, bytes);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes) {
    atomic_fetch_add(&allocations, 1);
    return __real_posix_memalign(memory, alignment, bytes);
}

static struct vt_pool *new_pool(int threads) {
    struct vt_pool *pool = NULL;
    struct vultus_error error;
    if (vt_pool_create(threads, &pool, &error)) fail_msg("%s", error.text);
    return pool;
}

/* What a job did. Counts of units are plain: only whoever runs a unit touches its entry. */
struct job {
    int runs[MOST_UNITS];
    size_t units;
    int threads;
    atomic_int inside[THREADS]; /* how many tasks run as this thread right now */
    atomic_bool broken;
};

static void note_unit(void *context, size_t unit, int thread) {
    struct job *job = context;
    if (unit >= job->units || thread < 0 || thread >= job->threads || atomic_fetch_add(&job->inside[thread], 1) != 0) {
        atomic_store(&job->broken, true);
        return;
    }
    job->runs[unit]++;
    for (volatile int i = 0; i < (int)(unit % 7) * 50; i++) {}
    atomic_fetch_sub(&job->inside[thread], 1);
}

static void run_job(struct vt_pool *pool, int threads, size_t units) {
    static _Thread_local struct job job;
    memset(&job, 0, sizeof job);
    job.units = units;
    job.threads = threads;
    vt_pool_run(pool, units, note_unit, &job);
    if (job.broken) fail_msg("a unit or thread of a job of %zu units was out of range or used twice at once", units);
    for (size_t i = 0; i < units; i++)
        if (job.runs[i] != 1) fail_msg("unit %zu of %zu ran %d times", i, units, job.runs[i]);
}

static void test_every_unit_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= THREADS; threads++) {
        struct vt_pool *pool = new_pool(threads);
        assert_int_equal(vt_pool_threads(pool), threads);
        for (size_t units = 0; units < MOST_UNITS; units += units < 20 ? 1 : 97) run_job(pool, threads, units);
        vt_pool_destroy(pool);
    }
}

/* Jobs behind each other at all distances: workers are polling, falling asleep or asleep. */
static void test_many_jobs(void **state) {
    (void)state;
    struct vt_pool *pool = new_pool(3);
    for (int i = 0; i < 3000; i++) {
        run_job(pool, 3, (size_t)i % 13);
        if (i % 100 == 0) usleep((useconds_t)(i % 7) * 40);
    }
    vt_pool_destroy(pool);
}

static void test_pools_come_and_go(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct vt_pool *pool = new_pool(1 + i % THREADS);
        if (i % 3) run_job(pool, vt_pool_threads(pool), (size_t)i);
        vt_pool_destroy(pool);
    }
    vt_pool_destroy(NULL);
}

struct order {
    atomic_size_t next;
    bool rising;
};

static void note_order(void *context, size_t unit, int thread) {
    struct order *order = context;
    order->rising = order->rising && thread == 0 && atomic_fetch_add(&order->next, 1) == unit;
}

static void test_without_pool(void **state) {
    (void)state;
    struct order order = {.rising = true};
    assert_int_equal(vt_pool_threads(NULL), 1);
    vt_pool_run(NULL, 10, note_order, &order);
    assert_true(order.rising);
    assert_int_equal(order.next, 10);
}

struct nested {
    struct vt_pool *pool;
    atomic_int inner;
    atomic_bool wrong_thread;
};

static void inner_task(void *context, size_t unit, int thread) {
    struct nested *nested = context;
    (void)unit;
    if (thread < 0 || thread >= vt_pool_threads(nested->pool)) atomic_store(&nested->wrong_thread, true);
    atomic_fetch_add(&nested->inner, 1);
}

static void outer_task(void *context, size_t unit, int thread) {
    struct nested *nested = context;
    (void)unit;
    (void)thread;
    vt_pool_run(nested->pool, 5, inner_task, nested);
}

static void test_nested(void **state) {
    (void)state;
    struct nested nested = {.pool = new_pool(3)};
    vt_pool_run(nested.pool, 20, outer_task, &nested);
    assert_int_equal(nested.inner, 100);
    assert_false(nested.wrong_thread);
    vt_pool_destroy(nested.pool);
}

static void *call_often(void *context) {
    struct vt_pool *pool = context;
    for (int i = 0; i < 500; i++) run_job(pool, THREADS, (size_t)i % 31);
    return NULL;
}

static void test_concurrent_callers(void **state) {
    (void)state;
    struct vt_pool *pool = new_pool(THREADS);
    pthread_t callers[3];
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&callers[i], NULL, call_often, pool), 0);
    for (int i = 0; i < 3; i++) pthread_join(callers[i], NULL);
    vt_pool_destroy(pool);
}

/* Every unit waits until all have begun, which takes all threads at once. */
static void meet(void *context, size_t unit, int thread) {
    atomic_int *present = context;
    (void)unit;
    (void)thread;
    atomic_fetch_add(present, 1);
    while (atomic_load(present) < THREADS) usleep(10);
}

static void test_all_threads_take_part(void **state) {
    (void)state;
    struct vt_pool *pool = new_pool(THREADS);
    for (int round = 0; round < 20; round++) {
        atomic_int present = 0;
        if (round % 2) usleep(1000); /* asleep */
        vt_pool_run(pool, THREADS, meet, &present);
        assert_int_equal(present, THREADS);
    }
    vt_pool_destroy(pool);
}

/* ---------------------------------------------------------------- places */

struct crowd {
    struct vt_pool *pool;
    atomic_int computing;
    atomic_bool too_many;
};

static void compute(struct crowd *crowd) {
    if (atomic_fetch_add(&crowd->computing, 1) >= vt_pool_threads(crowd->pool)) atomic_store(&crowd->too_many, true);
    for (volatile int i = 0; i < 500; i++) {}
    atomic_fetch_sub(&crowd->computing, 1);
}

static void compute_unit(void *context, size_t unit, int thread) {
    (void)unit;
    (void)thread;
    compute(context);
}

static void *compute_in_places(void *context) {
    struct crowd *crowd = context;
    for (int i = 0; i < 300; i++) {
        bool entered = vt_pool_enter(crowd->pool);
        compute(crowd);
        vt_pool_run(crowd->pool, (size_t)i % 9, compute_unit, crowd);
        bool aside = vt_pool_step_aside(crowd->pool);
        if (i % 16 == 0) usleep(50);
        vt_pool_step_back(crowd->pool, aside);
        compute(crowd);
        vt_pool_leave(crowd->pool, entered);
    }
    return NULL;
}

static void test_no_more_compute_than_there_are_places(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        struct crowd crowd = {.pool = new_pool(threads)};
        pthread_t members[7];
        for (int i = 0; i < 7; i++) assert_int_equal(pthread_create(&members[i], NULL, compute_in_places, &crowd), 0);
        for (int i = 0; i < 7; i++) pthread_join(members[i], NULL);
        assert_false(crowd.too_many);
        vt_pool_destroy(crowd.pool);
    }
}

struct late_help {
    struct vt_pool *pool;
    atomic_int present;
};

static void meet_late(void *context, size_t unit, int thread) {
    struct late_help *late = context;
    (void)unit;
    (void)thread;
    atomic_fetch_add(&late->present, 1);
    while (atomic_load(&late->present) < 2) usleep(10);
}

static void *run_alone_at_first(void *context) {
    struct late_help *late = context;
    bool entered = vt_pool_enter(late->pool);
    vt_pool_run(late->pool, 2, meet_late, late);
    vt_pool_leave(late->pool, entered);
    return NULL;
}

/* The worker joins a job that began when there was no place for it. */
static void test_a_place_that_becomes_free_is_used(void **state) {
    (void)state;
    struct late_help late = {.pool = new_pool(2)};
    for (int round = 0; round < 50; round++) {
        late.present = 0;
        pthread_t caller;
        assert_true(vt_pool_enter(late.pool));
        assert_false(vt_pool_enter(late.pool)); /* it has one */
        assert_int_equal(pthread_create(&caller, NULL, run_alone_at_first, &late), 0);
        while (atomic_load(&late.present) == 0) usleep(10);
        if (round % 2) usleep(200); /* the worker sleeps */
        assert_int_equal(late.present, 1);
        vt_pool_leave(late.pool, true);
        pthread_join(caller, NULL);
    }
    vt_pool_destroy(late.pool);
    assert_false(vt_pool_enter(NULL));
    assert_false(vt_pool_step_aside(NULL));
}

struct line {
    struct vt_places places;
    atomic_int served;
};
struct standing {
    struct line *line;
    bool urgent;
    int served;
    pthread_t thread;
};

static void *stand_in_line(void *context) {
    struct standing *standing = context;
    vt_places_take(&standing->line->places, standing->urgent);
    standing->served = atomic_fetch_add(&standing->line->served, 1);
    vt_places_give(&standing->line->places);
    return NULL;
}

static void test_who_goes_on_comes_before_who_begins(void **state) {
    (void)state;
    struct line line = {.served = 0};
    struct standing standings[4];
    static const int due[] = {2, 0, 3, 1};
    vt_places_init(&line.places, 1);
    vt_places_take(&line.places, false);
    for (int i = 0; i < 4; i++) {
        standings[i] = (struct standing){.line = &line, .urgent = i % 2};
        assert_int_equal(pthread_create(&standings[i].thread, NULL, stand_in_line, &standings[i]), 0);
        while (atomic_load(&line.places.waiting) <= i) usleep(10);
    }
    assert_false(vt_places_try_take(&line.places));
    vt_places_give(&line.places);
    for (int i = 0; i < 4; i++) pthread_join(standings[i].thread, NULL);
    for (int i = 0; i < 4; i++) assert_int_equal(standings[i].served, due[i]);
    assert_int_equal(vt_places_free(&line.places), 1);
    vt_places_fini(&line.places);
}

/* ---------------------------------------------------------------- threads */

struct denormal {
    atomic_int flushed, kept, present;
};

static void multiply(void *context, size_t unit, int thread) {
    struct denormal *d = context;
    volatile float tiny = 0x1p-126f, half = 0.5f, product = tiny * half;
    (void)unit;
    (void)thread;
    atomic_fetch_add(product == 0 ? &d->flushed : &d->kept, 1);
    atomic_fetch_add(&d->present, 1);
    while (atomic_load(&d->present) < 2) usleep(10);
}

static void test_denormals_are_flushed(void **state) {
    (void)state;
#if defined(__x86_64__) || defined(__aarch64__)
    struct vt_pool *pool = new_pool(2);
    struct denormal d = {0};
    vt_pool_run(pool, 2, multiply, &d);
    assert_int_equal(d.flushed, 2); /* on the caller and on the worker */
    d.present = 1;
    vt_pool_run(NULL, 1, multiply, &d);
    assert_int_equal(d.flushed, 3);
    volatile float tiny = 0x1p-126f, half = 0.5f;
    assert_true(tiny * half > 0); /* but the caller gets its own state back */
    vt_pool_destroy(pool);
#endif
}

static int threads_named(const char *prefix) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; tasks && (entry = readdir(tasks));) {
        char path[300], name[64] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *stream = fopen(path, "r");
        if (stream && fgets(name, sizeof name, stream)) count += strncmp(name, prefix, strlen(prefix)) == 0;
        if (stream) fclose(stream);
    }
    if (tasks) closedir(tasks);
    return count;
}

static void test_names(void **state) {
    (void)state;
    struct vt_pool *pool = new_pool(3);
    assert_int_equal(threads_named("vultus-"), 2);
    assert_int_equal(threads_named("vultus-1"), 1);
    assert_int_equal(threads_named("vultus-2"), 1);
    vt_pool_destroy(pool);
    assert_int_equal(threads_named("vultus-"), 0);
}

static void test_running_allocates_nothing(void **state) {
    (void)state;
    struct vt_pool *pool = new_pool(3);
    assert_true(allocations > 0); /* the counter works */
    atomic_store(&allocations, 0);
    for (int i = 0; i < 100; i++) run_job(pool, 3, 50);
    assert_int_equal(allocations, 0);
    vt_pool_destroy(pool);
}

static void test_refused_sizes(void **state) {
    (void)state;
    struct vt_pool *pool = NULL;
    struct vultus_error error;
    static const int sizes[] = {0, -1, 1025, 1 << 30};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(vt_pool_create(sizes[i], &pool, &error), VULTUS_ERROR_INVALID);
        assert_null(pool);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_unit_once),
        cmocka_unit_test(test_many_jobs),
        cmocka_unit_test(test_pools_come_and_go),
        cmocka_unit_test(test_without_pool),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_concurrent_callers),
        cmocka_unit_test(test_all_threads_take_part),
        cmocka_unit_test(test_no_more_compute_than_there_are_places),
        cmocka_unit_test(test_a_place_that_becomes_free_is_used),
        cmocka_unit_test(test_who_goes_on_comes_before_who_begins),
        cmocka_unit_test(test_denormals_are_flushed),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_running_allocates_nothing),
        cmocka_unit_test(test_refused_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
