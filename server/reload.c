/* SPDX-License-Identifier: Apache-2.0 */
#include "reload.h"

#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "base/log.h"
#include "keys.h"
#include "server_internal.h"
#include "value.h"

/* ---------------------------------------------------------------- SIGHUP */

/* What was read, which values in force point into, and those values: with its settings for requests, and for models. */
struct vt_reloaded {
    struct vt_configuration read;
    struct vt_key_value for_requests[VT_KEY_COUNT], for_models[VT_KEY_COUNT];
    struct vt_reloaded *older;
};

struct reload {
    struct vt_work work;
    struct vt_flow flow;
    struct vt_server *server;
};

static bool is_listed(const enum vt_key *keys, size_t count, int key) {
    for (size_t i = 0; i < count; i++)
        if ((int)keys[i] == key) return true;
    return false;
}

/* Asked for with each request, so that they may change between two. */
static bool is_of_requests(int key) {
    static const enum vt_key keys[] = {VT_KEY_QUEUE_LENGTH, VT_KEY_MAX_BODY_BYTES, VT_KEY_MAX_BUFFERED_BYTES,
        VT_KEY_MAX_PICTURES, VT_KEY_MAX_FACES, VT_KEY_BODY_TIMEOUT, VT_KEY_REQUEST_TIMEOUT, VT_KEY_DRAIN_TIMEOUT,
        VT_KEY_CORS_ORIGIN, VT_KEY_API_KEYS, VT_KEY_ADMIN_KEY, VT_KEY_ACCESS_LOG, VT_KEY_SHOWN_VERSION,
        VT_KEY_DEFAULT_THRESHOLD, VT_KEY_DEFAULT_FACE_DATA, VT_KEY_DEFAULT_LANDMARKS, VT_KEY_DEFAULT_EMBEDDING,
        VT_KEY_DEFAULT_GENDERAGE, VT_KEY_DEFAULT_MASKS};
    return is_listed(keys, sizeof keys / sizeof *keys, key);
}

static bool is_of_models(int key) {
    static const enum vt_key keys[] = {VT_KEY_DETECTOR, VT_KEY_RECOGNISER, VT_KEY_GENDERAGE, VT_KEY_MASK_DETECTOR,
        VT_KEY_LIVENESS, VT_KEY_INPUT_SIZE, VT_KEY_PRECISION, VT_KEY_MAX_BATCH, VT_KEY_MAX_BATCH_DELAY_US};
    return is_listed(keys, sizeof keys / sizeof *keys, key);
}

static enum vultus_status check_keys(const struct vt_key_value *settings, struct vultus_error *error) {
    enum vultus_status status = vt_keys_check("api_keys", settings[VT_KEY_API_KEYS].text, error);
    return status ? status : vt_keys_check("admin_key", settings[VT_KEY_ADMIN_KEY].text, error);
}

/* Puts what was read of some keys in force, in `values`. With the lock. */
static void put_in_force(struct vt_server *server, const struct vt_configuration *read, bool (*is_taken)(int key),
    struct vt_key_value values[VT_KEY_COUNT]) {
    for (int k = 0; k < VT_KEY_COUNT; k++)
        values[k] = is_taken(k) ? read->values[k] : *vt_setting(server, (enum vt_key)k);
    atomic_store(&server->settings, values);
}

/* Says what has another value than now, and when that takes effect. */
static void tell_changes(const struct vt_server *server, const struct vt_configuration *read) {
    for (int k = 0; k < VT_KEY_COUNT; k++) {
        if (strcmp(vt_setting_string(server, (enum vt_key)k), read->values[k].text) == 0) continue;
        const char *name = vt_key_info((enum vt_key)k)->name;
        if (is_of_requests(k))
            vt_log(VT_LOG_INFO, "%s has another value from now on", name);
        else if (!is_of_models(k))
            vt_log(VT_LOG_WARN, "%s has another value now, which takes effect when the server is started again", name);
    }
}

/* Reads the settings, of which those for requests are in force then. NULL: failed. */
static struct vt_reloaded *read_settings(struct vt_server *server, struct vultus_error *error) {
    struct vt_reloaded *reloaded = calloc(1, sizeof *reloaded);
    enum vultus_status status = reloaded
                                    ? server->host->read_configuration(server->host->context, &reloaded->read, error)
                                    : vt_fail_memory(error, "settings", sizeof *reloaded);
    if (!status) status = check_keys(reloaded->read.values, error);
    if (!status) {
        tell_changes(server, &reloaded->read);
        put_in_force(server, &reloaded->read, is_of_requests, reloaded->for_requests);
        reloaded->older = server->reloaded;
        server->reloaded = reloaded;
        return reloaded;
    }
    if (reloaded) vt_configuration_fini(&reloaded->read);
    free(reloaded);
    return NULL;
}

/* Models that requests put in service are replaced by those of the settings too. */
static enum vultus_status change_models(
    struct vt_server *server, const struct vt_configuration *read, struct vultus_error *error) {
    struct vt_model_choice choice;
    struct vt_models *models = vt_models_take(server);
    enum vultus_status status = vt_model_choice_read(read->values, &choice, error);
    bool same = !status && memcmp(&choice, &models->choice, sizeof choice) == 0;
    vt_models_release(server, models);
    if (same) vt_log(VT_LOG_INFO, "the settings were read again; they name the models in service");
    if (status || same) return status;
    status = vt_models_change(server, &choice, error);
    if (!status) vt_log(VT_LOG_INFO, "the settings were read again; the models that they name are in service");
    return status;
}

static void run_reload(struct vt_work *work) {
    struct reload *reload = (struct reload *)work;
    struct vt_server *server = reload->server;
    struct vultus_error error;
    free(reload);
    pthread_mutex_lock(&server->reloading);
    struct vt_reloaded *reloaded = read_settings(server, &error);
    pthread_mutex_unlock(&server->reloading);
    if (!reloaded) {
        vt_count(&server->metrics, VT_EVENT_MODEL_FAILURES, 1);
        vt_log(VT_LOG_ERROR, "the settings and models in force stay: %s", error.text);
        return;
    }
    if (change_models(server, &reloaded->read, &error)) {
        vt_log(VT_LOG_ERROR, "the models in service stay: %s", error.text);
        return;
    }
    pthread_mutex_lock(&server->reloading);
    put_in_force(server, &reloaded->read, is_of_models, reloaded->for_models);
    pthread_mutex_unlock(&server->reloading);
}

enum vultus_status vt_reload_init(struct vt_server *server, struct vultus_error *error) {
    pthread_mutex_init(&server->reloading, NULL);
    return check_keys(vt_setting(server, (enum vt_key)0), error);
}

void vt_reload_end(struct vt_server *server) {
    while (server->reloaded) {
        struct vt_reloaded *reloaded = server->reloaded;
        server->reloaded = reloaded->older;
        vt_configuration_fini(&reloaded->read);
        free(reloaded);
    }
    pthread_mutex_destroy(&server->reloading);
}

void vt_reload(struct vt_server *server) {
    struct reload *reload = calloc(1, sizeof *reload);
    if (!reload) return;
    reload->work.run = run_reload;
    reload->server = server;
    if (!vt_workers_push(server->workers, &reload->flow, &reload->work)) free(reload);
}

/* ---------------------------------------------------------------- POST /v1/models/{role} */

static bool read_name(struct vt_request *request, char name[VT_MODEL_NAME]) {
    struct vt_value body;
    struct vt_json_problem why;
    struct vultus_error error;
    bool read = request->body_size > 0 &&
                !vt_value_from_json(&request->arena, request->body, request->body_size, &body, &why, &error);
    const struct vt_value *model = read ? vt_value_get(&body, "model") : NULL;
    if (!model || model->kind != VT_VALUE_TEXT || model->text.length >= VT_MODEL_NAME ||
        memchr(model->text.bytes, '\0', model->text.length)) {
        vt_request_fail(
            request, 422, "the body has to be {\"model\": NAME} with a name of less than %d characters", VT_MODEL_NAME);
        return false;
    }
    memcpy(name, model->text.bytes, model->text.length);
    name[model->text.length] = '\0';
    return true;
}

void vt_answer_v1_models(struct vt_request *request) {
    struct vt_server *server = request->server;
    char name[VT_MODEL_NAME];
    struct vultus_error error;
    enum vt_role role = vt_role_of_name(strrchr(request->path, '/') + 1);
    if (role == VT_ROLES)
        vt_request_fail(request, 404, "Not Found");
    else if (read_name(request, name)) {
        if (vt_models_change_role(server, role, name, &error))
            vt_request_fail(request, 422, "the models in service stay: %s", error.text);
        else {
            vt_strbuf_printf(&request->response.body, "{\"role\":\"%s\",\"model\":", vt_role_name(role));
            vt_write_json_text(&request->response.body, name, strlen(name));
            vt_strbuf_puts(&request->response.body, "}");
            vt_request_answer(request, 200, "application/json");
        }
    }
    vt_request_finish(request);
}
