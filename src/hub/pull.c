/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "config/config.h"
#include "hub/download.h"
#include "hub/hub_internal.h"

/* One place to get the wanted models from. */
struct origin {
    const char *address; /* URL, or path in a mirror's folder */
    const char *name;    /* model or pack */
    const char *suffix;  /* ".onnx" or ".zip" */
    const char *sha256;
    uint64_t bytes;
    bool local;
};

struct pull {
    struct vt_hub *hub;
    struct vt_hub_list *list;
    struct vt_wanted wanted;
    const struct vt_catalogue_pack *pack; /* that was asked for, or NULL */
    struct origin *origins;
    size_t n_origins;
    struct vultus_error *error;
};

/* ---------------------------------------------------------------- where from */

static enum vultus_status add_origin(struct pull *p, struct origin origin) {
    struct origin *more = vt_arena_alloc_array(&p->list->arena, p->n_origins + 1, sizeof *more);
    if (!more || !origin.address) return vt_fail_memory(p->error, "an address", sizeof *more);
    if (p->n_origins) memcpy(more, p->origins, p->n_origins * sizeof *more);
    more[p->n_origins++] = origin;
    p->origins = more;
    return VULTUS_OK;
}

/* The same file in the mirror, if one is set, else at each of its addresses. */
static enum vultus_status add_file(struct pull *p, struct origin file, const struct vt_texts *urls) {
    const char *mirror = vt_setting_text(VT_SETTING_MODELS_MIRROR, NULL);
    enum vultus_status status = VULTUS_OK;
    if (mirror) {
        size_t length = strlen(mirror);
        while (length > 1 && mirror[length - 1] == '/') length--;
        file.local = strncmp(mirror, "http://", 7) && strncmp(mirror, "https://", 8);
        file.address = vt_arena_printf(&p->list->arena, "%.*s/%s%s", (int)length, mirror, file.name, file.suffix);
        return add_origin(p, file);
    }
    for (size_t i = 0; !status && i < urls->count; i++) {
        file.address = urls->items[i];
        status = add_origin(p, file);
    }
    return status;
}

static enum vultus_status add_pack(struct pull *p, const struct vt_catalogue_pack *pack) {
    return add_file(p,
        (struct origin){.name = pack->name, .suffix = ".zip", .sha256 = pack->sha256, .bytes = pack->bytes},
        &pack->urls);
}

static enum vultus_status find_origins(struct pull *p, const char *name) {
    const struct vt_catalogue_entry *e = p->wanted.models[0];
    enum vultus_status status = VULTUS_OK;
    if (p->pack) {
        status = add_pack(p, p->pack);
    } else {
        status = add_file(
            p, (struct origin){.name = e->name, .suffix = ".onnx", .sha256 = e->sha256, .bytes = e->bytes}, &e->urls);
        for (size_t i = 0; !status && i < e->packs.count; i++)
            status = add_pack(p, vt_catalogue_pack(p->hub->catalogue, e->packs.items[i]));
    }
    if (status || p->n_origins) return status;
    const char *page = p->pack ? p->pack->page : e->page;
    return vt_fail(p->error, VULTUS_ERROR_NOT_FOUND,
        "the catalogue has no address from which %s could be fetched; get it from %s and say `vultus models import "
        "FILE`",
        name, *page ? page : "its publisher");
}

/* ---------------------------------------------------------------- licences */

bool vt_hub_accepts(const char *accepted, const char *id) {
    size_t length = strlen(id);
    for (const char *at = accepted; *at;) {
        size_t item = strcspn(at, ",");
        if (item == length && strncmp(at, id, length) == 0) return true;
        at += item + (at[item] == ',');
    }
    return false;
}

/* Whoever accepted a licence beforehand still gets to see which it is. */
static enum vultus_status tell_licence(struct pull *p, const char *name, const struct vt_licence *licence) {
    const struct vt_hub_events *events = &p->hub->events;
    const char *sentence = vt_arena_printf(&p->list->arena, "%s is under the licence %s%s%s%s%s%s", name, licence->id,
        *licence->url ? " (" : "", licence->url, *licence->url ? ")" : "", *licence->text ? ": " : "", licence->text);
    if (!sentence) return vt_fail_memory(p->error, "a sentence", strlen(licence->text));
    if (events->note) events->note(events->context, sentence);
    return VULTUS_OK;
}

static enum vultus_status accept_licence(struct pull *p, const char *name, const char *id) {
    struct vt_hub *hub = p->hub;
    const struct vt_licence *known = vt_catalogue_licence(hub->catalogue, id);
    const struct vt_licence named = {.id = id, .text = "", .url = "", .accept = true};
    const struct vt_licence *licence = known ? known : &named;
    if (!licence->accept || vt_hub_accepts(hub->accepted, id)) return tell_licence(p, name, licence);
    if (hub->events.accept && hub->events.accept(hub->events.context, name, licence)) return VULTUS_OK;
    return vt_fail(p->error, VULTUS_ERROR_INVALID,
        "the licence of %s, %s%s%s%s, is not accepted; if you do, say `vultus models pull %s --accept-licence %s` or "
        "set "
        "VULTUS_ACCEPT_LICENCE=%s",
        name, id, *licence->url ? " (" : "", licence->url, *licence->url ? ")" : "", name, id, id);
}

/* ---------------------------------------------------------------- fetching */

/* The downloaded part itself becomes the model. */
static enum vultus_status adopt_part(struct pull *p, const struct origin *o, const char *part) {
    const struct vt_catalogue_entry *entry = p->wanted.models[0];
    const char *path = vt_hub_path(p->hub, &p->list->arena, entry->name, ".onnx");
    struct vt_atomic_file file = {.descriptor = open(part, O_RDWR | O_CLOEXEC), .temporary_path = strdup(part)};
    file.path = path ? strdup(path) : NULL;
    if (file.path && file.temporary_path && file.descriptor >= 0)
        return vt_hub_install(p->hub, entry, &file, o->address, p->list, p->error);
    vt_atomic_file_discard(&file);
    return vt_fail(p->error, VULTUS_ERROR_IO, "%s: cannot open what was downloaded", part);
}

static enum vultus_status fetch_remote(struct pull *p, const struct origin *o) {
    struct vt_hub *hub = p->hub;
    bool archive = strcmp(o->suffix, ".zip") == 0;
    const char *name = vt_arena_printf(&p->list->arena, "%s%s", o->name, o->suffix);
    const char *part = name ? vt_hub_path(hub, &p->list->arena, name, ".part") : NULL;
    if (!part) return vt_fail_memory(p->error, "a path", strlen(o->name));
    if (archive && !VT_HAVE_MINIZIP)
        return vt_fail(p->error, VULTUS_ERROR_UNSUPPORTED,
            "%s is an archive, and this build has no minizip to unpack it", o->address);
    struct vt_download download = {.url = o->address,
        .part = part,
        .name = name,
        .sha256 = o->sha256,
        .bytes = o->bytes,
        .limit = o->bytes  ? o->bytes
                 : archive ? VT_LARGEST_ARCHIVE
                           : VT_LARGEST_MODEL,
        .stall_seconds = hub->stall_seconds,
        .events = &hub->events};
    enum vultus_status status = vt_download(&download, p->error);
    if (status) return status;
    status = archive ? vt_hub_unpack(hub, part, o->address, &p->wanted, p->list, p->error) : adopt_part(p, o, part);
    /* What is complete and cannot be used will not get better; a full disk will. */
    if (status != VULTUS_ERROR_IO) vt_download_discard(part);
    return status;
}

static enum vultus_status fetch_local(struct pull *p, const struct origin *o) {
    char digest[VT_SHA256_HEX];
    enum vultus_status status = vt_check_file(o->address, o->address, o->sha256, o->bytes, digest, p->error);
    if (status) return status;
    if (strcmp(o->suffix, ".zip") == 0)
        return vt_hub_unpack(p->hub, o->address, o->address, &p->wanted, p->list, p->error);
    return vt_hub_copy(p->hub, o->address, o->address, p->wanted.models[0], p->list, p->error);
}

/* Whether all that is wanted is there intact; then the list says so. */
static enum vultus_status look(struct pull *p, bool *intact) {
    *intact = true;
    for (size_t i = 0; i < p->wanted.count; i++) {
        struct vt_hub_model *model;
        enum vultus_status status = vt_hub_describe(p->hub, p->wanted.models[i]->name, p->list, &model, p->error);
        if (status) return status;
        if (!vt_hub_is_intact(model)) *intact = false;
    }
    if (!*intact) p->list->count = 0;
    return VULTUS_OK;
}

/* Under the lock of its file, so that a second pull finds what the first one fetched. */
static enum vultus_status fetch(struct pull *p, const struct origin *o) {
    char file[128];
    int lock;
    bool intact;
    snprintf(file, sizeof file, "%s%s", o->name, o->suffix);
    enum vultus_status status = vt_hub_lock(p->hub, file, &lock, p->error);
    if (status) return status;
    status = look(p, &intact);
    if (!status && !intact) status = o->local ? fetch_local(p, o) : fetch_remote(p, o);
    vt_unlock_file(lock);
    return status;
}

static enum vultus_status fetch_from_any(struct pull *p) {
    struct vultus_error *told = p->error, error = {0};
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; i < p->n_origins; i++) {
        const struct origin *o = &p->origins[i];
        p->error = &error;
        enum vultus_status fetched = fetch(p, o);
        p->error = told;
        if (!fetched) return VULTUS_OK;
        p->list->count = 0;
        bool more = i + 1 < p->n_origins && fetched != VULTUS_ERROR_UNSUPPORTED;
        if (more && p->hub->events.note) p->hub->events.note(p->hub->events.context, error.text);
        /* That one place does not have it says less than anything else that went wrong. */
        if (!status || status == VULTUS_ERROR_NOT_FOUND) status = vt_fail(told, fetched, "%s", error.text);
        if (!more) break;
    }
    return status;
}

enum vultus_status vt_hub_pull(
    struct vt_hub *hub, const char *name, struct vt_hub_list *list, struct vultus_error *error) {
    struct pull p = {.hub = hub, .list = list, .error = error};
    bool intact = false;
    enum vultus_status status = vt_hub_want(hub, name, &list->arena, &p.wanted, &p.pack, error);
    if (!status && !p.wanted.count)
        status = vt_fail(error, VULTUS_ERROR_NOT_FOUND, "the catalogue has no model of the pack %s", name);
    if (!status) status = look(&p, &intact);
    if (status || intact) return status;
    status = find_origins(&p, name);
    if (!status) status = accept_licence(&p, name, p.pack ? p.pack->licence : p.wanted.models[0]->licence);
    return status ? status : fetch_from_any(&p);
}
