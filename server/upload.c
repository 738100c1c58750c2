/* SPDX-License-Identifier: Apache-2.0 */
#include "upload.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#include "body.h"
#include "form.h"

static struct vt_wanted *defaults_for(struct vt_request *request, size_t count) {
    struct vt_wanted *wanted = vt_wanted_defaults(request);
    if (!wanted) return NULL;
    wanted->pictures = vt_arena_alloc_array(&request->arena, count, sizeof *wanted->pictures);
    wanted->count = count;
    if (wanted->pictures) return wanted;
    vt_request_fail(request, 500, "there is no memory for the request's pictures");
    return NULL;
}

struct vt_wanted *vt_upload_read(struct vt_request *request, const char *const *names, size_t count) {
    struct vt_form_field fields[VT_FORM_FIELDS];
    size_t n_fields = 0;
    struct vultus_error error;
    struct vt_value map;
    if (vt_form_read(request->content_type, request->body, request->body_size, fields, &n_fields, &error) < 0) {
        vt_request_fail(request, 400, "There was an error parsing the body");
        return NULL;
    }
    struct vt_problems problems = {0};
    struct vt_wanted *wanted = defaults_for(request, count);
    if (!wanted) return NULL;
    if (!vt_form_as_map(&request->arena, fields, n_fields, &map)) {
        vt_request_fail(request, 500, "there is no memory for the form");
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        char place[64];
        const struct vt_form_field *file = vt_form_find(fields, n_fields, names[i]);
        snprintf(place, sizeof place, "\"%s\"", names[i]);
        if (file)
            wanted->pictures[i] = (struct vt_named_picture){.text = file->value, .length = file->length};
        else
            vt_problem(&problems, "missing", place, "Field required", NULL);
    }
    vt_wanted_read_scalars(&map, wanted, &problems);
    if (problems.count == 0) return wanted;
    vt_body_refuse(request, &problems);
    return NULL;
}

struct vt_wanted *vt_upload_read_raw(struct vt_request *request) {
    struct vt_wanted *wanted = defaults_for(request, 1);
    if (wanted)
        wanted->pictures[0] =
            (struct vt_named_picture){.text = request->body ? request->body : "", .length = request->body_size};
    return wanted;
}

/* ---------------------------------------------------------------- queries */

struct query {
    struct vt_arena *arena;
    struct vt_form_field fields[VT_FORM_FIELDS];
    size_t count;
};

static enum MHD_Result take_argument(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
    struct query *query = context;
    (void)kind;
    if (query->count == VT_FORM_FIELDS) return MHD_NO;
    /* "?robust" alone means yes. */
    if (!value) value = "1";
    query->fields[query->count++] = (struct vt_form_field){name, strlen(name), value, strlen(value)};
    return MHD_YES;
}

bool vt_query_read(struct vt_request *request, struct vt_wanted *wanted) {
    struct query query = {.arena = &request->arena};
    struct vt_value map;
    struct vt_problems problems = {0};
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, take_argument, &query);
    if (!vt_form_as_map(&request->arena, query.fields, query.count, &map)) {
        vt_request_fail(request, 500, "there is no memory for the query");
        return false;
    }
    vt_wanted_read_scalars(&map, wanted, &problems);
    if (problems.count == 0) return true;
    vt_body_refuse(request, &problems);
    return false;
}
