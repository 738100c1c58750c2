/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_photos.h"

#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/status.h"
#include "samples.h"

enum { LEAST_RUNS = 5, MOST_RUNS = 10000 };

/* In the order of struct vultus_times, but for `read`, which has the file's time too. The total is its own sample. */
enum stage { READ, LETTERBOX, DETECT, DECODE, ALIGN, EMBED, STAGES, TOTAL = STAGES, SAMPLES };
static const char *const stage_names[STAGES] = {"read", "letterbox", "detect", "decode", "align", "embed"};

struct bench {
    const struct vt_options *options;
    struct vultus_analyze_options analyze;
    struct vt_cli_pipeline models;
    double *samples[SAMPLES]; /* MOST_RUNS each, milliseconds */
};

/* What one photo took: medians, and the total's 10th and 90th percentile. */
struct row {
    const char *file;
    size_t faces;
    int runs;
    double median[SAMPLES], low, high;
};

static enum vultus_status run_once(
    struct bench *b, const char *file, int run, size_t *faces, struct vultus_error *error) {
    struct vultus_faces *found = NULL;
    double file_ms = 0;
    uint64_t start = vt_now_ns();
    enum vultus_status status = vt_cli_analyze_file(&b->models, b->options, file, &b->analyze, &found, &file_ms, error);
    double total = vt_ms_since(start);
    if (status < 0) return status;
    const struct vultus_times *t = &found->times;
    const double stages[SAMPLES] = {file_ms + t->read, t->letterbox, t->detect, t->decode, t->align, t->embed, total};
    for (int s = 0; s < SAMPLES; s++) b->samples[s][run] = stages[s];
    *faces = found->count;
    vultus_faces_free(found);
    return VULTUS_OK;
}

/* One run to warm up, then for at least the time asked for. */
static enum vultus_status time_photo(struct bench *b, const char *file, struct row *row, struct vultus_error *error) {
    int runs = 0;
    *row = (struct row){.file = file};
    enum vultus_status status = run_once(b, file, 0, &row->faces, error);
    uint64_t start = vt_now_ns();
    while (status == VULTUS_OK && runs < MOST_RUNS &&
           (runs < LEAST_RUNS || vt_ms_since(start) < b->options->seconds * 1e3))
        status = run_once(b, file, runs++, &row->faces, error);
    if (status < 0) return status;
    row->runs = runs;
    for (int s = 0; s < SAMPLES; s++) {
        vt_sort_samples(b->samples[s], runs);
        row->median[s] = vt_percentile(b->samples[s], runs, 50);
    }
    row->low = vt_percentile(b->samples[TOTAL], runs, 10);
    row->high = vt_percentile(b->samples[TOTAL], runs, 90);
    return VULTUS_OK;
}

/* ---------------------------------------------------------------- results */

static double per_face(const struct row *row) { return row->faces ? row->median[TOTAL] / (double)row->faces : NAN; }
static double faces_per_s(const struct row *row) { return (double)row->faces * 1e3 / row->median[TOTAL]; }

static void print_head(void) {
    printf("%-24s %6s %10s %17s %12s %9s", "photo", "faces", "total ms", "p10-p90 ms", "per face ms", "faces/s");
    for (int s = 0; s < STAGES; s++) printf(" %9s", stage_names[s]);
    putchar('\n');
}

static void print_row(const struct row *row) {
    char spread[32], face[16] = "-";
    snprintf(spread, sizeof spread, "%.2f-%.2f", row->low, row->high);
    if (row->faces) snprintf(face, sizeof face, "%.2f", per_face(row));
    vt_cli_print_clean(vt_path_basename(row->file));
    printf("%*s %6zu %10.2f %17s %12s %9.1f", (int)fmax(0, 24 - (double)strlen(vt_path_basename(row->file))), "",
        row->faces, row->median[TOTAL], spread, face, faces_per_s(row));
    for (int s = 0; s < STAGES; s++) printf(" %8.1f%%", 100 * row->median[s] / row->median[TOTAL]);
    putchar('\n');
    fflush(stdout);
}

static json_t *row_object(const struct row *row) {
    json_t *stages = json_object();
    for (int s = 0; s < STAGES; s++)
        json_object_set_new(stages, stage_names[s], vt_cli_json_rounded(row->median[s], 4));
    return json_pack("{s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:i}", "file", vt_json_text(row->file), "faces",
        (int)row->faces, "total_ms", vt_cli_json_rounded(row->median[TOTAL], 4), "p10_ms",
        vt_cli_json_rounded(row->low, 4), "p90_ms", vt_cli_json_rounded(row->high, 4), "per_face_ms",
        vt_cli_json_rounded(per_face(row), 4), "faces_per_s", vt_cli_json_rounded(faces_per_s(row), 2), "stages_ms",
        stages, "runs", row->runs);
}

static enum vultus_status bench_files(struct bench *b, const struct vt_file_list *files, struct vultus_error *error) {
    json_t *results = b->options->json ? json_array() : NULL;
    enum vultus_status status = VULTUS_OK;
    if (!results) print_head();
    for (size_t i = 0; status == VULTUS_OK && i < files->count; i++) {
        struct row row;
        status = time_photo(b, files->paths[i], &row, error);
        if (status < 0) break;
        if (!results)
            print_row(&row);
        else if (json_array_append_new(results, row_object(&row)) < 0)
            status = vt_fail_memory(error, "results", files->count);
    }
    if (status == VULTUS_OK && results) {
        json_t *object = json_pack("{s:o, s:o, s:i, s:O}", "detector", vt_json_text(b->models.detector), "recogniser",
            vt_json_text(b->models.recogniser), "threads", vultus_runtime_threads(b->models.runtime), "photos",
            results);
        if (!vt_cli_json_print(object, true)) status = vt_fail_memory(error, "results", files->count);
    }
    json_decref(results);
    return status;
}

bool vt_bench_wants_photos(const struct vt_options *options) {
    const char *first = options->operands[0];
    return options->n_operands > 1 || vt_has_picture_suffix(first);
}

int vt_bench_photos(const struct vt_options *options) {
    struct bench b = {.options = options, .analyze = vt_cli_analyze_options(options)};
    struct vt_file_list files = {0};
    struct vultus_error error;
    int code = VT_EXIT_FAILURE;
    bool room = true;
    for (int s = 0; s < SAMPLES; s++) room &= (b.samples[s] = malloc(MOST_RUNS * sizeof *b.samples[s])) != NULL;
    if (!room)
        vt_cli_fail_memory();
    else if (vt_file_list_expand(options, &files) && vt_cli_pipeline_open(options, true, &b.models))
        code = bench_files(&b, &files, &error) < 0 ? vt_cli_fail(&error) : VT_EXIT_OK;
    for (int s = 0; s < SAMPLES; s++) free(b.samples[s]);
    vt_cli_pipeline_close(&b.models);
    vt_file_list_fini(&files);
    return code;
}
