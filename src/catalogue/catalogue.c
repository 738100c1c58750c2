/* SPDX-License-Identifier: Apache-2.0 */
#include "catalogue/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "catalogue/read.h"

enum { LARGEST_TEXT = 1 << 20, MOST_MEMORY = 64 << 20, MOST_RECORDS = 1024 };

extern const unsigned char vt_catalogue_data[];
extern const size_t vt_catalogue_data_size;

struct list {
    void *records;
    size_t count;
};

struct vt_catalogue {
    struct vt_arena arena;
    struct list licences, packs, models;
};

/* ---------------------------------------------------------------- reading */

/* One list of a document: how its records are read, and where they go. */
struct section {
    const char *key;
    enum vultus_status (*read)(struct vt_catalogue_reader *r, const yaml_node_t *node, void *record);
    size_t record_bytes; /* records begin with their name */
    struct list *list;
};

static enum vultus_status read_licence(struct vt_catalogue_reader *r, const yaml_node_t *node, void *record) {
    return vt_catalogue_read_licence(r, node, record);
}

static enum vultus_status read_pack(struct vt_catalogue_reader *r, const yaml_node_t *node, void *record) {
    return vt_catalogue_read_pack(r, node, record);
}

static enum vultus_status read_model(struct vt_catalogue_reader *r, const yaml_node_t *node, void *record) {
    return vt_catalogue_read_model(r, node, record);
}

_Static_assert(offsetof(struct vt_licence, id) == 0 && offsetof(struct vt_catalogue_pack, name) == 0 &&
                   offsetof(struct vt_catalogue_entry, name) == 0,
    "records are told apart by their first member");

static const char *name_of(const struct section *s, size_t i) {
    return *(const char **)((char *)s->list->records + i * s->record_bytes);
}

static size_t index_of(const struct section *s, const char *name) {
    size_t i = 0;
    while (i < s->list->count && strcmp(name_of(s, i), name)) i++;
    return i;
}

/* Appends the records of a list, each in place of an older document's of the same name. */
static enum vultus_status read_section(
    struct vt_catalogue_reader *r, const struct section *s, const yaml_node_t *node) {
    if (node->type != YAML_SEQUENCE_NODE) return vt_catalogue_fail(r, node, s->key, "must be a sequence");
    const yaml_node_item_t *items = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - items), older = s->list->count;
    if (count > MOST_RECORDS) return vt_catalogue_fail(r, node, s->key, "has more than 1024 records");
    char *records = vt_arena_alloc_array(r->arena, older + count + 1, s->record_bytes);
    if (!records) return vt_fail_memory(r->error, "the catalogue", (older + count + 1) * s->record_bytes);
    if (older) memcpy(records, s->list->records, older * s->record_bytes);
    s->list->records = records;
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *item = yaml_document_get_node(&r->document, items[i]);
        void *fresh = records + s->list->count * s->record_bytes;
        memset(fresh, 0, s->record_bytes);
        enum vultus_status status = s->read(r, item, fresh);
        if (status) return status;
        size_t same = index_of(s, *(const char **)fresh);
        if (same < older)
            memcpy(records + same * s->record_bytes, fresh, s->record_bytes);
        else if (same < s->list->count)
            return vt_catalogue_fail(r, item, *(const char **)fresh, "is listed twice");
        else
            s->list->count++;
    }
    return VULTUS_OK;
}

static enum vultus_status read_document(struct vt_catalogue_reader *r, struct vt_catalogue *c) {
    const struct section sections[] = {
        {"licences", read_licence, sizeof(struct vt_licence), &c->licences},
        {"packs", read_pack, sizeof(struct vt_catalogue_pack), &c->packs},
        {"models", read_model, sizeof(struct vt_catalogue_entry), &c->models},
    };
    enum { SECTIONS = sizeof sections / sizeof *sections };
    yaml_node_t *root = yaml_document_get_root_node(&r->document);
    if (!root || root->type != YAML_MAPPING_NODE)
        return vt_fail(r->error, VULTUS_ERROR_FORMAT,
            "%s must be a mapping with the keys \"licences\", \"packs\" and \"models\", or some of them", r->name);
    bool seen[SECTIONS] = {false};
    for (yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&r->document, pair->key);
        const char *text = vt_catalogue_scalar(key);
        int k = 0;
        while (text && k < SECTIONS && strcmp(text, sections[k].key)) k++;
        if (!text || k == SECTIONS || seen[k])
            return vt_catalogue_fail(r, key, "a top-level key", "must be licences, packs or models, each at most once");
        seen[k] = true;
        enum vultus_status status = read_section(r, &sections[k], yaml_document_get_node(&r->document, pair->value));
        if (status) return status;
    }
    return VULTUS_OK;
}

/* What holds between records: a name means one thing, and packs that are named exist. */
static enum vultus_status check_names(const struct vt_catalogue_reader *r, const struct vt_catalogue *c) {
    for (size_t i = 0; i < c->models.count; i++) {
        const struct vt_catalogue_entry *e = vt_catalogue_at(c, i);
        if (vt_catalogue_pack(c, e->name))
            return vt_fail(r->error, VULTUS_ERROR_FORMAT, "%s: %s names a model and a pack", r->name, e->name);
        for (size_t k = 0; k < e->packs.count; k++)
            if (!vt_catalogue_pack(c, e->packs.items[k]))
                return vt_fail(r->error, VULTUS_ERROR_FORMAT, "%s: the model %s names the pack %s, which is not listed",
                    r->name, e->name, e->packs.items[k]);
    }
    return VULTUS_OK;
}

static enum vultus_status load_document(struct vt_catalogue_reader *r, const char *text, size_t size) {
    yaml_parser_t yaml;
    if (!yaml_parser_initialize(&yaml)) return vt_fail_memory(r->error, "a YAML parser", sizeof yaml);
    yaml_parser_set_input_string(&yaml, (const unsigned char *)text, size);
    enum vultus_status status = VULTUS_OK;
    if (!yaml_parser_load(&yaml, &r->document))
        status = vt_fail(r->error, VULTUS_ERROR_FORMAT, "%s, line %zu: %s", r->name, yaml.problem_mark.line + 1,
            yaml.problem ? yaml.problem : "not YAML");
    yaml_parser_delete(&yaml);
    return status;
}

static enum vultus_status add_text(
    struct vt_catalogue *catalogue, const char *text, size_t size, const char *name, struct vultus_error *error) {
    if (size > LARGEST_TEXT)
        return vt_fail(error, VULTUS_ERROR_LIMIT, "%s has %zu bytes, over the limit of %d", name, size, LARGEST_TEXT);
    struct vt_catalogue_reader reader = {.name = name, .arena = &catalogue->arena, .error = error};
    enum vultus_status status = load_document(&reader, text, size);
    if (status) return status;
    status = read_document(&reader, catalogue);
    if (!status) status = check_names(&reader, catalogue);
    yaml_document_delete(&reader.document);
    return status;
}

enum vultus_status vt_catalogue_parse(
    const char *text, size_t size, const char *name, struct vt_catalogue **out, struct vultus_error *error) {
    struct vt_catalogue *catalogue = calloc(1, sizeof *catalogue);
    if (!catalogue) return vt_fail_memory(error, "the catalogue", sizeof *catalogue);
    /* Aliases of YAML let a small text name much. */
    vt_arena_init(&catalogue->arena, MOST_MEMORY);
    enum vultus_status status = add_text(catalogue, text, size, name, error);
    if (status)
        vt_catalogue_destroy(catalogue);
    else
        *out = catalogue;
    return status;
}

enum vultus_status vt_catalogue_open(const char *file, struct vt_catalogue **out, struct vultus_error *error) {
    struct vt_catalogue *catalogue = NULL;
    enum vultus_status status = vt_catalogue_parse(
        (const char *)vt_catalogue_data, vt_catalogue_data_size, "the built-in catalogue", &catalogue, error);
    if (status) return status;
    if (file) {
        uint8_t *text = NULL;
        size_t size = 0;
        status = vt_read_file(file, LARGEST_TEXT, &text, &size, error);
        if (!status) status = add_text(catalogue, (const char *)text, size, file, error);
        free(text);
    }
    if (status)
        vt_catalogue_destroy(catalogue);
    else
        *out = catalogue;
    return status;
}

void vt_catalogue_destroy(struct vt_catalogue *catalogue) {
    if (!catalogue) return;
    vt_arena_fini(&catalogue->arena);
    free(catalogue);
}

/* ---------------------------------------------------------------- looking up */

size_t vt_catalogue_count(const struct vt_catalogue *catalogue) { return catalogue->models.count; }

const struct vt_catalogue_entry *vt_catalogue_at(const struct vt_catalogue *catalogue, size_t i) {
    return (const struct vt_catalogue_entry *)catalogue->models.records + i;
}

size_t vt_catalogue_pack_count(const struct vt_catalogue *catalogue) { return catalogue->packs.count; }

const struct vt_catalogue_pack *vt_catalogue_pack_at(const struct vt_catalogue *catalogue, size_t i) {
    return (const struct vt_catalogue_pack *)catalogue->packs.records + i;
}

bool vt_texts_contain(const struct vt_texts *texts, const char *text) {
    for (size_t i = 0; i < texts->count; i++)
        if (strcmp(texts->items[i], text) == 0) return true;
    return false;
}

const struct vt_catalogue_entry *vt_catalogue_find(
    const struct vt_catalogue *catalogue, const char *sha256, const char *name) {
    for (size_t i = 0; sha256 && *sha256 && i < catalogue->models.count; i++)
        if (strcmp(vt_catalogue_at(catalogue, i)->sha256, sha256) == 0) return vt_catalogue_at(catalogue, i);
    for (size_t i = 0; name && *name && i < catalogue->models.count; i++)
        if (strcmp(vt_catalogue_at(catalogue, i)->name, name) == 0) return vt_catalogue_at(catalogue, i);
    return NULL;
}

const struct vt_catalogue_entry *vt_catalogue_model(const struct vt_catalogue *catalogue, const char *name) {
    const struct vt_catalogue_entry *named = vt_catalogue_find(catalogue, NULL, name);
    for (size_t i = 0; !named && i < catalogue->models.count; i++)
        if (vt_texts_contain(&vt_catalogue_at(catalogue, i)->aliases, name)) named = vt_catalogue_at(catalogue, i);
    return named;
}

const struct vt_catalogue_pack *vt_catalogue_pack(const struct vt_catalogue *catalogue, const char *name) {
    for (size_t i = 0; i < catalogue->packs.count; i++)
        if (strcmp(vt_catalogue_pack_at(catalogue, i)->name, name) == 0) return vt_catalogue_pack_at(catalogue, i);
    return NULL;
}

const struct vt_licence *vt_catalogue_licence(const struct vt_catalogue *catalogue, const char *id) {
    const struct vt_licence *licences = catalogue->licences.records;
    for (size_t i = 0; i < catalogue->licences.count; i++)
        if (strcmp(licences[i].id, id) == 0) return &licences[i];
    return NULL;
}
