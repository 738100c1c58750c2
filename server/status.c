/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <string.h>

#include "answers.h"
#include "backends.h"
#include "base/clock.h"
#include "server_internal.h"

/*
 * GET /v1/status: what `vultus doctor` says of back ends, processor, GPUs and picture formats, without the folders of
 * this machine, which back end answers, and for how long the server has been up.
 */

static int write_text(const char *text, size_t size, void *body) {
    struct vt_strbuf *out = body;
    vt_strbuf_append(out, text, size);
    return out->failed ? -1 : 0;
}

static json_t *order_json(const struct vt_server *server, const struct vt_backends *backends) {
    struct vt_strbuf text = {0};
    vt_backends_write(server, backends, &text);
    json_t *order = text.failed ? NULL : json_loadb(text.text, text.length, 0, NULL);
    vt_strbuf_fini(&text);
    return order;
}

/* The doctor asks back ends how they are; what they failed at while they served is known here. */
static void mark_skipped(json_t *list, const struct vt_backends *backends) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(item, "name"));
        for (size_t k = 0; name && k < backends->n_skipped; k++) {
            if (strcmp(backends->skipped[k].name, name) != 0) continue;
            json_object_set_new(item, "usable", json_false());
            json_object_set_new(item, "reason", json_string(backends->skipped[k].reason));
        }
    }
}

void vt_answer_v1_status(struct vt_request *request) {
    static const char *const kept[] = {"cpu", "backends", "codecs"};
    struct vt_server *server = request->server;
    struct vt_backends backends;
    struct vultus_error error;
    char *report = NULL;
    if (vultus_doctor(server->runtime, &report, &error) < 0) {
        vt_request_fail(request, 500, "%s", error.text);
        vt_request_finish(request);
        return;
    }
    json_t *all = json_loads(report, 0, NULL), *answer = json_object();
    json_t *gpus = json_object_get(json_object_get(json_object_get(all, "nvidia"), "nvml"), "gpus");
    vt_backends_now(server, request->models, &backends);
    mark_skipped(json_object_get(all, "backends"), &backends);
    double uptime = (double)(vt_now_ns() - server->start_ns) * 1e-9;
    int failed = json_object_set_new(answer, "version", json_string(vultus_version()));
    failed |= json_object_set_new(answer, "uptime_seconds", json_real(uptime));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        failed |= json_object_set(answer, kept[i], json_object_get(all, kept[i]));
    failed |= json_object_set_new(answer, "backend_order", order_json(server, &backends));
    failed |= json_object_set_new(answer, "gpus", gpus ? json_incref(gpus) : json_array());
    failed |= json_dump_callback(answer, write_text, &request->response.body, JSON_COMPACT);
    json_decref(answer);
    json_decref(all);
    vultus_free(report);
    if (failed)
        vt_request_fail(request, 500, "there is no memory for the answer");
    else
        vt_request_answer(request, 200, "application/json");
    vt_request_finish(request);
}
