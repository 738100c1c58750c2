/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_CATALOGUE_READ_H
#define VT_CATALOGUE_READ_H

#include <yaml.h>

#include "base/arena.h"
#include "catalogue/catalogue.h"

/* A YAML document being read into memory of `arena`. */
struct vt_catalogue_reader {
    const char *name; /* of the document, for error sentences */
    yaml_document_t document;
    struct vt_arena *arena;
    struct vultus_error *error;
};

/* "NAME, line N: KEY RULE" */
enum vultus_status vt_catalogue_fail(
    const struct vt_catalogue_reader *r, const yaml_node_t *node, const char *key, const char *rule);
/* The scalar's text; NULL when the node is none, or has NUL bytes inside. */
const char *vt_catalogue_scalar(const yaml_node_t *node);

/* Each reads a mapping into a zeroed record and checks what can be checked of it alone. */
enum vultus_status vt_catalogue_read_licence(
    struct vt_catalogue_reader *r, const yaml_node_t *node, struct vt_licence *licence);
enum vultus_status vt_catalogue_read_pack(
    struct vt_catalogue_reader *r, const yaml_node_t *node, struct vt_catalogue_pack *pack);
enum vultus_status vt_catalogue_read_model(
    struct vt_catalogue_reader *r, const yaml_node_t *node, struct vt_catalogue_entry *entry);

#endif
