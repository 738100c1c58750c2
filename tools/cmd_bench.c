/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/status.h"
#include "common.h"

#define LEAST_RUNS 5
#define MOST_RUNS 100000
#define DEFAULT_MAX_BATCH 32

struct result {
    int batch, runs;
    double p50_ms, p99_ms, min_ms, items_per_s;
};

struct bench {
    struct vultus_session *session;
    size_t n_inputs, n_outputs;
    void **inputs, **outputs;
    double *samples; /* MOST_RUNS, milliseconds */
    double seconds;
};

/* xorshift64* (Vigna 2016), uniform in (0, 1). */
static double next_uniform(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return ((double)((*state * 0x2545F4914F6CDD1Du) >> 11) + 0.5) * 0x1p-53;
}

/* Standard normal numbers by Box and Muller's transform, the same on every call. */
static void fill_normal(float *values, size_t count) {
    uint64_t state = 7;
    for (size_t i = 0; i < count; i++) {
        double radius = sqrt(-2 * log(next_uniform(&state)));
        values[i] = (float)(radius * cos(2 * M_PI * next_uniform(&state)));
    }
}

static void free_buffers(struct bench *b) {
    for (size_t i = 0; b->inputs && i < b->n_inputs; i++) vt_free_aligned(b->inputs[i]);
    for (size_t i = 0; b->outputs && i < b->n_outputs; i++) vt_free_aligned(b->outputs[i]);
    free(b->inputs);
    free(b->outputs);
    b->inputs = b->outputs = NULL;
}

static enum vultus_status make_buffers(struct bench *b, int batch, struct vultus_error *error) {
    b->inputs = calloc(b->n_inputs, sizeof *b->inputs);
    b->outputs = calloc(b->n_outputs, sizeof *b->outputs);
    if (!b->inputs || !b->outputs) return vt_fail_memory(error, "buffers", b->n_inputs + b->n_outputs);
    struct vultus_tensor_info info;
    for (size_t i = 0; i < b->n_inputs; i++) {
        enum vultus_status status = vultus_session_input(b->session, i, batch, &info, error);
        if (status < 0) return status;
        if (!(b->inputs[i] = vt_alloc_aligned(info.bytes))) return vt_fail_memory(error, info.name, info.bytes);
        memset(b->inputs[i], 0, info.bytes);
        if (strcmp(info.dtype, "float32") == 0) fill_normal(b->inputs[i], info.bytes / sizeof(float));
    }
    for (size_t i = 0; i < b->n_outputs; i++) {
        enum vultus_status status = vultus_session_output(b->session, i, batch, &info, error);
        if (status < 0) return status;
        if (!(b->outputs[i] = vt_alloc_aligned(info.bytes))) return vt_fail_memory(error, info.name, info.bytes);
    }
    return VULTUS_OK;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nearest rank. */
static double percentile(const double *sorted, int count, double percent) {
    int rank = (int)ceil(percent / 100 * count);
    return sorted[rank > 0 ? rank - 1 : 0];
}

static enum vultus_status time_batch(struct bench *b, int batch, struct result *out, struct vultus_error *error) {
    enum vultus_status status = make_buffers(b, batch, error);
    int runs = 0;
    for (int i = 0; status == VULTUS_OK && i < 2; i++)
        status = vultus_session_run(b->session, (const void *const *)b->inputs, b->outputs, batch, error);
    uint64_t start = vt_now_ns();
    while (status == VULTUS_OK && runs < MOST_RUNS && (runs < LEAST_RUNS || vt_ms_since(start) < b->seconds * 1e3)) {
        uint64_t before = vt_now_ns();
        status = vultus_session_run(b->session, (const void *const *)b->inputs, b->outputs, batch, error);
        b->samples[runs++] = vt_ms_since(before);
    }
    free_buffers(b);
    if (status < 0) return status;
    qsort(b->samples, (size_t)runs, sizeof *b->samples, by_value);
    *out = (struct result){batch, runs, .p50_ms = percentile(b->samples, runs, 50)};
    out->p99_ms = percentile(b->samples, runs, 99);
    out->min_ms = b->samples[0];
    out->items_per_s = batch * 1e3 / out->p50_ms;
    return VULTUS_OK;
}

static void print_result(const struct result *r, bool quiet) {
    if (quiet)
        printf("%.4f\n", r->p50_ms);
    else
        printf("batch %-4d p50 %9.3f ms  p99 %9.3f ms  min %9.3f ms  %10.1f items/s  (%d runs)\n", r->batch, r->p50_ms,
            r->p99_ms, r->min_ms, r->items_per_s, r->runs);
    fflush(stdout);
}

static json_t *result_object(const struct result *r) {
    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:i}", "batch", r->batch, "p50_ms", vt_cli_json_rounded(r->p50_ms, 4),
        "p99_ms", vt_cli_json_rounded(r->p99_ms, 4), "min_ms", vt_cli_json_rounded(r->min_ms, 4), "items_per_s",
        vt_cli_json_rounded(r->items_per_s, 2), "runs", r->runs);
}

static enum vultus_status time_batches(
    struct bench *b, const struct vt_options *options, int threads, struct vultus_error *error) {
    static const int one = 1;
    const int *batches = options->n_batches ? options->batches : &one;
    size_t count = options->n_batches ? options->n_batches : 1;
    json_t *results = options->json ? json_array() : NULL;
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; status == VULTUS_OK && i < count; i++) {
        struct result r;
        status = time_batch(b, batches[i], &r, error);
        if (status < 0) break;
        if (!options->json)
            print_result(&r, options->quiet);
        else if (json_array_append_new(results, result_object(&r)) < 0)
            status = vt_fail_memory(error, "results", count);
    }
    if (options->json && status == VULTUS_OK) {
        json_t *object = json_pack(
            "{s:o, s:i, s:O}", "file", vt_json_text(options->operands[0]), "threads", threads, "results", results);
        if (!vt_cli_json_print(object, true)) status = vt_fail_memory(error, "results", count);
    }
    json_decref(results);
    return status;
}

/* A plan built on the way is built for the largest batch asked for. */
static int max_batch_wanted(const struct vt_options *options) {
    int most = options->max_batch;
    for (size_t i = 0; !options->max_batch && i < options->n_batches; i++)
        if (options->batches[i] > DEFAULT_MAX_BATCH && options->batches[i] > most) most = options->batches[i];
    return most;
}

int vt_cli_bench(const struct vt_options *options) {
    struct vultus_runtime *runtime = vt_cli_runtime(options);
    if (!runtime) return VT_EXIT_FAILURE;
    struct bench bench = {.seconds = options->seconds};
    struct vt_cli_progress progress = {0};
    struct vultus_build_options build = vt_cli_build_options(options, options->operands[0], &progress);
    struct vultus_error error;
    build.max_batch = max_batch_wanted(options);
    enum vultus_status status = vultus_session_open(runtime, options->operands[0], &build, &bench.session, &error);
    vt_cli_progress_end(&progress);
    if (status == VULTUS_OK) {
        bench.n_inputs = vultus_session_inputs(bench.session);
        bench.n_outputs = vultus_session_outputs(bench.session);
        bench.samples = malloc(MOST_RUNS * sizeof *bench.samples);
        status = bench.samples ? time_batches(&bench, options, vultus_runtime_threads(runtime), &error)
                               : vt_fail_memory(&error, "samples", MOST_RUNS * sizeof *bench.samples);
    }
    int code = status < 0 ? vt_cli_fail(&error) : VT_EXIT_OK;
    free(bench.samples);
    vultus_session_close(bench.session);
    vultus_runtime_destroy(runtime);
    return code;
}
