/* SPDX-License-Identifier: Apache-2.0 */
#include "upload.h"

#include <stdio.h>
#include <string.h>

#include "body.h"
#include "form.h"
#include "server_internal.h"

static struct vt_wanted *defaults_for(struct vt_request *request, size_t count) {
    struct vt_wanted *wanted = vt_wanted_defaults(request);
    if (!wanted) return NULL;
    wanted->pictures = vt_arena_alloc_array(&request->arena, count + 1, sizeof *wanted->pictures);
    wanted->count = count;
    if (wanted->pictures) return wanted;
    vt_request_fail(request, 500, "there is no memory for the request's pictures");
    return NULL;
}

struct form {
    struct vt_form_field fields[VT_FORM_FIELDS];
    size_t count;
};

static bool is_named(const struct vt_form_field *field, const char *name) {
    return field->name_length == strlen(name) && memcmp(field->name, name, field->name_length) == 0;
}

/* False: the answer is set. */
static bool read_form(struct vt_request *request, struct form *form) {
    struct vultus_error error;
    if (vt_form_read(request->content_type, request->body, request->body_size, form->fields, &form->count, &error) == 0)
        return true;
    if (error.status == VULTUS_ERROR_LIMIT)
        vt_request_fail_status(request, &error);
    else
        vt_request_fail(request, 400, "There was an error parsing the body");
    return false;
}

static struct vt_wanted *read_scalars(
    struct vt_request *request, const struct form *form, struct vt_wanted *wanted, struct vt_problems *problems) {
    struct vt_value map;
    if (!vt_form_as_map(&request->arena, form->fields, form->count, &map)) {
        vt_strbuf_fini(&problems->json);
        vt_request_fail(request, 500, "there is no memory for the form");
        return NULL;
    }
    vt_wanted_read_scalars(&map, wanted, problems);
    if (problems->count == 0) return wanted;
    vt_body_refuse(request, problems);
    return NULL;
}

static void miss(struct vt_problems *problems, const char *name) {
    char place[64];
    snprintf(place, sizeof place, "\"%s\"", name);
    vt_problem(problems, "missing", place, "Field required", NULL);
}

static struct vt_named_picture picture_of(const struct vt_form_field *field) {
    return (struct vt_named_picture){.text = field->value, .length = field->length};
}

struct vt_wanted *vt_upload_read(struct vt_request *request, const char *const *names, size_t count) {
    struct form form;
    struct vt_problems problems = {0};
    if (!read_form(request, &form)) return NULL;
    struct vt_wanted *wanted = defaults_for(request, count);
    if (!wanted) return NULL;
    for (size_t i = 0; i < count; i++) {
        const struct vt_form_field *file = vt_form_find(form.fields, form.count, names[i]);
        if (file)
            wanted->pictures[i] = picture_of(file);
        else
            miss(&problems, names[i]);
    }
    return read_scalars(request, &form, wanted, &problems);
}

struct vt_wanted *vt_upload_read_all(struct vt_request *request, const char *name) {
    struct form form;
    struct vt_problems problems = {0};
    size_t most = (size_t)vt_setting_integer(request->server, VT_KEY_MAX_PICTURES), count = 0;
    if (!read_form(request, &form)) return NULL;
    for (size_t i = 0; i < form.count; i++) count += is_named(&form.fields[i], name);
    if (count > most) {
        vt_request_fail(request, 413, "the request has %zu images; at most %zu are taken", count, most);
        return NULL;
    }
    struct vt_wanted *wanted = defaults_for(request, count);
    if (!wanted) return NULL;
    count = 0;
    for (size_t i = 0; i < form.count; i++)
        if (is_named(&form.fields[i], name)) wanted->pictures[count++] = picture_of(&form.fields[i]);
    if (count == 0) miss(&problems, name);
    return read_scalars(request, &form, wanted, &problems);
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
