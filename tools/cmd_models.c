/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/json.h"
#include "common.h"
#include "hub.h"

static const char *const trusts[] = {
    [VT_HUB_UNKNOWN] = "unknown", [VT_HUB_FIRST_USE] = "first use", [VT_HUB_CATALOGUE] = "catalogue"};

/* ---------------------------------------------------------------- JSON */

static json_t *texts_json(const struct vt_texts *texts) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < texts->count; i++) json_array_append_new(array, vt_json_text(texts->items[i]));
    return array;
}

static json_t *bytes_json(uint64_t bytes) { return bytes ? json_integer((json_int_t)bytes) : json_null(); }

/* What every subcommand says of a model. */
static json_t *model_json(const struct vt_hub_model *m) {
    return json_pack("{s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:s}", "name", vt_json_text(m->name), "function",
        vt_json_text(m->function), "licence", vt_json_text(m->licence), "path", vt_json_text(m->path), "installed",
        m->installed, "built_in", m->built_in, "bytes", bytes_json(m->bytes), "sha256", vt_json_text(m->sha256),
        "digest", trusts[m->trust]);
}

static json_t *listed_json(struct vt_hub *hub, const struct vt_hub_model *m) {
    static const struct vt_catalogue_entry unlisted = {.name = "", .origin = "", .page = ""};
    const struct vt_catalogue_entry *e = vt_catalogue_find(vt_hub_catalogue(hub), NULL, m->name);
    if (!e) e = &unlisted;
    json_t *object = model_json(m);
    json_object_set_new(object, "origin", vt_json_text(e->origin));
    json_object_set_new(object, "packs", texts_json(&e->packs));
    json_object_set_new(object, "aliases", texts_json(&e->aliases));
    json_object_set_new(object, "urls", texts_json(&e->urls));
    json_object_set_new(object, "page", vt_json_text(e->page));
    json_object_set_new(object, "source", texts_json(&e->source));
    return object;
}

static json_t *pack_json(const struct vt_catalogue_pack *p) {
    return json_pack("{s:s, s:s, s:o, s:s, s:o, s:s, s:o}", "name", p->name, "licence", p->licence, "bytes",
        bytes_json(p->bytes), "sha256", p->sha256, "urls", texts_json(&p->urls), "page", p->page, "source",
        texts_json(&p->source));
}

static int print_json(json_t *value) { return vt_cli_json_print(value, true) ? VT_EXIT_OK : vt_cli_fail_memory(); }

/* ---------------------------------------------------------------- list */

static void print_listed(const struct vt_hub_model *m) {
    char size[24] = "-";
    if (m->bytes) snprintf(size, sizeof size, "%.1f MB", (double)m->bytes * 1e-6);
    const char *state = m->built_in ? "built in" : m->installed ? "installed" : "-";
    printf("%-28s %-10s %-9s %10s  %-9s  %s\n", m->name, state, *m->function ? m->function : "-", size,
        trusts[m->trust], *m->licence ? m->licence : "-");
}

static int print_list(struct vt_hub *hub, const struct vt_hub_list *list, bool json) {
    const struct vt_catalogue *catalogue = vt_hub_catalogue(hub);
    json_t *models = json_array(), *packs = json_array();
    if (!json) printf("%-28s %-10s %-9s %10s  %-9s  %s\n", "model", "", "function", "size", "digest", "licence");
    for (size_t i = 0; i < list->count; i++) {
        if (json)
            json_array_append_new(models, listed_json(hub, &list->models[i]));
        else
            print_listed(&list->models[i]);
    }
    if (!json) printf("\n%-28s %10s  %-26s %s\n", "pack", "size", "licence", "models");
    for (size_t i = 0; i < vt_catalogue_pack_count(catalogue); i++) {
        const struct vt_catalogue_pack *p = vt_catalogue_pack_at(catalogue, i);
        if (json) {
            json_array_append_new(packs, pack_json(p));
            continue;
        }
        printf("%-28s %7.1f MB  %-26s", p->name, (double)p->bytes * 1e-6, p->licence);
        for (size_t k = 0; k < vt_catalogue_count(catalogue); k++)
            if (vt_texts_contain(&vt_catalogue_at(catalogue, k)->packs, p->name))
                printf(" %s", vt_catalogue_at(catalogue, k)->name);
        putchar('\n');
    }
    if (!json) printf("\nfolder: %s\n", vt_hub_folder(hub));
    json_t *all = json_pack("{s:s, s:o, s:o}", "folder", vt_hub_folder(hub), "models", models, "packs", packs);
    if (json) return print_json(all);
    json_decref(all);
    return VT_EXIT_OK;
}

/* ---------------------------------------------------------------- the others */

/* What a subcommand did, as JSON or line by line. */
struct report {
    bool json;
    json_t *models; /* NULL without json */
    size_t wrong;   /* of verify */
};

/* "installed" or "removed" in the past tense is what the call may have done to the model. */
static void report_change(struct report *r, const struct vt_hub_model *m, const char *done, const char *else_what) {
    if (r->json) {
        json_t *object = model_json(m);
        json_object_set_new(object, done, json_boolean(m->fresh));
        json_array_append_new(r->models, object);
        return;
    }
    printf("%s: %s", m->name, m->fresh ? done : else_what);
    if (m->installed && m->fresh && *m->sha256)
        printf(", %.1f MB, sha256 %s (%s)", (double)m->bytes * 1e-6, m->sha256,
            m->trust == VT_HUB_CATALOGUE ? "as the catalogue says" : "no digest was known; this one is noted");
    putchar('\n');
}

static void report_fetched(struct report *r, const struct vt_hub_model *m) {
    report_change(r, m, "fetched", "there already");
}

static void report_removed(struct report *r, const struct vt_hub_model *m) {
    report_change(r, m, "removed", "was not there");
}

static void report_verified(struct report *r, const struct vt_hub_model *m) {
    const char *state = m->status ? "wrong" : m->trust == VT_HUB_UNKNOWN ? "unknown" : "right";
    r->wrong += m->status != VULTUS_OK;
    if (r->json) {
        json_t *object = model_json(m);
        json_object_set_new(object, "state", json_string(state));
        json_object_set_new(object, "problem", m->status ? vt_json_text(m->problem) : json_null());
        json_array_append_new(r->models, object);
    } else if (m->status) {
        printf("%s: wrong: %s\n", m->name, m->problem);
    } else {
        printf("%s: %s, sha256 %s (%s)\n", m->name, state, m->sha256, trusts[m->trust]);
    }
}

struct subcommand {
    const char *name, *operand; /* operand NULL: takes none */
    bool needs_operand;
    enum vultus_status (*act)(struct vt_hub *, const char *, struct vt_hub_list *, struct vultus_error *);
    void (*report)(struct report *, const struct vt_hub_model *);
};

static const struct subcommand subcommands[] = {
    {"list", NULL, false, NULL, NULL},
    {"pull", "NAME", true, vt_hub_pull, report_fetched},
    {"verify", "NAME", false, vt_hub_verify, report_verified},
    {"remove", "NAME", true, vt_hub_remove, report_removed},
    {"import", "FILE", true, vt_hub_import, report_fetched},
};

static bool act_once(struct vt_hub *hub, const struct subcommand *s, const char *operand, struct report *report,
    struct vt_cli_download *shown) {
    struct vt_hub_list list = {0};
    struct vultus_error error;
    enum vultus_status status = s->act(hub, operand, &list, &error);
    vt_cli_download_end(shown);
    if (status < 0) vt_cli_fail(&error);
    for (size_t i = 0; status == VULTUS_OK && i < list.count; i++) s->report(report, &list.models[i]);
    vt_hub_list_fini(&list);
    return status == VULTUS_OK;
}

static int act(
    struct vt_hub *hub, const struct subcommand *s, const struct vt_options *options, struct vt_cli_download *shown) {
    struct report report = {.json = options->json, .models = options->json ? json_array() : NULL};
    bool fine = true;
    if (options->n_operands == 1) fine = act_once(hub, s, NULL, &report, shown);
    for (size_t i = 1; fine && i < options->n_operands; i++)
        fine = act_once(hub, s, options->operands[i], &report, shown);
    if (fine && report.json)
        fine = print_json(report.models) == VT_EXIT_OK;
    else
        json_decref(report.models);
    if (report.wrong) vt_cli_say("%zu of the models are not what they should be", report.wrong);
    return fine && !report.wrong ? VT_EXIT_OK : VT_EXIT_FAILURE;
}

static int list(struct vt_hub *hub, bool json) {
    struct vt_hub_list models = {0};
    struct vultus_error error;
    int code = vt_hub_list(hub, &models, &error) < 0 ? vt_cli_fail(&error) : print_list(hub, &models, json);
    vt_hub_list_fini(&models);
    return code;
}

/* What the operands mean; NULL after saying what is wrong with them. */
static const struct subcommand *choose(const struct vt_options *options) {
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
        const struct subcommand *s = &subcommands[i];
        if (strcmp(options->operands[0], s->name)) continue;
        if (s->needs_operand && options->n_operands < 2)
            vt_cli_say("models %s needs %s", s->name, s->operand);
        else if (!s->operand && options->n_operands > 1)
            vt_cli_say("models %s takes nothing more; \"%s\" is too much", s->name, options->operands[1]);
        else
            return s;
        return NULL;
    }
    vt_cli_say("models takes list, pull, verify, remove or import, not \"%s\"", options->operands[0]);
    return NULL;
}

int vt_cli_models(const struct vt_options *options) {
    const struct subcommand *s = choose(options);
    if (!s) {
        fputc('\n', stderr);
        vt_print_command_usage(vt_command_find("models"), stderr);
        return VT_EXIT_USAGE;
    }
    struct vt_cli_download shown = {0};
    struct vt_hub *hub = vt_cli_hub_open(options, true, &shown);
    if (!hub) return VT_EXIT_FAILURE;
    int code = s->act ? act(hub, s, options, &shown) : list(hub, options->json);
    vt_hub_close(hub);
    return code;
}
