/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/status.h"
#include "common.h"

/* "[1,64,56,56]". */
static const char *shape_text(const json_t *shape, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(shape) && used < size; i++)
        used += (size_t)snprintf(
            text + used, size - used, "%s%lld", i ? "," : "[", (long long)json_integer_value(json_array_get(shape, i)));
    if (used < size) snprintf(text + used, size - used, "%s", used ? "]" : "[]");
    return text;
}

/* What was timed, batch by batch, the winner marked: "batch 1: winograd4 12.1*, direct 14.0 us". */
static void print_candidates(const json_t *candidates) {
    json_int_t batch = -1;
    for (size_t i = 0; i < json_array_size(candidates); i++) {
        const json_t *c = json_array_get(candidates, i);
        json_int_t its_batch = json_integer_value(json_object_get(c, "batch"));
        if (its_batch != batch)
            printf("%s           batch %lld: ", i ? " us\n" : "", (long long)its_batch);
        else
            fputs(", ", stdout);
        batch = its_batch;
        printf("%s %.1f%s", json_string_value(json_object_get(c, "tactic")),
            json_real_value(json_object_get(c, "microseconds")), json_is_true(json_object_get(c, "chosen")) ? "*" : "");
    }
    if (batch != -1) puts(" us");
}

static void print_steps(const json_t *steps) {
    printf("steps: %zu (times are of the candidates, * marks the chosen)\n", json_array_size(steps));
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *step = json_array_get(steps, i), *tactics = json_object_get(step, "tactics");
        char shape[128];
        printf("  %4zu %-10s %-20s ", i, json_string_value(json_object_get(step, "kind")),
            shape_text(json_object_get(step, "output"), shape, sizeof shape));
        for (size_t t = 0; t < json_array_size(tactics); t++)
            printf("%s%s", t ? ", " : "", json_string_value(json_object_get(json_array_get(tactics, t), "tactic")));
        printf("  %s\n", json_string_value(json_object_get(step, "name")));
        print_candidates(json_object_get(step, "candidates"));
    }
}

/* Steps of a plan come last, a line each; the rest is listed as it is. */
static void print_for_people(const char *json) {
    json_t *description = json_loads(json, 0, NULL), *steps = json_incref(json_object_get(description, "steps"));
    json_object_del(description, "steps");
    vt_cli_json_for_people(description);
    if (steps) print_steps(steps);
    json_decref(steps);
    json_decref(description);
}

static int print_json(char *json, bool as_json) {
    if (as_json)
        puts(json);
    else
        print_for_people(json);
    vultus_free(json);
    return VT_EXIT_OK;
}

/* Leaves only the network wanted of a description that has it as read and, of a model, optimised. */
static enum vultus_status keep_graph(char **json, const char *wanted, struct vultus_error *error) {
    json_t *description = json_loads(*json, 0, NULL);
    bool model = json_object_get(description, "optimised") != NULL;
    if (description && !model && strcmp(wanted, "before") == 0) {
        json_decref(description);
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "a plan holds the network after optimisation only; ask its ONNX model for --graph=before");
    }
    if (model) json_object_del(description, strcmp(wanted, "before") == 0 ? "optimised" : "graph");
    char *kept = description ? json_dumps(description, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(description);
    if (!kept) return vt_fail_memory(error, "a description", strlen(*json));
    vultus_free(*json);
    *json = kept;
    return VULTUS_OK;
}

int vt_cli_info(const struct vt_options *options) {
    struct vultus_runtime *runtime = vt_cli_runtime(options);
    if (!runtime) return VT_EXIT_FAILURE;
    struct vultus_error error;
    char *json = NULL;
    const char *graph = options->graph_of;
    enum vultus_status status = vultus_describe(runtime, options->operands[0], graph != NULL, &json, &error);
    if (status == VULTUS_OK && graph && *graph) status = keep_graph(&json, graph, &error);
    int code = status < 0 ? vt_cli_fail(&error) : print_json(json, options->json);
    if (status < 0) vultus_free(json);
    vultus_runtime_destroy(runtime);
    return code;
}

int vt_cli_doctor(const struct vt_options *options) {
    struct vultus_runtime *runtime = vt_cli_runtime(options);
    if (!runtime) return VT_EXIT_FAILURE;
    struct vultus_error error;
    char *json;
    int code = vultus_doctor(runtime, &json, &error) < 0 ? vt_cli_fail(&error) : print_json(json, options->json);
    vultus_runtime_destroy(runtime);
    return code;
}
