/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "plan/format.h"

/* ------------------------------------------------------------ writing */

static json_t *triple_json(const float v[3]) { return json_pack("[f,f,f]", (double)v[0], (double)v[1], (double)v[2]); }

static json_t *key_json(const struct vt_plan_key *key) {
    json_t *object = json_object();
#define X(field)                                                                                                       \
    if (json_object_set_new(object, #field, json_string(key->field)) != 0) goto fail;
    VT_PLAN_KEY_FIELDS(X)
#undef X
    return object;
fail:
    json_decref(object);
    return NULL;
}

static json_t *model_json(const struct vt_plan_model *m) {
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "name", m->name, "function", m->function, "origin",
        m->origin, "licence", m->licence, "channels", m->channels, "mean", triple_json(m->mean), "std",
        triple_json(m->std));
}

enum vultus_status vt_plan_info_write(const struct vt_plan *plan, char **text, struct vultus_error *error) {
    json_t *info = json_pack("{s:o, s:o, s:f}", "key", key_json(&plan->key), "model", model_json(&plan->model),
        "build_seconds", (double)plan->build_seconds);
    *text = info ? json_dumps(info, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
    json_decref(info);
    if (*text) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_INVALID,
        "the info of the plan of model %s cannot be written: its texts must be UTF-8 and its numbers finite",
        plan->model.name);
}

/* ------------------------------------------------------------ reading */

static enum vultus_status read_key_field(
    const json_t *object, const char *name, char field[96], struct vultus_error *error) {
    const char *text = json_string_value(json_object_get(object, name));
    size_t size = sizeof((struct vt_plan_key *)0)->model_sha256;
    if (!text) return vt_fail(error, VULTUS_ERROR_FORMAT, "the plan's key has no text \"%s\"", name);
    if (strlen(text) >= size)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "the plan's key has %zu bytes of \"%s\", more than %zu",
            strlen(text), name, size - 1);
    memset(field, 0, size);
    memcpy(field, text, strlen(text));
    return VULTUS_OK;
}

static enum vultus_status read_key(const json_t *object, struct vt_plan_key *key, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
#define X(field)                                                                                                       \
    if (!status) status = read_key_field(object, #field, key->field, error);
    VT_PLAN_KEY_FIELDS(X)
#undef X
    return status;
}

static enum vultus_status read_model_text(
    const json_t *object, const char *name, const char **text, struct vt_arena *arena, struct vultus_error *error) {
    const char *value = json_string_value(json_object_get(object, name));
    if (!value) return vt_fail(error, VULTUS_ERROR_FORMAT, "the plan's model has no text \"%s\"", name);
    *text = vt_arena_strdup(arena, value);
    return *text ? VULTUS_OK : vt_fail_memory(error, "a plan's text", strlen(value) + 1);
}

/* A number that single precision holds as a finite one. */
static bool read_float(const json_t *number, float *value) {
    *value = (float)json_number_value(number);
    return json_is_number(number) && isfinite(*value);
}

static enum vultus_status read_triple(
    const json_t *object, const char *name, float values[3], struct vultus_error *error) {
    const json_t *list = json_object_get(object, name);
    bool good = json_array_size(list) == 3;
    for (size_t i = 0; good && i < 3; i++) good = read_float(json_array_get(list, i), &values[i]);
    if (good) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_FORMAT, "the plan's model has no three numbers \"%s\"", name);
}

static enum vultus_status read_model(
    const json_t *object, struct vt_plan_model *model, struct vt_arena *arena, struct vultus_error *error) {
    enum vultus_status status = read_model_text(object, "name", &model->name, arena, error);
    if (!status) status = read_model_text(object, "function", &model->function, arena, error);
    if (!status) status = read_model_text(object, "origin", &model->origin, arena, error);
    if (!status) status = read_model_text(object, "licence", &model->licence, arena, error);
    if (!status) status = read_model_text(object, "channels", &model->channels, arena, error);
    if (!status) status = read_triple(object, "mean", model->mean, error);
    return status ? status : read_triple(object, "std", model->std, error);
}

enum vultus_status vt_plan_info_read(const char *text, size_t size, struct vt_plan_key *key,
    struct vt_plan_model *model, float *build_seconds, struct vt_arena *arena, struct vultus_error *error) {
    json_error_t where;
    json_t *info = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!info)
        return vt_fail(
            error, VULTUS_ERROR_FORMAT, "the plan's info is not JSON: line %d: %.100s", where.line, where.text);
    enum vultus_status status = read_key(json_object_get(info, "key"), key, error);
    if (!status && model) {
        status = read_model(json_object_get(info, "model"), model, arena, error);
        if (!status && !read_float(json_object_get(info, "build_seconds"), build_seconds))
            status = vt_fail(error, VULTUS_ERROR_FORMAT, "the plan's info has no number \"build_seconds\"");
    }
    json_decref(info);
    return status;
}
