/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access_log.h"
#include "backends.h"
#include "base/clock.h"
#include "keys.h"
#include "server_internal.h"
#include "stream.h"
#include "tls.h"

/*
 * libmicrohttpd calls from one thread: `handle` first with the headers, then with pieces of the body, then with none,
 * and `completed` when the answer is sent or the connection is lost. Meanwhile a connection whose request is with the
 * workers is suspended.
 */

enum { HEADER_BYTES = 32768, FIRST_BODY_BYTES = 65536, STREAM_BLOCK_BYTES = 65536, LONGEST_SKIPPED = 1024 };

/* ---------------------------------------------------------------- requests */

static void make_id(struct vt_server *server, struct vt_request *request, const char *wanted) {
    size_t length = wanted ? strlen(wanted) : 0;
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    if (length > 0 && length < sizeof request->id && strspn(wanted, plain) == length)
        memcpy(request->id, wanted, length + 1);
    else
        snprintf(request->id, sizeof request->id, "%08llx-%08llx", (unsigned long long)(server->id_seed & 0xffffffff),
            (unsigned long long)atomic_fetch_add(&server->next_id, 1));
}

static void describe_remote(struct vt_request *request) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    if (address && address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, request->remote, sizeof request->remote);
    else if (address && address->sa_family == AF_INET6)
        inet_ntop(
            AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, request->remote, sizeof request->remote);
}

static bool is_type(const char *text, size_t length, const char *type) {
    return length == strlen(type) && strncasecmp(text, type, length) == 0;
}

static enum MHD_Result look_for_types(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
    struct vt_request *request = context;
    (void)kind;
    if (strcasecmp(name, "Accept") != 0 || !value) return MHD_YES;
    for (const char *at = value; *at;) {
        at += strspn(at, ", \t");
        size_t length = strcspn(at, ",; \t");
        request->accepts_msgpack |= is_type(at, length, "application/x-msgpack");
        request->accepts_ndjson |= is_type(at, length, "application/x-ndjson");
        at += strcspn(at, ",");
    }
    return MHD_YES;
}

static const char *header(const struct vt_request *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static struct vt_request *new_request(
    struct vt_server *server, struct MHD_Connection *connection, const char *method, const char *path) {
    struct vt_request *request = calloc(1, sizeof *request);
    if (!request) return NULL;
    request->server = server;
    request->connection = connection;
    request->begin_ns = vt_now_ns();
    request->method = method;
    snprintf(request->path, sizeof request->path, "%s", path);
    vt_arena_init(&request->arena, 0);
    make_id(server, request, header(request, "X-Request-Id"));
    describe_remote(request);
    MHD_get_connection_values(connection, MHD_HEADER_KIND, look_for_types, request);
    const char *type = header(request, "Content-Type");
    request->content_type = type ? vt_arena_strdup(&request->arena, type) : NULL;
    return request;
}

/* ---------------------------------------------------------------- routing */

/* A path with a slash too many is sent to the one without. */
static void redirect_to_plain(struct vt_request *request, size_t length) {
    const char *host = header(request, "Host");
    struct vt_response *response = &request->response;
    if (host && strlen(host) < 256)
        snprintf(response->location, sizeof response->location, "%s://%s%.*s", vt_server_scheme(request->server), host,
            (int)length, request->path);
    else
        snprintf(response->location, sizeof response->location, "%.*s", (int)length, request->path);
    response->status = 307;
}

static bool is_path(const char *path, size_t length, const char *of_route) {
    size_t most = strlen(of_route);
    if (most > 0 && of_route[most - 1] == '*') return length >= most && memcmp(path, of_route, most - 1) == 0;
    return most == length && memcmp(path, of_route, length) == 0;
}

/* What a browser asks before it lets a page send something. */
static bool is_preflight(const struct vt_request *request) {
    return strcmp(request->method, "OPTIONS") == 0 && header(request, "Origin") &&
           header(request, "Access-Control-Request-Method") && *vt_setting_string(request->server, VT_KEY_CORS_ORIGIN);
}

/* The same for all paths, known or not, as InsightFace-REST's framework does it. */
static void answer_preflight(struct vt_request *request) {
    static const char *const methods[] = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"};
    struct vt_response *response = &request->response;
    const char *method = header(request, "Access-Control-Request-Method");
    size_t i = 0, n = sizeof methods / sizeof *methods;
    while (i < n && strcmp(methods[i], method) != 0) i++;
    response->status = i < n ? 200 : 400;
    response->static_body = i < n ? "OK" : "Disallowed CORS method";
    response->static_size = strlen(response->static_body);
    response->preflight = true;
    response->content_type = "text/plain; charset=utf-8";
}

static void choose_route(struct vt_request *request) {
    size_t length = strlen(request->path);
    bool slash = length > 1 && request->path[length - 1] == '/';
    const char *allow = NULL;
    for (int i = 1; vt_route(i); i++) {
        const struct vt_route *route = vt_route(i);
        if (slash && is_path(request->path, length - 1, route->path)) {
            redirect_to_plain(request, length - 1);
            return;
        }
        if (!is_path(request->path, length, route->path)) continue;
        request->route = i;
        if (strcmp(request->method, route->method) == 0) return;
        allow = route->method;
    }
    if (!allow) {
        vt_request_fail(request, 404, "Not Found");
        return;
    }
    request->response.allow = allow;
    vt_request_fail(request, 405, "Method Not Allowed");
}

/* The client's key: that of "Authorization: Bearer", else of X-API-Key; NULL: it has none. */
static const char *key_of(const struct vt_request *request) {
    static const char scheme[] = "Bearer ";
    const char *authorization = header(request, "Authorization");
    bool bearer = authorization && strncasecmp(authorization, scheme, sizeof scheme - 1) == 0;
    return bearer ? authorization + sizeof scheme - 1 : header(request, "X-API-Key");
}

/* Refuses who may not ask. The administrator may ask everything. */
static void check_key(struct vt_request *request) {
    struct vt_server *server = request->server;
    enum vt_access access = vt_route(request->route)->access;
    const char *clients = vt_setting_string(server, VT_KEY_API_KEYS),
               *admin = vt_setting_string(server, VT_KEY_ADMIN_KEY), *key = key_of(request);
    if (access == VT_FOR_ALL || (access == VT_FOR_CLIENTS && !*clients)) return;
    if (access == VT_FOR_ADMIN && !*admin) {
        vt_request_fail(request, 403, "the server has no admin_key, so nobody may do this");
        return;
    }
    bool is_admin = vt_key_fits(admin, key), is_client = vt_key_fits(clients, key);
    if (is_admin || (is_client && access == VT_FOR_CLIENTS)) return;
    vt_count(&server->metrics, VT_EVENT_REFUSED_KEY, 1);
    request->response.challenge = !is_client;
    vt_request_fail(request, is_client ? 403 : 401,
        is_client ? "the key is not the administrator's"
                  : "a key is needed, as \"Authorization: Bearer KEY\" or \"X-API-Key: KEY\"");
}

/* Refuses what is too much, before a byte of the body is taken. */
static void admit(struct vt_request *request) {
    struct vt_server *server = request->server;
    const char *text = header(request, "Content-Length");
    unsigned long long length = text ? strtoull(text, NULL, 10) : 0;
    unsigned long long most = (unsigned long long)vt_setting_integer(server, VT_KEY_MAX_BODY_BYTES);
    if (length > most) {
        vt_count(&server->metrics, VT_EVENT_REFUSED_SIZE, 1);
        vt_request_fail(request, 413, "the body has %llu bytes; at most %llu are taken", length, most);
        return;
    }
    if (!vt_route(request->route)->in_worker) return;
    if (atomic_load(&server->draining)) {
        request->response.retry_after = 1;
        vt_request_fail(request, 503, "the server stops");
        return;
    }
    size_t before = atomic_fetch_add(&server->requests_in_work, 1);
    request->admitted = true;
    bool full = before >= (size_t)vt_setting_integer(server, VT_KEY_QUEUE_LENGTH);
    if (!full && vt_request_hold(request, (size_t)length)) return;
    vt_count(&server->metrics, VT_EVENT_REFUSED_BUSY, 1);
    request->response.retry_after = 1;
    vt_request_fail(request, 503,
        full ? "the server is busy: %zu requests are in work"
             : "the server is busy: there is no room for a body beside those of %zu requests",
        before);
}

/* ---------------------------------------------------------------- bodies */

/* Takes a piece of the body; false: the connection has to be closed. The answer that is set is for log and counters. */
static bool take_piece(struct vt_request *request, const char *piece, size_t size) {
    struct vt_server *server = request->server;
    size_t most = (size_t)vt_setting_integer(server, VT_KEY_MAX_BODY_BYTES);
    uint64_t seconds = (uint64_t)vt_setting_integer(server, VT_KEY_BODY_TIMEOUT);
    if (request->response.status) return true; /* nobody will read it */
    if (vt_now_ns() - request->begin_ns > seconds * 1000000000) {
        vt_count(&server->metrics, VT_EVENT_TIMED_OUT, 1);
        vt_request_fail(request, 408, "the body takes longer than %llu seconds", (unsigned long long)seconds);
        return false;
    }
    if (size > most || request->body_size > most - size) {
        vt_count(&server->metrics, VT_EVENT_REFUSED_SIZE, 1);
        vt_request_fail(request, 413, "the body has more than %zu bytes", most);
        return false;
    }
    size_t needed = request->body_size + size;
    if (needed > request->body_capacity) {
        size_t capacity = 2 * request->body_capacity > needed ? 2 * request->body_capacity : needed;
        if (capacity < FIRST_BODY_BYTES) capacity = FIRST_BODY_BYTES;
        /* What Content-Length announced was held when the request was admitted. */
        size_t held = atomic_load(&request->held);
        char *body =
            capacity <= held || vt_request_hold(request, capacity - held) ? realloc(request->body, capacity) : NULL;
        if (!body) {
            vt_count(&server->metrics, VT_EVENT_REFUSED_BUSY, 1);
            vt_request_fail(request, 503, "the server has no room for the body now");
            return false;
        }
        request->body = body;
        request->body_capacity = capacity;
    }
    memcpy(request->body + request->body_size, piece, size);
    request->body_size += size;
    return true;
}

static void run_route(struct vt_work *work) {
    struct vt_request *request = (struct vt_request *)((char *)work - offsetof(struct vt_request, work));
    vt_request_stage(request, VT_STAGE_QUEUE, vt_ms_since(request->whole_ns));
    vt_route(request->route)->answer(request);
}

/* The request is whole: answers it, or hands it to the workers and returns false. */
static bool process(struct vt_request *request) {
    struct vt_server *server = request->server;
    const struct vt_route *route = vt_route(request->route);
    request->whole_ns = vt_now_ns();
    request->models = vt_models_take(server);
    request->deadline_ns =
        request->whole_ns + (uint64_t)vt_setting_integer(server, VT_KEY_REQUEST_TIMEOUT) * 1000000000;
    if (!route->in_worker) {
        route->answer(request);
        return true;
    }
    request->in_worker = true;
    request->work.run = run_route;
    MHD_suspend_connection(request->connection);
    if (!vt_workers_push(server->workers, &request->flow, &request->work)) {
        vt_request_fail(request, 503, "the server stops");
        vt_request_finish(request);
    }
    return false;
}

void vt_http_resume(struct vt_request *request) {
    if (request->in_worker) MHD_resume_connection(request->connection);
}

/* ---------------------------------------------------------------- answers */

static void add_cors(const struct vt_request *request, struct MHD_Response *answer) {
    const char *origin = header(request, "Origin"), *allowed = vt_setting_string(request->server, VT_KEY_CORS_ORIGIN);
    bool any = strcmp(allowed, "*") == 0, preflight = request->response.preflight;
    if (!origin || !*allowed || (!any && strcmp(allowed, origin) != 0)) return;
    MHD_add_response_header(answer, "Access-Control-Allow-Origin", preflight ? origin : allowed);
    if (!any || preflight) MHD_add_response_header(answer, "Vary", "Origin");
    if (!preflight) return;
    const char *headers = header(request, "Access-Control-Request-Headers");
    MHD_add_response_header(answer, "Access-Control-Allow-Methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    MHD_add_response_header(answer, "Access-Control-Max-Age", "600");
    if (headers && strlen(headers) < 1024) MHD_add_response_header(answer, "Access-Control-Allow-Headers", headers);
}

/* Who computed the answer, and why not somebody whom the settings prefer. */
static void add_backend(const struct vt_request *request, struct MHD_Response *answer) {
    char skipped[LONGEST_SKIPPED];
    struct vt_backends backends;
    if (!request->models) return;
    vt_backends_now(request->server, request->models, &backends);
    MHD_add_response_header(answer, "X-Backend", backends.used);
    vt_backends_header(&backends, skipped, sizeof skipped);
    if (*skipped) MHD_add_response_header(answer, "X-Backend-Skipped", skipped);
}

static void add_headers(const struct vt_request *request, struct MHD_Response *answer) {
    const struct vt_response *response = &request->response;
    char text[512];
    if (response->content_type) MHD_add_response_header(answer, "Content-Type", response->content_type);
    if (response->allow) MHD_add_response_header(answer, "Allow", response->allow);
    if (*response->location) MHD_add_response_header(answer, "Location", response->location);
    if (response->challenge) MHD_add_response_header(answer, "WWW-Authenticate", "Bearer");
    if (response->vary) MHD_add_response_header(answer, "Vary", response->vary);
    if (response->content_policy) {
        MHD_add_response_header(answer, "Content-Security-Policy", response->content_policy);
        MHD_add_response_header(answer, "X-Content-Type-Options", "nosniff");
        MHD_add_response_header(answer, "Referrer-Policy", "no-referrer");
    }
    if (response->etag) {
        MHD_add_response_header(answer, "ETag", response->etag);
        MHD_add_response_header(answer, "Cache-Control", "no-cache");
    }
    if (response->retry_after) {
        snprintf(text, sizeof text, "%d", response->retry_after);
        MHD_add_response_header(answer, "Retry-After", text);
    }
    MHD_add_response_header(answer, "X-Request-Id", request->id);
    /* Pictures of a stream are still in work. */
    *text = '\0';
    if (!request->stream) vt_server_timing(request, text, sizeof text);
    if (*text) MHD_add_response_header(answer, "Server-Timing", text);
    if (*text || request->stream) add_backend(request, answer);
    if (atomic_load(&request->server->draining)) MHD_add_response_header(answer, "Connection", "close");
    add_cors(request, answer);
}

static ssize_t read_stream(void *context, uint64_t position, char *bytes, size_t most) {
    (void)position;
    ssize_t n = vt_stream_read(context, bytes, most);
    return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

/* A body that is in memory belongs to the request, which lives until the answer is sent. */
static struct MHD_Response *make_response(const struct vt_request *request) {
    const struct vt_response *response = &request->response;
    if (request->stream)
        return MHD_create_response_from_callback(
            MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, read_stream, request->stream, NULL);
    const char *body = response->static_body ? response->static_body : response->body.text;
    size_t size = response->static_body ? response->static_size : response->body.length;
    return MHD_create_response_from_buffer(size, (void *)body, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result send_answer(struct vt_request *request) {
    struct vt_response *response = &request->response;
    if (response->status == 0) vt_request_fail(request, 500, "the request was not answered");
    struct MHD_Response *answer = make_response(request);
    if (!answer) return MHD_NO;
    add_headers(request, answer);
    enum MHD_Result result = MHD_queue_response(request->connection, response->status, answer);
    MHD_destroy_response(answer);
    return result;
}

/* ---------------------------------------------------------------- what libmicrohttpd calls */

/*
 * libmicrohttpd waits for edges: one that comes for the last bytes and the end together is used up by reading the
 * bytes, and it would find the end only when the connection has been silent for too long.
 */
static bool ends_in_body(const struct vt_request *request) {
    return request->admitted && strcmp(request->method, "POST") == 0 && vt_request_is_left(request);
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path, const char *method,
    const char *version, const char *piece, size_t *piece_size, void **state) {
    struct vt_server *server = context;
    struct vt_request *request = *state;
    (void)version;
    if (!request) {
        request = *state = new_request(server, connection, method, path);
        if (!request) return MHD_NO;
        if (is_preflight(request))
            answer_preflight(request);
        else
            choose_route(request);
        if (!request->response.status) check_key(request);
        if (!request->response.status) admit(request);
        /* A refusal is sent at once, and the connection closed instead of reading the body. */
        if (request->response.status) return send_answer(request);
        return ends_in_body(request) ? MHD_NO : MHD_YES;
    }
    if (*piece_size > 0) {
        bool fine = take_piece(request, piece, *piece_size) && !ends_in_body(request);
        *piece_size = 0;
        return fine ? MHD_YES : MHD_NO;
    }
    if (request->in_worker) return request->finished ? send_answer(request) : MHD_YES;
    return process(request) ? send_answer(request) : MHD_YES;
}

/* The connection of a request that has no answer is lost: what log and counters say of it. */
static void give_up(struct vt_request *request, enum MHD_RequestTerminationCode why) {
    if (why == MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN)
        vt_request_fail(request, 503, "the server stops");
    else if (why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED) {
        vt_count(&request->server->metrics, VT_EVENT_TIMED_OUT, 1);
        vt_request_fail(request, 408, "the client fell silent");
    } else
        vt_request_give_up(request, VT_OVER_GONE);
}

static void completed(
    void *context, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why) {
    struct vt_server *server = context;
    struct vt_request *request = *state;
    (void)connection;
    if (!request) return;
    *state = NULL;
    if (!request->response.status) give_up(request, why);
    if (request->stream) vt_stream_close(request->stream);
    uint64_t nanoseconds = vt_now_ns() - request->begin_ns;
    vt_observe_answer(&server->metrics, request->route, request->response.status, nanoseconds);
    if (vt_setting_integer(server, VT_KEY_ACCESS_LOG)) vt_access_log(request, nanoseconds);
    if (request->stream)
        vt_stream_leave(request->stream);
    else
        vt_request_free(request);
}

enum vultus_status vt_http_start(struct vt_server *server, struct vultus_error *error) {
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    struct vt_tls tls;
    enum vultus_status status = vt_tls_read(
        vt_setting_string(server, VT_KEY_TLS_CERTIFICATE), vt_setting_string(server, VT_KEY_TLS_KEY), &tls, error);
    if (status) return status;
    const struct MHD_OptionItem secured[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, tls.certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, tls.key}, {MHD_OPTION_END, 0, NULL}};
    const struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    server->daemon = MHD_start_daemon(flags | (tls.certificate ? MHD_USE_TLS : 0), 0, NULL, NULL, handle, server,
        MHD_OPTION_LISTEN_SOCKET, server->listening, MHD_OPTION_NOTIFY_COMPLETED, completed, server,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)vt_setting_integer(server, VT_KEY_MAX_CONNECTIONS),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)vt_setting_integer(server, VT_KEY_IDLE_TIMEOUT),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES, MHD_OPTION_ARRAY, tls.certificate ? secured : plain,
        MHD_OPTION_END);
    bool secure = tls.certificate;
    vt_tls_release(&tls);
    if (!server->daemon)
        return vt_fail(error, VULTUS_ERROR_IO, "the %s server cannot be started%s", secure ? "HTTPS" : "HTTP",
            secure ? ": certificate and key have to be PEM, and belong together" : "");
    return VULTUS_OK;
}

void vt_http_drain(struct vt_server *server) {
    atomic_store(&server->draining, true);
    MHD_quiesce_daemon(server->daemon);
}

void vt_http_stop(struct vt_server *server) {
    if (server->daemon) MHD_stop_daemon(server->daemon);
    server->daemon = NULL;
}
