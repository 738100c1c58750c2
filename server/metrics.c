/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include <stdio.h>

static const double bounds[VT_BUCKETS - 1] = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

/* The last stands for all others. */
static const unsigned codes[VT_CODES_COUNTED] = {
    200, 204, 206, 301, 304, 307, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 499, 500, 503, 504, 0};

static const char *const stage_names[VT_STAGES] = {
    "queue", "fetch", "decode", "letterbox", "detect", "boxes", "align", "embed", "attributes", "write"};

static const struct {
    const char *name, *help;
} events[VT_EVENTS] = {
    [VT_EVENT_PICTURES] = {"vultus_pictures_total", "pictures of requests"},
    [VT_EVENT_PICTURES_FAILED] = {"vultus_pictures_failed_total", "pictures that could not be had, read or searched"},
    [VT_EVENT_FACES] = {"vultus_faces_total", "faces found, and crops embedded"},
    [VT_EVENT_REFUSED_BUSY] = {"vultus_refused_busy_total", "requests refused because queue or memory were full"},
    [VT_EVENT_REFUSED_SIZE] = {"vultus_refused_size_total", "requests refused because of their size"},
    [VT_EVENT_TIMED_OUT] = {"vultus_timed_out_total", "requests that took, or whose body took, longer than they may"},
    [VT_EVENT_CLIENT_GONE] = {"vultus_client_gone_total",
        "requests given up because their client was gone, or did not send all of them"},
    [VT_EVENT_FETCHES] = {"vultus_fetches_total", "urls asked for"},
    [VT_EVENT_FETCHES_FAILED] = {"vultus_fetches_failed_total", "urls that could not be fetched"},
    [VT_EVENT_FETCHES_REFUSED] = {"vultus_fetches_refused_total", "urls that led to addresses that are not allowed"},
    [VT_EVENT_REFUSED_KEY] = {"vultus_refused_key_total", "requests refused because no key of theirs fits"},
    [VT_EVENT_MODEL_CHANGES] = {"vultus_model_changes_total", "times that other models were put in service"},
    [VT_EVENT_MODEL_FAILURES] = {"vultus_model_failures_total", "changes of models that failed; the old ones stayed"},
    [VT_EVENT_FALLBACKS] = {"vultus_backend_fallbacks_total",
        "times that a back end was passed over when models were opened, or failed while running"},
};

const char *vt_stage_name(enum vt_stage stage) { return stage_names[stage]; }

void vt_count(struct vt_metrics *metrics, enum vt_event event, uint64_t how_many) {
    atomic_fetch_add_explicit(&metrics->events[event], how_many, memory_order_relaxed);
}

static void observe(struct vt_histogram *histogram, uint64_t nanoseconds) {
    int bucket = 0;
    while (bucket < VT_BUCKETS - 1 && (double)nanoseconds > bounds[bucket] * 1e9) bucket++;
    atomic_fetch_add_explicit(&histogram->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->nanoseconds, nanoseconds, memory_order_relaxed);
}

void vt_observe_stage(struct vt_metrics *metrics, enum vt_stage stage, double milliseconds) {
    observe(&metrics->stages[stage], (uint64_t)(milliseconds * 1e6));
}

void vt_observe_answer(struct vt_metrics *metrics, int route, unsigned code, uint64_t nanoseconds) {
    int i = 0;
    while (i < VT_CODES_COUNTED - 1 && codes[i] != code) i++;
    atomic_fetch_add_explicit(&metrics->answers[route][i], 1, memory_order_relaxed);
    observe(&metrics->durations[route], nanoseconds);
}

/* ---------------------------------------------------------------- writing */

void vt_metrics_head(struct vt_strbuf *out, const char *name, const char *type, const char *help) {
    vt_strbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static uint64_t load(const _Atomic uint64_t *counter) { return atomic_load_explicit(counter, memory_order_relaxed); }

/* Nothing for a histogram that is empty. */
static void write_histogram(const struct vt_histogram *histogram, const char *name, const char *label,
    const char *value, struct vt_strbuf *out) {
    uint64_t sum = 0;
    for (int i = 0; i < VT_BUCKETS; i++) sum += load(&histogram->buckets[i]);
    if (sum == 0) return;
    sum = 0;
    for (int i = 0; i < VT_BUCKETS; i++) {
        char bound[16] = "+Inf";
        if (i < VT_BUCKETS - 1) snprintf(bound, sizeof bound, "%g", bounds[i]);
        sum += load(&histogram->buckets[i]);
        vt_strbuf_printf(
            out, "%s_bucket{%s=\"%s\",le=\"%s\"} %llu\n", name, label, value, bound, (unsigned long long)sum);
    }
    vt_strbuf_printf(out, "%s_sum{%s=\"%s\"} %.9g\n%s_count{%s=\"%s\"} %llu\n", name, label, value,
        (double)load(&histogram->nanoseconds) * 1e-9, name, label, value, (unsigned long long)sum);
}

static void write_answers(struct vt_metrics *metrics, const char *(*route_name)(int), struct vt_strbuf *out) {
    vt_metrics_head(out, "vultus_requests_total", "counter", "answers by route and status code");
    for (int r = 0; r < VT_ROUTES_COUNTED && route_name(r); r++)
        for (int c = 0; c < VT_CODES_COUNTED; c++) {
            uint64_t n = load(&metrics->answers[r][c]);
            if (n == 0) continue;
            vt_strbuf_printf(out, "vultus_requests_total{route=\"%s\",code=\"%u\"} %llu\n", route_name(r), codes[c],
                (unsigned long long)n);
        }
    vt_metrics_head(out, "vultus_request_seconds", "histogram", "time from a request's first byte to its answer");
    for (int r = 0; r < VT_ROUTES_COUNTED && route_name(r); r++)
        write_histogram(&metrics->durations[r], "vultus_request_seconds", "route", route_name(r), out);
}

void vt_metrics_write(struct vt_metrics *metrics, const char *(*route_name)(int), struct vt_strbuf *out) {
    write_answers(metrics, route_name, out);
    vt_metrics_head(out, "vultus_stage_seconds", "histogram", "time by stage, waiting for batches included");
    for (int s = 0; s < VT_STAGES; s++)
        write_histogram(&metrics->stages[s], "vultus_stage_seconds", "stage", stage_names[s], out);
    for (int e = 0; e < VT_EVENTS; e++) {
        vt_metrics_head(out, events[e].name, "counter", events[e].help);
        vt_strbuf_printf(out, "%s %llu\n", events[e].name, (unsigned long long)load(&metrics->events[e]));
    }
}
