/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_time.h"

#include "base/clock.h"
#include "buffers.h"

enum vultus_status vt_bench_time(
    struct vultus_session *session, int batch, double seconds, double *samples, int *runs, struct vultus_error *error) {
    struct vt_buffers buffers;
    enum vultus_status status = vt_buffers_init(&buffers, session, batch, error);
    int n = 0;
    for (int i = 0; status == VULTUS_OK && i < 2; i++) status = vt_buffers_run(&buffers, session, batch, error);
    uint64_t start = vt_now_ns();
    while (status == VULTUS_OK && n < VT_BENCH_MOST_RUNS &&
           (n < VT_BENCH_LEAST_RUNS || vt_ms_since(start) < seconds * 1e3)) {
        uint64_t before = vt_now_ns();
        status = vt_buffers_run(&buffers, session, batch, error);
        samples[n++] = vt_ms_since(before);
    }
    vt_buffers_fini(&buffers);
    *runs = n;
    return status;
}
