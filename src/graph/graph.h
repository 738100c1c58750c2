/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_GRAPH_GRAPH_H
#define VT_GRAPH_GRAPH_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"
#include "base/strbuf.h"
#include "graph/dim.h"
#include "ops/ops.h"
#include "tensor/tensor.h"

/* A tensor that flows: a graph input, a constant, or a node's output. */
struct vt_value {
    const char *name; /* unique in its graph, never NULL */
    enum vt_dtype dtype;
    int rank; /* -1 until inferred */
    const struct vt_dim *dims[VT_MAX_RANK];
    const struct vt_tensor *constant; /* its content when known at compile time, else NULL */
    /* Symbolic content of a small integer tensor (a shape on its way to Reshape): `n_elements` expressions, or NULL. */
    const struct vt_dim **elements;
    size_t n_elements;
    struct vt_node *producer; /* NULL for inputs and constants */
    size_t uses;              /* consuming node inputs plus graph outputs */
    size_t index;             /* scratch of whoever walks the graph */
    bool owned;               /* a constant made by a pass, which may rewrite it in place while it has one use */
};

struct vt_node {
    enum vt_op op;
    const char *name;
    struct vt_attrs attrs;
    struct vt_value **inputs; /* NULL entries are missing optional inputs */
    size_t n_inputs;
    struct vt_value **outputs;
    size_t n_outputs;
    struct vt_node *previous, *next; /* the graph's list, always in topological order */
    size_t index;                    /* scratch of whoever walks the graph */
};

/* A file beside the ONNX file that constants point into. */
struct vt_graph_file {
    const char *name;
    struct vt_mapped_file file;
    struct vt_graph_file *next;
};

/* A network. Everything it points to lives in its arena, in its files, or in the mapped ONNX file of constants. */
struct vt_graph {
    struct vt_arena arena;
    struct vt_graph_file *files; /* unmapped with the graph */
    const char *name, *producer;
    int64_t opset;
    struct vt_node *first, *last;
    size_t n_nodes;
    struct vt_value **inputs; /* constants excluded */
    size_t n_inputs;
    struct vt_value **outputs;
    size_t n_outputs;
    struct vt_value **values; /* all ever made, dead ones included */
    size_t n_values, values_capacity;
    struct vt_value **names; /* hash table of all values by name */
    size_t names_capacity, fresh_names;
};

/* `limit` bounds the arena's bytes, 0: no limit. */
enum vultus_status vt_graph_create(size_t limit, struct vt_graph **out, struct vultus_error *error);
void vt_graph_destroy(struct vt_graph *graph); /* NULL is fine */

/* Makers return NULL when the arena is exhausted. A NULL or taken name is replaced by a fresh one with that stem. */
struct vt_value *vt_graph_add_value(struct vt_graph *graph, const char *name);
struct vt_value *vt_graph_add_constant(struct vt_graph *graph, const char *name, const struct vt_tensor *content);
/* Makes a value that has no producer (any more) a constant; the data is not copied. False when out of memory. */
bool vt_graph_set_constant(struct vt_graph *graph, struct vt_value *value, const struct vt_tensor *content);
/* A constant float32 / int64 vector copied from `values`. */
struct vt_value *vt_graph_add_f32(struct vt_graph *graph, const char *name, const float *values, size_t count);
struct vt_value *vt_graph_add_i64(struct vt_graph *graph, const char *name, const int64_t *values, size_t count);
/*
 * Appends (before == NULL) or inserts; makes `n_outputs` fresh outputs when outputs is NULL, else takes values that
 * have no producer yet. Copies the arrays and what attributes point to, the data of tensors aside. A NULL name: the
 * operator's.
 */
struct vt_node *vt_graph_add_node(struct vt_graph *graph, struct vt_node *before, enum vt_op op, const char *name,
    struct vt_value *const *inputs, size_t n_inputs, struct vt_value *const *outputs, size_t n_outputs,
    const struct vt_attr *attrs, size_t n_attrs);

/* Appends to the graph's inputs / outputs; false when out of memory. */
bool vt_graph_add_input(struct vt_graph *graph, struct vt_value *value);
bool vt_graph_add_output(struct vt_graph *graph, struct vt_value *value);
/* The value of that name, dead ones included, or NULL. */
struct vt_value *vt_graph_find_value(const struct vt_graph *graph, const char *name);

/* Edits keep `uses` and `producer` true, and the order wherever `value` / `replacement` is produced before its new
 * users. */
void vt_graph_remove_node(struct vt_graph *graph, struct vt_node *node); /* its outputs must be unused */
void vt_graph_set_input(struct vt_node *node, size_t index, struct vt_value *value);
/*
 * Every use of `old`, as node input or graph output, becomes `replacement`; uses by the replacement's own producer
 * stay. Graph outputs keep their public names: the two values swap names. Where `replacement` is itself a graph input
 * or output, whose name is public too, the graph output stays `old`, which keeps that one use: so look at old->uses
 * before removing its producer.
 */
void vt_graph_replace_uses(struct vt_graph *graph, struct vt_value *old, struct vt_value *replacement);
/* Adds or overwrites one attribute; false when out of memory. */
bool vt_node_set_attr(struct vt_graph *graph, struct vt_node *node, struct vt_attr attr);
/* The only node that reads `value`, or NULL when it has another number of uses or is a graph output. */
struct vt_node *vt_value_only_user(const struct vt_graph *graph, const struct vt_value *value);
bool vt_graph_is_input(const struct vt_graph *graph, const struct vt_value *value);
bool vt_graph_is_output(const struct vt_graph *graph, const struct vt_value *value);

/* Whether all dims are constants; they go to dims[]. */
bool vt_value_static_dims(const struct vt_value *value, int64_t dims[VT_MAX_RANK]);

/* Sorts the list topologically; a cycle or a value without producer is an error naming a node. */
enum vultus_status vt_graph_sort(struct vt_graph *graph, struct vultus_error *error);

/*
 * Fixes input dims: every symbol or unknown dim of `input` at axis i becomes dims[i] where dims[i] > 0; a fixed dim
 * that contradicts is an error. A symbol that other input dims share is fixed there too. Follow with vt_graph_infer.
 */
enum vultus_status vt_graph_bind_input(
    struct vt_graph *graph, struct vt_value *input, const int64_t *dims, int rank, struct vultus_error *error);

/*
 * Computes dtype, rank, dims (symbolic where inputs are) and the symbolic content of shape tensors for every value,
 * front to back. Stored shapes of inner values are not trusted. An impossible shape is an error naming node and
 * operator.
 */
enum vultus_status vt_graph_infer(struct vt_graph *graph, struct vultus_error *error);
/* The same of one node, whose inputs were inferred before. Memory that runs out makes sizes unknown here. */
enum vultus_status vt_graph_infer_node(struct vt_graph *graph, const struct vt_node *node, struct vultus_error *error);

/* One line per node: "name = Op(inputs) {attrs} : dtype[dims]", inputs and outputs first; sets buffer->failed when out
 * of memory. */
void vt_graph_dump(const struct vt_graph *graph, struct vt_strbuf *buffer);

#endif
