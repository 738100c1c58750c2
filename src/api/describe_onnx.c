/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_internal.h"
#include "base/cpu.h"
#include "base/strbuf.h"
#include "compile/compile.h"
#include "face/recognise.h"
#include "pass/pass.h"

/* Free dims appear as text: ["batch", 3, "height", "width"]. */
static json_t *shape_json(const struct vt_value *value) {
    json_t *shape = json_array();
    for (int i = 0; i < value->rank; i++) {
        int64_t fixed;
        char text[128];
        json_array_append_new(shape, vt_dim_is_constant(value->dims[i], &fixed)
                                         ? json_integer(fixed)
                                         : vt_json_text(vt_dim_format(value->dims[i], text, sizeof text)));
    }
    return shape;
}

static json_t *values_json(struct vt_value *const *values, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            list, vt_api_tensor_json(values[i]->name, vt_dtype_name(values[i]->dtype), shape_json(values[i])));
    return list;
}

static json_t *operators_json(const struct vt_graph *graph) {
    size_t counts[VT_OP_COUNT] = {0};
    for (const struct vt_node *n = graph->first; n; n = n->next) counts[n->op]++;
    json_t *object = json_object();
    for (int op = 0; op < VT_OP_COUNT; op++)
        if (counts[op]) json_object_set_new(object, vt_op_info(op)->name, json_integer((json_int_t)counts[op]));
    return object;
}

static int64_t parameters(const struct vt_graph *graph) {
    int64_t total = 0;
    for (size_t i = 0; i < graph->n_values; i++)
        if (graph->values[i]->constant && graph->values[i]->uses) total += vt_tensor_count(graph->values[i]->constant);
    return total;
}

static json_t *dump_json(const struct vt_graph *graph) {
    struct vt_strbuf text = {0};
    vt_graph_dump(graph, &text);
    json_t *json = text.failed || !text.text ? json_string("") : vt_json_text(text.text);
    vt_strbuf_fini(&text);
    return json;
}

/* `e`: what the catalogue knows, or NULL. */
static const char *function_of(const struct vt_graph *graph, const struct vt_catalogue_entry *e, const char **origin) {
    *origin = e ? "catalogue" : "shapes";
    if (e) return e->function;
    enum { MOST = 16 };
    struct vt_tensor inputs[MOST], outputs[MOST];
    if (graph->n_inputs > MOST || graph->n_outputs > MOST) return "";
    for (size_t i = 0; i < graph->n_inputs + graph->n_outputs; i++) {
        bool input = i < graph->n_inputs;
        const struct vt_value *v = input ? graph->inputs[i] : graph->outputs[i - graph->n_inputs];
        struct vt_tensor *t = input ? &inputs[i] : &outputs[i - graph->n_inputs];
        *t = (struct vt_tensor){.dtype = v->dtype};
        if (vt_value_static_dims(v, t->dims)) t->rank = v->rank;
    }
    struct vt_plan_model model = {0};
    vt_recognise_function(inputs, graph->n_inputs, outputs, graph->n_outputs, &model);
    return model.function ? model.function : "";
}

static enum vultus_status describe(struct vultus_runtime *runtime, const struct vt_mapped_file *file, const char *path,
    struct vt_graph *graph, bool with_graph, json_t **out, struct vultus_error *error) {
    char sha256[VT_SHA256_HEX];
    enum vultus_status status = vt_sha256_hex(file->data, file->size, sha256, error);
    const struct vt_catalogue_entry *entry = NULL;
    if (!status) status = vt_graph_infer(graph, error);
    if (!status) status = vt_api_find_model(runtime, sha256, "", &entry, error);
    if (status) return status;
    json_t *object = json_pack("{s:s, s:o, s:s, s:I, s:o, s:I, s:I, s:o, s:o, s:o}", "kind", "onnx", "file",
        vt_json_text(path), "sha256", sha256, "opset", (json_int_t)graph->opset, "producer",
        vt_json_text(graph->producer ? graph->producer : ""), "nodes", (json_int_t)graph->n_nodes, "parameters",
        (json_int_t)parameters(graph), "inputs", values_json(graph->inputs, graph->n_inputs), "outputs",
        values_json(graph->outputs, graph->n_outputs), "operators", operators_json(graph));
    if (object && with_graph) json_object_set_new(object, "graph", dump_json(graph));
    struct vt_compile_options options = {0};
    status = vt_compile_bind(graph, &options, error);
    if (!status && object) {
        const char *origin, *function = function_of(graph, entry, &origin);
        json_object_set_new(object, "function", json_string(function));
        json_object_set_new(object, "function_origin", json_string(origin));
    }
    if (!status && with_graph) status = vt_pass_run_all(graph, error);
    if (status) {
        json_decref(object);
        return status;
    }
    if (object && with_graph) json_object_set_new(object, "optimised", dump_json(graph));
    *out = object;
    return VULTUS_OK;
}

enum vultus_status vt_api_describe_onnx(
    struct vultus_runtime *runtime, const char *path, bool with_graph, json_t **out, struct vultus_error *error) {
    struct vt_mapped_file file;
    struct vt_graph *graph = NULL;
    enum vultus_status status = vt_map_file(path, &file, error);
    if (status) return status;
    status = vt_api_read_onnx(&file, path, &graph, error);
    if (!status) status = describe(runtime, &file, path, graph, with_graph, out, error);
    vt_graph_destroy(graph);
    vt_unmap_file(&file);
    return status;
}
