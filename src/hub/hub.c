/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/hub_internal.h"

#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/starter.h"

enum { STALL_SECONDS = 30 };

enum vultus_status vt_hub_open(const struct vt_hub_options *options, struct vt_hub **out, struct vultus_error *error) {
    struct vt_hub *hub = calloc(1, sizeof *hub);
    if (!hub) return vt_fail_memory(error, "the models folder", sizeof *hub);
    const char *accepted = vt_setting_text(VT_SETTING_ACCEPT_LICENCE, options->accepted);
    hub->accepted = accepted ? accepted : "";
    hub->stall_seconds = options->stall_seconds ? options->stall_seconds : STALL_SECONDS;
    hub->events = options->events;
    enum vultus_status status = vt_catalogue_open(vt_setting_text(VT_SETTING_CATALOGUE, NULL), &hub->catalogue, error);
    if (!status && options->folder) {
        hub->folder = strdup(options->folder);
        if (!hub->folder) status = vt_fail_memory(error, "a path", strlen(options->folder));
    } else if (!status) {
        hub->folder = vt_user_folder("models", "VULTUS_MODELS", "XDG_DATA_HOME", ".local/share", error);
        if (!hub->folder) status = VULTUS_ERROR_INVALID;
    }
    if (status)
        vt_hub_close(hub);
    else
        *out = hub;
    return status;
}

void vt_hub_close(struct vt_hub *hub) {
    if (!hub) return;
    vt_catalogue_destroy(hub->catalogue);
    free(hub->folder);
    free(hub);
}

const char *vt_hub_folder(const struct vt_hub *hub) { return hub->folder; }

const struct vt_catalogue *vt_hub_catalogue(const struct vt_hub *hub) { return hub->catalogue; }

/* ---------------------------------------------------------------- names */

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), ending = strlen(end);
    return length >= ending && strcmp(text + length - ending, end) == 0;
}

bool vt_hub_is_name(const char *value) {
    return vt_catalogue_is_name(value) && !ends_with(value, ".onnx") && !ends_with(value, ".plan") &&
           !vt_path_exists(value);
}

/* The one model that is meant: of a pack, that with the function. */
static enum vultus_status choose(struct vt_hub *hub, const char *value, const char *function,
    const struct vt_wanted *wanted, const struct vt_catalogue_entry **out, struct vultus_error *error) {
    bool pack = vt_catalogue_pack(hub->catalogue, value);
    *out = pack ? NULL : wanted->models[0];
    for (size_t i = 0; pack && function && i < wanted->count; i++)
        if (strcmp(wanted->models[i]->function, function) == 0) *out = wanted->models[i];
    if (*out) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_INVALID,
        "%s is a pack of models%s%s; name one of them (`vultus models list` shows them)", value,
        function ? " and has none with the function " : "", function ? function : "");
}

static enum vultus_status fail_missing(
    struct vt_hub *hub, const char *value, const char *licence, struct vultus_error *error) {
    return vt_fail(error, VULTUS_ERROR_NOT_FOUND,
        "the model %s is not in %s: fetch it with `vultus models pull %s`, or accept its licence by "
        "VULTUS_ACCEPT_LICENCE=%s and it is fetched when needed",
        value, hub->folder, value, licence);
}

static enum vultus_status find(struct vt_hub *hub, const char *value, const char *function, struct vt_hub_list *list,
    char **path, struct vultus_error *error) {
    struct vt_wanted wanted;
    const struct vt_catalogue_pack *pack;
    const struct vt_catalogue_entry *entry = NULL;
    struct vt_hub_model *model;
    enum vultus_status unknown = vt_hub_want(hub, value, &list->arena, &wanted, &pack, NULL), status = VULTUS_OK;
    if (!unknown) status = choose(hub, value, function, &wanted, &entry, error);
    const char *name = entry ? entry->name : value;
    if (!status) status = vt_hub_describe(hub, name, list, &model, error);
    if (status) return status;
    const char *file = model->path;
    if (!model->installed && vt_is_starter(name)) return vt_starter_path(name, path, error);
    if (!model->installed && unknown)
        return vt_fail(error, VULTUS_ERROR_NOT_FOUND,
            "there is no file and no model called \"%s\"; `vultus models list` shows the models that are known", value);
    if (!model->installed) {
        const char *accepted = vt_setting_text(VT_SETTING_ACCEPT_LICENCE, NULL);
        if (!accepted || !vt_hub_accepts(accepted, entry->licence))
            return fail_missing(hub, value, entry->licence, error);
        list->count = 0;
        status = vt_hub_pull(hub, value, list, error);
    }
    if (status) return status;
    *path = strdup(file);
    return *path ? VULTUS_OK : vt_fail_memory(error, "a path", strlen(file));
}

enum vultus_status vt_hub_resolve(
    struct vt_hub *hub, const char *value, const char *function, char **path, struct vultus_error *error) {
    if (!vt_hub_is_name(value)) {
        *path = strdup(value);
        return *path ? VULTUS_OK : vt_fail_memory(error, "a path", strlen(value));
    }
    struct vt_hub_list list = {0};
    enum vultus_status status = find(hub, value, function, &list, path, error);
    vt_hub_list_fini(&list);
    return status;
}
