/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/peak_kernels.h"
#include "base/clock.h"
#include "base/cpu.h"

#define UNIT_NS 100000u /* long against handing out a unit, short against an interruption */
#define UNITS_PER_THREAD 32
#define TRIES 40

static vt_peak_kernel *kernel(void) {
#if defined(__x86_64__)
    if (vt_cpu_has(VT_CPU_AVX512)) return vt_peak_kernel_avx512;
    if (vt_cpu_has(VT_CPU_AVX2)) return vt_peak_kernel_avx2;
#endif
    return vt_peak_kernel_generic;
}

struct job {
    vt_peak_kernel *kernel;
    int64_t rounds;
};

static void run_unit(void *context, size_t unit, int thread) {
    (void)unit, (void)thread;
    const struct job *job = context;
    volatile float sink; /* keeps the compiler from dropping the work */
    float result;
    job->kernel(job->rounds, &result);
    sink = result;
    (void)sink;
}

/* Rounds that take about UNIT_NS. */
static int64_t calibrate(vt_peak_kernel *run) {
    float sink;
    for (int64_t rounds = 1024;; rounds *= 2) {
        uint64_t start = vt_now_ns();
        run(rounds, &sink);
        if (vt_now_ns() - start >= UNIT_NS) return rounds;
    }
}

/* The best of some tries: interruptions only ever add. */
static double measure(struct vt_pool *pool) {
    struct job job = {.kernel = kernel()};
    float sink;
    job.rounds = calibrate(job.kernel);
    size_t units = (size_t)vt_pool_threads(pool) * UNITS_PER_THREAD;
    double operations = job.kernel(job.rounds, &sink) * (double)units, best = 0;
    for (int i = 0; i < TRIES; i++) {
        uint64_t start = vt_now_ns();
        vt_pool_run(pool, units, run_unit, &job);
        double flops = operations * 1e9 / (double)(vt_now_ns() - start);
        if (flops > best) best = flops;
    }
    return best;
}

double vt_cpu_peak_flops(struct vt_pool *pool, const char *precision) {
    (void)precision;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int known_threads; /* of the value remembered; 0: none yet */
    static double known;
    pthread_mutex_lock(&lock);
    if (known_threads != vt_pool_threads(pool)) {
        known = measure(pool);
        known_threads = vt_pool_threads(pool);
    }
    double flops = known;
    pthread_mutex_unlock(&lock);
    return flops;
}
