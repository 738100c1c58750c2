/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "answers.h"

static const struct vt_route routes[] = {
    {"", "(none)", NULL, false},
    {"POST", "/extract", vt_answer_extract, true},
    {"POST", "/draw_detections", vt_answer_draw, true},
    {"POST", "/multipart/draw_detections", vt_answer_draw_form, true},
    {"POST", "/v1/extract", vt_answer_v1_extract, true},
    {"POST", "/v1/match", vt_answer_v1_match, true},
    {"GET", "/health", vt_answer_health, true},
    {"GET", "/info", vt_answer_info, false},
    {"GET", "/", vt_answer_root, false},
    {"GET", "/docs", vt_answer_docs, false},
    {"GET", "/redoc", vt_answer_docs, false},
    {"GET", "/openapi.json", vt_answer_openapi, false},
    {"GET", "/v1/live", vt_answer_live, false},
    {"GET", "/v1/ready", vt_answer_ready, false},
    {"GET", "/metrics", vt_answer_metrics, false},
    {"GET", "/v1/status", vt_answer_v1_status, true},
    {"GET", "/page/*", vt_answer_page_file, false},
};
_Static_assert(sizeof routes / sizeof *routes <= VT_ROUTES_COUNTED, "every route has its counters");

const struct vt_route *vt_route(int number) {
    return number >= 0 && (size_t)number < sizeof routes / sizeof *routes ? &routes[number] : NULL;
}

const char *vt_route_name(int number) {
    const struct vt_route *route = vt_route(number);
    return route ? route->path : NULL;
}
