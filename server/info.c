/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "backends.h"
#include "number.h"
#include "server_internal.h"
#include "value.h"

static const char json_type[] = "application/json";

/* ---------------------------------------------------------------- /info */

static void add_name(struct vt_strbuf *out, const char *key, const char *text) {
    vt_strbuf_printf(out, "\"%s\":", key);
    if (text)
        vt_write_json_text(out, text, strlen(text));
    else
        vt_strbuf_puts(out, "null");
    vt_strbuf_puts(out, ",");
}

static void add_switch(struct vt_strbuf *out, const char *key, bool value) {
    vt_strbuf_printf(out, "\"%s\":%s,", key, value ? "true" : "false");
}

/* As they were written, not rounded to what the detector takes: "650,650", "650x650" or "[650, 650]". */
static void configured_size(const char *text, int size[2]) {
    for (int i = 0; i < 2; i++) {
        char *end;
        text += strcspn(text, "0123456789");
        size[i] = (int)strtol(text, &end, 10);
        text = end;
    }
}

static void add_models(const struct vt_request *request, const char *backend, struct vt_strbuf *out) {
    const struct vt_server *server = request->server;
    const struct vultus_pipeline_info *models = &request->models->info;
    const struct vt_key_value *size = vt_setting(server, VT_KEY_INPUT_SIZE);
    int batch = (int)vt_setting_integer(server, VT_KEY_MAX_BATCH);
    vt_strbuf_puts(out, "\"models\":{");
    /* Clients know two back ends by name. */
    add_name(out, "inference_backend", strcmp(backend, "cpu") == 0 ? "onnx" : "trt");
    add_name(out, "det_name", models->detector);
    add_name(out, "rec_name", models->recogniser);
    int shown[] = {models->detector_width, models->detector_height};
    if (size->source != VT_FROM_DEFAULT) configured_size(size->text, shown);
    vt_strbuf_printf(out, "\"max_size\":[%d,%d],", shown[0], shown[1]);
    add_name(out, "ga_name", request->models->stems[VT_ROLE_GENDERAGE]);
    add_name(out, "mask_detector", request->models->stems[VT_ROLE_MASK]);
    vt_strbuf_printf(out, "\"rec_batch_size\":%d,\"det_batch_size\":%d,", batch, batch);
    vt_strbuf_puts(out, "\"force_fp16\":false,\"triton_uri\":null},");
}

static void add_defaults(const struct vt_server *server, struct vt_strbuf *out) {
    char number[VT_NUMBER_SIZE];
    size_t length = vt_write_number(number, vt_setting(server, VT_KEY_DEFAULT_THRESHOLD)->number);
    vt_strbuf_puts(out, "\"defaults\":{");
    add_switch(out, "return_face_data", vt_setting_integer(server, VT_KEY_DEFAULT_FACE_DATA));
    add_switch(out, "return_landmarks", vt_setting_integer(server, VT_KEY_DEFAULT_LANDMARKS));
    add_switch(out, "extract_embedding", vt_setting_integer(server, VT_KEY_DEFAULT_EMBEDDING));
    add_switch(out, "extract_ga", vt_setting_integer(server, VT_KEY_DEFAULT_GENDERAGE));
    add_switch(out, "detect_masks", vt_setting_integer(server, VT_KEY_DEFAULT_MASKS));
    vt_strbuf_printf(out, "\"det_thresh\":%.*s,", (int)length, number);
    /* The headers for fetching may hold a secret. */
    vt_strbuf_puts(out, "\"img_req_headers\":{},\"sslv3_hack\":false},");
}

void vt_answer_info(struct vt_request *request) {
    const struct vt_server *server = request->server;
    struct vt_strbuf *out = &request->response.body;
    struct vt_backends backends;
    vt_backends_now(request->server, request->models, &backends);
    vt_strbuf_puts(out, "{");
    add_name(out, "version", vt_setting_string(server, VT_KEY_SHOWN_VERSION));
    add_name(out, "tensorrt_version", NULL);
    add_name(out, "log_level", vt_setting_string(server, VT_KEY_LOG_LEVEL));
    add_models(request, backends.used, out);
    add_defaults(server, out);
    vt_strbuf_puts(out, "\"backend_order\":");
    vt_backends_write(server, &backends, out);
    vt_strbuf_puts(out, "}");
    vt_request_answer(request, 200, json_type);
}

/* ---------------------------------------------------------------- states */

static void answer_text(struct vt_request *request, unsigned status, const char *text) {
    vt_strbuf_puts(&request->response.body, text);
    vt_request_answer(request, status, json_type);
}

void vt_answer_live(struct vt_request *request) { answer_text(request, 200, "{\"status\":\"ok\"}"); }

void vt_answer_ready(struct vt_request *request) {
    if (atomic_load(&request->server->draining))
        answer_text(request, 503, "{\"status\":\"draining\"}");
    else
        answer_text(request, 200, "{\"status\":\"ready\"}");
}

/* ---------------------------------------------------------------- /metrics */

static void add_gauge(struct vt_strbuf *out, const char *name, const char *help, size_t value) {
    vt_metrics_head(out, name, "gauge", help);
    vt_strbuf_printf(out, "%s %zu\n", name, value);
}

static void add_batches(struct vt_strbuf *out, const char *network, const uint64_t sizes[VULTUS_BATCH_SIZES]) {
    static const int bounds[] = {1, 2, 4, 8, 16, 32, VULTUS_BATCH_SIZES};
    uint64_t runs = 0, items = 0;
    int size = 0;
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
        for (; size < bounds[b]; size++) {
            runs += sizes[size];
            items += sizes[size] * (uint64_t)(size + 1);
        }
        char bound[16] = "+Inf";
        if (bounds[b] < VULTUS_BATCH_SIZES) snprintf(bound, sizeof bound, "%d", bounds[b]);
        vt_strbuf_printf(
            out, "vultus_batch_size_bucket{network=\"%s\",le=\"%s\"} %llu\n", network, bound, (unsigned long long)runs);
    }
    vt_strbuf_printf(out, "vultus_batch_size_sum{network=\"%s\"} %llu\nvultus_batch_size_count{network=\"%s\"} %llu\n",
        network, (unsigned long long)items, network, (unsigned long long)runs);
}

static void add_model(
    struct vt_strbuf *out, const char *role, const char *name, const char *backend, const char *precision) {
    vt_strbuf_printf(
        out, "vultus_model_info{role=\"%s\",backend=\"%s\",precision=\"%s\",name=", role, backend, precision);
    vt_write_json_text(out, name, strlen(name));
    vt_strbuf_puts(out, "} 1\n");
}

static void add_bus(struct vt_strbuf *out, const struct vultus_pipeline_statistics *s) {
    vt_metrics_head(out, "vultus_resident_pictures_total", "counter", "pictures that stayed on a GPU");
    vt_strbuf_printf(out, "vultus_resident_pictures_total %llu\n", (unsigned long long)s->resident_pictures);
    vt_metrics_head(out, "vultus_bus_bytes_total", "counter", "bytes copied to and from GPUs");
    vt_strbuf_printf(out,
        "vultus_bus_bytes_total{direction=\"to_device\"} %llu\nvultus_bus_bytes_total{direction=\"from_device\"} "
        "%llu\n",
        (unsigned long long)s->bytes_to_device, (unsigned long long)s->bytes_from_device);
}

static void add_state(struct vt_server *server, struct vt_models *in_service, struct vt_strbuf *out) {
    struct vultus_pipeline_statistics batches;
    size_t waiting, busy;
    vultus_pipeline_measure(in_service->pipeline, &batches);
    vt_workers_load(server->workers, &waiting, &busy);
    add_gauge(out, "vultus_queue_depth", "pictures that wait for a worker", waiting);
    add_gauge(out, "vultus_workers_busy", "pictures in work", busy);
    add_gauge(out, "vultus_requests_in_work", "requests in work or waiting", atomic_load(&server->requests_in_work));
    add_gauge(out, "vultus_bytes_held", "bytes of bodies and fetched pictures", atomic_load(&server->bytes_held));
    vt_metrics_head(out, "vultus_batch_size", "histogram", "items of a network's runs");
    add_batches(out, "detector", batches.detector_batches);
    add_batches(out, "recogniser", batches.recogniser_batches);
    add_batches(out, "attributes", batches.attribute_batches);
    add_bus(out, &batches);
    vt_metrics_head(out, "vultus_model_info", "gauge", "models in use");
    struct vultus_pipeline_info now;
    vultus_pipeline_describe(in_service->pipeline, &now);
    add_model(out, "detector", now.detector, now.detector_backend, now.detector_precision);
    if (now.recogniser) add_model(out, "recogniser", now.recogniser, now.recogniser_backend, now.recogniser_precision);
    struct vt_backends backends;
    vt_backends_now(server, in_service, &backends);
    vt_backends_measure(server, &backends, out);
    vt_metrics_head(out, "vultus_build_info", "gauge", "version of the program");
    vt_strbuf_printf(out, "vultus_build_info{version=\"%s\"} 1\n", vultus_version());
}

void vt_answer_metrics(struct vt_request *request) {
    struct vt_server *server = request->server;
    struct vt_strbuf *out = &request->response.body;
    vt_metrics_write(&server->metrics, vt_route_name, out);
    add_state(server, request->models, out);
    vt_request_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8");
}

/* ---------------------------------------------------------------- /health */

void vt_answer_health(struct vt_request *request) {
    struct vt_server *server = request->server;
    static const char name[] = "test_images/Stallone.jpg";
    struct vultus_error error;
    struct vultus_picture picture = {0};
    struct vultus_faces *faces = NULL;
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct vultus_analyze_options options = {.robust = VULTUS_ROBUST_OFF};
    enum vultus_status status = vt_images_root_read(&server->images, name, sizeof name - 1,
        (size_t)vt_setting_integer(server, VT_KEY_MAX_PICTURE_BYTES), &bytes, &size, &error);
    /* Without that picture the check is whether the networks run. */
    bool blank = status == VULTUS_ERROR_NOT_FOUND;
    status = blank ? vultus_picture_create(640, 640, &picture, &error) : status;
    if (!status && !blank) status = vultus_picture_decode(server->runtime, bytes, size, "the image", &picture, &error);
    if (!status) status = vultus_analyze(request->models->pipeline, &picture, &options, &faces, &error);
    if (!status && (blank || faces->count > 0))
        answer_text(request, 200, "{\"status\":\"ok\"}");
    else
        vt_request_fail(request, 500, "self check failed");
    vultus_faces_free(faces);
    vultus_picture_release(&picture);
    free(bytes);
    vt_request_finish(request);
}
