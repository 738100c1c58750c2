/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "common.h"
#include "layers.h"
#include "tactics.h"

/* "conv:direct:avx512 x42, copy x3" -> {"conv:direct:avx512": 42, "copy": 3}. */
static json_t *tactics_object(const char *text) {
    json_t *object = json_object();
    char *copy = strdup(text), *rest = copy;
    for (char *item; copy && (item = strsep(&rest, ","));) {
        item += strspn(item, " ");
        char *count = strstr(item, " x");
        if (!count) continue;
        *count = '\0';
        if (json_object_set_new(object, item, json_integer(atoi(count + 2))) < 0) break;
    }
    free(copy);
    return object;
}

static int print_result(const struct vultus_build_result *r, const struct vt_layers *layers, bool json) {
    if (json) {
        json_t *object = json_pack("{s:o, s:I, s:o, s:b, s:s, s:i, s:o}", "path", vt_json_text(r->path), "bytes",
            (json_int_t)r->bytes, "seconds", vt_cli_json_rounded(r->seconds, 6), "cached", r->cached, "miss", r->miss,
            "steps", (int)r->steps, "tactics", tactics_object(r->tactics));
        if (object && layers && !vt_layers_add_json(layers, object)) {
            json_decref(object);
            object = NULL;
        }
        return vt_cli_json_print(object, true) ? VT_EXIT_OK : vt_cli_fail_memory();
    }
    printf("%s: %.1f MB, ", r->path, (double)r->bytes * 1e-6);
    if (r->cached)
        printf("found in %.1f ms", r->seconds * 1e3);
    else
        printf("built in %.2f s (%s)", r->seconds, r->miss);
    printf(", %u steps: %s\n", r->steps, r->tactics);
    if (layers) vt_layers_print(layers);
    return VT_EXIT_OK;
}

#define REPORT_SECONDS 1

/* Runs the plan once more, whole, since what was timed while building was every step by itself. */
static int print_report(
    struct vultus_runtime *runtime, const struct vultus_build_result *built, bool json, struct vultus_error *error) {
    struct vultus_session *session = NULL;
    struct vt_layers layers = {0};
    enum vultus_status status = vultus_session_open(runtime, built->path, NULL, &session, error);
    if (status == VULTUS_OK) status = vt_layers_time(session, 1, REPORT_SECONDS, &layers, error);
    int code = status < 0 ? vt_cli_fail(error) : print_result(built, &layers, json);
    vt_layers_fini(&layers);
    vultus_session_close(session);
    return code;
}

int vt_cli_build(const struct vt_options *options) {
    struct vultus_runtime *runtime = vt_cli_runtime(options);
    if (!runtime) return VT_EXIT_FAILURE;
    struct vt_cli_progress progress = {0};
    struct vultus_build_options build = vt_cli_build_options(options, options->operands[0], &progress);
    struct vultus_build_result result;
    struct vultus_error error;
    enum vultus_status status = vultus_build(runtime, options->operands[0], &build, &result, &error);
    vt_cli_progress_end(&progress);
    if (status == VULTUS_OK && options->tactics)
        status = vt_tactics_write(runtime, result.path, options->tactics, &error);
    int code = status < 0        ? vt_cli_fail(&error)
               : options->report ? print_report(runtime, &result, options->json, &error)
                                 : print_result(&result, NULL, options->json);
    vultus_runtime_destroy(runtime);
    return code;
}
