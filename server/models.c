/* SPDX-License-Identifier: Apache-2.0 */
#include "models.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/log.h"
#include "server_internal.h"

static const struct {
    const char *name;
    enum vt_key key;
    unsigned attribute; /* that a model of the role tells */
} roles[VT_ROLES] = {
    [VT_ROLE_DETECTOR] = {"det", VT_KEY_DETECTOR, 0},
    [VT_ROLE_RECOGNISER] = {"rec", VT_KEY_RECOGNISER, 0},
    [VT_ROLE_GENDERAGE] = {"genderage", VT_KEY_GENDERAGE, VULTUS_ATTRIBUTE_GENDER_AGE},
    [VT_ROLE_MASK] = {"mask_detector", VT_KEY_MASK_DETECTOR, VULTUS_ATTRIBUTE_MASK},
    [VT_ROLE_LIVENESS] = {"liveness", VT_KEY_LIVENESS, VULTUS_ATTRIBUTE_LIVENESS},
};

enum vt_role vt_role_of_name(const char *name) {
    int role = 0;
    while (role < VT_ROLES && strcmp(roles[role].name, name) != 0) role++;
    return (enum vt_role)role;
}

const char *vt_role_name(enum vt_role role) { return roles[role].name; }

/* ---------------------------------------------------------------- choices */

enum vultus_status vt_model_choice_read(
    const struct vt_key_value *values, struct vt_model_choice *out, struct vultus_error *error) {
    *out = (struct vt_model_choice){.width = values[VT_KEY_INPUT_SIZE].width,
        .height = values[VT_KEY_INPUT_SIZE].height,
        .max_batch = (int)values[VT_KEY_MAX_BATCH].integer,
        .max_delay_us = (int)values[VT_KEY_MAX_BATCH_DELAY_US].integer};
    snprintf(out->precision, sizeof out->precision, "%s", values[VT_KEY_PRECISION].text);
    for (int r = 0; r < VT_ROLES; r++) {
        const char *name = values[roles[r].key].text;
        if (strlen(name) >= VT_MODEL_NAME)
            return vt_fail(error, VULTUS_ERROR_LIMIT, "%s has %zu characters; at most %d are taken", roles[r].name,
                strlen(name), VT_MODEL_NAME - 1);
        strcpy(out->names[r], name);
    }
    return VULTUS_OK;
}

/* A detector and a recogniser there always are; others only where they are named. */
static bool has_role(const struct vt_model_choice *choice, enum vt_role role) {
    const char *name = choice->names[role];
    return roles[role].attribute == 0 || (*name && strcasecmp(name, "none") != 0);
}

/* ---------------------------------------------------------------- opening */

enum { MOST_LIVENESS = 4, MOST_PLANS = VT_ROLES + MOST_LIVENESS };

/* Plans found so far, in the order of roles, each with the one that takes over where its back end fails, or NULL. */
struct plans {
    const char *backend, *fallback; /* names; NULL: nothing to fall back on */
    char *paths[MOST_PLANS], *fallbacks[MOST_PLANS];
    size_t count;
};

static void free_plans(struct plans *plans) {
    for (size_t i = 0; i < plans->count; i++) {
        free(plans->paths[i]);
        free(plans->fallbacks[i]);
    }
    plans->count = 0;
}

/* Both plans are there before the models serve: nothing is built in the middle of a request. */
static enum vultus_status build_plans(
    struct vt_server *server, struct vt_plan_wanted *wanted, struct plans *plans, struct vultus_error *error) {
    struct vt_builder *builder = &server->keeper.builder;
    char **path = &plans->paths[plans->count], **fallback = &plans->fallbacks[plans->count];
    *path = *fallback = NULL;
    wanted->backend = plans->backend;
    enum vultus_status status = vt_builder_run(builder, wanted, path, error);
    wanted->backend = plans->fallback;
    if (!status && plans->fallback) status = vt_builder_run(builder, wanted, fallback, error);
    if (status) free(*path);
    return status;
}

/* Adds the plan of a model, building it where it is missing. */
static enum vultus_status add_plan(struct vt_server *server, const struct vt_model_choice *choice, enum vt_role role,
    const char *name, struct plans *plans, char **stem, struct vultus_error *error) {
    char *path = NULL;
    enum vultus_status status = server->host->find_model(server->host->context, role, name, &path, error);
    if (status) return status;
    bool detects = role == VT_ROLE_DETECTOR;
    struct vt_plan_wanted wanted = {.model = path,
        .precision = choice->precision,
        .width = detects ? choice->width : 0,
        .height = detects ? choice->height : 0,
        .max_batch = choice->max_batch};
    if (vultus_is_plan(path)) {
        plans->fallbacks[plans->count] = NULL;
        if (!(plans->paths[plans->count] = strdup(path))) status = vt_fail_memory(error, "a path", strlen(path));
    } else {
        status = build_plans(server, &wanted, plans, error);
    }
    if (!status) plans->count++;
    if (!status && !*stem) *stem = vt_path_stem(path);
    free(path);
    return status;
}

/* Liveness may have several models, with commas between them. */
static enum vultus_status add_plans(struct vt_server *server, struct vt_models *models, enum vt_role role,
    struct plans *plans, struct vultus_error *error) {
    const struct vt_model_choice *choice = &models->choice;
    const char *names = choice->names[role];
    enum vultus_status status = VULTUS_OK;
    for (int i = 0; !status && names; i++) {
        size_t length = role == VT_ROLE_LIVENESS ? strcspn(names, ",") : strlen(names);
        char name[VT_MODEL_NAME];
        if (i == MOST_LIVENESS)
            return vt_fail(error, VULTUS_ERROR_INVALID, "at most %d models of liveness are fused", MOST_LIVENESS);
        snprintf(name, sizeof name, "%.*s", (int)length, names);
        status = add_plan(server, choice, role, name, plans, &models->stems[role], error);
        names = names[length] ? names + length + 1 : NULL;
    }
    return status;
}

static enum vultus_status open_pipeline(
    struct vt_server *server, struct vt_models *models, const struct plans *plans, struct vultus_error *error) {
    struct vultus_pipeline_options options = {.detector = plans->paths[0],
        .recogniser = plans->paths[1],
        .detector_build.fallback_plan = plans->fallbacks[0],
        .recogniser_build.fallback_plan = plans->fallbacks[1],
        .attribute_models = (const char *const *)plans->paths + 2,
        .attribute_fallback_plans = (const char *const *)plans->fallbacks + 2,
        .n_attribute_models = plans->count - 2,
        .batching = {true, models->choice.max_batch, models->choice.max_delay_us},
        .without_nvjpeg = !vt_setting_integer(server, VT_KEY_USE_NVJPEG)};
    return vultus_pipeline_open(server->runtime, &options, &models->pipeline, error);
}

/* One picture through all networks, which takes their memory and proves that they run. */
static enum vultus_status warm(struct vt_models *models, struct vultus_error *error) {
    vultus_pipeline_describe(models->pipeline, &models->info);
    size_t pixels = 3 * (size_t)models->info.crop_width * (size_t)models->info.crop_height;
    struct vultus_picture picture = {0};
    struct vultus_faces *faces = NULL;
    uint8_t *crop = calloc(1, pixels + 1);
    float *embedding = calloc((size_t)models->info.dimension + 1, sizeof *embedding), norm;
    enum vultus_status status = crop && embedding ? VULTUS_OK : vt_fail_memory(error, "a crop", pixels);
    if (!status)
        status = vultus_picture_create(models->info.detector_width, models->info.detector_height, &picture, error);
    struct vultus_analyze_options options = {
        .robust = VULTUS_ROBUST_OFF, .attributes = models->attributes & ~(unsigned)VULTUS_ATTRIBUTE_QUALITY};
    if (!status) status = vultus_analyze(models->pipeline, &picture, &options, &faces, error);
    if (!status) status = vultus_pipeline_embed(models->pipeline, crop, 1, embedding, &norm, error);
    vultus_faces_free(faces);
    vultus_picture_release(&picture);
    free(crop);
    free(embedding);
    malloc_trim(0);
    return status;
}

static void close_models(struct vt_models *models) {
    if (!models) return;
    vultus_pipeline_close(models->pipeline);
    for (int r = 0; r < VT_ROLES; r++) free(models->stems[r]);
    free(models);
}

/* With plans for one back end. */
static enum vultus_status open_for(struct vt_server *server, const struct vt_model_choice *choice, struct plans *plans,
    struct vt_models **out, struct vultus_error *error) {
    struct vt_models *models = calloc(1, sizeof *models);
    if (!models) return vt_fail_memory(error, "models", sizeof *models);
    models->choice = *choice;
    models->users = 1;
    models->attributes = VULTUS_ATTRIBUTE_QUALITY;
    enum vultus_status status = VULTUS_OK;
    for (int r = 0; !status && r < VT_ROLES; r++) {
        if (!has_role(choice, (enum vt_role)r)) continue;
        models->attributes |= roles[r].attribute;
        status = add_plans(server, models, (enum vt_role)r, plans, error);
    }
    if (!status) status = open_pipeline(server, models, plans, error);
    if (!status) status = warm(models, error);
    free_plans(plans);
    if (status)
        close_models(models);
    else
        *out = models;
    return status;
}

/* By the first back end of the order that takes all of them; the order's usable part begins with the one that was
 * chosen.
 */
static enum vultus_status open_models(struct vt_server *server, const struct vt_model_choice *choice,
    struct vt_models **out, struct vultus_error *error) {
    const struct vultus_backends *order = &server->backends;
    struct vt_backends backends = {.n_skipped = 0};
    enum vultus_status status = VULTUS_OK;
    bool strict = vt_setting_integer(server, VT_KEY_STRICT);
    for (size_t i = 0; i < order->n_skipped; i++)
        vt_backends_skip(&backends, order->skipped[i].name, order->skipped[i].reason);
    for (size_t i = order->n_skipped; i < order->n_order; i++) {
        bool last = strict || i + 1 == order->n_order;
        struct plans plans = {.backend = order->order[i], .fallback = last ? NULL : order->order[i + 1]};
        struct vultus_error failure;
        status = open_for(server, choice, &plans, out, &failure);
        if (status && last) return vt_fail(error, status, "%s", failure.text);
        if (!status) break;
        vt_backends_skip(&backends, order->order[i], failure.text);
    }
    for (size_t i = order->n_skipped; i < backends.n_skipped; i++)
        vt_log(VT_LOG_WARN, "back end %s is skipped: %s", backends.skipped[i].name, backends.skipped[i].reason);
    vt_count(&server->metrics, VT_EVENT_FALLBACKS, backends.n_skipped);
    backends.used = (*out)->info.detector_backend;
    (*out)->backends = backends;
    return status;
}

/* ---------------------------------------------------------------- in service */

struct vt_models *vt_models_take(struct vt_server *server) {
    struct vt_model_keeper *keeper = &server->keeper;
    pthread_mutex_lock(&keeper->lock);
    struct vt_models *models = keeper->current;
    models->users++;
    pthread_mutex_unlock(&keeper->lock);
    return models;
}

void vt_models_release(struct vt_server *server, struct vt_models *models) {
    if (!models) return;
    pthread_mutex_lock(&server->keeper.lock);
    bool last = --models->users == 0;
    pthread_mutex_unlock(&server->keeper.lock);
    if (last) close_models(models);
}

enum vultus_status vt_models_start(struct vt_server *server, struct vultus_error *error) {
    struct vt_model_choice choice;
    const char *plans = vt_setting_string(server, VT_KEY_PLANS);
    struct vt_model_keeper *keeper = &server->keeper;
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_mutex_init(&keeper->changing, NULL);
    keeper->builder =
        (struct vt_builder){.plans = *plans ? plans : NULL, .threads = vultus_runtime_threads(server->runtime)};
    enum vultus_status status = vt_model_choice_read(vt_setting(server, (enum vt_key)0), &choice, error);
    return status ? status : open_models(server, &choice, &keeper->current, error);
}

/* With the lock of changes. */
static enum vultus_status switch_to(
    struct vt_server *server, const struct vt_model_choice *choice, struct vultus_error *error) {
    struct vt_model_keeper *keeper = &server->keeper;
    struct vt_models *fresh = NULL, *old = NULL;
    enum vultus_status status = open_models(server, choice, &fresh, error);
    vt_count(&server->metrics, status ? VT_EVENT_MODEL_FAILURES : VT_EVENT_MODEL_CHANGES, 1);
    if (!status) {
        pthread_mutex_lock(&keeper->lock);
        old = keeper->current;
        keeper->current = fresh;
        pthread_mutex_unlock(&keeper->lock);
    }
    vt_models_release(server, old);
    return status;
}

enum vultus_status vt_models_change(
    struct vt_server *server, const struct vt_model_choice *choice, struct vultus_error *error) {
    pthread_mutex_lock(&server->keeper.changing);
    enum vultus_status status = switch_to(server, choice, error);
    pthread_mutex_unlock(&server->keeper.changing);
    return status;
}

enum vultus_status vt_models_change_role(
    struct vt_server *server, enum vt_role role, const char *name, struct vultus_error *error) {
    pthread_mutex_lock(&server->keeper.changing);
    struct vt_model_choice choice = server->keeper.current->choice;
    snprintf(choice.names[role], VT_MODEL_NAME, "%s", name);
    enum vultus_status status = switch_to(server, &choice, error);
    pthread_mutex_unlock(&server->keeper.changing);
    return status;
}

void vt_models_stop(struct vt_server *server) { vt_builder_stop(&server->keeper.builder); }

void vt_models_end(struct vt_server *server) {
    vt_models_release(server, server->keeper.current);
    server->keeper.current = NULL;
}
