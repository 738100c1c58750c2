/* SPDX-License-Identifier: Apache-2.0 */
#include "layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"
#include "buffers.h"
#include "common.h"

#define LEAST_RUNS 5
#define MOST_RUNS 200

/* ---------------------------------------------------------------- timing */

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* times: a row of one number for each step, run after run. */
static void take_medians(struct vt_layers *layers, const uint64_t *times, size_t runs) {
    uint64_t samples[MOST_RUNS];
    for (size_t i = 0; i < layers->count; i++) {
        for (size_t run = 0; run < runs; run++) samples[run] = times[run * layers->count + i];
        qsort(samples, runs, sizeof *samples, by_value);
        layers->rows[i].ms = (double)samples[(runs - 1) / 2] * 1e-6;
        layers->ms += layers->rows[i].ms;
    }
}

static enum vultus_status time_steps(
    struct vt_layers *layers, struct vultus_session *session, double seconds, struct vultus_error *error) {
    struct vt_buffers buffers;
    uint64_t *times = calloc(layers->count, MOST_RUNS * sizeof *times);
    enum vultus_status status = vt_buffers_init(&buffers, session, layers->batch, error);
    if (status == VULTUS_OK && !times) status = vt_fail_memory(error, "times", layers->count * MOST_RUNS);
    size_t runs = 0;
    for (int warm = 0; status == VULTUS_OK && warm < 2; warm++)
        status = vultus_session_profile(
            session, (const void *const *)buffers.inputs, buffers.outputs, layers->batch, times, error);
    uint64_t start = vt_now_ns();
    while (status == VULTUS_OK && runs < MOST_RUNS && (runs < LEAST_RUNS || vt_ms_since(start) < seconds * 1e3))
        status = vultus_session_profile(session, (const void *const *)buffers.inputs, buffers.outputs, layers->batch,
            times + runs++ * layers->count, error);
    if (status == VULTUS_OK) take_medians(layers, times, runs);
    vt_buffers_fini(&buffers);
    free(times);
    return status;
}

enum vultus_status vt_layers_time(
    struct vultus_session *session, int64_t batch, double seconds, struct vt_layers *out, struct vultus_error *error) {
    *out = (struct vt_layers){.count = vultus_session_steps(session), .batch = batch};
    out->rows = calloc(out->count + 1, sizeof *out->rows);
    if (!out->rows) return vt_fail_memory(error, "layers", out->count * sizeof *out->rows);
    enum vultus_status status = vultus_session_peak_flops(session, &out->peak_flops, error);
    for (size_t i = 0; status == VULTUS_OK && i < out->count; i++)
        status = vultus_session_step(session, i, batch, &out->rows[i].info, error);
    return status == VULTUS_OK ? time_steps(out, session, seconds, error) : status;
}

void vt_layers_fini(struct vt_layers *layers) {
    free(layers->rows);
    *layers = (struct vt_layers){0};
}

/* ---------------------------------------------------------------- sums */

#define MOST_PROVIDERS 8

struct sum {
    const char *provider;
    size_t steps;
    double ms, flops;
};

/* Rows by provider, in order of first appearance; returns how many there are. */
static size_t sum_up(const struct vt_layers *layers, struct sum sums[MOST_PROVIDERS]) {
    size_t n = 0;
    for (size_t i = 0; i < layers->count; i++) {
        const struct vt_layer *row = &layers->rows[i];
        size_t s = 0;
        while (s < n && strcmp(sums[s].provider, row->info.provider) != 0) s++;
        if (s == MOST_PROVIDERS) continue;
        if (s == n) sums[n++] = (struct sum){.provider = row->info.provider};
        sums[s].steps++;
        sums[s].ms += row->ms;
        sums[s].flops += row->info.flops * (double)layers->batch;
    }
    return n;
}

static double gflops(double flops, double ms) { return ms > 0 ? flops / ms * 1e-6 : 0; }

/* ---------------------------------------------------------------- for people */

/* "1x64x56x56". */
static const char *shape_text(const struct vultus_step_info *info, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < info->rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? "x%lld" : "%lld", (long long)info->dims[i]);
    return text;
}

static void print_speed(const struct vt_layers *layers, double ms, double flops) {
    double speed = gflops(flops, ms);
    printf("%10.3f ms %6.1f%%", ms, 100 * ms / layers->ms);
    if (flops > 0)
        printf(" %9.1f", speed);
    else
        printf(" %9s", "-");
    if (flops > 0 && layers->peak_flops > 0)
        printf(" %6.1f%%", 100 * speed * 1e9 / layers->peak_flops);
    else
        printf(" %7s", "-");
}

static void print_row(const struct vt_layers *layers, size_t i) {
    const struct vt_layer *row = &layers->rows[i];
    char shape[96];
    printf("%4zu  %-11s %-18s %-28s %-9s", i, row->info.op, shape_text(&row->info, shape, sizeof shape),
        row->info.tactic, row->info.provider);
    print_speed(layers, row->ms, row->info.flops * (double)layers->batch);
    fputs("  ", stdout);
    vt_cli_print_clean(row->info.name);
    putchar('\n');
}

void vt_layers_print(const struct vt_layers *layers) {
    printf("%4s  %-11s %-18s %-28s %-9s%13s %7s %9s %7s  %s\n", "step", "op", "output", "tactic", "provider", "time",
        "share", "GFLOP/s", "of peak", "name");
    for (size_t i = 0; i < layers->count; i++) print_row(layers, i);
    struct sum sums[MOST_PROVIDERS], all = {.provider = "all"};
    size_t n = sum_up(layers, sums);
    for (size_t s = 0; s <= n; s++) {
        const struct sum *sum = s < n ? &sums[s] : &all;
        printf("%-9s %4zu steps", sum->provider, sum->steps);
        print_speed(layers, sum->ms, sum->flops);
        putchar('\n');
        all.steps += sum->steps;
        all.ms += sum->ms;
        all.flops += sum->flops;
    }
}

/* ---------------------------------------------------------------- JSON */

static bool set_speed(const struct vt_layers *layers, json_t *object, double ms, double flops) {
    double speed = gflops(flops, ms);
    return object && json_object_set_new(object, "ms", vt_cli_json_rounded(ms, 6)) == 0 &&
           json_object_set_new(object, "share", vt_cli_json_rounded(ms / layers->ms, 6)) == 0 &&
           json_object_set_new(object, "gflops", flops > 0 ? vt_cli_json_rounded(speed, 3) : json_null()) == 0 &&
           json_object_set_new(object, "of_peak",
               flops > 0 ? vt_cli_json_rounded(speed * 1e9 / layers->peak_flops, 5) : json_null()) == 0;
}

/* Appends an object whose times are still to be set; releases it on failure. */
static bool append(const struct vt_layers *layers, json_t *list, json_t *object, double ms, double flops) {
    bool fine = set_speed(layers, object, ms, flops);
    return json_array_append_new(list, object) == 0 && fine;
}

bool vt_layers_add_json(const struct vt_layers *layers, json_t *result) {
    json_t *rows = json_array(), *providers = json_array();
    bool fine = true;
    for (size_t i = 0; i < layers->count; i++) {
        const struct vultus_step_info *info = &layers->rows[i].info;
        json_t *shape = json_array();
        for (int d = 0; d < info->rank; d++) json_array_append_new(shape, json_integer(info->dims[d]));
        json_t *row = json_pack("{s:o, s:s, s:o, s:s, s:s}", "name", vt_json_text(info->name), "op", info->op, "output",
            shape, "tactic", info->tactic, "provider", info->provider);
        fine = append(layers, rows, row, layers->rows[i].ms, info->flops * (double)layers->batch) && fine;
    }
    struct sum sums[MOST_PROVIDERS];
    size_t n = sum_up(layers, sums);
    for (size_t s = 0; s < n; s++) {
        json_t *sum = json_pack("{s:s, s:I}", "provider", sums[s].provider, "steps", (json_int_t)sums[s].steps);
        fine = append(layers, providers, sum, sums[s].ms, sums[s].flops) && fine;
    }
    fine = json_object_set_new(result, "layers", rows) == 0 && fine;
    return json_object_set_new(result, "providers", providers) == 0 && fine;
}
