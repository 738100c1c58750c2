/* SPDX-License-Identifier: Apache-2.0 */
#include "tactics.h"

#include <jansson.h>
#include <string.h>

#include "base/file.h"
#include "base/status.h"
#include "base/strbuf.h"

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void append_head(struct vt_strbuf *out, const json_t *plan) {
    const json_t *key = json_object_get(plan, "key");
    vt_strbuf_printf(out, "Tactics of %s\n\n", vt_path_basename(text_of(plan, "file")));
    static const char *const fields[] = {"model_sha256", "precision", "backend", "arch", "cpu", "libraries", "build",
        "input_size", "max_batch", "threads"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        vt_strbuf_printf(out, "%-13s %s\n", fields[i], text_of(key, fields[i]));
    vt_strbuf_puts(out, "\nTimes are of a whole batch; * marks the choice at that size.\n");
}

/* "12: conv first, output 1x8x20x24, 0.21 MFLOP an item". */
static void append_step_head(struct vt_strbuf *out, size_t i, const json_t *step) {
    const json_t *shape = json_object_get(step, "output");
    vt_strbuf_printf(out, "\nstep %zu: %s %s, output ", i, text_of(step, "kind"), text_of(step, "name"));
    for (size_t d = 0; d < json_array_size(shape); d++)
        vt_strbuf_printf(out, d ? "x%lld" : "%lld", (long long)json_integer_value(json_array_get(shape, d)));
    double flops = json_real_value(json_object_get(step, "flops"));
    if (flops > 0) vt_strbuf_printf(out, ", %.3g MFLOP an item", flops * 1e-6);
    vt_strbuf_puts(out, "\n");
}

static void append_candidates(struct vt_strbuf *out, const json_t *step) {
    const json_t *candidates = json_object_get(step, "candidates");
    double flops = json_real_value(json_object_get(step, "flops"));
    vt_strbuf_printf(
        out, "    %5s  %-28s %-12s %-9s %12s %9s\n", "batch", "tactic", "class", "provider", "us", "GFLOP/s");
    for (size_t i = 0; i < json_array_size(candidates); i++) {
        const json_t *c = json_array_get(candidates, i);
        json_int_t batch = json_integer_value(json_object_get(c, "batch"));
        double us = json_real_value(json_object_get(c, "microseconds"));
        vt_strbuf_printf(out, "  %c %5lld  %-28s %-12s %-9s %12.2f",
            json_is_true(json_object_get(c, "chosen")) ? '*' : ' ', (long long)batch, text_of(c, "tactic"),
            text_of(c, "class"), text_of(c, "provider"), us);
        if (flops > 0 && us > 0)
            vt_strbuf_printf(out, " %9.1f\n", flops * (double)batch / us * 1e-3);
        else
            vt_strbuf_printf(out, " %9s\n", "-");
    }
}

static void append_step(struct vt_strbuf *out, size_t i, const json_t *step) {
    append_step_head(out, i, step);
    if (json_array_size(json_object_get(step, "candidates")) > 0) {
        append_candidates(out, step);
        return;
    }
    const json_t *only = json_array_get(json_object_get(step, "tactics"), 0);
    vt_strbuf_printf(out, "  not timed, %s (class %s, provider %s) is all there is\n", text_of(only, "tactic"),
        text_of(only, "class"), text_of(only, "provider"));
}

enum vultus_status vt_tactics_write(
    struct vultus_runtime *runtime, const char *plan, const char *path, struct vultus_error *error) {
    char *text;
    enum vultus_status status = vultus_describe(runtime, plan, false, &text, error);
    if (status < 0) return status;
    json_t *description = json_loads(text, 0, NULL);
    const json_t *steps = json_object_get(description, "steps");
    struct vt_strbuf out = {0};
    append_head(&out, description);
    for (size_t i = 0; i < json_array_size(steps); i++) append_step(&out, i, json_array_get(steps, i));
    if (!description || out.failed)
        status = vt_fail_memory(error, "the report of tactics", out.length);
    else
        status = vt_write_file_atomically(path, out.text, out.length, error);
    vt_strbuf_fini(&out);
    json_decref(description);
    vultus_free(text);
    return status;
}
