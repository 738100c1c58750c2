/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "config/keys.h"

enum { LARGEST_FILE = 1 << 20, LONGEST_NAME = 96, LONGEST_LIST = 1024 };

/* The file as one mapping of scalars and lists of them, or of mappings of such, whose names are then "outer.inner". */
struct reading {
    struct vt_configuration *configuration;
    const char *path;
    yaml_parser_t parser;
    struct vultus_error *error;
};

static enum vultus_status wrong(const struct reading *r, size_t line, const char *why) {
    return vt_fail(r->error, VULTUS_ERROR_FORMAT, "%s:%zu: %s", r->path, line + 1, why);
}

static enum vultus_status next_event(struct reading *r, yaml_event_t *event) {
    if (yaml_parser_parse(&r->parser, event)) return VULTUS_OK;
    return wrong(r, r->parser.problem_mark.line, r->parser.problem ? r->parser.problem : "this is no YAML");
}

static enum vultus_status take(struct reading *r, const char *name, const char *text, size_t line) {
    char origin[48];
    snprintf(origin, sizeof origin, "%.36s:%zu", vt_path_basename(r->path), line + 1);
    enum vt_key key = vt_key_of_name(name);
    if (key != VT_KEY_COUNT) return vt_configuration_set(r->configuration, key, text, VT_FROM_FILE, origin, r->error);
    if (vt_key_is_ignored(name)) return VULTUS_OK;
    char why[256];
    const char *suggestion = vt_key_suggest(name);
    snprintf(why, sizeof why, "there is no key \"%.64s\"%s%s%s", name, suggestion ? "; did you mean " : "",
        suggestion ? suggestion : "", suggestion ? "?" : "");
    return wrong(r, line, why);
}

static const char no_list[] = "a key's value must be a word or a number";

/* A list of words is the text that has them with commas between. */
static enum vultus_status take_list(struct reading *r, const char *name, size_t line) {
    char text[LONGEST_LIST] = "";
    size_t used = 0;
    enum vt_key key = vt_key_of_name(name);
    enum vt_key_kind kind = key != VT_KEY_COUNT ? vt_key_info(key)->kind : VT_KIND_TEXT;
    if (kind != VT_KIND_TEXT && kind != VT_KIND_CHOICES && kind != VT_KIND_SIZE) return wrong(r, line, no_list);
    for (;;) {
        yaml_event_t event;
        enum vultus_status status = next_event(r, &event);
        if (status) return status;
        yaml_event_type_t type = event.type;
        if (type == YAML_SCALAR_EVENT && used < sizeof text)
            used += (size_t)snprintf(
                text + used, sizeof text - used, "%s%s", used ? "," : "", (const char *)event.data.scalar.value);
        yaml_event_delete(&event);
        if (type == YAML_SEQUENCE_END_EVENT) break;
        if (type != YAML_SCALAR_EVENT || used >= sizeof text)
            return wrong(r, line, "a list holds words or numbers, and few of them");
    }
    return take(r, name, text, line);
}

static enum vultus_status read_mapping(struct reading *r, const char *outer);

static enum vultus_status read_entry(struct reading *r, const char *outer, const yaml_event_t *name_event) {
    char name[LONGEST_NAME];
    if (name_event->type != YAML_SCALAR_EVENT) return wrong(r, name_event->start_mark.line, "a key must be a word");
    int length =
        snprintf(name, sizeof name, "%s%s%s", outer, *outer ? "." : "", (const char *)name_event->data.scalar.value);
    if (length >= LONGEST_NAME) return wrong(r, name_event->start_mark.line, "a key is longer than any that is known");
    yaml_event_t value;
    enum vultus_status status = next_event(r, &value);
    if (status) return status;
    if (value.type == YAML_SCALAR_EVENT)
        status = take(r, name, (const char *)value.data.scalar.value, value.start_mark.line);
    else if (value.type == YAML_SEQUENCE_START_EVENT)
        status = take_list(r, name, value.start_mark.line);
    else if (value.type == YAML_MAPPING_START_EVENT && !*outer)
        status = read_mapping(r, name);
    else
        status = wrong(r, value.start_mark.line, no_list);
    yaml_event_delete(&value);
    return status;
}

static enum vultus_status read_mapping(struct reading *r, const char *outer) {
    for (;;) {
        yaml_event_t event;
        enum vultus_status status = next_event(r, &event);
        if (status) return status;
        bool end = event.type == YAML_MAPPING_END_EVENT;
        if (!end) status = read_entry(r, outer, &event);
        yaml_event_delete(&event);
        if (end || status) return status;
    }
}

/* Everything in front of the outermost mapping, and that mapping. */
static enum vultus_status read_document(struct reading *r) {
    for (;;) {
        yaml_event_t event;
        enum vultus_status status = next_event(r, &event);
        if (status) return status;
        yaml_event_type_t type = event.type;
        size_t line = event.start_mark.line;
        bool empty = type == YAML_SCALAR_EVENT && event.data.scalar.length == 0;
        yaml_event_delete(&event);
        if (type == YAML_MAPPING_START_EVENT) return read_mapping(r, "");
        if (type == YAML_STREAM_END_EVENT || empty) return VULTUS_OK;
        if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT)
            return wrong(r, line, "the file must be a list of \"key: value\" lines");
    }
}

enum vultus_status vt_configuration_read_text(struct vt_configuration *configuration, const char *text, size_t size,
    const char *path, struct vultus_error *error) {
    struct reading r = {.configuration = configuration, .path = path, .error = error};
    if (!yaml_parser_initialize(&r.parser)) return vt_fail_memory(error, "a YAML parser", sizeof r.parser);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    enum vultus_status status = read_document(&r);
    yaml_parser_delete(&r.parser);
    return status;
}

enum vultus_status vt_configuration_read_file(
    struct vt_configuration *configuration, const char *path, struct vultus_error *error) {
    uint8_t *text;
    size_t size;
    enum vultus_status status = vt_read_file(path, LARGEST_FILE, &text, &size, error);
    if (status) return status;
    status = vt_configuration_read_text(configuration, (const char *)text, size, path, error);
    free(text);
    return status;
}
