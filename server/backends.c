/* SPDX-License-Identifier: Apache-2.0 */
#include "backends.h"

#include <stdio.h>
#include <string.h>

#include "server_internal.h"
#include "value.h"

void vt_backends_skip(struct vt_backends *backends, const char *name, const char *reason) {
    if (backends->n_skipped == VULTUS_MOST_BACKENDS) return;
    backends->skipped[backends->n_skipped].name = name;
    snprintf(backends->skipped[backends->n_skipped++].reason, VULTUS_ERROR_TEXT, "%s", reason);
}

void vt_backends_now(struct vt_server *server, struct vt_models *models, struct vt_backends *out) {
    struct vultus_pipeline_info info;
    *out = models->backends;
    vultus_pipeline_describe(models->pipeline, &info);
    const char *failure = info.detector_failure ? info.detector_failure : info.recogniser_failure;
    if (failure) vt_backends_skip(out, out->used, failure);
    if (failure && !atomic_exchange(&models->failure_counted, true)) vt_count(&server->metrics, VT_EVENT_FALLBACKS, 1);
    out->used = info.detector_failure ? info.detector_backend : info.recogniser_backend;
}

void vt_backends_header(const struct vt_backends *backends, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < backends->n_skipped && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s (%s)", i ? ", " : "", backends->skipped[i].name,
            backends->skipped[i].reason);
    for (char *c = text; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?';
}

static void add_text(struct vt_strbuf *out, const char *text) { vt_write_json_text(out, text, strlen(text)); }

void vt_backends_write(const struct vt_server *server, const struct vt_backends *backends, struct vt_strbuf *out) {
    vt_strbuf_puts(out, "{\"order\":[");
    for (size_t i = 0; i < server->backends.n_order; i++) {
        vt_strbuf_puts(out, i ? "," : "");
        add_text(out, server->backends.order[i]);
    }
    vt_strbuf_printf(out, "],\"strict\":%s,\"used\":", vt_setting_integer(server, VT_KEY_STRICT) ? "true" : "false");
    add_text(out, backends->used);
    vt_strbuf_puts(out, ",\"skipped\":[");
    for (size_t i = 0; i < backends->n_skipped; i++) {
        vt_strbuf_puts(out, i ? ",{\"name\":" : "{\"name\":");
        add_text(out, backends->skipped[i].name);
        vt_strbuf_puts(out, ",\"reason\":");
        add_text(out, backends->skipped[i].reason);
        vt_strbuf_puts(out, "}");
    }
    vt_strbuf_puts(out, "]}");
}

/* ---------------------------------------------------------------- metrics */

static bool is_skipped(const struct vt_backends *backends, const char *name) {
    for (size_t i = 0; i < backends->n_skipped; i++)
        if (strcmp(backends->skipped[i].name, name) == 0) return true;
    return false;
}

/* One family; a GPU that does not tell the value has no sample. */
static void add_readings(struct vt_strbuf *out, const char *name, const char *help, const struct vultus_gpu *gpus,
    size_t count, double (*read)(const struct vultus_gpu *gpu)) {
    vt_metrics_head(out, name, "gauge", help);
    for (size_t i = 0; i < count; i++)
        if (read(&gpus[i]) >= 0) vt_strbuf_printf(out, "%s{gpu=\"%d\"} %.15g\n", name, gpus[i].index, read(&gpus[i]));
}

static double memory_used(const struct vultus_gpu *gpu) { return (double)gpu->memory_used; }
static double memory_total(const struct vultus_gpu *gpu) { return (double)gpu->memory_total; }
static double celsius(const struct vultus_gpu *gpu) { return gpu->celsius; }
static double watts(const struct vultus_gpu *gpu) { return gpu->watts; }
static double graphics_clock(const struct vultus_gpu *gpu) { return gpu->graphics_mhz * 1e6; }
static double memory_clock(const struct vultus_gpu *gpu) { return gpu->memory_mhz * 1e6; }

static void add_gpus(const struct vt_server *server, struct vt_strbuf *out) {
    enum { MOST_GPUS = 64 };
    struct vultus_gpu gpus[MOST_GPUS];
    size_t count = vultus_gpus(server->runtime, gpus, MOST_GPUS);
    if (count == 0) return;
    vt_metrics_head(out, "vultus_gpu_info", "gauge", "GPUs of the machine");
    for (size_t i = 0; i < count; i++) {
        vt_strbuf_printf(out, "vultus_gpu_info{gpu=\"%d\",name=", gpus[i].index);
        add_text(out, gpus[i].name);
        vt_strbuf_puts(out, "} 1\n");
    }
    add_readings(out, "vultus_gpu_memory_used_bytes", "memory in use, by all programs", gpus, count, memory_used);
    add_readings(out, "vultus_gpu_memory_bytes", "memory", gpus, count, memory_total);
    add_readings(out, "vultus_gpu_celsius", "temperature", gpus, count, celsius);
    add_readings(out, "vultus_gpu_watts", "power", gpus, count, watts);
    add_readings(out, "vultus_gpu_clock_hertz", "graphics clock", gpus, count, graphics_clock);
    add_readings(out, "vultus_gpu_memory_clock_hertz", "memory clock", gpus, count, memory_clock);
}

void vt_backends_measure(const struct vt_server *server, const struct vt_backends *backends, struct vt_strbuf *out) {
    vt_metrics_head(out, "vultus_backend_usable", "gauge", "back ends of the order that are in use, or could be");
    for (size_t i = 0; i < server->backends.n_order; i++)
        vt_strbuf_printf(out, "vultus_backend_usable{backend=\"%s\"} %d\n", server->backends.order[i],
            !is_skipped(backends, server->backends.order[i]));
    vt_metrics_head(out, "vultus_backend_skipped_info", "gauge", "why back ends of the order are not in use");
    for (size_t i = 0; i < backends->n_skipped; i++) {
        vt_strbuf_printf(out, "vultus_backend_skipped_info{backend=\"%s\",reason=", backends->skipped[i].name);
        add_text(out, backends->skipped[i].reason);
        vt_strbuf_puts(out, "} 1\n");
    }
    add_gpus(server, out);
}
