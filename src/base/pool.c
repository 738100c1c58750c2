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
 * A job is open while workers may take its units. A worker counts itself into `active` before it looks at `open`, and
 * the caller closes the job before it looks at `active` (both sequentially consistent), so either the worker finds the
 * job closed or the caller waits for it. A worker that wakes late therefore never delays a job, and task, context and
 * units change only while no worker can read them.
 */
struct vt_pool {
    int threads, started;
    bool spins;
    struct worker *workers;
    vt_pool_task *task;
    void *context;
    size_t units;
    _Alignas(VT_CACHE_LINE) atomic_bool busy; /* a caller's job occupies the workers */
    atomic_bool stop;
    /* What waiting workers poll: a futex that changes with every job. */
    _Alignas(VT_CACHE_LINE) atomic_uint sequence;
    atomic_int sleepers;
    atomic_bool open;
    _Alignas(VT_CACHE_LINE) atomic_size_t next_unit;
    _Alignas(VT_CACHE_LINE) atomic_uint active; /* a futex for the caller */
    atomic_bool caller_sleeps;
};

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

/* Polls until *word differs from (or, with `until_equal`, equals) `value`; false when the time is up. */
static bool spin(const struct vt_pool *pool, atomic_uint *word, unsigned value, bool until_equal) {
    uint64_t start = pool->spins ? vt_now_ns() : 0;
    do {
        for (int i = 0; i < PAUSES_PER_CLOCK_READ; i++) {
            if ((atomic_load(word) == value) == until_equal) return true;
            relax();
        }
    } while (pool->spins && vt_now_ns() - start < SPIN_NS);
    return false;
}

static void take_units(struct vt_pool *pool, int thread) {
    size_t unit;
    while ((unit = atomic_fetch_add_explicit(&pool->next_unit, 1, memory_order_relaxed)) < pool->units)
        pool->task(pool->context, unit, thread);
}

static unsigned wait_for_job(struct vt_pool *pool, unsigned seen) {
    if (!spin(pool, &pool->sequence, seen, false)) {
        atomic_fetch_add(&pool->sleepers, 1);
        while (atomic_load(&pool->sequence) == seen) futex_wait(&pool->sequence, seen);
        atomic_fetch_sub(&pool->sleepers, 1);
    }
    return atomic_load(&pool->sequence);
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct vt_pool *pool = worker->pool;
    vt_cpu_flush_denormals();
    for (unsigned seen = 0;;) {
        seen = wait_for_job(pool, seen);
        if (atomic_load(&pool->stop)) return NULL;
        atomic_fetch_add(&pool->active, 1);
        if (atomic_load(&pool->open)) take_units(pool, worker->index);
        if (atomic_fetch_sub(&pool->active, 1) == 1 && atomic_load(&pool->caller_sleeps)) futex_wake(&pool->active, 1);
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
    vt_free_aligned(pool->workers);
    vt_free_aligned(pool);
}

int vt_pool_threads(const struct vt_pool *pool) { return pool ? pool->threads : 1; }

static void publish(struct vt_pool *pool, size_t units, vt_pool_task *task, void *context) {
    pool->task = task;
    pool->context = context;
    pool->units = units;
    atomic_store_explicit(&pool->next_unit, 0, memory_order_relaxed);
    atomic_store(&pool->open, true);
    atomic_fetch_add(&pool->sequence, 1);
    int sleepers = atomic_load(&pool->sleepers);
    if (sleepers > 0) futex_wake(&pool->sequence, (size_t)sleepers < units - 1 ? sleepers : (int)(units - 1));
}

static void wait_for_workers(struct vt_pool *pool) {
    atomic_store(&pool->open, false);
    if (spin(pool, &pool->active, 0, true)) return;
    atomic_store(&pool->caller_sleeps, true);
    for (unsigned active; (active = atomic_load(&pool->active)) != 0;) futex_wait(&pool->active, active);
    atomic_store(&pool->caller_sleeps, false);
}

void vt_pool_run(struct vt_pool *pool, size_t units, vt_pool_task *task, void *context) {
    unsigned denormals = vt_cpu_flush_denormals();
    if (!pool || pool->threads == 1 || units < 2 || atomic_exchange(&pool->busy, true)) {
        for (size_t unit = 0; unit < units; unit++) task(context, unit, 0);
    } else {
        publish(pool, units, task, context);
        take_units(pool, 0);
        wait_for_workers(pool);
        atomic_store(&pool->busy, false);
    }
    vt_cpu_restore_denormals(denormals);
}
