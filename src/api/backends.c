/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "api/api_internal.h"
#include "base/log.h"

/* A back end that was never installed is worth a warning only to whoever asked for it. */
static void tell(const struct vultus_runtime *runtime) {
    for (size_t i = 0; i < runtime->choice.n_skipped; i++) {
        const struct vt_backend_skipped *skipped = &runtime->choice.skipped[i];
        bool expected = skipped->absent && runtime->order_is_default;
        vt_log(expected ? VT_LOG_INFO : VT_LOG_WARN, "back end %s is skipped: %s", skipped->name, skipped->reason);
    }
}

enum vultus_status vt_api_choose_backend(
    struct vultus_runtime *runtime, struct vt_backend_choice *out, struct vultus_error *error) {
    pthread_mutex_lock(&runtime->choice_lock);
    if (!runtime->chosen) {
        vt_backend_choose(&runtime->order, &runtime->choice);
        runtime->chosen = true;
        tell(runtime);
    }
    *out = runtime->choice;
    pthread_mutex_unlock(&runtime->choice_lock);
    if (out->backend && (!runtime->strict || out->n_skipped == 0)) return VULTUS_OK;
    char skipped[VULTUS_ERROR_TEXT];
    vt_backend_describe_skipped(out, skipped, sizeof skipped);
    if (out->backend)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "back end %s comes first, and falling back to %s is not allowed (strict): %.320s", runtime->order.names[0],
            out->backend->name, skipped);
    return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "none of the back ends asked for can be used: %.400s", skipped);
}

enum vultus_status vultus_choose_backend(
    struct vultus_runtime *runtime, struct vultus_backends *out, struct vultus_error *error) {
    _Static_assert(VULTUS_MOST_BACKENDS == VT_MOST_BACKENDS, "both sides have as many back ends");
    struct vt_backend_choice choice;
    if (!runtime || !out)
        return vt_fail(error, VULTUS_ERROR_INVALID, "vultus_choose_backend needs a runtime and a place for the answer");
    enum vultus_status status = vt_api_choose_backend(runtime, &choice, error);
    if (status) return status;
    *out = (struct vultus_backends){
        .used = choice.backend->name, .n_order = runtime->order.count, .n_skipped = choice.n_skipped};
    memcpy(out->order, runtime->order.names, sizeof out->order);
    /* The runtime's own texts, which stay as they are. */
    for (size_t i = 0; i < choice.n_skipped; i++) {
        out->skipped[i].name = runtime->choice.skipped[i].name;
        out->skipped[i].reason = runtime->choice.skipped[i].reason;
    }
    return VULTUS_OK;
}

json_t *vt_api_order_json(struct vultus_runtime *runtime) {
    struct vt_backend_choice choice;
    enum vultus_status status = vt_api_choose_backend(runtime, &choice, NULL);
    json_t *order = json_array(), *skipped = json_array();
    for (size_t i = 0; i < runtime->order.count; i++)
        json_array_append_new(order, json_string(runtime->order.names[i]));
    for (size_t i = 0; i < choice.n_skipped; i++)
        json_array_append_new(
            skipped, json_pack("{s:s, s:s}", "name", choice.skipped[i].name, "reason", choice.skipped[i].reason));
    return json_pack("{s:o, s:b, s:s?, s:o}", "order", order, "strict", (int)runtime->strict, "used",
        status ? NULL : choice.backend->name, "skipped", skipped);
}
