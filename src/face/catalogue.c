/* SPDX-License-Identifier: Apache-2.0 */
#include "face/catalogue.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { LARGEST_TEXT = 1 << 20, LARGEST_SIDE = 1 << 15 };

extern const unsigned char vt_catalogue_data[];
extern const size_t vt_catalogue_data_size;

struct vt_catalogue {
    struct vt_arena arena;
    struct vt_catalogue_entry *entries;
    size_t count;
};

struct parser {
    const char *name; /* of the catalogue, for error sentences */
    yaml_document_t document;
    struct vt_catalogue *catalogue;
    struct vultus_error *error;
};

static enum vultus_status fail_at(const struct parser *p, const yaml_node_t *node, const char *key, const char *rule) {
    return vt_fail(p->error, VULTUS_ERROR_FORMAT, "%s, line %zu: %s %s", p->name, node->start_mark.line + 1, key, rule);
}

static const char *scalar_text(const yaml_node_t *node) { return (const char *)node->data.scalar.value; }

/* A scalar without NUL bytes inside, so that it is a C string. */
static bool is_text(const yaml_node_t *node) {
    return node->type == YAML_SCALAR_NODE && strlen(scalar_text(node)) == node->data.scalar.length;
}

static enum vultus_status read_text(
    const struct parser *p, const yaml_node_t *node, const char *key, const char **value) {
    if (!is_text(node)) return fail_at(p, node, key, "must be text");
    *value = vt_arena_strdup(&p->catalogue->arena, scalar_text(node));
    return *value ? VULTUS_OK : vt_fail_memory(p->error, "the catalogue", node->data.scalar.length);
}

static bool parse_number(const yaml_node_t *node, float *value) {
    if (!is_text(node) || !*scalar_text(node)) return false;
    char *end;
    *value = strtof(scalar_text(node), &end);
    return *end == '\0' && isfinite(*value);
}

static enum vultus_status read_side(const struct parser *p, const yaml_node_t *node, const char *key, int *value) {
    float number;
    if (!parse_number(node, &number) || number < 1 || number > LARGEST_SIDE || number != floorf(number))
        return fail_at(p, node, key, "must be a whole number of pixels from 1 to 32768");
    *value = (int)number;
    return VULTUS_OK;
}

static enum vultus_status read_triple(struct parser *p, const yaml_node_t *node, const char *key, float value[3]) {
    bool right =
        node->type == YAML_SEQUENCE_NODE && node->data.sequence.items.top - node->data.sequence.items.start == 3;
    for (int k = 0; right && k < 3; k++)
        right = parse_number(yaml_document_get_node(&p->document, node->data.sequence.items.start[k]), &value[k]);
    return right ? VULTUS_OK : fail_at(p, node, key, "must be three numbers, one for each channel");
}

enum {
    KEY_NAME,
    KEY_FUNCTION,
    KEY_ORIGIN,
    KEY_LICENCE,
    KEY_SHA256,
    KEY_CHANNELS,
    KEY_MEAN,
    KEY_STD,
    KEY_WIDTH,
    KEY_HEIGHT,
    KEYS
};
static const char *const key_names[KEYS] = {
    "name", "function", "origin", "licence", "sha256", "channels", "mean", "std", "width", "height"};

static enum vultus_status read_field(
    struct parser *p, int key, const yaml_node_t *node, struct vt_catalogue_entry *entry) {
    switch (key) {
    case KEY_NAME: return read_text(p, node, "name", &entry->name);
    case KEY_FUNCTION: return read_text(p, node, "function", &entry->function);
    case KEY_ORIGIN: return read_text(p, node, "origin", &entry->origin);
    case KEY_LICENCE: return read_text(p, node, "licence", &entry->licence);
    case KEY_SHA256: return read_text(p, node, "sha256", &entry->sha256);
    case KEY_CHANNELS: return read_text(p, node, "channels", &entry->channels);
    case KEY_MEAN: return read_triple(p, node, "mean", entry->mean);
    case KEY_STD: return read_triple(p, node, "std", entry->std);
    case KEY_WIDTH: return read_side(p, node, "width", &entry->width);
    default: return read_side(p, node, "height", &entry->height);
    }
}

static bool is_sha256(const char *text) {
    return *text == '\0' ||
           (strlen(text) == VT_SHA256_HEX - 1 && strspn(text, "0123456789abcdef") == VT_SHA256_HEX - 1);
}

static enum vultus_status check_entry(
    const struct parser *p, const yaml_node_t *node, const struct vt_catalogue_entry *entry) {
    if (!*entry->name) return fail_at(p, node, "name", "must not be empty");
    if (strcmp(entry->function, "scrfd") && strcmp(entry->function, "arcface") && strcmp(entry->function, "minifasnet"))
        return fail_at(p, node, "function", "must be scrfd, arcface or minifasnet");
    if (strcmp(entry->channels, "rgb") && strcmp(entry->channels, "bgr"))
        return fail_at(p, node, "channels", "must be rgb or bgr");
    if (!is_sha256(entry->sha256))
        return fail_at(p, node, "sha256", "must be 64 lower-case hexadecimal digits, or empty");
    for (int k = 0; k < 3; k++)
        if (entry->std[k] <= 0) return fail_at(p, node, "std", "must be above 0");
    return VULTUS_OK;
}

static enum vultus_status read_entry(struct parser *p, const yaml_node_t *node, struct vt_catalogue_entry *entry) {
    if (node->type != YAML_MAPPING_NODE) return fail_at(p, node, "models", "must hold mappings");
    bool seen[KEYS] = {false};
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&p->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(&p->document, pair->value);
        if (!is_text(key)) return fail_at(p, key, "a key", "must be text");
        int k = 0;
        while (k < KEYS && strcmp(scalar_text(key), key_names[k])) k++;
        if (k == KEYS) return fail_at(p, key, scalar_text(key), "is no key of a model");
        if (seen[k]) return fail_at(p, key, scalar_text(key), "is given twice");
        seen[k] = true;
        enum vultus_status status = read_field(p, k, value, entry);
        if (status) return status;
    }
    for (int k = 0; k < KEYS; k++)
        if (!seen[k]) return fail_at(p, node, key_names[k], "is missing");
    return check_entry(p, node, entry);
}

/* The sequence under the one top-level key, "models". */
static enum vultus_status find_models(struct parser *p, yaml_node_t **models) {
    yaml_node_t *root = yaml_document_get_root_node(&p->document);
    if (!root || root->type != YAML_MAPPING_NODE || root->data.mapping.pairs.top - root->data.mapping.pairs.start != 1)
        return vt_fail(p->error, VULTUS_ERROR_FORMAT, "%s must be a mapping with the one key \"models\"", p->name);
    yaml_node_pair_t *pair = root->data.mapping.pairs.start;
    yaml_node_t *key = yaml_document_get_node(&p->document, pair->key);
    if (!is_text(key) || strcmp(scalar_text(key), "models"))
        return fail_at(p, key, "the one top-level key", "must be models");
    *models = yaml_document_get_node(&p->document, pair->value);
    if ((*models)->type != YAML_SEQUENCE_NODE) return fail_at(p, *models, "models", "must be a sequence");
    return VULTUS_OK;
}

static enum vultus_status read_document(struct parser *p) {
    yaml_node_t *models = NULL;
    enum vultus_status status = find_models(p, &models);
    if (status) return status;
    yaml_node_item_t *items = models->data.sequence.items.start;
    size_t count = (size_t)(models->data.sequence.items.top - items);
    struct vt_catalogue *catalogue = p->catalogue;
    catalogue->entries = vt_arena_alloc_array(&catalogue->arena, count ? count : 1, sizeof *catalogue->entries);
    if (!catalogue->entries) return vt_fail_memory(p->error, "the catalogue", count * sizeof *catalogue->entries);
    for (size_t i = 0; !status && i < count; i++) {
        status = read_entry(p, yaml_document_get_node(&p->document, items[i]), &catalogue->entries[i]);
        if (!status) catalogue->count++;
    }
    return status;
}

static enum vultus_status load_document(struct parser *p, const char *text, size_t size) {
    yaml_parser_t yaml;
    if (!yaml_parser_initialize(&yaml)) return vt_fail_memory(p->error, "a YAML parser", sizeof yaml);
    yaml_parser_set_input_string(&yaml, (const unsigned char *)text, size);
    enum vultus_status status = VULTUS_OK;
    if (!yaml_parser_load(&yaml, &p->document))
        status = vt_fail(p->error, VULTUS_ERROR_FORMAT, "%s, line %zu: %s", p->name, yaml.problem_mark.line + 1,
            yaml.problem ? yaml.problem : "not YAML");
    yaml_parser_delete(&yaml);
    return status;
}

enum vultus_status vt_catalogue_parse(
    const char *text, size_t size, const char *name, struct vt_catalogue **out, struct vultus_error *error) {
    if (size > LARGEST_TEXT)
        return vt_fail(error, VULTUS_ERROR_LIMIT, "%s has %zu bytes, over the limit of %d", name, size, LARGEST_TEXT);
    struct vt_catalogue *catalogue = calloc(1, sizeof *catalogue);
    if (!catalogue) return vt_fail_memory(error, "the catalogue", sizeof *catalogue);
    vt_arena_init(&catalogue->arena, 0);
    struct parser parser = {.name = name, .catalogue = catalogue, .error = error};
    enum vultus_status status = load_document(&parser, text, size);
    if (!status) {
        status = read_document(&parser);
        yaml_document_delete(&parser.document);
    }
    if (status)
        vt_catalogue_destroy(catalogue);
    else
        *out = catalogue;
    return status;
}

enum vultus_status vt_catalogue_builtin(struct vt_catalogue **out, struct vultus_error *error) {
    return vt_catalogue_parse(
        (const char *)vt_catalogue_data, vt_catalogue_data_size, "the built-in catalogue", out, error);
}

void vt_catalogue_destroy(struct vt_catalogue *catalogue) {
    if (!catalogue) return;
    vt_arena_fini(&catalogue->arena);
    free(catalogue);
}

size_t vt_catalogue_count(const struct vt_catalogue *catalogue) { return catalogue->count; }

const struct vt_catalogue_entry *vt_catalogue_at(const struct vt_catalogue *catalogue, size_t i) {
    return &catalogue->entries[i];
}

const struct vt_catalogue_entry *vt_catalogue_find(
    const struct vt_catalogue *catalogue, const char *sha256, const char *name) {
    for (size_t i = 0; sha256 && *sha256 && i < catalogue->count; i++)
        if (strcmp(catalogue->entries[i].sha256, sha256) == 0) return &catalogue->entries[i];
    for (size_t i = 0; name && *name && i < catalogue->count; i++)
        if (strcmp(catalogue->entries[i].name, name) == 0) return &catalogue->entries[i];
    return NULL;
}
