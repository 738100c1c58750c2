/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/json.h"
#include "base/status.h"
#include "bench_backends.h"
#include "bench_photos.h"
#include "bench_time.h"
#include "common.h"
#include "layers.h"
#include "samples.h"

#define DEFAULT_MAX_BATCH 32

struct result {
    int batch, runs;
    double p50_ms, p99_ms, min_ms, items_per_s;
    double flops, peak_flops; /* a second */
};

struct bench {
    const struct vt_options *options;
    struct vultus_runtime *runtime;
    struct vultus_session *session;
    double *samples;   /* VT_BENCH_MOST_RUNS, milliseconds */
    double item_flops; /* of one item, all steps */
    double peak_flops; /* a second; 0: not asked for */
    json_t *results;   /* NULL: not asked for */
};

/* ---------------------------------------------------------------- timing */

static enum vultus_status time_batch(struct bench *b, int batch, struct result *out, struct vultus_error *error) {
    int runs = 0;
    enum vultus_status status = vt_bench_time(b->session, batch, b->options->seconds, b->samples, &runs, error);
    if (status < 0) return status;
    vt_sort_samples(b->samples, runs);
    *out = (struct result){batch, runs, .p50_ms = vt_percentile(b->samples, runs, 50)};
    out->p99_ms = vt_percentile(b->samples, runs, 99);
    out->min_ms = b->samples[0];
    out->items_per_s = batch * 1e3 / out->p50_ms;
    out->flops = b->item_flops * out->items_per_s;
    out->peak_flops = b->peak_flops;
    return VULTUS_OK;
}

static enum vultus_status count_flops(struct bench *b, struct vultus_error *error) {
    struct vultus_step_info info;
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; status == VULTUS_OK && i < vultus_session_steps(b->session); i++) {
        status = vultus_session_step(b->session, i, 1, &info, error);
        if (status == VULTUS_OK) b->item_flops += info.flops;
    }
    return status;
}

/* ---------------------------------------------------------------- results */

static void print_result(const struct result *r, bool quiet) {
    char part[16] = "unknown";
    if (r->peak_flops > 0) snprintf(part, sizeof part, "%6.1f%%", 100 * r->flops / r->peak_flops);
    if (quiet)
        printf("%.4f\n", r->p50_ms);
    else
        printf("batch %-4d p50 %9.3f ms  p99 %9.3f ms  min %9.3f ms %9.1f items/s %8.1f GFLOP/s %s of peak  "
               "(%d runs)\n",
            r->batch, r->p50_ms, r->p99_ms, r->min_ms, r->items_per_s, r->flops * 1e-9, part, r->runs);
    fflush(stdout);
}

static json_t *result_object(const struct result *r) {
    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:i}", "batch", r->batch, "p50_ms",
        vt_cli_json_rounded(r->p50_ms, 4), "p99_ms", vt_cli_json_rounded(r->p99_ms, 4), "min_ms",
        vt_cli_json_rounded(r->min_ms, 4), "items_per_s", vt_cli_json_rounded(r->items_per_s, 2), "gflops",
        vt_cli_json_rounded(r->flops * 1e-9, 3), "of_peak", vt_cli_json_rounded(r->flops / r->peak_flops, 5), "runs",
        r->runs);
}

static enum vultus_status add_layers(struct bench *b, int batch, json_t *object, struct vultus_error *error) {
    struct vt_layers layers;
    enum vultus_status status = vt_layers_time(b->session, batch, b->options->seconds, &layers, error);
    if (status == VULTUS_OK && !b->results) vt_layers_print(&layers);
    if (status == VULTUS_OK && b->results && !vt_layers_add_json(&layers, object))
        status = vt_fail_memory(error, "results", layers.count);
    vt_layers_fini(&layers);
    return status;
}

static enum vultus_status bench_batch(struct bench *b, int batch, struct vultus_error *error) {
    struct result r;
    enum vultus_status status = time_batch(b, batch, &r, error);
    if (status < 0) return status;
    json_t *object = b->results ? result_object(&r) : NULL;
    if (!b->results) print_result(&r, b->options->quiet);
    if (b->options->layers && !b->options->quiet) status = add_layers(b, batch, object, error);
    if (!b->results) return status;
    if (json_array_append_new(b->results, object) < 0 && status == VULTUS_OK)
        status = vt_fail_memory(error, "results", 1);
    return status;
}

static enum vultus_status bench_batches(struct bench *b, struct vultus_error *error) {
    static const int one = 1;
    const struct vt_options *options = b->options;
    const int *batches = options->n_batches ? options->batches : &one;
    size_t count = options->n_batches ? options->n_batches : 1;
    enum vultus_status status = count_flops(b, error);
    if (status == VULTUS_OK && (options->json || !options->quiet))
        status = vultus_session_peak_flops(b->session, &b->peak_flops, error);
    for (size_t i = 0; status == VULTUS_OK && i < count; i++) status = bench_batch(b, batches[i], error);
    if (status < 0 || !options->json) return status;
    json_t *object = json_pack("{s:o, s:i, s:o, s:O}", "file", vt_json_text(options->operands[0]), "threads",
        vultus_runtime_threads(b->runtime), "peak_gflops",
        b->peak_flops > 0 ? vt_cli_json_rounded(b->peak_flops * 1e-9, 2) : json_null(), "results", b->results);
    return vt_cli_json_print(object, true) ? VULTUS_OK : vt_fail_memory(error, "results", count);
}

/* A plan built on the way is built for the largest batch asked for. */
static int max_batch_wanted(const struct vt_options *options) {
    int most = options->max_batch;
    for (size_t i = 0; !options->max_batch && i < options->n_batches; i++)
        if (options->batches[i] > DEFAULT_MAX_BATCH && options->batches[i] > most) most = options->batches[i];
    return most;
}

int vt_cli_bench(const struct vt_options *options) {
    if (vt_bench_wants_photos(options)) return vt_bench_photos(options);
    if (options->compare_backends) return vt_bench_backends(options);
    struct bench bench = {.options = options, .runtime = vt_cli_runtime(options)};
    if (!bench.runtime) return VT_EXIT_FAILURE;
    struct vt_cli_progress progress = {0};
    struct vultus_build_options build = vt_cli_build_options(options, options->operands[0], &progress);
    struct vultus_error error;
    build.max_batch = max_batch_wanted(options);
    enum vultus_status status =
        vultus_session_open(bench.runtime, options->operands[0], &build, &bench.session, &error);
    vt_cli_progress_end(&progress);
    if (status == VULTUS_OK) {
        bench.results = options->json ? json_array() : NULL;
        bench.samples = malloc(VT_BENCH_MOST_RUNS * sizeof *bench.samples);
        status = bench.samples ? bench_batches(&bench, &error)
                               : vt_fail_memory(&error, "samples", VT_BENCH_MOST_RUNS * sizeof *bench.samples);
    }
    int code = status < 0 ? vt_cli_fail(&error) : VT_EXIT_OK;
    json_decref(bench.results);
    free(bench.samples);
    vultus_session_close(bench.session);
    vultus_runtime_destroy(bench.runtime);
    return code;
}
