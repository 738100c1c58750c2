/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "hub/archive.h"
#include "hub/download.h"
#include "hub/hub_internal.h"

enum { CHUNK = 1 << 20 };

static enum vultus_status want_all(struct vt_hub *hub, const char *pack, struct vt_arena *arena,
    struct vt_wanted *wanted, struct vultus_error *error) {
    size_t count = vt_catalogue_count(hub->catalogue);
    wanted->count = 0;
    wanted->models = vt_arena_alloc_array(arena, count + 1, sizeof(void *));
    if (!wanted->models) return vt_fail_memory(error, "a list of models", count * sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        const struct vt_catalogue_entry *e = vt_catalogue_at(hub->catalogue, i);
        if (!pack || vt_texts_contain(&e->packs, pack)) wanted->models[wanted->count++] = e;
    }
    return VULTUS_OK;
}

enum vultus_status vt_hub_want(struct vt_hub *hub, const char *name, struct vt_arena *arena, struct vt_wanted *wanted,
    const struct vt_catalogue_pack **pack, struct vultus_error *error) {
    *pack = vt_catalogue_pack(hub->catalogue, name);
    if (*pack) return want_all(hub, name, arena, wanted, error);
    const struct vt_catalogue_entry *entry = vt_catalogue_model(hub->catalogue, name);
    if (!entry)
        return vt_fail(error, VULTUS_ERROR_NOT_FOUND,
            "the catalogue knows no model and no pack called \"%s\"; `vultus models list` shows those it knows", name);
    *wanted = (struct vt_wanted){vt_arena_alloc_array(arena, 1, sizeof(void *)), 1};
    if (!wanted->models) return vt_fail_memory(error, "a list of models", sizeof(void *));
    wanted->models[0] = entry;
    return VULTUS_OK;
}

/* ---------------------------------------------------------------- archives */

bool vt_hub_is_archive(const char *path) {
    struct vt_mapped_file file;
    if (vt_map_file(path, &file, NULL)) return false;
    bool archive = file.size > 4 && memcmp(file.data, "PK\3\4", 4) == 0;
    vt_unmap_file(&file);
    return archive;
}

static const struct vt_catalogue_entry *find_wanted(const struct vt_wanted *wanted, const char *file) {
    size_t length = strlen(file) - strlen(".onnx");
    for (size_t i = 0; i < wanted->count; i++) {
        const char *name = wanted->models[i]->name;
        if (strlen(name) == length && strncmp(name, file, length) == 0) return wanted->models[i];
    }
    return NULL;
}

/* Unpacks the member at which the archive stands. */
static enum vultus_status unpack_member(struct vt_hub *hub, struct vt_archive *archive, const char *origin,
    const struct vt_catalogue_entry *entry, struct vt_hub_list *list, struct vultus_error *error) {
    struct vt_hub_file to;
    enum vultus_status status = vt_hub_create(hub, entry->name, &to, &list->arena, error);
    if (status) return status;
    status = vt_archive_extract(archive, entry->bytes ? entry->bytes : VT_LARGEST_MODEL, &to.file, error);
    return vt_hub_finish(hub, entry, &to, status, origin, list, error);
}

enum vultus_status vt_hub_unpack(struct vt_hub *hub, const char *path, const char *origin,
    const struct vt_wanted *wanted, struct vt_hub_list *list, struct vultus_error *error) {
    struct vt_archive *archive;
    struct vt_member member;
    bool found = true;
    size_t before = list->count;
    enum vultus_status status = vt_archive_open(path, &archive, error);
    if (status) return status;
    while (!(status = vt_archive_next(archive, &member, &found, error)) && found) {
        const struct vt_catalogue_entry *entry = find_wanted(wanted, member.name);
        if (!entry) continue;
        for (size_t i = before; i < list->count && !status; i++)
            if (strcmp(list->models[i].name, entry->name) == 0)
                status = vt_fail(error, VULTUS_ERROR_FORMAT, "%s holds %s twice", origin, member.name);
        if (!status) status = unpack_member(hub, archive, origin, entry, list, error);
        if (status) break;
    }
    vt_archive_close(archive);
    if (!status && list->count == before)
        status = vt_fail(error, VULTUS_ERROR_NOT_FOUND, "%s holds none of the models that are wanted", origin);
    return status;
}

/* ---------------------------------------------------------------- files */

static enum vultus_status copy_bytes(
    const struct vt_mapped_file *from, struct vt_atomic_file *to, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (size_t at = 0; !status && at < from->size; at += CHUNK)
        status = vt_atomic_file_write(to, from->data + at, from->size - at < CHUNK ? from->size - at : CHUNK, error);
    return status;
}

enum vultus_status vt_hub_copy(struct vt_hub *hub, const char *path, const char *origin,
    const struct vt_catalogue_entry *entry, struct vt_hub_list *list, struct vultus_error *error) {
    struct vt_mapped_file from;
    struct vt_hub_file to;
    enum vultus_status status = vt_map_file(path, &from, error);
    if (status) return status;
    if (from.size > VT_LARGEST_MODEL)
        status = vt_fail(error, VULTUS_ERROR_LIMIT, "%s has %zu bytes, over the limit of %llu", path, from.size,
            (unsigned long long)VT_LARGEST_MODEL);
    if (!status) status = vt_hub_create(hub, entry->name, &to, &list->arena, error);
    if (!status) status = vt_hub_finish(hub, entry, &to, copy_bytes(&from, &to.file, error), origin, list, error);
    vt_unmap_file(&from);
    return status;
}

/* A zip whose digest or name is a pack's must be that pack; of any other, models that the catalogue knows are taken. */
static enum vultus_status import_archive(struct vt_hub *hub, const char *path, const char *stem, const char *digest,
    struct vt_hub_list *list, struct vultus_error *error) {
    struct vt_wanted wanted;
    const struct vt_catalogue_pack *pack = vt_catalogue_pack(hub->catalogue, stem);
    for (size_t i = 0; i < vt_catalogue_pack_count(hub->catalogue); i++) {
        const struct vt_catalogue_pack *p = vt_catalogue_pack_at(hub->catalogue, i);
        if (strcmp(p->sha256, digest) == 0) pack = p;
    }
    if (pack && *pack->sha256 && strcmp(pack->sha256, digest))
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "the sha256 of %s is %s, and that of %s should be %s", path,
            digest, pack->name, pack->sha256);
    enum vultus_status status = want_all(hub, pack ? pack->name : NULL, &list->arena, &wanted, error);
    return status ? status : vt_hub_unpack(hub, path, path, &wanted, list, error);
}

static enum vultus_status import_model(struct vt_hub *hub, const char *path, const char *stem, const char *digest,
    struct vt_hub_list *list, struct vultus_error *error) {
    const struct vt_catalogue_entry *entry = vt_catalogue_find(hub->catalogue, digest, NULL);
    if (!entry) entry = vt_catalogue_model(hub->catalogue, stem);
    if (!entry)
        return vt_fail(error, VULTUS_ERROR_NOT_FOUND,
            "the catalogue knows neither the sha256 of %s, %s, nor its name; name the file itself where a model is "
            "wanted, or describe it in a file for VULTUS_CATALOGUE",
            path, digest);
    return vt_hub_copy(hub, path, path, entry, list, error);
}

enum vultus_status vt_hub_import(
    struct vt_hub *hub, const char *path, struct vt_hub_list *list, struct vultus_error *error) {
    char digest[VT_SHA256_HEX];
    enum vultus_status status = vt_check_file(path, path, "", 0, digest, error);
    if (status) return status;
    char *stem = vt_path_stem(path);
    if (!stem) return vt_fail_memory(error, path, strlen(path));
    status = (vt_hub_is_archive(path) ? import_archive : import_model)(hub, path, stem, digest, list, error);
    free(stem);
    return status;
}
