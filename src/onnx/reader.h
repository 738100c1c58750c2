/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_ONNX_READER_H
#define VT_ONNX_READER_H

/* Private to the ONNX reader. Field numbers are those of onnx.proto3 (onnx 1.17, IR version 10). */

#include <stdbool.h>

#include "onnx/onnx.h"
#include "onnx/protobuf.h"

#define VT_ONNX_OLDEST_OPSET 7
#define VT_ONNX_NEWEST_OPSET 22
#define VT_ONNX_MOST_NODE_INPUTS 64
#define VT_ONNX_MOST_NODE_OUTPUTS 64
#define VT_ONNX_MOST_ATTRIBUTES 64

/* A node whose meaning depends on shapes, settled when those are known (settle.c). */
struct vt_onnx_waiting {
    struct vt_node *node;
    struct vt_onnx_waiting *next;
};

/* An output beyond those we compute (a Dropout's mask): an error if anything reads it. */
struct vt_onnx_extra_output {
    const struct vt_value *value;
    const char *node, *operator_name;
    struct vt_onnx_extra_output *next;
};

/* A function that the model defines, and a call of one while it is read (functions.c). */
struct vt_onnx_function;
struct vt_onnx_scope;

struct vt_onnx_reader {
    struct vt_pb_source source;
    struct vt_graph *graph;
    struct vt_arena *arena; /* the graph's */
    size_t most_nodes;
    const char *folder; /* of external data, or NULL */
    size_t external_bytes, most_external_bytes;
    int64_t opset;
    struct vt_onnx_waiting *waiting;
    struct vt_onnx_function *functions;
    struct vt_onnx_scope *scope; /* NULL outside of functions */
    size_t n_functions, n_calls, depth, inlined_bytes;
    struct vt_onnx_extra_output *extra_outputs;
};

/* A NodeProto, decoded; mappers bring it to the newest opset's form before it becomes a graph node. */
struct vt_onnx_node {
    const char *name, *operator_name, *domain, *overload;
    enum vt_op op;
    struct vt_value *inputs[VT_ONNX_MOST_NODE_INPUTS];
    size_t n_inputs;
    struct vt_value *outputs[VT_ONNX_MOST_NODE_OUTPUTS];
    size_t n_outputs;
    struct vt_attr attrs[VT_ONNX_MOST_ATTRIBUTES];
    size_t n_attrs;
    size_t most_outputs; /* that are computed here; others may be named, not read */
    bool waits_for_shapes;
};

/* One sentence after the file's name. */
enum vultus_status vt_onnx_fail(const struct vt_onnx_reader *reader, enum vultus_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same after the file's, the node's and the operator's name. */
enum vultus_status vt_onnx_node_fail(const struct vt_onnx_reader *reader, const struct vt_onnx_node *node,
    enum vultus_status status, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The graph's arena is full. */
enum vultus_status vt_onnx_memory_fail(const struct vt_onnx_reader *reader);

typedef enum vultus_status vt_onnx_part_reader(struct vt_onnx_reader *reader, struct vt_pb message);

/* reader.c: an OperatorSetIdProto; that of the default domain becomes the reader's. */
enum vultus_status vt_onnx_read_opset(struct vt_onnx_reader *reader, const struct vt_pb_field *field);

/* functions.c: remembers a FunctionProto. */
enum vultus_status vt_onnx_add_function(struct vt_onnx_reader *reader, struct vt_pb message);
/* The function that a node calls, or NULL. */
const struct vt_onnx_function *vt_onnx_find_function(
    const struct vt_onnx_reader *reader, const struct vt_onnx_node *node);
/* The function's nodes in place of the call. */
enum vultus_status vt_onnx_inline(
    struct vt_onnx_reader *reader, const struct vt_onnx_node *call, const struct vt_onnx_function *function);
/* The value of that name where the reader is; *out is NULL when it is not known, or was left out by a call. */
enum vultus_status vt_onnx_find_value(
    const struct vt_onnx_reader *reader, const char *name, bool *known, struct vt_value **out);
/* Makes the value of a node's output. */
enum vultus_status vt_onnx_declare_value(struct vt_onnx_reader *reader, const char *name);
/* The attribute `name` of the call that is being read, or the function's own; its name is to be replaced. */
enum vultus_status vt_onnx_refer_attribute(
    struct vt_onnx_reader *reader, const struct vt_onnx_node *node, const char *name, struct vt_attr *out, bool *found);

/* external.c: `size` bytes at *data as the entries of a TensorProto's external_data say; the graph keeps the file. */
enum vultus_status vt_onnx_read_external(
    struct vt_onnx_reader *reader, struct vt_pb message, const char *tensor_name, size_t size, const uint8_t **data);

/* tensor.c: a TensorProto; `name` is the tensor's own, "" when missing. Points into the file where alignment allows. */
enum vultus_status vt_onnx_read_tensor(
    struct vt_onnx_reader *reader, struct vt_pb message, const char **name, struct vt_tensor *out);

/* value_info.c: a ValueInfoProto's name ("" when missing); its type and dims into `value`, a graph input. */
enum vultus_status vt_onnx_value_name(const struct vt_onnx_reader *reader, struct vt_pb message, const char **name);
enum vultus_status vt_onnx_read_value_type(
    const struct vt_onnx_reader *reader, struct vt_pb message, struct vt_value *value);

/* node.c: the names of a NodeProto's outputs become values of the graph. */
enum vultus_status vt_onnx_declare_outputs(struct vt_onnx_reader *reader, struct vt_pb message);
/* A NodeProto becomes a node (or, a Constant, a constant). */
enum vultus_status vt_onnx_read_node(struct vt_onnx_reader *reader, struct vt_pb message);

/* attributes.c */
enum vultus_status vt_onnx_read_attribute(
    struct vt_onnx_reader *reader, struct vt_onnx_node *node, struct vt_pb message);
/* Every attribute must be one that the operator has at this opset, of the right kind. */
enum vultus_status vt_onnx_check_attributes(const struct vt_onnx_reader *reader, const struct vt_onnx_node *node);

/* map.c: chooses node->op and rewrites older forms; a Constant becomes the content of its output and keeps VT_OP_NONE.
 */
enum vultus_status vt_onnx_map_node(struct vt_onnx_reader *reader, struct vt_onnx_node *node);
/* settle.c: after the graph is sorted. */
enum vultus_status vt_onnx_settle(struct vt_onnx_reader *reader);

#endif
