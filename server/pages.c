/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "answers.h"
#include "pages_sum.h"
#include "server_internal.h"

/* The files of server/pages, put into the program by the assembler. */
#define EMBED(name, file)                                                                                              \
    __asm__(".section .rodata\n.balign 16\n"                                                                           \
            ".global vt_page_" #name "\nvt_page_" #name ":\n.incbin \"" VT_PAGES "/" file "\"\n"                       \
            ".global vt_page_" #name "_end\nvt_page_" #name "_end:\n.byte 0\n.previous\n");                            \
    extern const char vt_page_##name[], vt_page_##name##_end[]

EMBED(docs, "docs.html");
EMBED(openapi, "openapi.json");

static void answer_page(struct vt_request *request, const char *begin, const char *end, const char *type) {
    request->response.static_body = begin;
    request->response.static_size = (size_t)(end - begin);
    request->response.status = 200;
    request->response.content_type = type;
}

void vt_answer_docs(struct vt_request *request) {
    answer_page(request, vt_page_docs, vt_page_docs_end, "text/html; charset=utf-8");
}

void vt_answer_openapi(struct vt_request *request) {
    answer_page(request, vt_page_openapi, vt_page_openapi_end, "application/json");
}

void vt_answer_root(struct vt_request *request) {
    strcpy(request->response.location, "/docs");
    request->response.status = 307;
}
