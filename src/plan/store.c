/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/store.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/strbuf.h"

char *vt_store_default_directory(struct vultus_error *error) {
    return vt_user_folder("plans", "VULTUS_PLANS", "XDG_CACHE_HOME", ".cache", error);
}

char *vt_store_plan_name(const char *model, const char *precision, const char *arch, const char *input_size,
    int64_t max_batch, int threads) {
    struct vt_strbuf name = {0};
    vt_strbuf_printf(&name, "%s-%s-%s", model, precision, arch);
    if (input_size) vt_strbuf_printf(&name, "-%s", input_size);
    if (max_batch > 0) vt_strbuf_printf(&name, "-b%lld", (long long)max_batch);
    if (threads > 0) vt_strbuf_printf(&name, "-t%d", threads);
    vt_strbuf_puts(&name, ".plan");
    return vt_strbuf_take(&name);
}

enum vt_store_outcome vt_store_look_up(
    const char *path, const struct vt_plan_key *wanted, char *reason, size_t reason_size) {
    struct vultus_error error;
    struct vt_plan_key found;
    const char *text, *wanted_text;
    if (reason_size) reason[0] = '\0';
    enum vultus_status status = vt_plan_read_key(path, &found, &error);
    if (status == VULTUS_ERROR_NOT_FOUND) {
        snprintf(reason, reason_size, "no plan yet");
        return VT_STORE_MISSING;
    }
    if (status) {
        snprintf(reason, reason_size, "%s", error.text);
        return VT_STORE_BROKEN;
    }
    const char *field = vt_plan_key_difference(&found, wanted, &text, &wanted_text);
    if (!field) return VT_STORE_HIT;
    snprintf(reason, reason_size, "%s differs: %s, wanted %s", field, text, wanted_text);
    return VT_STORE_DIFFERS;
}
