/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"

#include <string.h>
#include <strings.h>

#include "server_internal.h"

enum format { JSON, MSGPACK, UNKNOWN };

/* Parameters behind a semicolon do not matter. */
static enum format format_of(const char *content_type) {
    static const char suffix[] = "+json";
    if (!content_type) return JSON;
    size_t length = strcspn(content_type, "; \t");
    const char *const known[] = {"application/json", "application/msgpack", "application/x-msgpack"};
    for (int i = 0; i < 3; i++)
        if (strlen(known[i]) == length && strncasecmp(content_type, known[i], length) == 0) return i ? MSGPACK : JSON;
    bool json = strncasecmp(content_type, "application/", 12) == 0 && length > sizeof suffix &&
                strncasecmp(content_type + length - (sizeof suffix - 1), suffix, sizeof suffix - 1) == 0;
    return json ? JSON : UNKNOWN;
}

void vt_body_refuse(struct vt_request *request, struct vt_problems *problems) {
    struct vt_strbuf *out = &request->response.body;
    vt_strbuf_puts(out, "{\"detail\":[");
    vt_strbuf_append(out, problems->json.text, problems->json.length);
    vt_strbuf_puts(out, "]}");
    out->failed |= problems->json.failed;
    vt_strbuf_fini(&problems->json);
    vt_request_answer(request, 422, "application/json");
}

static void refuse_one(
    struct vt_request *request, const char *type, const char *sentence, const struct vt_value *input) {
    struct vt_problems problems = {0};
    vt_problem(&problems, type, "", sentence, input);
    vt_body_refuse(request, &problems);
}

static void refuse_json(struct vt_request *request, const struct vt_json_problem *why) {
    struct vt_strbuf *out = &request->response.body;
    vt_strbuf_printf(out,
        "{\"detail\":[{\"type\":\"json_invalid\",\"loc\":[\"body\",%zu],\"msg\":\"JSON decode error\",\"input\":{},"
        "\"ctx\":{\"error\":",
        why->position);
    vt_write_json_text(out, why->text, strlen(why->text));
    vt_strbuf_puts(out, "}}]}");
    vt_request_answer(request, 422, "application/json");
}

static bool parse(struct vt_request *request, enum format format, struct vt_value *value) {
    struct vt_json_problem why = {0};
    struct vultus_error error;
    enum vultus_status status =
        format == JSON ? vt_value_from_json(&request->arena, request->body, request->body_size, value, &why, &error)
                       : vt_value_from_msgpack(&request->arena, request->body, request->body_size, value, &error);
    if (status == VULTUS_OK) return true;
    if (status == VULTUS_ERROR_FORMAT && format == JSON)
        refuse_json(request, &why);
    else if (status == VULTUS_ERROR_FORMAT)
        vt_request_fail(request, 400, "There was an error parsing the body");
    else
        vt_request_fail_status(request, &error);
    return false;
}

struct vt_wanted *vt_wanted_defaults(struct vt_request *request) {
    const struct vt_server *server = request->server;
    struct vt_wanted *wanted = vt_arena_alloc(&request->arena, sizeof *wanted);
    if (!wanted) {
        vt_request_fail(request, 500, "there is no memory for the request");
        return NULL;
    }
    *wanted = (struct vt_wanted){
        .threshold = vt_setting(server, VT_KEY_DEFAULT_THRESHOLD)->number,
        .return_face_data = vt_setting_integer(server, VT_KEY_DEFAULT_FACE_DATA),
        .return_landmarks = vt_setting_integer(server, VT_KEY_DEFAULT_LANDMARKS),
        .extract_embedding = vt_setting_integer(server, VT_KEY_DEFAULT_EMBEDDING),
        .extract_ga = vt_setting_integer(server, VT_KEY_DEFAULT_GENDERAGE),
        .detect_masks = vt_setting_integer(server, VT_KEY_DEFAULT_MASKS),
        .robust = strncmp(request->path, "/v1/", 4) == 0,
        .draw_landmarks = true,
        .draw_scores = true,
        .draw_sizes = true,
    };
    return wanted;
}

struct vt_wanted *vt_body_read(struct vt_request *request) {
    enum format format = format_of(request->content_type);
    struct vt_value value = {.kind = VT_VALUE_TEXT, .text = {request->body ? request->body : "", request->body_size}};
    if (request->body_size == 0) {
        refuse_one(request, "missing", "Field required", NULL);
        return NULL;
    }
    if (format == UNKNOWN) {
        refuse_one(request, "model_attributes_type",
            "Input should be a valid dictionary or object to extract fields from", &value);
        return NULL;
    }
    if (!parse(request, format, &value)) return NULL;
    struct vt_problems problems = {0};
    struct vultus_error error;
    struct vt_wanted *wanted = vt_wanted_defaults(request);
    if (!wanted) return NULL;
    size_t most = (size_t)vt_setting_integer(request->server, VT_KEY_MAX_PICTURES);
    enum vt_body_format body_format = format == JSON ? VT_BODY_JSON : VT_BODY_MSGPACK;
    enum vultus_status status = vt_wanted_read(&request->arena, &value, body_format, most, wanted, &problems, &error);
    if (status) {
        vt_strbuf_fini(&problems.json);
        vt_request_fail_status(request, &error);
        return NULL;
    }
    if (problems.count == 0) return wanted;
    vt_body_refuse(request, &problems);
    return NULL;
}
