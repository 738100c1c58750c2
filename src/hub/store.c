/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/starter.h"
#include "hub/download.h"
#include "hub/hub_internal.h"

const char *vt_hub_path(const struct vt_hub *hub, struct vt_arena *arena, const char *name, const char *suffix) {
    return vt_arena_printf(arena, "%s/%s%s", hub->folder, name, suffix);
}

void vt_hub_list_fini(struct vt_hub_list *list) {
    vt_arena_fini(&list->arena);
    free(list->models);
    *list = (struct vt_hub_list){0};
}

static struct vt_hub_model *append(struct vt_hub_list *list) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 32;
        struct vt_hub_model *models = realloc(list->models, capacity * sizeof *models);
        if (!models) return NULL;
        list->models = models;
        list->capacity = capacity;
    }
    struct vt_hub_model *model = &list->models[list->count++];
    *model = (struct vt_hub_model){.function = "", .licence = "", .sha256 = "", .problem = ""};
    return model;
}

/* ---------------------------------------------------------------- what is there */

/* What the note beside an installed file says, unless it is missing or damaged. */
static void take_note(struct vt_hub *hub, struct vt_hub_model *model, struct vt_arena *arena) {
    struct vt_manifest note;
    const char *path = vt_hub_path(hub, arena, model->name, ".json");
    if (*model->sha256 || !path || vt_manifest_read(path, arena, &note, NULL)) return;
    const char *sha256 = vt_arena_strdup(arena, note.sha256);
    if (!sha256) return;
    model->sha256 = sha256;
    model->trust = VT_HUB_FIRST_USE;
}

static bool look_at(const char *path, struct vt_hub_model *model) {
    struct stat about;
    model->installed = stat(path, &about) == 0 && S_ISREG(about.st_mode);
    if (model->installed) model->bytes = (uint64_t)about.st_size;
    return model->installed;
}

/* Of a starter model that the folder has no copy of. */
static void take_built_in(struct vt_hub_model *model, struct vt_arena *arena) {
    char *found;
    if (vt_starter_path(model->name, &found, NULL)) return;
    const char *path = vt_arena_strdup(arena, found);
    free(found);
    if (!path) return;
    model->path = path;
    model->built_in = look_at(path, model);
}

enum vultus_status vt_hub_describe(struct vt_hub *hub, const char *name, struct vt_hub_list *list,
    struct vt_hub_model **out, struct vultus_error *error) {
    struct vt_hub_model *model = append(list);
    if (!model) return vt_fail_memory(error, "a list of models", list->count * sizeof *model);
    model->name = vt_arena_strdup(&list->arena, name);
    model->path = model->name ? vt_hub_path(hub, &list->arena, name, ".onnx") : NULL;
    if (!model->path) {
        list->count--;
        return vt_fail_memory(error, "a list of models", strlen(name));
    }
    const struct vt_catalogue_entry *e = vt_catalogue_find(hub->catalogue, NULL, name);
    if (e) {
        model->function = e->function;
        model->licence = e->licence;
        model->bytes = e->bytes;
        model->sha256 = e->sha256;
        if (*e->sha256) model->trust = VT_HUB_CATALOGUE;
    }
    if (look_at(model->path, model))
        take_note(hub, model, &list->arena);
    else if (vt_is_starter(name))
        take_built_in(model, &list->arena);
    *out = model;
    return VULTUS_OK;
}

typedef enum vultus_status visitor(
    struct vt_hub *hub, const char *name, struct vt_hub_list *list, struct vultus_error *error);

/* Calls `visit` for the name of each NAME.onnx in the folder. */
static enum vultus_status each_file(
    struct vt_hub *hub, struct vt_hub_list *list, visitor *visit, struct vultus_error *error) {
    DIR *folder = opendir(hub->folder);
    if (!folder) return VULTUS_OK; /* made by the first download */
    enum vultus_status status = VULTUS_OK;
    for (struct dirent *file; !status && (file = readdir(folder));) {
        size_t length = strlen(file->d_name);
        if (length <= 5 || strcmp(file->d_name + length - 5, ".onnx")) continue;
        file->d_name[length - 5] = '\0';
        if (vt_catalogue_is_name(file->d_name)) status = visit(hub, file->d_name, list, error);
    }
    closedir(folder);
    return status;
}

/* Calls `visit` for each of the models that a name means; one may be a file of a catalogue that is not there any more.
 */
static enum vultus_status each_named(
    struct vt_hub *hub, const char *name, struct vt_hub_list *list, visitor *visit, struct vultus_error *error) {
    struct vt_wanted wanted;
    const struct vt_catalogue_pack *pack;
    enum vultus_status status = VULTUS_OK;
    if (vt_hub_want(hub, name, &list->arena, &wanted, &pack, NULL)) {
        if (vt_catalogue_is_name(name)) return visit(hub, name, list, error);
        return vt_fail(error, VULTUS_ERROR_INVALID, "\"%s\" can be no model's name", name);
    }
    for (size_t i = 0; !status && i < wanted.count; i++) status = visit(hub, wanted.models[i]->name, list, error);
    return status;
}

static enum vultus_status add(
    struct vt_hub *hub, const char *name, struct vt_hub_list *list, struct vultus_error *error) {
    struct vt_hub_model *model;
    return vt_hub_describe(hub, name, list, &model, error);
}

static enum vultus_status add_unlisted(
    struct vt_hub *hub, const char *name, struct vt_hub_list *list, struct vultus_error *error) {
    return vt_catalogue_find(hub->catalogue, NULL, name) ? VULTUS_OK : add(hub, name, list, error);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct vt_hub_model *)a)->name, ((const struct vt_hub_model *)b)->name);
}

enum vultus_status vt_hub_list(struct vt_hub *hub, struct vt_hub_list *list, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; !status && i < vt_catalogue_count(hub->catalogue); i++)
        status = add(hub, vt_catalogue_at(hub->catalogue, i)->name, list, error);
    size_t listed = list->count;
    if (!status) status = each_file(hub, list, add_unlisted, error);
    if (list->count > listed) qsort(list->models + listed, list->count - listed, sizeof *list->models, by_name);
    return status;
}

/* ---------------------------------------------------------------- checking */

static void verify_file(struct vt_hub_model *model, struct vt_arena *arena) {
    char digest[VT_SHA256_HEX];
    struct vultus_error error = {0};
    model->status = vt_check_file(model->path, model->path, model->sha256, 0, digest, &error);
    if (model->status) {
        const char *problem = vt_arena_strdup(arena, error.text);
        model->problem = problem ? problem : "out of memory";
    } else if (!*model->sha256) {
        const char *found = vt_arena_strdup(arena, digest);
        if (found) model->sha256 = found;
    }
}

enum vultus_status vt_hub_verify(
    struct vt_hub *hub, const char *name, struct vt_hub_list *list, struct vultus_error *error) {
    enum vultus_status status = name ? each_named(hub, name, list, add, error) : each_file(hub, list, add, error);
    if (list->count) qsort(list->models, list->count, sizeof *list->models, by_name);
    for (size_t i = 0; !status && i < list->count; i++) verify_file(&list->models[i], &list->arena);
    return status;
}

bool vt_hub_is_intact(const struct vt_hub_model *model) {
    char digest[VT_SHA256_HEX];
    return model->installed && *model->sha256 &&
           vt_check_file(model->path, model->path, model->sha256, 0, digest, NULL) == VULTUS_OK;
}

/* ---------------------------------------------------------------- changing */

enum vultus_status vt_hub_lock(struct vt_hub *hub, const char *name, int *lock, struct vultus_error *error) {
    struct vt_arena arena;
    vt_arena_init(&arena, 0);
    enum vultus_status status = vt_make_directories(hub->folder, error);
    const char *path = status ? NULL : vt_arena_printf(&arena, "%s/.%s.lock", hub->folder, name);
    if (!status) status = path ? vt_lock_file(path, lock, error) : vt_fail_memory(error, "a path", strlen(name));
    vt_arena_fini(&arena);
    return status;
}

/* Temporary files of killed processes: whoever writes to them holds the model's lock. */
static void clear_leftovers(struct vt_hub *hub, const char *name, struct vt_arena *arena) {
    size_t length = strlen(name), ending = strlen(".tmp");
    DIR *folder = opendir(hub->folder);
    for (struct dirent *file; folder && (file = readdir(folder));) {
        size_t whole = strlen(file->d_name);
        if (whole < length + ending || strncmp(file->d_name, name, length) ||
            strncmp(file->d_name + length, ".onnx.", 6) || strcmp(file->d_name + whole - ending, ".tmp"))
            continue;
        const char *path = vt_hub_path(hub, arena, file->d_name, "");
        if (path) unlink(path);
    }
    if (folder) closedir(folder);
}

enum vultus_status vt_hub_create(
    struct vt_hub *hub, const char *name, struct vt_hub_file *out, struct vt_arena *arena, struct vultus_error *error) {
    const char *path = vt_hub_path(hub, arena, name, ".onnx");
    if (!path) return vt_fail_memory(error, "a path", strlen(name));
    enum vultus_status status = vt_hub_lock(hub, name, &out->lock, error);
    if (status) return status;
    clear_leftovers(hub, name, arena);
    status = vt_atomic_file_open(path, &out->file, error);
    if (status) vt_unlock_file(out->lock);
    return status;
}

enum vultus_status vt_hub_finish(struct vt_hub *hub, const struct vt_catalogue_entry *entry, struct vt_hub_file *file,
    enum vultus_status written, const char *origin, struct vt_hub_list *list, struct vultus_error *error) {
    enum vultus_status status = written;
    if (written)
        vt_atomic_file_discard(&file->file);
    else
        status = vt_hub_install(hub, entry, &file->file, origin, list, error);
    vt_unlock_file(file->lock);
    return status;
}

/*
 * A protobuf message of ONNX begins with the tag of a field of ModelProto (onnx.proto: ir_version 1 and model_version 5
 * are numbers, 2 to 4, 6 to 8 and 14 are bytes); pages, texts and archives seldom do.
 */
static bool begins_like_onnx(const struct vt_mapped_file *file) {
    static const unsigned char tags[] = {0x08, 0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72};
    return file->size > 1 && memchr(tags, file->data[0], sizeof tags);
}

/* What the file is, and whether it may be this model. */
static enum vultus_status examine(struct vt_hub *hub, const struct vt_catalogue_entry *entry, const char *path,
    const char *origin, struct vt_manifest *note, struct vultus_error *error) {
    struct vt_mapped_file file;
    enum vultus_status status = vt_map_file(path, &file, error);
    if (status) return status;
    if (!begins_like_onnx(&file)) status = vt_fail(error, VULTUS_ERROR_FORMAT, "%s is no ONNX model", origin);
    note->bytes = file.size;
    note->origin = origin;
    note->trust = *entry->sha256 ? VT_HUB_CATALOGUE : VT_HUB_FIRST_USE;
    vt_unmap_file(&file);
    if (status) return status;
    status = vt_check_file(path, entry->name, entry->sha256, entry->bytes, note->sha256, error);
    struct vt_arena arena;
    struct vt_manifest before;
    vt_arena_init(&arena, 0);
    const char *beside = vt_hub_path(hub, &arena, entry->name, ".json");
    bool noted = beside && !*entry->sha256 && !vt_manifest_read(beside, &arena, &before, NULL);
    if (!status && noted && strcmp(before.sha256, note->sha256))
        status = vt_fail(error, VULTUS_ERROR_MISMATCH,
            "the sha256 of %s from %s is %s, and was %s the first time; if the new one is right, say `vultus models "
            "remove "
            "%s` first",
            entry->name, origin, note->sha256, before.sha256, entry->name);
    vt_arena_fini(&arena);
    return status;
}

enum vultus_status vt_hub_install(struct vt_hub *hub, const struct vt_catalogue_entry *entry,
    struct vt_atomic_file *file, const char *origin, struct vt_hub_list *list, struct vultus_error *error) {
    struct vt_manifest note = {0};
    const char *beside = vt_hub_path(hub, &list->arena, entry->name, ".json");
    enum vultus_status status =
        beside ? examine(hub, entry, file->temporary_path, origin, &note, error) : vt_fail_memory(error, "a path", 0);
    if (!status) status = vt_manifest_write(beside, &note, error);
    if (status) {
        vt_atomic_file_discard(file);
        return status;
    }
    status = vt_atomic_file_commit(file, error);
    struct vt_hub_model *model;
    if (!status) status = vt_hub_describe(hub, entry->name, list, &model, error);
    if (!status) model->fresh = true;
    return status;
}

/* What an interrupted download left; waits for one that is going on. */
static enum vultus_status remove_part(struct vt_hub *hub, const char *name, const char *suffix, struct vt_arena *arena,
    bool *removed, struct vultus_error *error) {
    const char *file = vt_arena_printf(arena, "%s%s", name, suffix);
    const char *part = file ? vt_hub_path(hub, arena, file, ".part") : NULL;
    int lock;
    if (!part) return vt_fail_memory(error, "a path", strlen(name));
    if (!vt_path_exists(part)) return VULTUS_OK;
    enum vultus_status status = vt_hub_lock(hub, file, &lock, error);
    if (status) return status;
    if (vt_download_discard(part)) *removed = true;
    vt_unlock_file(lock);
    return VULTUS_OK;
}

static enum vultus_status remove_file(
    struct vt_hub *hub, struct vt_hub_model *model, struct vt_arena *arena, struct vultus_error *error) {
    const char *file = vt_hub_path(hub, arena, model->name, ".onnx"); /* model->path may be outside the folder */
    const char *note = vt_hub_path(hub, arena, model->name, ".json");
    int lock;
    if (!file || !note) return vt_fail_memory(error, "a path", strlen(model->name));
    if (!vt_path_exists(file) && !vt_path_exists(note)) return VULTUS_OK;
    enum vultus_status status = vt_hub_lock(hub, model->name, &lock, error);
    if (status) return status;
    int code = unlink(file) == 0 ? 0 : errno;
    model->fresh |= code == 0;
    model->fresh |= unlink(note) == 0;
    vt_unlock_file(lock);
    if (code && code != ENOENT) return vt_fail(error, VULTUS_ERROR_IO, "%s: cannot remove: %s", file, strerror(code));
    model->installed = model->built_in;
    return VULTUS_OK;
}

static enum vultus_status remove_model(
    struct vt_hub *hub, const char *name, struct vt_hub_list *list, struct vultus_error *error) {
    struct vt_hub_model *model;
    enum vultus_status status = vt_hub_describe(hub, name, list, &model, error);
    if (!status) status = remove_part(hub, name, ".onnx", &list->arena, &model->fresh, error);
    if (!status) status = remove_file(hub, model, &list->arena, error);
    if (!status && !model->fresh) list->count--;
    return status;
}

enum vultus_status vt_hub_remove(
    struct vt_hub *hub, const char *name, struct vt_hub_list *list, struct vultus_error *error) {
    const struct vt_catalogue_pack *pack = vt_catalogue_pack(hub->catalogue, name);
    bool anything = false;
    enum vultus_status status = each_named(hub, name, list, remove_model, error);
    if (!status && pack) status = remove_part(hub, pack->name, ".zip", &list->arena, &anything, error);
    if (!status && !list->count && !anything)
        status = vt_fail(error, VULTUS_ERROR_NOT_FOUND, "there is nothing of %s in %s", name, hub->folder);
    return status;
}
