/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_REQUEST_H
#define VT_SERVER_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/strbuf.h"
#include "metrics.h"
#include "work.h"

struct vt_server;
struct vt_models;
struct vt_stream;
struct vt_request;

/* Who may ask, where the settings have keys. */
enum vt_access { VT_FOR_ALL, VT_FOR_CLIENTS, VT_FOR_ADMIN };

/* A path with its methods and who answers it. A path that ends in a star stands for all that go on from there. */
struct vt_route {
    const char *method, *path;
    void (*answer)(struct vt_request *request); /* see `in_worker` */
    /*
     * Whether `answer` is called by a worker once the body is there, and ends by calling vt_request_finish, then or
     * later and from any thread. Otherwise it answers at once, without waiting for anything.
     */
    bool in_worker;
    enum vt_access access;
};
/* Routes by number; NULL behind the last. The number before the first real one stands for unknown paths. */
const struct vt_route *vt_route(int number);
const char *vt_route_name(int number);

struct vt_response {
    unsigned status;          /* 0: not answered yet */
    const char *content_type; /* NULL: none; lives as long as the program */
    struct vt_strbuf body;
    const char *static_body; /* instead of `body`; lives as long as the program */
    size_t static_size;
    const char *allow, *etag, *vary, *content_policy; /* header values, or NULL */
    char location[512];
    int retry_after; /* seconds; 0: no header */
    bool preflight;  /* answers a CORS preflight */
    bool challenge;  /* says how a key is shown */
};

/* One request, from its first header until its answer is sent. Its threads take turns, so nothing in it is locked. */
struct vt_request {
    struct vt_server *server;
    struct MHD_Connection *connection;
    int route;
    const char *method;
    char path[128];
    char id[40];
    char remote[64];
    char *content_type; /* NULL: no header */
    bool accepts_msgpack, accepts_ndjson;
    char *body;
    size_t body_size, body_capacity;
    bool body_too_large;
    uint64_t begin_ns, whole_ns, deadline_ns;
    _Atomic size_t held;      /* bytes counted in the server's sum */
    bool admitted;            /* counted among the requests in work */
    struct vt_models *models; /* that answer it; NULL before it is whole */
    bool in_worker, finished;
    struct vt_stream *stream; /* that sends the answer piece by piece; NULL: it is in `response` */
    struct vt_flow flow;
    struct vt_work work;
    struct vt_arena arena;
    struct vt_response response;
    double stages[VT_STAGES]; /* milliseconds, for Server-Timing */
    size_t pictures, faces;   /* for the access log */
};

/* Sets an answer {"detail":"..."} unless there is one. */
void vt_request_fail(struct vt_request *request, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a failure of ours: 413 for LIMIT, 400 for INVALID and FORMAT, otherwise 500. */
void vt_request_fail_status(struct vt_request *request, const struct vultus_error *error);
/* An answer that is in response.body. Its body is replaced by a failure where memory ran out while it was written. */
void vt_request_answer(struct vt_request *request, unsigned status, const char *content_type);
/* The answer is complete: it will be sent, and the request is gone as soon as this is called. */
void vt_request_finish(struct vt_request *request);
/* Gives back what belongs to the request; for the one who is last to know it. */
void vt_request_free(struct vt_request *request);

/* Whether the other side has closed the connection, so that nobody reads the answer. Thread-safe. */
bool vt_request_is_left(const struct vt_request *request);
/* Whether work for the request makes no sense any more. Thread-safe. */
enum vt_over { VT_NOT_OVER, VT_OVER_LATE, VT_OVER_GONE };
enum vt_over vt_request_check(const struct vt_request *request);
/* Sets the answer that goes with it, and counts it. */
void vt_request_give_up(struct vt_request *request, enum vt_over why);
/* Adds the time of a stage to the metrics and to the request's own. Not for use from several threads at once. */
void vt_request_stage(struct vt_request *request, enum vt_stage stage, double milliseconds);

/* Takes `bytes` from what all requests together may hold; false: there is no room. Given back with the request.
 * Thread-safe. */
bool vt_request_hold(struct vt_request *request, size_t bytes);

#endif
