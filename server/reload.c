/* SPDX-License-Identifier: Apache-2.0 */
#include "reload.h"

#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "base/log.h"
#include "server_internal.h"
#include "value.h"

/* ---------------------------------------------------------------- SIGHUP */

struct reload {
    struct vt_work work;
    struct vt_flow flow;
    struct vt_server *server;
};

static bool is_of_models(int key) {
    static const enum vt_key keys[] = {VT_KEY_DETECTOR, VT_KEY_RECOGNISER, VT_KEY_GENDERAGE, VT_KEY_MASK_DETECTOR,
        VT_KEY_LIVENESS, VT_KEY_INPUT_SIZE, VT_KEY_PRECISION, VT_KEY_MAX_BATCH, VT_KEY_MAX_BATCH_DELAY_US};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if ((int)keys[i] == key) return true;
    return false;
}

static void tell_what_waits(const struct vt_configuration *now, const struct vt_configuration *read) {
    for (int k = 0; k < VT_KEY_COUNT; k++)
        if (!is_of_models(k) && strcmp(now->values[k].text, read->values[k].text) != 0)
            vt_log(VT_LOG_WARN, "%s has another value now, which takes effect when the server is started again",
                vt_key_info((enum vt_key)k)->name);
}

/* Models that requests put in service are replaced by those of the settings too. */
static enum vultus_status apply(
    struct vt_server *server, const struct vt_configuration *read, struct vultus_error *error) {
    struct vt_model_choice choice;
    struct vt_models *models = vt_models_take(server);
    enum vultus_status status = vt_model_choice_read(read, &choice, error);
    bool same = !status && memcmp(&choice, &models->choice, sizeof choice) == 0;
    vt_models_release(server, models);
    tell_what_waits(server->configuration, read);
    if (same) vt_log(VT_LOG_INFO, "the settings were read again; they name the models in service");
    if (status || same) return status;
    status = vt_models_change(server, &choice, error);
    if (!status) vt_log(VT_LOG_INFO, "the settings were read again; the models that they name are in service");
    return status;
}

static void run_reload(struct vt_work *work) {
    struct reload *reload = (struct reload *)work;
    struct vt_server *server = reload->server;
    struct vt_configuration read = {0};
    struct vultus_error error;
    enum vultus_status status = server->host->read_configuration(server->host->context, &read, &error);
    if (status)
        vt_count(&server->metrics, VT_EVENT_MODEL_FAILURES, 1);
    else
        status = apply(server, &read, &error);
    if (status) vt_log(VT_LOG_ERROR, "the models in service stay: %s", error.text);
    vt_configuration_fini(&read);
    free(reload);
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
