/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "server_internal.h"
#include "stream.h"
#include "value.h"

static const char json_type[] = "application/json";

void vt_request_fail(struct vt_request *request, unsigned status, const char *format, ...) {
    if (request->response.status) return;
    char text[VULTUS_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct vt_response *response = &request->response;
    vt_strbuf_fini(&response->body);
    vt_strbuf_puts(&response->body, "{\"detail\":");
    vt_write_json_text(&response->body, text, strlen(text));
    vt_strbuf_puts(&response->body, "}");
    response->status = status;
    response->content_type = json_type;
}

void vt_request_fail_status(struct vt_request *request, const struct vultus_error *error) {
    switch (error->status) {
    case VULTUS_ERROR_LIMIT: vt_request_fail(request, 413, "%s", error->text); break;
    case VULTUS_ERROR_INVALID:
    case VULTUS_ERROR_FORMAT: vt_request_fail(request, 400, "%s", error->text); break;
    default: vt_request_fail(request, 500, "%s", error->text);
    }
}

void vt_request_answer(struct vt_request *request, unsigned status, const char *content_type) {
    struct vt_response *response = &request->response;
    if (response->body.failed) {
        response->status = 0;
        vt_request_fail(request, 500, "the answer does not fit into memory");
        return;
    }
    response->status = status;
    response->content_type = content_type;
}

void vt_request_finish(struct vt_request *request) {
    request->finished = true;
    vt_http_resume(request);
}

void vt_request_free(struct vt_request *request) {
    struct vt_server *server = request->server;
    if (request->admitted) atomic_fetch_sub(&server->requests_in_work, 1);
    atomic_fetch_sub(&server->bytes_held, atomic_load(&request->held));
    vt_stream_free(request->stream);
    vt_models_release(server, request->models);
    vt_strbuf_fini(&request->response.body);
    vt_arena_fini(&request->arena);
    free(request->body);
    free(request);
}

bool vt_request_is_left(const struct vt_request *request) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd descriptor = {.fd = info ? info->connect_fd : -1, .events = POLLRDHUP};
    return poll(&descriptor, 1, 0) > 0 && (descriptor.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

enum vt_over vt_request_check(const struct vt_request *request) {
    if (vt_now_ns() > request->deadline_ns || atomic_load(&request->server->stopping)) return VT_OVER_LATE;
    bool gone = request->stream ? vt_stream_is_closed(request->stream) : vt_request_is_left(request);
    return gone ? VT_OVER_GONE : VT_NOT_OVER;
}

void vt_request_give_up(struct vt_request *request, enum vt_over why) {
    vt_count(&request->server->metrics, why == VT_OVER_LATE ? VT_EVENT_TIMED_OUT : VT_EVENT_CLIENT_GONE, 1);
    if (why == VT_OVER_LATE)
        vt_request_fail(request, 504, "the request took longer than %lld seconds",
            (long long)vt_setting_integer(request->server, VT_KEY_REQUEST_TIMEOUT));
    else
        vt_request_fail(request, 499, "the client is gone"); /* for the log; nobody reads it */
}

void vt_request_stage(struct vt_request *request, enum vt_stage stage, double milliseconds) {
    request->stages[stage] += milliseconds;
    vt_observe_stage(&request->server->metrics, stage, milliseconds);
}

bool vt_request_hold(struct vt_request *request, size_t bytes) {
    struct vt_server *server = request->server;
    size_t most = (size_t)vt_setting_integer(server, VT_KEY_MAX_BUFFERED_BYTES);
    size_t before = atomic_fetch_add(&server->bytes_held, bytes);
    if (before > most || bytes > most - before) {
        atomic_fetch_sub(&server->bytes_held, bytes);
        return false;
    }
    atomic_fetch_add(&request->held, bytes);
    return true;
}
