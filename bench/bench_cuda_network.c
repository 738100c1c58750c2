/* SPDX-License-Identifier: Apache-2.0
 *
 * Times whole plans on the GPU at hand, without copies from and to the host: all steps of a batch as one graph,
 * launched between two events; the median of many. bench_cuda_network [-b batch,batch...] plan...
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/cuda/module/executable.h"
#include "backend/cuda/module/tactic.h"
#include "plan/plan.h"

enum { WARM_UPS = 10, ROUNDS = 101, MOST_BATCHES = 8 };

static void must(enum vultus_status status, const struct vultus_error *error) {
    if (!status) return;
    fprintf(stderr, "bench_cuda_network: %s\n", error->text);
    exit(1);
}

/* Numbers between -1 and 1: products of zeros are faster. */
static void fill_inputs(struct vt_executable *e, int64_t batch, struct vt_cuda_stream *stream) {
    const struct vt_plan *plan = vt_cuda_executable_plan(e);
    struct vultus_error error;
    uint32_t state = 1;
    for (uint32_t i = 0; i < plan->n_inputs; i++) {
        size_t bytes = plan->values[plan->inputs[i]].bytes * (size_t)batch;
        float *numbers = malloc(bytes);
        if (!numbers) exit(1);
        for (size_t n = 0; n < bytes / sizeof *numbers; n++) {
            state = state * 1664525u + 1013904223u;
            numbers[n] = (float)(int32_t)state * 0x1p-31f;
        }
        void *to = vt_cuda_executable_input(e, i, batch);
        must(vt_cuda_copy(stream, to, numbers, bytes, VT_CUDA_TO_DEVICE, &error), &error);
        must(vt_cuda_stream_wait(stream, &error), &error);
        free(numbers);
    }
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Milliseconds of a batch, the median. */
static double time_batch(struct vt_executable *e, int64_t batch) {
    struct vultus_error error;
    struct vt_cuda_stream *stream;
    struct vt_cuda_event *from, *to;
    uint64_t times[ROUNDS];
    must(vt_cuda_stream_create(&stream, &error), &error);
    must(vt_cuda_executable_reserve(e, batch, &error), &error);
    fill_inputs(e, batch, stream);
    must(vt_cuda_event_create(&from, &error), &error);
    must(vt_cuda_event_create(&to, &error), &error);
    for (int round = -WARM_UPS; round < ROUNDS; round++) {
        must(vt_cuda_event_record(from, stream, &error), &error);
        must(vt_cuda_executable_queue(e, batch, stream, &error), &error);
        must(vt_cuda_event_record(to, stream, &error), &error);
        must(vt_cuda_stream_wait(stream, &error), &error);
        if (round >= 0) must(vt_cuda_event_nanoseconds(from, to, &times[round], &error), &error);
    }
    vt_cuda_event_destroy(from);
    vt_cuda_event_destroy(to);
    vt_cuda_stream_destroy(stream);
    qsort(times, ROUNDS, sizeof *times, ascending);
    return (double)times[ROUNDS / 2] * 1e-6;
}

static void time_plan(const char *path, const int *batches, int n_batches) {
    struct vultus_error error;
    struct vt_plan *plan;
    struct vt_executable *executable;
    must(vt_plan_read(path, &plan, &error), &error);
    must(vt_cuda_module_backend.create(plan, NULL, 0, &executable, &error), &error);
    for (int i = 0; i < n_batches && batches[i] <= plan->max_batch; i++) {
        printf("%s %s batch %d: %.4f ms\n", plan->model.name, plan->key.precision, batches[i],
            time_batch(executable, batches[i]));
        fflush(stdout);
    }
    vt_cuda_module_backend.destroy(executable);
    vt_plan_destroy(plan);
}

int main(int argc, char **argv) {
    int batches[MOST_BATCHES] = {1}, n_batches = 1, option;
    while ((option = getopt(argc, argv, "b:")) != -1)
        if (option == 'b')
            for (n_batches = 0; n_batches < MOST_BATCHES && *optarg; n_batches++, optarg += *optarg == ',')
                batches[n_batches] = (int)strtol(optarg, &optarg, 10);
    if (optind >= argc) {
        fprintf(stderr, "usage: bench_cuda_network [-b batch,batch...] plan...\n");
        return 2;
    }
    for (int i = optind; i < argc; i++) time_plan(argv[i], batches, n_batches);
    return 0;
}
