/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_backends.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/status.h"
#include "bench_time.h"
#include "samples.h"

/* Shown of the first batch size one by one, as they came. */
enum { SHOWN_RUNS = 5, MOST_LANES = 4 };

/* A back end with a precision of its plan. */
struct lane {
    const char *backend, *precision;
    char why[VULTUS_ERROR_TEXT]; /* it cannot be used; "": it can */
    char device[96];
    double mean_ms[VT_MAX_LIST], median_ms[VT_MAX_LIST];
    int runs[VT_MAX_LIST];
    double shown_ms[SHOWN_RUNS];
};

struct comparison {
    const struct vt_options *options;
    struct vultus_runtime *runtime;
    json_t *about; /* what the doctor shows */
    int batches[VT_MAX_LIST];
    size_t n_batches;
    struct lane lanes[MOST_LANES];
    size_t n_lanes;
    double *samples; /* VT_BENCH_MOST_RUNS */
};

/* ---------------------------------------------------------------- timing */

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const json_t *find_backend(const struct comparison *c, const char *name) {
    size_t i;
    json_t *backend;
    json_array_foreach(json_object_get(c->about, "backends"), i, backend) {
        if (strcmp(text_of(backend, "name"), name) == 0) return backend;
    }
    return NULL;
}

static enum vultus_status time_batches(
    struct comparison *c, struct lane *lane, struct vultus_session *session, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (size_t b = 0; status == VULTUS_OK && b < c->n_batches; b++) {
        int runs = 0;
        double sum = 0;
        status = vt_bench_time(session, c->batches[b], c->options->seconds, c->samples, &runs, error);
        if (status < 0) break;
        for (int i = 0; i < runs; i++) sum += c->samples[i];
        if (b == 0) memcpy(lane->shown_ms, c->samples, sizeof lane->shown_ms);
        vt_sort_samples(c->samples, runs);
        lane->mean_ms[b] = sum / runs;
        lane->median_ms[b] = vt_percentile(c->samples, runs, 50);
        lane->runs[b] = runs;
    }
    return status;
}

/* A back end that fails is a row that says why, not the end. */
static void time_lane(struct comparison *c, struct lane *lane) {
    const struct vt_options *options = c->options;
    const json_t *about = find_backend(c, lane->backend);
    struct vt_cli_progress progress = {0};
    struct vultus_build_options build = vt_cli_build_options(options, options->operands[0], &progress);
    struct vultus_session *session = NULL;
    struct vultus_error error = {VULTUS_OK, ""};
    snprintf(lane->device, sizeof lane->device, "%s", text_of(about, "device"));
    if (!json_is_true(json_object_get(about, "usable"))) {
        snprintf(lane->why, sizeof lane->why, "%s", text_of(about, "reason"));
        return;
    }
    build.backend = lane->backend;
    build.precision = lane->precision;
    for (size_t b = 0; !options->max_batch && b < c->n_batches; b++)
        if (c->batches[b] > 32 && c->batches[b] > build.max_batch) build.max_batch = c->batches[b];
    enum vultus_status status = vultus_session_open(c->runtime, options->operands[0], &build, &session, &error);
    vt_cli_progress_end(&progress);
    if (status == VULTUS_OK) status = time_batches(c, lane, session, &error);
    if (status < 0) snprintf(lane->why, sizeof lane->why, "%s", error.text);
    vultus_session_close(session);
}

/* With a precision asked for GPUs have that one, and processors where it is theirs. Processors come last: the others
 * are held against them. */
static void choose_lanes(struct comparison *c) {
    static const struct {
        const char *backend, *precision;
        bool only_by_default;
    } usual[MOST_LANES] = {
        {"tensorrt", "fp16", false}, {"cuda", "fp16", false}, {"cuda", "fp32", true}, {"cpu", "fp32", false}};
    const char *asked = c->options->precision;
    for (int i = 0; i < MOST_LANES; i++) {
        bool keeps = !asked || (strcmp(usual[i].backend, "cpu") == 0 && strcmp(asked, "bf16") != 0);
        if (asked && usual[i].only_by_default) continue;
        c->lanes[c->n_lanes++] =
            (struct lane){.backend = usual[i].backend, .precision = keeps ? usual[i].precision : asked};
    }
}

/* ---------------------------------------------------------------- results */

static const struct lane *processor(const struct comparison *c) {
    const struct lane *last = &c->lanes[c->n_lanes - 1];
    return *last->why ? NULL : last;
}

static const struct lane *fastest(const struct comparison *c, size_t batch) {
    const struct lane *best = NULL;
    for (size_t i = 0; i < c->n_lanes; i++)
        if (!*c->lanes[i].why && (!best || c->lanes[i].median_ms[batch] < best->median_ms[batch])) best = &c->lanes[i];
    return best;
}

static void print_speedup(const struct comparison *c, const struct lane *lane, size_t batch) {
    if (processor(c) && lane)
        printf(" %.2fx |\n", processor(c)->median_ms[batch] / lane->median_ms[batch]);
    else
        printf(" |\n");
}

/* A back end that is missing is so whatever the precision. */
static bool is_told(const struct comparison *c, size_t i) {
    const struct lane *lane = &c->lanes[i];
    return i > 0 && strcmp(lane->backend, lane[-1].backend) == 0 && strcmp(lane->why, lane[-1].why) == 0;
}

static void print_backends(const struct comparison *c) {
    printf("Batch of %d:\n\n", c->batches[0]);
    printf("| Back end | Average time | Individual times | Speedup |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < c->n_lanes; i++) {
        const struct lane *lane = &c->lanes[i];
        if (*lane->why) continue;
        printf("| %s %s, %s | %.3f ms | ", lane->backend, lane->precision, lane->device, lane->mean_ms[0]);
        for (int k = 0; k < SHOWN_RUNS; k++) printf("%s%.3f", k ? ", " : "", lane->shown_ms[k]);
        printf(" ms |");
        print_speedup(c, lane, 0);
    }
    for (size_t i = 0; i < c->n_lanes; i++) {
        const struct lane *lane = &c->lanes[i];
        if (*lane->why && !is_told(c, i)) printf("\n%s %s: %s\n", lane->backend, lane->precision, lane->why);
    }
}

static void print_batches(const struct comparison *c) {
    size_t columns = 0;
    printf("\nMedians of whole batches:\n\n| Batch size |");
    for (size_t i = 0; i < c->n_lanes; i++) {
        if (*c->lanes[i].why) continue;
        printf(" %s %s (ms) |", c->lanes[i].backend, c->lanes[i].precision);
        columns++;
    }
    printf(" Speedup |\n| --- |");
    for (size_t i = 0; i < columns + 1; i++) printf(" --- |");
    printf("\n");
    for (size_t b = 0; b < c->n_batches; b++) {
        printf("| %d |", c->batches[b]);
        for (size_t i = 0; i < c->n_lanes; i++)
            if (!*c->lanes[i].why) printf(" %.3f |", c->lanes[i].median_ms[b]);
        print_speedup(c, fastest(c, b), b);
    }
}

static json_t *lane_json(const struct comparison *c, const struct lane *lane) {
    json_t *results = json_array();
    for (size_t b = 0; !*lane->why && b < c->n_batches; b++) {
        json_t *result = json_pack("{s:i, s:o, s:o, s:i}", "batch", c->batches[b], "mean_ms",
            vt_cli_json_rounded(lane->mean_ms[b], 4), "p50_ms", vt_cli_json_rounded(lane->median_ms[b], 4), "runs",
            lane->runs[b]);
        json_object_set_new(result, "speedup",
            processor(c) ? vt_cli_json_rounded(processor(c)->median_ms[b] / lane->median_ms[b], 3) : json_null());
        json_array_append_new(results, result);
    }
    return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o}", "backend", lane->backend, "precision", lane->precision, "usable",
        !*lane->why, "reason", vt_json_text(lane->why), "device", vt_json_text(lane->device), "results", results);
}

static bool print_json(const struct comparison *c) {
    json_t *lanes = json_array();
    for (size_t i = 0; i < c->n_lanes; i++) json_array_append_new(lanes, lane_json(c, &c->lanes[i]));
    return vt_cli_json_print(json_pack("{s:o, s:i, s:o}", "file", vt_json_text(c->options->operands[0]), "threads",
                                 vultus_runtime_threads(c->runtime), "backends", lanes),
        true);
}

static int show(const struct comparison *c) {
    if (c->options->json) {
        if (!print_json(c)) return vt_cli_fail_memory();
    } else {
        print_backends(c);
        if (fastest(c, 0)) print_batches(c);
    }
    if (fastest(c, 0)) return VT_EXIT_OK;
    vt_cli_say("no back end runs %s here", vt_path_basename(c->options->operands[0]));
    return VT_EXIT_FAILURE;
}

/* ---------------------------------------------------------------- the whole */

static bool ask_doctor(struct comparison *c, struct vultus_error *error) {
    char *text = NULL;
    if (vultus_doctor(c->runtime, &text, error) < 0) return false;
    c->about = json_loads(text, 0, NULL);
    vultus_free(text);
    if (!c->about) vt_fail_memory(error, "what is known of back ends", 1);
    return c->about != NULL;
}

int vt_bench_backends(const struct vt_options *options) {
    static const int usual[] = {1, 8, 32};
    struct comparison c = {.options = options, .n_batches = options->n_batches};
    struct vultus_error error;
    if (vultus_is_plan(options->operands[0])) {
        vt_cli_say(
            "%s is a plan, which is for one back end; --compare-backends takes an ONNX model", options->operands[0]);
        return VT_EXIT_FAILURE;
    }
    memcpy(c.batches, options->batches, sizeof c.batches);
    if (c.n_batches == 0) {
        memcpy(c.batches, usual, sizeof usual);
        c.n_batches = sizeof usual / sizeof *usual;
    }
    int code = VT_EXIT_FAILURE;
    c.samples = malloc(VT_BENCH_MOST_RUNS * sizeof *c.samples);
    c.runtime = c.samples ? vt_cli_runtime(options) : NULL;
    if (!c.samples) {
        code = vt_cli_fail_memory();
    } else if (c.runtime && !ask_doctor(&c, &error)) {
        code = vt_cli_fail(&error);
    } else if (c.runtime) {
        choose_lanes(&c);
        for (size_t i = 0; i < c.n_lanes; i++) time_lane(&c, &c.lanes[i]);
        code = show(&c);
    }
    json_decref(c.about);
    free(c.samples);
    vultus_runtime_destroy(c.runtime);
    return code;
}
