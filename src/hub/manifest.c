/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/manifest.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

enum { LARGEST_NOTE = 64 << 10 };

static const char *const trusts[] = {
    [VT_HUB_UNKNOWN] = "unknown", [VT_HUB_FIRST_USE] = "first use", [VT_HUB_CATALOGUE] = "catalogue"};

static enum vultus_status load(
    const void *text, size_t size, const char *path, json_t **out, struct vultus_error *error) {
    json_error_t why;
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (!object) return vt_fail(error, VULTUS_ERROR_FORMAT, "%s, line %d: %s", path, why.line, why.text);
    if (!json_is_object(object)) {
        json_decref(object);
        return vt_fail(error, VULTUS_ERROR_FORMAT, "%s must be a JSON object", path);
    }
    *out = object;
    return VULTUS_OK;
}

static enum vultus_status read_note(const char *path, uint8_t **text, size_t *size, struct vultus_error *error) {
    return vt_read_file(path, LARGEST_NOTE, text, size, error);
}

/* Takes the reference, which may be NULL. */
static enum vultus_status write_note(const char *path, json_t *object, struct vultus_error *error) {
    char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    if (!text) return vt_fail_memory(error, path, LARGEST_NOTE);
    enum vultus_status status = vt_write_file_atomically(path, text, strlen(text), error);
    free(text);
    return status;
}

static enum vultus_status fail_key(const char *path, const char *key, const char *rule, struct vultus_error *error) {
    return vt_fail(error, VULTUS_ERROR_FORMAT, "%s: %s must be %s", path, key, rule);
}

static bool read_bytes(const json_t *object, const char *key, uint64_t *out) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

/* jansson refuses texts with NUL bytes inside. */
static bool copy_text(const json_t *object, const char *key, char *out, size_t size) {
    const char *text = json_string_value(json_object_get(object, key));
    if (!text || strlen(text) >= size) return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static enum vultus_status parse_manifest(const json_t *object, const char *path, struct vt_arena *arena,
    struct vt_manifest *out, struct vultus_error *error) {
    *out = (struct vt_manifest){0};
    if (!copy_text(object, "sha256", out->sha256, sizeof out->sha256) ||
        strspn(out->sha256, "0123456789abcdef") != VT_SHA256_HEX - 1)
        return fail_key(path, "sha256", "64 lower-case hexadecimal digits", error);
    if (!read_bytes(object, "bytes", &out->bytes)) return fail_key(path, "bytes", "a whole number", error);
    const char *trust = json_string_value(json_object_get(object, "trust"));
    for (enum vt_hub_trust t = VT_HUB_FIRST_USE; trust && t <= VT_HUB_CATALOGUE; t++)
        if (strcmp(trust, trusts[t]) == 0) out->trust = t;
    if (!out->trust) return fail_key(path, "trust", "\"catalogue\" or \"first use\"", error);
    const char *origin = json_string_value(json_object_get(object, "origin"));
    if (!origin) return fail_key(path, "origin", "text", error);
    out->origin = vt_arena_strdup(arena, origin);
    return out->origin ? VULTUS_OK : vt_fail_memory(error, path, strlen(origin));
}

enum vultus_status vt_manifest_parse(const void *text, size_t size, const char *path, struct vt_arena *arena,
    struct vt_manifest *out, struct vultus_error *error) {
    json_t *object;
    enum vultus_status status = load(text, size, path, &object, error);
    if (status) return status;
    status = parse_manifest(object, path, arena, out, error);
    json_decref(object);
    return status;
}

enum vultus_status vt_manifest_read(
    const char *path, struct vt_arena *arena, struct vt_manifest *out, struct vultus_error *error) {
    uint8_t *text = NULL;
    size_t size = 0;
    enum vultus_status status = read_note(path, &text, &size, error);
    if (!status) status = vt_manifest_parse(text, size, path, arena, out, error);
    free(text);
    return status;
}

enum vultus_status vt_manifest_write(const char *path, const struct vt_manifest *m, struct vultus_error *error) {
    json_t *object = json_pack("{s:s, s:I, s:s, s:o}", "sha256", m->sha256, "bytes", (json_int_t)m->bytes, "trust",
        trusts[m->trust], "origin", vt_json_text(m->origin));
    return write_note(path, object, error);
}

enum vultus_status vt_part_parse(
    const void *text, size_t size, const char *path, struct vt_part *out, struct vultus_error *error) {
    json_t *object;
    *out = (struct vt_part){0};
    enum vultus_status status = load(text, size, path, &object, error);
    if (status) return status;
    if (!copy_text(object, "url", out->url, sizeof out->url))
        status = fail_key(path, "url", "text of at most 2047 bytes", error);
    else if (!copy_text(object, "validator", out->validator, sizeof out->validator) || strpbrk(out->validator, "\r\n"))
        status = fail_key(path, "validator", "one line of at most 255 bytes", error);
    else if (!read_bytes(object, "total", &out->total))
        status = fail_key(path, "total", "a whole number", error);
    json_decref(object);
    return status;
}

enum vultus_status vt_part_read(const char *path, struct vt_part *out, struct vultus_error *error) {
    uint8_t *text = NULL;
    size_t size = 0;
    enum vultus_status status = read_note(path, &text, &size, error);
    if (!status) status = vt_part_parse(text, size, path, out, error);
    free(text);
    return status;
}

enum vultus_status vt_part_write(const char *path, const struct vt_part *part, struct vultus_error *error) {
    json_t *object = json_pack("{s:o, s:o, s:I}", "url", vt_json_text(part->url), "validator",
        vt_json_text(part->validator), "total", (json_int_t)part->total);
    return write_note(path, object, error);
}
