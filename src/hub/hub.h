/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_HUB_HUB_H
#define VT_HUB_HUB_H

#include "base/arena.h"
#include "base/digest.h"
#include "catalogue/catalogue.h"

/*
 * The models folder: NAME.onnx for each model, NAME.json beside it with what is known of the file, FILE.part and
 * FILE.part.json of downloads that are not complete, and hidden lock files. Any number of processes and threads may
 * work on one folder; a handle serves one thread.
 */
struct vt_hub;

/* What the caller is told and asked. Any of the functions may be NULL. */
struct vt_hub_events {
    void *context;
    void (*progress)(void *context, const char *file, uint64_t done, uint64_t total); /* bytes; total 0: unknown */
    void (*note)(void *context, const char *sentence);
    bool (*accept)(void *context, const char *name, const struct vt_licence *licence); /* NULL: never */
};

struct vt_hub_options {
    const char *folder;   /* NULL: VULTUS_MODELS, else the user's folder */
    const char *accepted; /* licence ids separated by commas; NULL: VULTUS_ACCEPT_LICENCE */
    int stall_seconds;    /* how long a server may send nothing; 0: 30 */
    struct vt_hub_events events;
};

/* Reads the catalogue (with VULTUS_CATALOGUE) and finds the folder, which need not exist. The options' texts and the
 * events' context must live as long as the handle. */
enum vultus_status vt_hub_open(const struct vt_hub_options *options, struct vt_hub **out, struct vultus_error *error);
void vt_hub_close(struct vt_hub *hub);
const char *vt_hub_folder(const struct vt_hub *hub);
const struct vt_catalogue *vt_hub_catalogue(const struct vt_hub *hub);

/* By whose word the digest of an installed file is the right one. */
enum vt_hub_trust {
    VT_HUB_UNKNOWN,   /* nobody's */
    VT_HUB_FIRST_USE, /* that of the first download or import, as noted then */
    VT_HUB_CATALOGUE,
};

/* Texts belong to the list or the catalogue; none is NULL. */
struct vt_hub_model {
    const char *name, *path;        /* path of the file, whether it exists or not */
    const char *function, *licence; /* "" where the catalogue does not know the model */
    uint64_t bytes;                 /* of the file, else those the catalogue states, else 0 */
    const char *sha256;             /* of the file, or the one it ought to have; "" when unknown */
    enum vt_hub_trust trust;        /* in sha256 */
    bool installed, fresh;          /* fresh: put there, or removed, by this call */
    bool built_in;                  /* a starter model that is taken from where vultus is installed */
    enum vultus_status status;      /* vt_hub_verify: VULTUS_OK or what is wrong */
    const char *problem;            /* ... in a sentence */
};

struct vt_hub_list {
    struct vt_arena arena;
    struct vt_hub_model *models;
    size_t count, capacity;
};
void vt_hub_list_fini(struct vt_hub_list *list);

/*
 * Each fills a zeroed list, to be released with vt_hub_list_fini whatever happened.
 *   list    every model of the catalogue, then others in the folder; reads no model
 *   verify  the model or the models of the pack `name`, NULL for every model of the folder, hashed
 *   pull    the model or the models of the pack `name`: downloads what is not there intact, from the mirror if one is
 *           set (VULTUS_MODELS_MIRROR), once its licence is accepted
 *   import  the models in a file, an ONNX model or a zip archive, that the catalogue knows by digest or name
 *   remove  the model or the models of the pack `name`, and what is left of an interrupted download of it
 */
enum vultus_status vt_hub_list(struct vt_hub *hub, struct vt_hub_list *list, struct vultus_error *error);
enum vultus_status vt_hub_verify(
    struct vt_hub *hub, const char *name, struct vt_hub_list *list, struct vultus_error *error);
enum vultus_status vt_hub_pull(
    struct vt_hub *hub, const char *name, struct vt_hub_list *list, struct vultus_error *error);
enum vultus_status vt_hub_import(
    struct vt_hub *hub, const char *path, struct vt_hub_list *list, struct vultus_error *error);
enum vultus_status vt_hub_remove(
    struct vt_hub *hub, const char *name, struct vt_hub_list *list, struct vultus_error *error);

/* Whether `value` asks for a model by name: it is one (vt_catalogue_is_name), ends in neither .onnx nor .plan, and no
 * such file exists. */
bool vt_hub_is_name(const char *value);

/*
 * malloc'd path of what a user named as a model. A path stays as it is; a name becomes the path of that model in the
 * models folder, else of that starter model, a pack's that of its model with the function ("scrfd", "arcface"; NULL: no
 * packs). One that is missing is pulled if VULTUS_ACCEPT_LICENCE accepts its licence, otherwise the error tells the
 * command.
 */
enum vultus_status vt_hub_resolve(
    struct vt_hub *hub, const char *value, const char *function, char **path, struct vultus_error *error);

#endif
