/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_BODY_H
#define VT_SERVER_BODY_H

#include "request.h"
#include "wanted.h"

/* Defaults of the configuration, in the request's arena; NULL: memory ran out, and the answer says so. */
struct vt_wanted *vt_wanted_defaults(struct vt_request *request);

/*
 * Reads the request's JSON or msgpack body. NULL: the answer, 422 or 400 as InsightFace-REST's, is set. The result
 * belongs to the request's arena and points into its body.
 */
struct vt_wanted *vt_body_read(struct vt_request *request);

/* Sets a 422 answer with these problems and releases them. */
void vt_body_refuse(struct vt_request *request, struct vt_problems *problems);

#endif
