/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_ANSWERS_H
#define VT_SERVER_ANSWERS_H

#include "request.h"

/* What the routes do; see struct vt_route. The first ones are called by workers. */
void vt_answer_extract(struct vt_request *request);
void vt_answer_draw(struct vt_request *request);
void vt_answer_draw_form(struct vt_request *request);
void vt_answer_health(struct vt_request *request);

void vt_answer_v1_extract(struct vt_request *request);
void vt_answer_v1_embed(struct vt_request *request);
void vt_answer_v1_match(struct vt_request *request);
void vt_answer_v1_models(struct vt_request *request);
void vt_answer_v1_status(struct vt_request *request);

void vt_answer_info(struct vt_request *request);
void vt_answer_root(struct vt_request *request);
void vt_answer_docs(struct vt_request *request);
void vt_answer_page_file(struct vt_request *request);
void vt_answer_openapi(struct vt_request *request);
void vt_answer_live(struct vt_request *request);
void vt_answer_ready(struct vt_request *request);
void vt_answer_metrics(struct vt_request *request);

#endif
