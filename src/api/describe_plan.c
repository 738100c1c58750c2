/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_internal.h"
#include "base/strbuf.h"

static json_t *shape_json(const struct vt_plan_value *v) {
    json_t *shape = json_array();
    for (int i = 0; i < v->rank; i++) json_array_append_new(shape, json_integer(v->dims[i]));
    return shape;
}

/* Shapes are those of one item: a batch of N runs the plan for N of them. */
static json_t *values_json(const struct vt_plan *plan, const uint32_t *ids, uint32_t n) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++) {
        const struct vt_plan_value *v = &plan->values[ids[i]];
        json_array_append_new(list, vt_api_tensor_json(v->name, vt_dtype_name(v->dtype), shape_json(v)));
    }
    return list;
}

static json_t *key_json(const struct vt_plan_key *key) {
    json_t *object = json_object();
#define X(field) json_object_set_new(object, #field, json_string(key->field));
    VT_PLAN_KEY_FIELDS(X)
#undef X
    return object;
}

static json_t *triple(const float v[3]) { return json_pack("[f,f,f]", (double)v[0], (double)v[1], (double)v[2]); }

static json_t *model_json(const struct vt_plan_model *m) {
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "name", m->name, "function", m->function, "origin",
        m->origin, "licence", m->licence, "channels", m->channels, "mean", triple(m->mean), "std", triple(m->std));
}

const char *vt_api_step_op(const struct vt_plan_step *step) {
    return step->kind == VT_STEP_REFERENCE ? vt_op_info(step->op)->name : vt_step_name(step->kind);
}

struct vt_tactic_info vt_api_describe_tactic(const struct vt_plan *plan, const char *tactic) {
    const struct vt_backend *backend = vt_backend_find(plan->key.backend);
    struct vt_tactic_info info;
    return backend && backend->describe_tactic && backend->describe_tactic(tactic, &info)
               ? info
               : (struct vt_tactic_info){"", ""};
}

static json_t *choices_json(const struct vt_plan *plan, const struct vt_plan_step *step) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < step->n_choices; i++) {
        const struct vt_tactic_choice *choice = &step->choices[i];
        struct vt_tactic_info info = vt_api_describe_tactic(plan, choice->tactic);
        json_array_append_new(list, json_pack("{s:I, s:s, s:s, s:s}", "max_batch", (json_int_t)choice->max_batch,
                                        "tactic", choice->tactic, "class", info.class, "provider", info.provider));
    }
    return list;
}

/* What the compiler timed for step `i`: every candidate at every timed batch. */
static json_t *candidates_json(const struct vt_plan *plan, uint32_t i) {
    json_t *list = json_array();
    for (uint32_t t = 0; t < plan->n_times; t++) {
        const struct vt_tactic_time *time = &plan->times[t];
        if (time->step != i) continue;
        struct vt_tactic_info info = vt_api_describe_tactic(plan, time->tactic);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:f, s:b}", "tactic", time->tactic, "class",
                                        info.class, "provider", info.provider, "batch", (json_int_t)time->batch,
                                        "microseconds", (double)time->microseconds, "chosen", (int)time->chosen));
    }
    return list;
}

static json_t *steps_json(const struct vt_plan *plan) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        const struct vt_plan_step *s = &plan->steps[i];
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:o, s:f, s:o, s:o}", "name", s->name, "kind", vt_api_step_op(s), "output",
                      shape_json(&plan->values[s->outputs[0]]), "flops", vt_plan_step_flops(plan, s), "tactics",
                      choices_json(plan, s), "candidates", candidates_json(plan, i)));
    }
    return list;
}

static void append_value(struct vt_strbuf *text, const struct vt_plan *plan, uint32_t id) {
    if (id == VT_PLAN_NONE) {
        vt_strbuf_puts(text, "-");
        return;
    }
    const struct vt_plan_value *v = &plan->values[id];
    vt_strbuf_printf(text, "%%%u", id);
    if (v->storage == VT_STORAGE_CONSTANT) return;
    vt_strbuf_puts(text, "[");
    for (int i = 0; i < v->rank; i++) vt_strbuf_printf(text, i ? ",%lld" : "%lld", (long long)v->dims[i]);
    vt_strbuf_puts(text, "]");
    if (v->layout != VT_LAYOUT_PLAIN)
        vt_strbuf_printf(text, "%s%d+%d,%d,%d,%d%s", v->layout == VT_LAYOUT_CHANNELS_LAST ? "last" : "c", v->block,
            v->pad[0], v->pad[1], v->pad[2], v->pad[3], v->border == VT_PLAN_NONE ? "" : "b");
}

/* One line a step: "%12[1,64,56,56]c16+1,1,1,1 = conv(%10[...], ...) name". */
static json_t *graph_json(const struct vt_plan *plan) {
    struct vt_strbuf text = {0};
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        const struct vt_plan_step *s = &plan->steps[i];
        append_value(&text, plan, s->outputs[0]);
        vt_strbuf_printf(&text, " = %s(", vt_step_name(s->kind));
        for (uint32_t j = 0; j < s->n_inputs; j++) {
            if (j) vt_strbuf_puts(&text, ", ");
            append_value(&text, plan, s->inputs[j]);
        }
        vt_strbuf_printf(&text, ") %s  # %s\n", s->choices[0].tactic, s->name);
    }
    json_t *json = text.failed || !text.text ? json_string("") : vt_json_text(text.text);
    vt_strbuf_fini(&text);
    return json;
}

json_t *vt_api_describe_plan(const struct vt_plan *plan, const char *path, bool with_graph) {
    json_t *object = json_pack("{s:s, s:o, s:i, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:f, s:o}", "kind", "plan", "file",
        vt_json_text(path), "format_version", VT_PLAN_FORMAT_VERSION, "model", model_json(&plan->model), "key",
        key_json(&plan->key), "inputs", values_json(plan, plan->inputs, plan->n_inputs), "outputs",
        values_json(plan, plan->outputs, plan->n_outputs), "max_batch", (json_int_t)plan->max_batch, "weights_bytes",
        (json_int_t)plan->weights_bytes, "arena_bytes", (json_int_t)plan->arena_bytes, "build_seconds",
        (double)plan->build_seconds, "steps", steps_json(plan));
    if (object && with_graph) json_object_set_new(object, "graph", graph_json(plan));
    return object;
}
