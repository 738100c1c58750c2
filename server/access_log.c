/* SPDX-License-Identifier: Apache-2.0 */
#include "access_log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stream.h"
#include "value.h"

static void add_text(struct vt_strbuf *out, const char *name, const char *text) {
    vt_strbuf_printf(out, ",\"%s\":", name);
    vt_write_json_text(out, text, strlen(text));
}

static size_t bytes_sent(const struct vt_request *request) {
    if (request->stream) return vt_stream_sent(request->stream);
    return request->response.static_body ? request->response.static_size : request->response.body.length;
}

void vt_access_log(const struct vt_request *request, uint64_t nanoseconds) {
    struct timespec now;
    struct tm utc;
    char time[40];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t length = strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(time + length, sizeof time - length, ".%03ldZ", now.tv_nsec / 1000000);
    struct vt_strbuf line = {0};
    vt_strbuf_printf(&line, "{\"time\":\"%s\",\"id\":\"%s\"", time, request->id);
    add_text(&line, "remote", request->remote);
    add_text(&line, "method", request->method);
    add_text(&line, "path", request->path);
    vt_strbuf_printf(&line,
        ",\"status\":%u,\"ms\":%.3f,\"bytes_in\":%zu,\"bytes_out\":%zu,\"pictures\":%zu,\"faces\":%zu}\n",
        request->response.status, (double)nanoseconds * 1e-6, request->body_size, bytes_sent(request),
        request->pictures, request->faces);
    /* One write, so that lines of several threads stay whole. There is nobody to tell of a failure. */
    if (!line.failed && write(STDOUT_FILENO, line.text, line.length) < 0) line.failed = true;
    vt_strbuf_fini(&line);
}

void vt_server_timing(const struct vt_request *request, char *text, size_t size) {
    size_t length = 0;
    *text = '\0';
    for (int s = 0; s < VT_STAGES && length < size; s++)
        if (request->stages[s] > 0)
            length += (size_t)snprintf(text + length, size - length, "%s%s;dur=%.3f", length ? ", " : "",
                vt_stage_name((enum vt_stage)s), request->stages[s]);
}
