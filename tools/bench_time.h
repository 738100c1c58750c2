/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_BENCH_TIME_H
#define VT_TOOLS_BENCH_TIME_H

#include "vultus/vultus.h"

enum { VT_BENCH_LEAST_RUNS = 5, VT_BENCH_MOST_RUNS = 100000 };

/*
 * Runs a session on random input, twice to warm up and then for at least `seconds` and VT_BENCH_LEAST_RUNS times.
 * samples: room for VT_BENCH_MOST_RUNS, milliseconds of a whole batch in the order of the runs; *runs: how many.
 */
enum vultus_status vt_bench_time(
    struct vultus_session *session, int batch, double seconds, double *samples, int *runs, struct vultus_error *error);

#endif
