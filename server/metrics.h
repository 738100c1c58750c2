/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_METRICS_H
#define VT_SERVER_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/strbuf.h"

/* What /metrics counts. All of it may be written from any thread. */

enum vt_stage {
    VT_STAGE_QUEUE,  /* from the request's last byte until a worker begins with it */
    VT_STAGE_FETCH,  /* of one url */
    VT_STAGE_DECODE, /* of one picture, and so on */
    VT_STAGE_LETTERBOX,
    VT_STAGE_DETECT,
    VT_STAGE_BOXES,
    VT_STAGE_ALIGN,
    VT_STAGE_EMBED,
    VT_STAGE_ATTRIBUTES,
    VT_STAGE_WRITE, /* of one answer */
    VT_STAGES
};
const char *vt_stage_name(enum vt_stage stage);

enum vt_event {
    VT_EVENT_PICTURES,
    VT_EVENT_PICTURES_FAILED,
    VT_EVENT_FACES,
    VT_EVENT_REFUSED_BUSY, /* queue or memory full */
    VT_EVENT_REFUSED_SIZE, /* a body over the limit */
    VT_EVENT_TIMED_OUT,    /* requests over their deadline, bodies that did not come in time */
    VT_EVENT_CLIENT_GONE,  /* requests whose work was given up, or that ended in their body */
    VT_EVENT_FETCHES,
    VT_EVENT_FETCHES_FAILED,
    VT_EVENT_FETCHES_REFUSED, /* addresses that are not allowed */
    VT_EVENT_REFUSED_KEY,     /* requests without a key that fits */
    VT_EVENT_MODEL_CHANGES,
    VT_EVENT_MODEL_FAILURES, /* changes that left the old models in service */
    VT_EVENT_FALLBACKS,      /* back ends passed over or given up */
    VT_EVENTS
};

enum { VT_BUCKETS = 15, VT_ROUTES_COUNTED = 32, VT_CODES_COUNTED = 21 };

struct vt_histogram {
    _Atomic uint64_t buckets[VT_BUCKETS]; /* the last has no upper bound */
    _Atomic uint64_t nanoseconds;
};

struct vt_metrics {
    struct vt_histogram stages[VT_STAGES];
    struct vt_histogram durations[VT_ROUTES_COUNTED];
    _Atomic uint64_t answers[VT_ROUTES_COUNTED][VT_CODES_COUNTED];
    _Atomic uint64_t events[VT_EVENTS];
};

void vt_count(struct vt_metrics *metrics, enum vt_event event, uint64_t how_many);
void vt_observe_stage(struct vt_metrics *metrics, enum vt_stage stage, double milliseconds);
/* An answer of route number `route` with that status code. */
void vt_observe_answer(struct vt_metrics *metrics, int route, unsigned code, uint64_t nanoseconds);

/* Appends everything in Prometheus' text format; route_name gives the label of a number, or NULL behind the last. */
void vt_metrics_write(struct vt_metrics *metrics, const char *(*route_name)(int), struct vt_strbuf *out);

/* "# HELP" and "# TYPE" of a family that somebody else appends. */
void vt_metrics_head(struct vt_strbuf *out, const char *name, const char *type, const char *help);

#endif
