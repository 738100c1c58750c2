/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_HUB_HUB_INTERNAL_H
#define VT_HUB_HUB_INTERNAL_H

#include "base/file.h"
#include "hub/hub.h"
#include "hub/manifest.h"

struct vt_hub {
    struct vt_catalogue *catalogue;
    char *folder;
    const char *accepted; /* "" none */
    int stall_seconds;
    struct vt_hub_events events;
};

/* Of files whose size nobody states. */
#define VT_LARGEST_MODEL ((uint64_t)1 << 30)
#define VT_LARGEST_ARCHIVE ((uint64_t)1 << 31)

/* What several files are to become models. Models are entries of the catalogue. */
struct vt_wanted {
    const struct vt_catalogue_entry **models;
    size_t count;
};

/* ---------------------------------------------------------------- store.c */

/* "FOLDER/NAMESUFFIX" in the list's arena; NULL when out of memory. */
const char *vt_hub_path(const struct vt_hub *hub, struct vt_arena *arena, const char *name, const char *suffix);

/* Appends what is known of a model and of its file, without reading the file. */
enum vultus_status vt_hub_describe(struct vt_hub *hub, const char *name, struct vt_hub_list *list,
    struct vt_hub_model **out, struct vultus_error *error);

/* Whether the model's file is there and has the digest it ought to have. */
bool vt_hub_is_intact(const struct vt_hub_model *model);

/* Waits for the lock "FOLDER/.NAME.lock"; makes the folder. */
enum vultus_status vt_hub_lock(struct vt_hub *hub, const char *name, int *lock, struct vultus_error *error);

/*
 * Makes an open file, already written, the model's: checks that it can be an ONNX file and that its digest is the
 * catalogue's, or where that is unknown the one noted before; writes the note and puts the file in place. Ends the file
 * whatever happens. Appends the model, fresh, to the list.
 */
enum vultus_status vt_hub_install(struct vt_hub *hub, const struct vt_catalogue_entry *entry,
    struct vt_atomic_file *file, const char *origin, struct vt_hub_list *list, struct vultus_error *error);

/* A model's new file, locked while it is written. */
struct vt_hub_file {
    struct vt_atomic_file file;
    int lock;
};
enum vultus_status vt_hub_create(
    struct vt_hub *hub, const char *name, struct vt_hub_file *out, struct vt_arena *arena, struct vultus_error *error);
/* Installs it, or discards it if `written`, the status of writing it, is a failure, which is passed on. */
enum vultus_status vt_hub_finish(struct vt_hub *hub, const struct vt_catalogue_entry *entry, struct vt_hub_file *file,
    enum vultus_status written, const char *origin, struct vt_hub_list *list, struct vultus_error *error);

/* ---------------------------------------------------------------- import.c */

bool vt_hub_is_archive(const char *path);

/* Installs those wanted models that the archive holds; NOT_FOUND if it holds none. `origin` is where it came from. */
enum vultus_status vt_hub_unpack(struct vt_hub *hub, const char *path, const char *origin,
    const struct vt_wanted *wanted, struct vt_hub_list *list, struct vultus_error *error);

/* Copies an ONNX file into the folder. */
enum vultus_status vt_hub_copy(struct vt_hub *hub, const char *path, const char *origin,
    const struct vt_catalogue_entry *entry, struct vt_hub_list *list, struct vultus_error *error);

/* The models that a name means: a model's own, or all of a pack. *pack is NULL for a model. */
enum vultus_status vt_hub_want(struct vt_hub *hub, const char *name, struct vt_arena *arena, struct vt_wanted *wanted,
    const struct vt_catalogue_pack **pack, struct vultus_error *error);

/* ---------------------------------------------------------------- pull.c */

/* Whether a licence's id is one of those in a list with commas. */
bool vt_hub_accepts(const char *accepted, const char *id);

#endif
