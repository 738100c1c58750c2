/* SPDX-License-Identifier: Apache-2.0 */
#include "wanted.h"

#include <stdio.h>
#include <string.h>

#include "vultus/vultus.h"

static const char no_object[] = "Input should be a valid dictionary or object to extract fields from";

static const struct vt_value *given(const struct vt_value *map, const char *name) {
    const struct vt_value *value = vt_value_get(map, name);
    return value && value->kind != VT_VALUE_NULL ? value : NULL;
}

/* ---------------------------------------------------------------- pictures */

struct reading {
    struct vt_arena *arena;
    enum vt_body_format format;
    size_t most_pictures;
    struct vt_wanted *wanted;
    struct vt_problems *problems;
    struct vultus_error *error;
};

static void read_picture(struct reading *r, const struct vt_value *item, bool urls, size_t i) {
    struct vt_named_picture *picture = &r->wanted->pictures[i];
    bool text = item->kind == VT_VALUE_TEXT, bytes = item->kind == VT_VALUE_BYTES;
    if (!text && !bytes) {
        char place[64];
        snprintf(place, sizeof place, "\"images\",\"%s\",%zu", urls ? "urls" : "data", i);
        vt_problem(r->problems, "string_type", place, "Input should be a valid string", item);
        return;
    }
    *picture = (struct vt_named_picture){.is_url = urls,
        .base64 = !urls && r->format == VT_BODY_JSON,
        .is_no_picture = !urls && r->format == VT_BODY_MSGPACK && text,
        .text = item->text.bytes,
        .length = item->text.length};
}

static enum vultus_status read_pictures(struct reading *r, const struct vt_value *images) {
    const struct vt_value *urls = given(images, "urls"), *data = given(images, "data");
    const struct vt_value *list = urls ? urls : data;
    if (!list) return VULTUS_OK;
    if (list->kind != VT_VALUE_LIST) {
        vt_problem(r->problems, "list_type", urls ? "\"images\",\"urls\"" : "\"images\",\"data\"",
            "Input should be a valid list", list);
        return VULTUS_OK;
    }
    size_t count = list->list.count;
    if (count > r->most_pictures)
        return vt_fail(
            r->error, VULTUS_ERROR_LIMIT, "the request has %zu images; at most %zu are taken", count, r->most_pictures);
    r->wanted->pictures = vt_arena_alloc_array(r->arena, count + 1, sizeof *r->wanted->pictures);
    if (!r->wanted->pictures) return vt_fail_memory(r->error, "a request's images", count);
    r->wanted->count = count;
    for (size_t i = 0; i < count; i++) read_picture(r, &list->list.items[i], urls != NULL, i);
    return VULTUS_OK;
}

/* ---------------------------------------------------------------- headers */

static const char *terminated(struct vt_arena *arena, const struct vt_value *text) {
    return vt_arena_strndup(arena, text->text.bytes, text->text.length);
}

/* A line end in a header would start another one. */
static bool is_header_text(const struct vt_value *value) {
    if (value->kind != VT_VALUE_TEXT) return false;
    for (size_t i = 0; i < value->text.length; i++)
        if ((unsigned char)value->text.bytes[i] < 0x20 || value->text.bytes[i] == 0x7f) return false;
    return true;
}

static enum vultus_status read_headers(struct reading *r, const struct vt_value *map) {
    if (map->kind != VT_VALUE_MAP) {
        vt_problem(r->problems, "dict_type", "\"img_req_headers\"", "Input should be a valid dictionary", map);
        return VULTUS_OK;
    }
    if (map->map.count == 0) return VULTUS_OK;
    struct vt_header *headers = vt_arena_alloc_array(r->arena, map->map.count, sizeof *headers);
    if (!headers) return vt_fail_memory(r->error, "headers", map->map.count * sizeof *headers);
    for (size_t i = 0; i < map->map.count; i++) {
        const struct vt_entry *entry = &map->map.entries[i];
        if (!is_header_text(&entry->name) || !is_header_text(&entry->value)) {
            vt_problem(
                r->problems, "string_type", "\"img_req_headers\"", "Input should be a valid string", &entry->value);
            return VULTUS_OK;
        }
        headers[i] = (struct vt_header){terminated(r->arena, &entry->name), terminated(r->arena, &entry->value)};
        if (!headers[i].name || !headers[i].value) return vt_fail_memory(r->error, "headers", map->map.count);
    }
    r->wanted->headers = headers;
    r->wanted->n_headers = map->map.count;
    return VULTUS_OK;
}

/* ---------------------------------------------------------------- attributes */

static const struct {
    const char *word;
    enum vultus_attribute bit;
} attribute_words[] = {{"mask", VULTUS_ATTRIBUTE_MASK}, {"liveness", VULTUS_ATTRIBUTE_LIVENESS},
    {"gender_age", VULTUS_ATTRIBUTE_GENDER_AGE}, {"gender-age", VULTUS_ATTRIBUTE_GENDER_AGE},
    {"quality", VULTUS_ATTRIBUTE_QUALITY}};

/* Words with commas between them; false: one is unknown. */
static bool add_attributes(const struct vt_value *text, unsigned *bits) {
    const char *at = text->text.bytes, *end = at + text->text.length;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t length = (size_t)((comma ? comma : end) - at), i = 0,
               n = sizeof attribute_words / sizeof *attribute_words;
        while (i < n && (strlen(attribute_words[i].word) != length || memcmp(attribute_words[i].word, at, length) != 0))
            i++;
        if (i == n) return false;
        *bits |= attribute_words[i].bit;
        at += length + (comma != NULL);
    }
    return true;
}

/* A text, or a list of texts. */
static void read_attributes(const struct vt_value *body, struct vt_wanted *wanted, struct vt_problems *problems) {
    const struct vt_value *given_value = given(body, "attributes");
    if (!given_value) return;
    bool list = given_value->kind == VT_VALUE_LIST, fine = true;
    const struct vt_value *words = list ? given_value->list.items : given_value;
    wanted->attributes = 0;
    for (size_t i = 0; fine && i < (list ? given_value->list.count : 1); i++)
        fine = words[i].kind == VT_VALUE_TEXT && add_attributes(&words[i], &wanted->attributes);
    if (!fine)
        vt_problem(problems, "enum", "\"attributes\"",
            "Input should be some of mask, liveness, gender_age and quality, with commas between them", given_value);
}

unsigned vt_wanted_attributes(const struct vt_wanted *wanted) {
    return (wanted->extract_ga ? VULTUS_ATTRIBUTE_GENDER_AGE : 0u) |
           (wanted->detect_masks ? VULTUS_ATTRIBUTE_MASK : 0u);
}

/* ---------------------------------------------------------------- all of it */

void vt_wanted_read_scalars(const struct vt_value *body, struct vt_wanted *w, struct vt_problems *problems) {
    struct {
        const char *name;
        bool *field;
    } const switches[] = {{"embed_only", &w->embed_only}, {"return_face_data", &w->return_face_data},
        {"return_landmarks", &w->return_landmarks}, {"extract_embedding", &w->extract_embedding},
        {"extract_ga", &w->extract_ga}, {"detect_masks", &w->detect_masks}, {"verbose_timings", &w->verbose_timings},
        {"msgpack", &w->msgpack}, {"draw_landmarks", &w->draw_landmarks}, {"draw_scores", &w->draw_scores},
        {"draw_sizes", &w->draw_sizes}, {"robust", &w->robust}};
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
        *switches[i].field = vt_field_switch(body, switches[i].name, *switches[i].field, problems);
    read_attributes(body, w, problems);
    w->threshold = vt_field_number(body, "threshold", w->threshold, problems);
    w->limit_faces = vt_field_integer(body, "limit_faces", w->limit_faces, problems);
    w->min_face_size = vt_field_integer(body, "min_face_size", w->min_face_size, problems);
}

enum vultus_status vt_wanted_read(struct vt_arena *arena, const struct vt_value *body, enum vt_body_format format,
    size_t most_pictures, struct vt_wanted *wanted, struct vt_problems *problems, struct vultus_error *error) {
    struct reading r = {arena, format, most_pictures, wanted, problems, error};
    if (body->kind != VT_VALUE_MAP) {
        vt_problem(problems, "model_attributes_type", "", no_object, body);
        return VULTUS_OK;
    }
    const struct vt_value *images = vt_value_get(body, "images"), *headers = given(body, "img_req_headers");
    enum vultus_status status = VULTUS_OK;
    if (!images)
        vt_problem(problems, "missing", "\"images\"", "Field required", body);
    else if (images->kind != VT_VALUE_MAP)
        vt_problem(problems, "model_attributes_type", "\"images\"", no_object, images);
    else
        status = read_pictures(&r, images);
    vt_wanted_read_scalars(body, wanted, problems);
    if (!status && headers) status = read_headers(&r, headers);
    return status;
}
