/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "base/places.h"

#define MOST_THREADS 1024
/* How long a thread polls before it sleeps: longer than a network's single-thread gaps, shorter than a wake-up hurts.
 */
#define SPIN_NS 60000
#define PAUSES_PER_CLOCK_READ 32

struct worker {
    struct vt_pool *pool;
    pthread_t thread;
    int index;
};

/*
 * A job is open while workers may take its units. A worker counts itself into `active` before it looks whether the job
 * is open, and the caller closes the job before it looks at `active` (both sequentially consistent), so either the
 * worker finds the job closed or the caller waits for it. A worker that wakes late therefore never delays a job, and
 * task, context and units change only while no worker can read them.
 */
struct job {
    _Alignas(VT_CACHE_LINE) atomic_size_t next_unit;
    vt_pool_task *task;
    void *context;
    size_t units;
    _Alignas(VT_CACHE_LINE) atomic_uint active; /* a futex for the caller */
    atomic_bool caller_sleeps;
};

#define MOST_JOBS 32 /* at a time; further callers run their units themselves */

struct vt_pool {
    int threads, started;
    bool spins;
    struct worker *workers;
    atomic_bool stop;
    struct vt_places places;
    _Alignas(VT_CACHE_LINE) atomic_uint used; /* a bit for each job that a caller owns */
    /* What waiting workers poll: a futex that changes with every job. */
    _Alignas(VT_CACHE_LINE) atomic_uint sequence;
    atomic_int sleepers;
    atomic_uint open; /* a bit for each open job */
    struct job jobs[MOST_JOBS];
};

/* The pool in which the calling thread has a place. */
static _Thread_local struct vt_pool *placed;

static void futex_wait(atomic_uint *word, unsigned expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, int threads) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

static unsigned bit_of(const struct vt_pool *pool, const struct job *job) { return 1u << (job - pool->jobs); }

/* Polls until *word differs from (or, with `until_equal`, equals) `value`; false when the time is up or, for a worker,
 * somebody wants its place. */
static bool spin(struct vt_pool *pool, atomic_uint *word, unsigned value, bool until_equal) {
    uint64_t start = pool->spins ? vt_now_ns() : 0;
    do {
        for (int i = 0; i < PAUSES_PER_CLOCK_READ; i++) {
            if ((atomic_load(word) == value) == until_equal) return true;
            relax();
        }
        if (!until_equal && vt_places_wanted(&pool->places)) return false;
    } while (pool->spins && vt_now_ns() - start < SPIN_NS);
    return false;
}

/* Until the job has no units left, which closes it. Returns whether there was one. */
static bool take_units(struct vt_pool *pool, struct job *job, int thread) {
    size_t taken = 0;
    for (size_t unit; (unit = atomic_fetch_add_explicit(&job->next_unit, 1, memory_order_relaxed)) < job->units;
         taken++)
        job->task(job->context, unit, thread);
    atomic_fetch_and(&pool->open, ~bit_of(pool, job));
    return taken > 0;
}

/* Takes part in the open jobs; false when they had no units left. */
static bool help(struct vt_pool *pool, int thread) {
    bool helped = false;
    for (unsigned open = atomic_load(&pool->open); open; open &= open - 1) {
        struct job *job = &pool->jobs[__builtin_ctz(open)];
        atomic_fetch_add(&job->active, 1);
        if (atomic_load(&pool->open) & bit_of(pool, job)) helped |= take_units(pool, job, thread);
        if (atomic_fetch_sub(&job->active, 1) == 1 && atomic_load(&job->caller_sleeps)) futex_wake(&job->active, 1);
    }
    return helped;
}

/* Until there is a new job, or a place for one that is open. */
static void sleep_without_place(struct vt_pool *pool, unsigned seen) {
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->sequence) == seen && !(atomic_load(&pool->open) && vt_places_free(&pool->places) > 0))
        futex_wait(&pool->sequence, seen);
    atomic_fetch_sub(&pool->sleepers, 1);
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct vt_pool *pool = worker->pool;
    vt_cpu_flush_denormals();
    for (bool has_place = false;;) {
        unsigned seen = atomic_load(&pool->sequence);
        if (atomic_load(&pool->stop)) return NULL;
        has_place = has_place || vt_places_try_take(&pool->places);
        if (has_place && (help(pool, worker->index) || spin(pool, &pool->sequence, seen, false))) continue;
        if (has_place) vt_places_give(&pool->places);
        has_place = false;
        sleep_without_place(pool, seen);
    }
}

static enum vultus_status start_workers(struct vt_pool *pool, struct vultus_error *error) {
    sigset_t all, before;
    int failure = 0;
    /* Signals belong to the application's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (!failure && pool->started < pool->threads - 1) {
        struct worker *worker = &pool->workers[pool->started];
        *worker = (struct worker){.pool = pool, .index = pool->started + 1};
        failure = pthread_create(&worker->thread, NULL, work, worker);
        if (failure) break;
        char name[16];
        snprintf(name, sizeof name, "vultus-%d", worker->index);
        pthread_setname_np(worker->thread, name);
        pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure)
        return vt_fail(error, VULTUS_ERROR_IO, "thread %d of a pool of %d could not be started: %s", pool->started + 1,
            pool->threads, strerror(failure));
    return VULTUS_OK;
}

enum vultus_status vt_pool_create(int threads, struct vt_pool **out, struct vultus_error *error) {
    if (threads < 1 || threads > MOST_THREADS)
        return vt_fail(error, VULTUS_ERROR_INVALID, "a pool of %d threads was asked for; 1 to %d are possible", threads,
            MOST_THREADS);
    size_t workers_bytes = (size_t)threads * sizeof(struct worker);
    struct vt_pool *pool = vt_alloc_aligned(sizeof *pool);
    if (!pool) return vt_fail_memory(error, "a thread pool", sizeof *pool);
    memset(pool, 0, sizeof *pool);
    pool->threads = threads;
    vt_places_init(&pool->places, threads);
    pool->spins = threads <= vt_cpu_count(); /* else spinning takes the processor from whoever is waited for */
    pool->workers = vt_alloc_aligned(workers_bytes);
    enum vultus_status status =
        pool->workers ? start_workers(pool, error) : vt_fail_memory(error, "a thread pool", workers_bytes);
    if (status) {
        vt_pool_destroy(pool);
        return status;
    }
    *out = pool;
    return VULTUS_OK;
}

void vt_pool_destroy(struct vt_pool *pool) {
    if (!pool) return;
    atomic_store(&pool->stop, true);
    atomic_fetch_add(&pool->sequence, 1);
    futex_wake(&pool->sequence, MOST_THREADS);
    for (int i = 0; i < pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    vt_places_fini(&pool->places);
    vt_free_aligned(pool->workers);
    vt_free_aligned(pool);
}

int vt_pool_threads(const struct vt_pool *pool) { return pool ? pool->threads : 1; }

/* NULL when all are in use. */
static struct job *take_job(struct vt_pool *pool) {
    unsigned used = atomic_load(&pool->used);
    while (~used) {
        unsigned bit = ~used & (used + 1);
        if (atomic_compare_exchange_weak(&pool->used, &used, used | bit)) return &pool->jobs[__builtin_ctz(bit)];
    }
    return NULL;
}

static void publish(struct vt_pool *pool, struct job *job, size_t units, vt_pool_task *task, void *context) {
    job->task = task;
    job->context = context;
    job->units = units;
    atomic_store_explicit(&job->next_unit, 0, memory_order_relaxed);
    atomic_fetch_or(&pool->open, bit_of(pool, job));
    atomic_fetch_add(&pool->sequence, 1);
    int useful = vt_places_free(&pool->places), sleepers = atomic_load(&pool->sleepers);
    if (units - 1 < (size_t)useful) useful = (int)units - 1;
    if (sleepers > 0 && useful > 0) futex_wake(&pool->sequence, useful);
}

/* Workers that are still at the job's last units. */
static void wait_for_workers(struct vt_pool *pool, struct job *job) {
    if (spin(pool, &job->active, 0, true)) return;
    atomic_store(&job->caller_sleeps, true);
    for (unsigned active; (active = atomic_load(&job->active)) != 0;) futex_wait(&job->active, active);
    atomic_store(&job->caller_sleeps, false);
}

void vt_pool_run(struct vt_pool *pool, size_t units, vt_pool_task *task, void *context) {
    unsigned denormals = vt_cpu_flush_denormals();
    struct job *job = pool && pool->threads > 1 && units > 1 ? take_job(pool) : NULL;
    if (job) {
        publish(pool, job, units, task, context);
        take_units(pool, job, 0);
        wait_for_workers(pool, job);
        atomic_fetch_and(&pool->used, ~bit_of(pool, job));
    } else {
        for (size_t unit = 0; unit < units; unit++) task(context, unit, 0);
    }
    vt_cpu_restore_denormals(denormals);
}

/* ---------------------------------------------------------------- places */

static void take_place(struct vt_pool *pool, bool urgent) {
    vt_places_take(&pool->places, urgent);
    placed = pool;
}

/* A worker that found no place for an open job may have one now. */
static void give_place(struct vt_pool *pool) {
    placed = NULL;
    vt_places_give(&pool->places);
    if (!atomic_load(&pool->open) || vt_places_free(&pool->places) < 1 || atomic_load(&pool->sleepers) == 0) return;
    atomic_fetch_add(&pool->sequence, 1);
    futex_wake(&pool->sequence, 1);
}

bool vt_pool_enter(struct vt_pool *pool) {
    if (!pool || placed) return false;
    take_place(pool, false);
    return true;
}

void vt_pool_leave(struct vt_pool *pool, bool entered) {
    if (entered) give_place(pool);
}

bool vt_pool_step_aside(struct vt_pool *pool) {
    if (!pool || placed != pool) return false;
    give_place(pool);
    return true;
}

void vt_pool_step_back(struct vt_pool *pool, bool stepped_aside) {
    if (stepped_aside) take_place(pool, true);
}
