/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

#define DEFAULT_ARENA_BYTES ((size_t)256 << 20)
#define DEFAULT_NODES 65536
#define DEFAULT_EXTERNAL_BYTES ((size_t)4 << 30)
#define MOST_INPUTS 1024 /* and outputs, of the graph: looked up one after the other */
#define OLDEST_IR_VERSION 3
#define PROBED_FIELDS 4

enum model_field {
    MODEL_IR_VERSION = 1,
    MODEL_PRODUCER_NAME = 2,
    MODEL_GRAPH = 7,
    MODEL_OPSET_IMPORT = 8,
    MODEL_FUNCTIONS = 25,
};

enum opset_field { OPSET_DOMAIN = 1, OPSET_VERSION = 2 };

enum graph_field {
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_SPARSE_INITIALIZER = 15,
};

enum vultus_status vt_onnx_fail(
    const struct vt_onnx_reader *reader, enum vultus_status status, const char *format, ...) {
    char reason[VULTUS_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return vt_fail(reader->source.error, status, "%.100s: %.400s", reader->source.name, reason);
}

enum vultus_status vt_onnx_node_fail(const struct vt_onnx_reader *reader, const struct vt_onnx_node *node,
    enum vultus_status status, const char *format, ...) {
    char reason[VULTUS_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return vt_onnx_fail(reader, status, "node '%.100s' (%.50s): %.220s", node->name, node->operator_name, reason);
}

enum vultus_status vt_onnx_memory_fail(const struct vt_onnx_reader *reader) {
    return vt_onnx_fail(
        reader, VULTUS_ERROR_MEMORY, "the graph exceeds the memory limit of %zu bytes", reader->arena->limit);
}

static enum vultus_status read_initializer(struct vt_onnx_reader *reader, struct vt_pb message) {
    const char *name;
    struct vt_tensor tensor;
    enum vultus_status status = vt_onnx_read_tensor(reader, message, &name, &tensor);
    if (status) return status;
    if (!*name) return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT, "an initializer has no name");
    if (vt_graph_find_value(reader->graph, name))
        return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT, "the name '%.100s' is given to two initializers", name);
    return vt_graph_add_constant(reader->graph, name, &tensor) ? VULTUS_OK : vt_onnx_memory_fail(reader);
}

/* Files from before IR version 4 list initializers among the inputs. */
static enum vultus_status read_graph_input(struct vt_onnx_reader *reader, struct vt_pb message) {
    const char *name;
    struct vt_graph *graph = reader->graph;
    enum vultus_status status = vt_onnx_value_name(reader, message, &name);
    if (status) return status;
    struct vt_value *value = vt_graph_find_value(graph, name);
    if (value && value->constant) return VULTUS_OK;
    if (value || !*name)
        return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT, "an input has no name of its own but '%.100s'", name);
    if (graph->n_inputs == MOST_INPUTS)
        return vt_onnx_fail(reader, VULTUS_ERROR_LIMIT, "the graph has more than %d inputs", MOST_INPUTS);
    value = vt_graph_add_value(graph, name);
    if (!value || !vt_graph_add_input(graph, value)) return vt_onnx_memory_fail(reader);
    return vt_onnx_read_value_type(reader, message, value);
}

static enum vultus_status read_graph_output(struct vt_onnx_reader *reader, struct vt_pb message) {
    const char *name;
    struct vt_graph *graph = reader->graph;
    enum vultus_status status = vt_onnx_value_name(reader, message, &name);
    if (status) return status;
    struct vt_value *value = vt_graph_find_value(graph, name);
    if (!value)
        return vt_onnx_fail(
            reader, VULTUS_ERROR_FORMAT, "output '%.100s' is not provided by any node, input or constant", name);
    if (vt_graph_is_output(graph, value))
        return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT, "output '%.100s' is listed twice", name);
    if (graph->n_outputs == MOST_INPUTS)
        return vt_onnx_fail(reader, VULTUS_ERROR_LIMIT, "the graph has more than %d outputs", MOST_INPUTS);
    return vt_graph_add_output(graph, value) ? VULTUS_OK : vt_onnx_memory_fail(reader);
}

static enum vultus_status read_graph_name(struct vt_onnx_reader *reader, const struct vt_pb_field *field) {
    return vt_pb_text(field, reader->arena, &reader->graph->name);
}

static enum vultus_status refuse_sparse(struct vt_onnx_reader *reader, struct vt_pb message) {
    (void)message;
    return vt_onnx_fail(reader, VULTUS_ERROR_UNSUPPORTED, "the graph has sparse initializers, which are not supported");
}

/* Calls `read` for every field `number` of the graph. */
static enum vultus_status for_each(
    struct vt_onnx_reader *reader, struct vt_pb graph, uint32_t number, vt_onnx_part_reader *read) {
    struct vt_pb_field field;
    enum vultus_status status;
    while (!(status = vt_pb_next(&graph, &field)) && field.number) {
        struct vt_pb message;
        if (field.number != number) continue;
        status = vt_pb_message(&field, &message);
        if (!status) status = read(reader, message);
        if (status) break;
    }
    return status;
}

static enum vultus_status check_extra_outputs(const struct vt_onnx_reader *reader) {
    for (const struct vt_onnx_extra_output *extra = reader->extra_outputs; extra; extra = extra->next)
        if (extra->value->uses)
            return vt_onnx_fail(reader, VULTUS_ERROR_UNSUPPORTED,
                "node '%.100s' (%.50s): its secondary output '%.100s' is used, which is not supported", extra->node,
                extra->operator_name, extra->value->name);
    return VULTUS_OK;
}

/* All names exist before nodes are read, so that nodes may come in any order and our own constants take no name. */
static enum vultus_status read_graph(struct vt_onnx_reader *reader, struct vt_pb graph) {
    struct vt_pb copy = graph;
    struct vt_pb_field field;
    enum vultus_status status;
    while (!(status = vt_pb_next(&copy, &field)) && field.number) {
        if (field.number == GRAPH_NAME) status = read_graph_name(reader, &field);
        if (status) break;
    }
    if (!status) status = for_each(reader, graph, GRAPH_SPARSE_INITIALIZER, refuse_sparse);
    if (!status) status = for_each(reader, graph, GRAPH_INITIALIZER, read_initializer);
    if (!status) status = for_each(reader, graph, GRAPH_INPUT, read_graph_input);
    if (!status) status = for_each(reader, graph, GRAPH_NODE, vt_onnx_declare_outputs);
    if (!status) status = for_each(reader, graph, GRAPH_NODE, vt_onnx_read_node);
    if (!status) status = for_each(reader, graph, GRAPH_OUTPUT, read_graph_output);
    if (!status) status = check_extra_outputs(reader);
    if (status) return status;
    if (!reader->graph->n_outputs) return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT, "the graph has no outputs");
    struct vultus_error reason = {0};
    status = vt_graph_sort(reader->graph, &reason);
    return status ? vt_onnx_fail(reader, status, "%s", reason.text) : VULTUS_OK;
}

enum vultus_status vt_onnx_read_opset(struct vt_onnx_reader *reader, const struct vt_pb_field *field) {
    struct vt_pb message;
    struct vt_pb_field part;
    const char *domain = "";
    int64_t version = 0;
    enum vultus_status status = vt_pb_message(field, &message);
    while (!status && !(status = vt_pb_next(&message, &part)) && part.number) {
        if (part.number == OPSET_DOMAIN) status = vt_pb_text(&part, reader->arena, &domain);
        if (part.number == OPSET_VERSION) status = vt_pb_int(&part, &version);
    }
    if (status || (*domain && strcmp(domain, "ai.onnx") != 0)) return status;
    if (version < VT_ONNX_OLDEST_OPSET || version > VT_ONNX_NEWEST_OPSET)
        return vt_onnx_fail(reader, VULTUS_ERROR_UNSUPPORTED, "opset %lld is outside %d to %d, the versions supported",
            (long long)version, VT_ONNX_OLDEST_OPSET, VT_ONNX_NEWEST_OPSET);
    reader->opset = version;
    return VULTUS_OK;
}

static enum vultus_status read_model_field(
    struct vt_onnx_reader *reader, const struct vt_pb_field *field, int64_t *ir_version, struct vt_pb *graph) {
    switch (field->number) {
    case MODEL_IR_VERSION: return vt_pb_int(field, ir_version);
    case MODEL_PRODUCER_NAME: return vt_pb_text(field, reader->arena, &reader->graph->producer);
    case MODEL_OPSET_IMPORT: return vt_onnx_read_opset(reader, field);
    case MODEL_GRAPH:
        if (graph->source) return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT, "the model has two graphs");
        return vt_pb_message(field, graph);
    case MODEL_FUNCTIONS: {
        struct vt_pb message;
        enum vultus_status status = vt_pb_message(field, &message);
        return status ? status : vt_onnx_add_function(reader, message);
    }
    default: return VULTUS_OK;
    }
}

static enum vultus_status read_model(struct vt_onnx_reader *reader) {
    struct vt_pb message = vt_pb_whole(&reader->source), graph = {0};
    struct vt_pb_field field;
    int64_t ir_version = 0;
    enum vultus_status status;
    while (!(status = vt_pb_next(&message, &field)) && field.number) {
        status = read_model_field(reader, &field, &ir_version, &graph);
        if (status) break;
    }
    if (status) return status;
    if (!graph.source || ir_version < OLDEST_IR_VERSION)
        return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT,
            "this is no ONNX model: it has %s and IR version %lld (at least %d is needed)",
            graph.source ? "a graph" : "no graph", (long long)ir_version, OLDEST_IR_VERSION);
    if (!reader->opset)
        return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT, "the model does not say which opset its operators are of");
    reader->graph->opset = reader->opset;
    return read_graph(reader, graph);
}

static size_t arena_limit(const struct vt_onnx_limits *limits, size_t file_size) {
    size_t limit;
    if (limits && limits->arena_bytes) return limits->arena_bytes;
    return vt_add_size(DEFAULT_ARENA_BYTES, file_size, &limit) ? limit : SIZE_MAX;
}

enum vultus_status vt_onnx_read(const uint8_t *bytes, size_t size, const char *name,
    const struct vt_onnx_limits *limits, struct vt_graph **out, struct vultus_error *error) {
    struct vt_onnx_reader reader = {
        .source = {.bytes = bytes, .size = size, .name = name, .error = error},
        .most_nodes = limits && limits->nodes ? limits->nodes : DEFAULT_NODES,
        .most_external_bytes = limits && limits->external_bytes ? limits->external_bytes : DEFAULT_EXTERNAL_BYTES,
        .folder = limits ? limits->folder : NULL,
    };
    enum vultus_status status = vt_graph_create(arena_limit(limits, size), &reader.graph, error);
    if (status) return status;
    reader.arena = &reader.graph->arena;
    status = read_model(&reader);
    if (!status) status = vt_onnx_settle(&reader);
    if (status) {
        vt_graph_destroy(reader.graph);
        return status;
    }
    *out = reader.graph;
    return VULTUS_OK;
}

/* The wire types of ModelProto's fields 1 to 8; -1 for a number the schema does not have there. */
static bool plausible_model_field(const struct vt_pb_field *field) {
    static const int wires[] = {
        [1] = VT_PB_VARINT, VT_PB_BYTES, VT_PB_BYTES, VT_PB_BYTES, VT_PB_VARINT, VT_PB_BYTES, VT_PB_BYTES, VT_PB_BYTES};
    size_t count = sizeof wires / sizeof *wires;
    if (!field->number) return false;
    return field->number < count ? (int)field->wire == wires[field->number] : field->number <= MODEL_FUNCTIONS;
}

bool vt_onnx_probe(const uint8_t *bytes, size_t size) {
    const struct vt_pb_source source = {.bytes = bytes, .size = size, .name = "", .error = NULL};
    struct vt_pb message = vt_pb_whole(&source);
    struct vt_pb_field field;
    for (int i = 0; i < PROBED_FIELDS; ++i) {
        if (vt_pb_next(&message, &field)) return i > 0 && plausible_model_field(&field); /* cut off, or a huge graph */
        if (!field.number) return i > 1;
        if (!plausible_model_field(&field)) return false;
        bool is_version = field.number == MODEL_IR_VERSION && field.value >= 1 && field.value < 100;
        if (i == 0 && !is_version) return false;
    }
    return true;
}
