/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "answers.h"

static const struct vt_route routes[] = {
    {"", "(none)", NULL, false, VT_FOR_ALL},
    {"POST", "/extract", vt_answer_extract, true, VT_FOR_CLIENTS},
    {"POST", "/draw_detections", vt_answer_draw, true, VT_FOR_CLIENTS},
    {"POST", "/multipart/draw_detections", vt_answer_draw_form, true, VT_FOR_CLIENTS},
    {"POST", "/v1/extract", vt_answer_v1_extract, true, VT_FOR_CLIENTS},
    {"POST", "/v1/embed", vt_answer_v1_embed, true, VT_FOR_CLIENTS},
    {"POST", "/v1/match", vt_answer_v1_match, true, VT_FOR_CLIENTS},
    {"POST", "/v1/models/det", vt_answer_v1_models, true, VT_FOR_ADMIN},
    {"POST", "/v1/models/rec", vt_answer_v1_models, true, VT_FOR_ADMIN},
    {"POST", "/v1/models/genderage", vt_answer_v1_models, true, VT_FOR_ADMIN},
    {"POST", "/v1/models/mask_detector", vt_answer_v1_models, true, VT_FOR_ADMIN},
    {"POST", "/v1/models/liveness", vt_answer_v1_models, true, VT_FOR_ADMIN},
    {"GET", "/health", vt_answer_health, true, VT_FOR_ALL},
    {"GET", "/info", vt_answer_info, false, VT_FOR_CLIENTS},
    {"GET", "/", vt_answer_root, false, VT_FOR_ALL},
    {"GET", "/docs", vt_answer_docs, false, VT_FOR_ALL},
    {"GET", "/redoc", vt_answer_docs, false, VT_FOR_ALL},
    {"GET", "/openapi.json", vt_answer_openapi, false, VT_FOR_ALL},
    {"GET", "/v1/live", vt_answer_live, false, VT_FOR_ALL},
    {"GET", "/v1/ready", vt_answer_ready, false, VT_FOR_ALL},
    {"GET", "/metrics", vt_answer_metrics, false, VT_FOR_CLIENTS},
    {"GET", "/v1/status", vt_answer_v1_status, true, VT_FOR_CLIENTS},
    {"GET", "/page/*", vt_answer_page_file, false, VT_FOR_ALL},
};
_Static_assert(sizeof routes / sizeof *routes <= VT_ROUTES_COUNTED, "every route has its counters");

const struct vt_route *vt_route(int number) {
    return number >= 0 && (size_t)number < sizeof routes / sizeof *routes ? &routes[number] : NULL;
}

const char *vt_route_name(int number) {
    const struct vt_route *route = vt_route(number);
    return route ? route->path : NULL;
}
