/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "answers.h"
#include "pages_sum.h"
#include "server_internal.h"

/* The files of server/pages, put into the program by the assembler. */
#define EMBED(name, file)                                                                                              \
    __asm__(".section .rodata\n.balign 16\n"                                                                           \
            ".global vt_page_" #name "\nvt_page_" #name ":\n.incbin \"" VT_PAGES "/" file "\"\n"                       \
            ".global vt_page_" #name "_end\nvt_page_" #name "_end:\n.byte 0\n.previous\n");                            \
    extern const char vt_page_##name[], vt_page_##name##_end[]

EMBED(charts, "charts.js");
EMBED(common, "common.js");
EMBED(docs, "docs.html");
EMBED(docs_script, "docs.js");
EMBED(faces, "faces.js");
EMBED(index, "index.html");
EMBED(match, "match.js");
EMBED(openapi, "openapi.json");
EMBED(page, "page.js");
EMBED(photos, "photos.js");
EMBED(status, "status.js");
EMBED(style, "page.css");

static const char html_type[] = "text/html; charset=utf-8", script_type[] = "text/javascript; charset=utf-8";

/* What a page may load: its own scripts and styles, answers of this server, and pictures that it made itself. */
static const char page_policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                                  "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
                                  "frame-ancestors 'none'";

static const struct page_file {
    const char *name, *type, *begin, *end;
} page_files[] = {
    {"charts.js", script_type, vt_page_charts, vt_page_charts_end},
    {"common.js", script_type, vt_page_common, vt_page_common_end},
    {"docs.js", script_type, vt_page_docs_script, vt_page_docs_script_end},
    {"faces.js", script_type, vt_page_faces, vt_page_faces_end},
    {"match.js", script_type, vt_page_match, vt_page_match_end},
    {"page.css", "text/css; charset=utf-8", vt_page_style, vt_page_style_end},
    {"page.js", script_type, vt_page_page, vt_page_page_end},
    {"photos.js", script_type, vt_page_photos, vt_page_photos_end},
    {"status.js", script_type, vt_page_status, vt_page_status_end},
};

static const char *header(const struct vt_request *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

/* 304 without a body where the client has this very file. One tag serves all: they change together, with the program.
 */
static void answer_page(struct vt_request *request, const char *begin, const char *end, const char *type) {
    static const char tag[] = "\"" VT_PAGES_SUM "\"";
    struct vt_response *response = &request->response;
    const char *known = header(request, "If-None-Match");
    bool fresh = known && strstr(known, tag);
    response->etag = tag;
    response->content_policy = page_policy;
    response->static_body = fresh ? "" : begin;
    response->static_size = fresh ? 0 : (size_t)(end - begin);
    response->content_type = fresh ? NULL : type;
    response->status = fresh ? 304 : 200;
}

void vt_answer_docs(struct vt_request *request) { answer_page(request, vt_page_docs, vt_page_docs_end, html_type); }

void vt_answer_openapi(struct vt_request *request) {
    answer_page(request, vt_page_openapi, vt_page_openapi_end, "application/json");
}

void vt_answer_page_file(struct vt_request *request) {
    for (size_t i = 0; i < sizeof page_files / sizeof *page_files; i++)
        if (strcmp(request->path + strlen("/page/"), page_files[i].name) == 0) {
            answer_page(request, page_files[i].begin, page_files[i].end, page_files[i].type);
            return;
        }
    vt_request_fail(request, 404, "Not Found");
}

/* Whether Accept names text/html, as browsers' does; the stars of other clients are not meant for people. */
static bool wants_html(const struct vt_request *request) {
    static const char html[] = "text/html";
    const char *at = header(request, "Accept");
    while (at && *at) {
        at += strspn(at, ", \t");
        size_t length = strcspn(at, ",; \t"), whole = strcspn(at, ",");
        const char *weight = memmem(at, whole, ";q=", 3);
        if (length == sizeof html - 1 && strncasecmp(at, html, length) == 0) return !weight || atof(weight + 3) > 0;
        at += whole;
    }
    return false;
}

void vt_answer_root(struct vt_request *request) {
    request->response.vary = "Accept";
    if (wants_html(request)) {
        answer_page(request, vt_page_index, vt_page_index_end, html_type);
        return;
    }
    strcpy(request->response.location, "/docs");
    request->response.status = 307;
}
