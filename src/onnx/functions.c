/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions that a model defines, as PyTorch's dynamo exporter does: each call is replaced by the function's nodes.
 */
#include <string.h>

#include "base/checked.h"
#include "onnx/reader.h"

/* FunctionProto of onnx.proto3. */
enum function_field {
    FUNCTION_NAME = 1,
    FUNCTION_INPUT = 4,
    FUNCTION_OUTPUT = 5,
    FUNCTION_NODE = 7,
    FUNCTION_OPSET_IMPORT = 9,
    FUNCTION_DOMAIN = 10,
    FUNCTION_ATTRIBUTE_PROTO = 11,
    FUNCTION_OVERLOAD = 13,
};

enum { ATTRIBUTE_NAME = 1 };

#define MOST_FUNCTIONS 4096
#define DEEPEST_CALL 32
/* Bytes of bodies that all calls together may read: small functions called often, and no more. */
#define MOST_INLINED_BYTES ((size_t)256 << 20)

struct vt_onnx_function {
    const char *name, *domain, *overload;
    struct vt_pb body;
    struct vt_onnx_function *next;
};

/* A formal input or output, and what the call gave for it. */
struct binding {
    const char *name;
    struct vt_value *value; /* NULL: left out */
    bool produced;          /* outputs: some node of the body makes it */
};

/* One call while its body is read. */
struct vt_onnx_scope {
    const struct vt_onnx_function *function;
    const struct vt_onnx_node *call;
    const char *prefix; /* of the names of inner values, which no other call has */
    struct binding inputs[VT_ONNX_MOST_NODE_INPUTS], outputs[VT_ONNX_MOST_NODE_OUTPUTS];
    size_t n_inputs, n_outputs;
};

enum vultus_status vt_onnx_add_function(struct vt_onnx_reader *reader, struct vt_pb message) {
    struct vt_onnx_function *function = vt_arena_alloc(reader->arena, sizeof *function);
    struct vt_pb_field field;
    if (!function) return vt_onnx_memory_fail(reader);
    *function = (struct vt_onnx_function){"", "", "", message, reader->functions};
    if (++reader->n_functions > MOST_FUNCTIONS)
        return vt_onnx_fail(reader, VULTUS_ERROR_LIMIT, "the model defines more than %d functions", MOST_FUNCTIONS);
    enum vultus_status status;
    while (!(status = vt_pb_next(&message, &field)) && field.number) {
        if (field.number == FUNCTION_NAME) status = vt_pb_text(&field, reader->arena, &function->name);
        if (field.number == FUNCTION_DOMAIN) status = vt_pb_text(&field, reader->arena, &function->domain);
        if (field.number == FUNCTION_OVERLOAD) status = vt_pb_text(&field, reader->arena, &function->overload);
        if (status) break;
    }
    reader->functions = function;
    return status;
}

const struct vt_onnx_function *vt_onnx_find_function(
    const struct vt_onnx_reader *reader, const struct vt_onnx_node *node) {
    for (const struct vt_onnx_function *f = reader->functions; f; f = f->next)
        if (strcmp(f->name, node->operator_name) == 0 && strcmp(f->domain, node->domain) == 0 &&
            strcmp(f->overload, node->overload) == 0)
            return f;
    return NULL;
}

/* ------------------------------------------------------------ names inside a call */

static struct binding *find_binding(struct binding *bindings, size_t count, const char *name) {
    for (size_t i = 0; i < count; ++i)
        if (strcmp(bindings[i].name, name) == 0) return &bindings[i];
    return NULL;
}

static const char *inner_name(const struct vt_onnx_reader *reader, const char *name) {
    return vt_arena_printf(reader->arena, "%s%s", reader->scope->prefix, name);
}

enum vultus_status vt_onnx_find_value(
    const struct vt_onnx_reader *reader, const char *name, bool *known, struct vt_value **out) {
    struct vt_onnx_scope *scope = reader->scope;
    const struct binding *bound = scope ? find_binding(scope->inputs, scope->n_inputs, name) : NULL;
    if (scope && !bound) bound = find_binding(scope->outputs, scope->n_outputs, name);
    const char *full = scope && !bound ? inner_name(reader, name) : name;
    if (!full) return vt_onnx_memory_fail(reader);
    *out = bound ? bound->value : vt_graph_find_value(reader->graph, full);
    *known = bound || *out;
    return VULTUS_OK;
}

enum vultus_status vt_onnx_declare_value(struct vt_onnx_reader *reader, const char *name) {
    struct vt_onnx_scope *scope = reader->scope;
    struct binding *output = scope ? find_binding(scope->outputs, scope->n_outputs, name) : NULL;
    const char *full = scope ? inner_name(reader, name) : name;
    if (!full) return vt_onnx_memory_fail(reader);
    bool taken = output ? output->produced : vt_graph_find_value(reader->graph, full) != NULL;
    if (taken || (scope && find_binding(scope->inputs, scope->n_inputs, name)))
        return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT, "the name '%.100s' is given to two values", full);
    if (output) {
        output->produced = true;
        if (output->value) return VULTUS_OK;
        output->value = vt_graph_add_value(reader->graph, full); /* which the call leaves out */
        return output->value ? VULTUS_OK : vt_onnx_memory_fail(reader);
    }
    return vt_graph_add_value(reader->graph, full) ? VULTUS_OK : vt_onnx_memory_fail(reader);
}

/* ------------------------------------------------------------ attributes of a call */

/* Whether an AttributeProto has that name. */
static bool is_named(struct vt_pb attribute, const char *name) {
    struct vt_pb_field field;
    while (!vt_pb_next(&attribute, &field) && field.number) {
        size_t length = (size_t)(field.bytes.end - field.bytes.cursor);
        if (field.number != ATTRIBUTE_NAME || field.wire != VT_PB_BYTES) continue;
        return length == strlen(name) && memcmp(field.bytes.cursor, name, length) == 0;
    }
    return false;
}

/* A value of the function's own stands for itself: it is read outside of the call, and may not refer to others. */
static enum vultus_status read_default(
    struct vt_onnx_reader *reader, struct vt_pb message, struct vt_attr *out, bool *found) {
    struct vt_onnx_scope *scope = reader->scope;
    struct vt_onnx_node holder = *scope->call;
    holder.n_attrs = 0;
    reader->scope = NULL;
    enum vultus_status status = vt_onnx_read_attribute(reader, &holder, message);
    reader->scope = scope;
    *out = holder.attrs[0];
    *found = true;
    return status;
}

/* The function's own value of an attribute that the call leaves out. */
static enum vultus_status find_default(
    struct vt_onnx_reader *reader, const char *name, struct vt_attr *out, bool *found) {
    struct vt_pb body = reader->scope->function->body;
    struct vt_pb_field field;
    enum vultus_status status;
    while (!(status = vt_pb_next(&body, &field)) && field.number) {
        struct vt_pb message;
        if (field.number != FUNCTION_ATTRIBUTE_PROTO) continue;
        status = vt_pb_message(&field, &message);
        if (!status && is_named(message, name)) return read_default(reader, message, out, found);
        if (status) break;
    }
    return status;
}

enum vultus_status vt_onnx_refer_attribute(struct vt_onnx_reader *reader, const struct vt_onnx_node *node,
    const char *name, struct vt_attr *out, bool *found) {
    *found = false;
    if (!reader->scope)
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_FORMAT,
            "an attribute refers to '%.50s' of a function, and the node is in none", name);
    const struct vt_onnx_node *call = reader->scope->call;
    for (size_t i = 0; i < call->n_attrs && !*found; ++i) {
        if (strcmp(call->attrs[i].name, name) != 0) continue;
        *out = call->attrs[i];
        *found = true;
    }
    return *found ? VULTUS_OK : find_default(reader, name, out, found);
}

/* ------------------------------------------------------------ a call */

static enum vultus_status bind(struct vt_onnx_reader *reader, struct vt_onnx_scope *scope, struct vt_pb body) {
    const struct vt_onnx_node *call = scope->call;
    struct vt_pb_field field;
    enum vultus_status status;
    while (!(status = vt_pb_next(&body, &field)) && field.number) {
        bool is_input = field.number == FUNCTION_INPUT;
        size_t *count = is_input ? &scope->n_inputs : &scope->n_outputs,
               most = is_input ? VT_ONNX_MOST_NODE_INPUTS : VT_ONNX_MOST_NODE_OUTPUTS;
        if (!is_input && field.number != FUNCTION_OUTPUT) continue;
        if (*count == most)
            return vt_onnx_node_fail(reader, call, VULTUS_ERROR_LIMIT, "the function has more than %zu %s", most,
                is_input ? "inputs" : "outputs");
        struct binding *binding = is_input ? &scope->inputs[*count] : &scope->outputs[*count];
        status = vt_pb_text(&field, reader->arena, &binding->name);
        if (status) break;
        if (is_input)
            binding->value = *count < call->n_inputs ? call->inputs[*count] : NULL;
        else
            binding->value = *count < call->n_outputs ? call->outputs[*count] : NULL;
        ++*count;
    }
    if (!status && (call->n_inputs > scope->n_inputs || call->n_outputs > scope->n_outputs))
        status = vt_onnx_node_fail(reader, call, VULTUS_ERROR_FORMAT,
            "it has %zu inputs and %zu outputs, the function takes %zu and gives %zu", call->n_inputs, call->n_outputs,
            scope->n_inputs, scope->n_outputs);
    return status;
}

static enum vultus_status for_each_node(struct vt_onnx_reader *reader, struct vt_pb body, vt_onnx_part_reader *read) {
    struct vt_pb_field field;
    enum vultus_status status;
    while (!(status = vt_pb_next(&body, &field)) && field.number) {
        struct vt_pb message;
        if (field.number != FUNCTION_NODE) continue;
        status = vt_pb_message(&field, &message);
        if (!status) status = read(reader, message);
        if (status) break;
    }
    return status;
}

static enum vultus_status read_opsets(struct vt_onnx_reader *reader, struct vt_pb body) {
    struct vt_pb_field field;
    enum vultus_status status;
    while (!(status = vt_pb_next(&body, &field)) && field.number) {
        if (field.number == FUNCTION_OPSET_IMPORT) status = vt_onnx_read_opset(reader, &field);
        if (status) break;
    }
    return status;
}

/* An output that is an input, passed through, or that nothing makes. */
static enum vultus_status finish_outputs(struct vt_onnx_reader *reader, struct vt_onnx_scope *scope) {
    for (size_t i = 0; i < scope->n_outputs; ++i) {
        struct binding *output = &scope->outputs[i];
        struct binding *input = find_binding(scope->inputs, scope->n_inputs, output->name);
        if (output->produced || !output->value) continue;
        if (!input || !input->value)
            return vt_onnx_node_fail(reader, scope->call, VULTUS_ERROR_FORMAT,
                "no node of the function makes its output '%.100s'", output->name);
        if (!vt_graph_add_node(
                reader->graph, NULL, VT_OP_IDENTITY, scope->call->name, &input->value, 1, &output->value, 1, NULL, 0))
            return vt_onnx_memory_fail(reader);
    }
    return VULTUS_OK;
}

static enum vultus_status read_body(struct vt_onnx_reader *reader, struct vt_onnx_scope *scope) {
    struct vt_pb body = scope->function->body;
    enum vultus_status status = bind(reader, scope, body);
    if (!status) status = read_opsets(reader, body);
    if (!status) status = for_each_node(reader, body, vt_onnx_declare_outputs);
    if (!status) status = for_each_node(reader, body, vt_onnx_read_node);
    return status ? status : finish_outputs(reader, scope);
}

static enum vultus_status check_call(
    struct vt_onnx_reader *reader, const struct vt_onnx_node *call, const struct vt_onnx_function *function) {
    size_t size = (size_t)(function->body.end - function->body.cursor);
    if (reader->depth == DEEPEST_CALL)
        return vt_onnx_node_fail(
            reader, call, VULTUS_ERROR_LIMIT, "functions call each other more than %d deep", DEEPEST_CALL);
    if (reader->n_calls >= reader->most_nodes || size > MOST_INLINED_BYTES - reader->inlined_bytes)
        return vt_onnx_node_fail(reader, call, VULTUS_ERROR_LIMIT,
            "functions are called more than %zu times, or more than %zu bytes of them", reader->most_nodes,
            MOST_INLINED_BYTES);
    reader->n_calls++;
    reader->inlined_bytes += size;
    return VULTUS_OK;
}

enum vultus_status vt_onnx_inline(
    struct vt_onnx_reader *reader, const struct vt_onnx_node *call, const struct vt_onnx_function *function) {
    enum vultus_status status = check_call(reader, call, function);
    if (status) return status;
    struct vt_onnx_scope *outer = reader->scope, scope = {.function = function, .call = call};
    scope.prefix = vt_arena_printf(reader->arena, "%s/%zu/", function->name, reader->n_calls);
    if (!scope.prefix) return vt_onnx_memory_fail(reader);
    int64_t opset = reader->opset;
    reader->scope = &scope;
    reader->depth++;
    status = read_body(reader, &scope);
    reader->depth--;
    reader->scope = outer;
    reader->opset = opset;
    return status;
}
