/* SPDX-License-Identifier: Apache-2.0 */
#include "catalogue/read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"

enum { LARGEST_SIDE = 1 << 15, MOST_TEXTS = 64, LONGEST_NAME = 64 };
#define LARGEST_FILE ((uint64_t)1 << 33)

enum kind { TEXT, TEXTS, TRIPLE, SIDE, BYTES, COSINE, FACTOR, YES_NO };

struct field {
    const char *key;
    enum kind kind;
    size_t offset; /* in the record */
    bool required;
};

enum vultus_status vt_catalogue_fail(
    const struct vt_catalogue_reader *r, const yaml_node_t *node, const char *key, const char *rule) {
    return vt_fail(r->error, VULTUS_ERROR_FORMAT, "%s, line %zu: %s %s", r->name, node->start_mark.line + 1, key, rule);
}

const char *vt_catalogue_scalar(const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE) return NULL;
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}

bool vt_catalogue_is_name(const char *name) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(name);
    return length > 0 && length <= LONGEST_NAME && strspn(name, letters) == length && !strchr("._-", *name);
}

/* ---------------------------------------------------------------- values */

static enum vultus_status read_text(
    const struct vt_catalogue_reader *r, const yaml_node_t *node, const char *key, const char **value) {
    const char *text = vt_catalogue_scalar(node);
    if (!text) return vt_catalogue_fail(r, node, key, "must be text");
    *value = vt_arena_strdup(r->arena, text);
    return *value ? VULTUS_OK : vt_fail_memory(r->error, "the catalogue", strlen(text));
}

static enum vultus_status read_texts(
    struct vt_catalogue_reader *r, const yaml_node_t *node, const char *key, struct vt_texts *value) {
    const yaml_node_item_t *items = node->data.sequence.items.start;
    if (node->type != YAML_SEQUENCE_NODE || node->data.sequence.items.top - items > MOST_TEXTS)
        return vt_catalogue_fail(r, node, key, "must be a sequence of at most 64 texts");
    size_t count = (size_t)(node->data.sequence.items.top - items);
    const char **texts = vt_arena_alloc_array(r->arena, count ? count : 1, sizeof *texts);
    if (!texts) return vt_fail_memory(r->error, "the catalogue", count * sizeof *texts);
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; !status && i < count; i++)
        status = read_text(r, yaml_document_get_node(&r->document, items[i]), key, &texts[i]);
    *value = (struct vt_texts){texts, count};
    return status;
}

static bool parse_double(const yaml_node_t *node, double *value) {
    const char *text = vt_catalogue_scalar(node);
    if (!text || !*text) return false;
    char *end;
    *value = strtod(text, &end);
    return *end == '\0' && isfinite(*value);
}

static bool parse_number(const yaml_node_t *node, float *value) {
    const char *text = vt_catalogue_scalar(node);
    if (!text || !*text) return false;
    char *end;
    *value = strtof(text, &end);
    return *end == '\0' && isfinite(*value);
}

static enum vultus_status read_side(
    const struct vt_catalogue_reader *r, const yaml_node_t *node, const char *key, int *value) {
    float number;
    if (!parse_number(node, &number) || number < 1 || number > LARGEST_SIDE || number != floorf(number))
        return vt_catalogue_fail(r, node, key, "must be a whole number of pixels from 1 to 32768");
    *value = (int)number;
    return VULTUS_OK;
}

static enum vultus_status read_cosine(
    const struct vt_catalogue_reader *r, const yaml_node_t *node, const char *key, float *value) {
    if (!parse_number(node, value) || *value <= 0 || *value >= 1)
        return vt_catalogue_fail(r, node, key, "must be a cosine between 0 and 1");
    return VULTUS_OK;
}

static enum vultus_status read_factor(
    const struct vt_catalogue_reader *r, const yaml_node_t *node, const char *key, double *value) {
    if (!parse_double(node, value) || *value <= 0) return vt_catalogue_fail(r, node, key, "must be a number above 0");
    return VULTUS_OK;
}

static enum vultus_status read_bytes(
    const struct vt_catalogue_reader *r, const yaml_node_t *node, const char *key, uint64_t *value) {
    const char *text = vt_catalogue_scalar(node);
    errno = 0;
    *value = text && *text && strspn(text, "0123456789") == strlen(text) ? strtoull(text, NULL, 10) : 0;
    if (errno || !*value || *value > LARGEST_FILE)
        return vt_catalogue_fail(r, node, key, "must be a whole number of bytes from 1 to 8589934592");
    return VULTUS_OK;
}

static enum vultus_status read_triple(
    struct vt_catalogue_reader *r, const yaml_node_t *node, const char *key, float value[3]) {
    bool right =
        node->type == YAML_SEQUENCE_NODE && node->data.sequence.items.top - node->data.sequence.items.start == 3;
    for (int k = 0; right && k < 3; k++)
        right = parse_number(yaml_document_get_node(&r->document, node->data.sequence.items.start[k]), &value[k]);
    return right ? VULTUS_OK : vt_catalogue_fail(r, node, key, "must be three numbers, one for each channel");
}

static enum vultus_status read_yes_no(
    const struct vt_catalogue_reader *r, const yaml_node_t *node, const char *key, bool *value) {
    const char *text = vt_catalogue_scalar(node);
    bool yes = text && strcmp(text, "yes") == 0;
    if (!yes && !(text && strcmp(text, "no") == 0)) return vt_catalogue_fail(r, node, key, "must be yes or no");
    *value = yes;
    return VULTUS_OK;
}

static enum vultus_status read_field(
    struct vt_catalogue_reader *r, const struct field *field, const yaml_node_t *node, void *record) {
    void *value = (char *)record + field->offset;
    switch (field->kind) {
    case TEXT: return read_text(r, node, field->key, value);
    case TEXTS: return read_texts(r, node, field->key, value);
    case TRIPLE: return read_triple(r, node, field->key, value);
    case SIDE: return read_side(r, node, field->key, value);
    case BYTES: return read_bytes(r, node, field->key, value);
    case FACTOR: return read_factor(r, node, field->key, value);
    case COSINE: return read_cosine(r, node, field->key, value);
    default: return read_yes_no(r, node, field->key, value);
    }
}

/* ---------------------------------------------------------------- records */

enum { MOST_FIELDS = 24 };

/* What `node`, a mapping, says of `what`. Texts that it leaves out become "". */
static enum vultus_status read_mapping(struct vt_catalogue_reader *r, const yaml_node_t *node, const char *what,
    const struct field *fields, size_t n_fields, void *record) {
    if (node->type != YAML_MAPPING_NODE) return vt_catalogue_fail(r, node, what, "must be a mapping");
    bool seen[MOST_FIELDS] = {false};
    for (size_t k = 0; k < n_fields; k++)
        if (fields[k].kind == TEXT) *(const char **)((char *)record + fields[k].offset) = "";
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&r->document, pair->key);
        const char *text = vt_catalogue_scalar(key);
        if (!text) return vt_catalogue_fail(r, key, "a key", "must be text");
        size_t k = 0;
        while (k < n_fields && strcmp(text, fields[k].key)) k++;
        if (k == n_fields) return vt_catalogue_fail(r, key, text, "is no key here");
        if (seen[k]) return vt_catalogue_fail(r, key, text, "is given twice");
        seen[k] = true;
        enum vultus_status status =
            read_field(r, &fields[k], yaml_document_get_node(&r->document, pair->value), record);
        if (status) return status;
    }
    for (size_t k = 0; k < n_fields; k++)
        if (fields[k].required && !seen[k]) return vt_catalogue_fail(r, node, fields[k].key, "is missing");
    return VULTUS_OK;
}

static enum vultus_status check_name(const struct vt_catalogue_reader *r, const yaml_node_t *node, const char *name) {
    if (vt_catalogue_is_name(name)) return VULTUS_OK;
    return vt_catalogue_fail(
        r, node, "name", "must be 1 to 64 letters, digits, dots, dashes and underscores, the first a letter or digit");
}

static enum vultus_status check_sha256(const struct vt_catalogue_reader *r, const yaml_node_t *node, const char *text) {
    size_t digits = strspn(text, "0123456789abcdef");
    if (!*text || (digits == VT_SHA256_HEX - 1 && !text[digits])) return VULTUS_OK;
    return vt_catalogue_fail(r, node, "sha256", "must be 64 lower-case hexadecimal digits, or empty");
}

static enum vultus_status check_urls(
    const struct vt_catalogue_reader *r, const yaml_node_t *node, const struct vt_texts *urls) {
    for (size_t i = 0; i < urls->count; i++)
        if (strncmp(urls->items[i], "https://", 8) && strncmp(urls->items[i], "http://", 7))
            return vt_catalogue_fail(r, node, "urls", "must begin with https:// or http://");
    return VULTUS_OK;
}

#define AT(type, member) offsetof(struct type, member)

enum vultus_status vt_catalogue_read_licence(
    struct vt_catalogue_reader *r, const yaml_node_t *node, struct vt_licence *licence) {
    static const struct field fields[] = {
        {"id", TEXT, AT(vt_licence, id), true},
        {"text", TEXT, AT(vt_licence, text), true},
        {"url", TEXT, AT(vt_licence, url), false},
        {"accept", YES_NO, AT(vt_licence, accept), true},
        {"source", TEXTS, AT(vt_licence, source), false},
    };
    enum vultus_status status = read_mapping(r, node, "licences", fields, sizeof fields / sizeof *fields, licence);
    if (!status && (!*licence->id || strchr(licence->id, ',')))
        status = vt_catalogue_fail(r, node, "id", "must be text without commas");
    return status;
}

enum vultus_status vt_catalogue_read_pack(
    struct vt_catalogue_reader *r, const yaml_node_t *node, struct vt_catalogue_pack *pack) {
    static const struct field fields[] = {
        {"name", TEXT, AT(vt_catalogue_pack, name), true},
        {"licence", TEXT, AT(vt_catalogue_pack, licence), true},
        {"page", TEXT, AT(vt_catalogue_pack, page), false},
        {"sha256", TEXT, AT(vt_catalogue_pack, sha256), true},
        {"bytes", BYTES, AT(vt_catalogue_pack, bytes), false},
        {"urls", TEXTS, AT(vt_catalogue_pack, urls), false},
        {"source", TEXTS, AT(vt_catalogue_pack, source), false},
    };
    enum vultus_status status = read_mapping(r, node, "packs", fields, sizeof fields / sizeof *fields, pack);
    if (!status) status = check_name(r, node, pack->name);
    if (!status) status = check_sha256(r, node, pack->sha256);
    return status ? status : check_urls(r, node, &pack->urls);
}

static bool is_function(const char *name) {
    static const char *const functions[] = {"scrfd", "retinaface", "retinaface_l", "retinaface_torch", "centerface",
        "yolov5face", "arcface", "adaface", "mask", "genderage", "minifasnet"};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i], name) == 0) return true;
    return false;
}

static enum vultus_status check_model(
    const struct vt_catalogue_reader *r, const yaml_node_t *node, const struct vt_catalogue_entry *entry) {
    enum vultus_status status = check_name(r, node, entry->name);
    for (size_t i = 0; !status && i < entry->aliases.count; i++) status = check_name(r, node, entry->aliases.items[i]);
    if (!status) status = check_sha256(r, node, entry->sha256);
    if (!status) status = check_urls(r, node, &entry->urls);
    if (status) return status;
    if (!is_function(entry->function))
        return vt_catalogue_fail(r, node, "function",
            "must be scrfd, retinaface, retinaface_l, retinaface_torch, centerface, yolov5face, arcface, adaface, "
            "mask, genderage or "
            "minifasnet");
    if (strcmp(entry->channels, "rgb") && strcmp(entry->channels, "bgr"))
        return vt_catalogue_fail(r, node, "channels", "must be rgb or bgr");
    for (int k = 0; k < 3; k++)
        if (entry->std[k] <= 0) return vt_catalogue_fail(r, node, "std", "must be above 0");
    return VULTUS_OK;
}

enum vultus_status vt_catalogue_read_model(
    struct vt_catalogue_reader *r, const yaml_node_t *node, struct vt_catalogue_entry *entry) {
    static const struct field fields[] = {
        {"name", TEXT, AT(vt_catalogue_entry, name), true},
        {"function", TEXT, AT(vt_catalogue_entry, function), true},
        {"origin", TEXT, AT(vt_catalogue_entry, origin), true},
        {"licence", TEXT, AT(vt_catalogue_entry, licence), true},
        {"sha256", TEXT, AT(vt_catalogue_entry, sha256), true},
        {"channels", TEXT, AT(vt_catalogue_entry, channels), true},
        {"mean", TRIPLE, AT(vt_catalogue_entry, mean), true},
        {"std", TRIPLE, AT(vt_catalogue_entry, std), true},
        {"width", SIDE, AT(vt_catalogue_entry, width), true},
        {"height", SIDE, AT(vt_catalogue_entry, height), true},
        {"match_threshold", COSINE, AT(vt_catalogue_entry, match_threshold), false},
        {"typical_norm", FACTOR, AT(vt_catalogue_entry, typical_norm), false},
        {"crop_scale", FACTOR, AT(vt_catalogue_entry, crop_scale), false},
        {"bytes", BYTES, AT(vt_catalogue_entry, bytes), false},
        {"page", TEXT, AT(vt_catalogue_entry, page), false},
        {"urls", TEXTS, AT(vt_catalogue_entry, urls), false},
        {"aliases", TEXTS, AT(vt_catalogue_entry, aliases), false},
        {"packs", TEXTS, AT(vt_catalogue_entry, packs), false},
        {"source", TEXTS, AT(vt_catalogue_entry, source), false},
    };
    _Static_assert(sizeof fields / sizeof *fields <= MOST_FIELDS, "read_mapping marks what it saw");
    enum vultus_status status = read_mapping(r, node, "models", fields, sizeof fields / sizeof *fields, entry);
    return status ? status : check_model(r, node, entry);
}
