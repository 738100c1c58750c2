/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_PASS_REWRITE_H
#define VT_PASS_REWRITE_H

/* What the passes share. Private to this room. */

#include "graph/graph.h"

/* One pass at work on a graph. */
struct vt_rewrite {
    struct vt_graph *graph;
    struct vt_arena scratch; /* dies with the pass */
    size_t changed;
    struct vultus_error *error;
};

/*
 * Looks at one node, rewrites what it matches and counts that in rewrite->changed. It may remove `node` and nodes
 * before it, never nodes behind it. What it makes has dtype and dims before the next node is looked at.
 */
typedef enum vultus_status vt_rewrite_rule(struct vt_rewrite *rewrite, struct vt_node *node);

/* Applies the rule to every node, front to back; infers all shapes anew when something changed. `changed` may be NULL.
 */
enum vultus_status vt_rewrite_graph(
    struct vt_graph *graph, vt_rewrite_rule *rule, size_t *changed, struct vultus_error *error);

enum vultus_status vt_rewrite_no_memory(const struct vt_rewrite *rewrite);

/* NULL when that optional input is missing. */
struct vt_value *vt_rewrite_input(const struct vt_node *node, size_t index);
/* Sets an input that the node may not have room for yet; false when out of memory. */
bool vt_rewrite_set_input(struct vt_rewrite *rewrite, struct vt_node *node, size_t index, struct vt_value *value);
/* Turns a node into another operator in place, its name and outputs stay; false when out of memory. */
bool vt_rewrite_node(struct vt_rewrite *rewrite, struct vt_node *node, enum vt_op op, struct vt_value *const *inputs,
    size_t n_inputs, struct vt_attrs attrs);

/* The tensor of a constant float32 value, NULL otherwise (and for NULL). */
const struct vt_tensor *vt_rewrite_f32(const struct vt_value *value);
/* The same with exactly `count` elements. */
const struct vt_tensor *vt_rewrite_f32_count(const struct vt_value *value, int64_t count);
/* A zeroed float32 constant whose content passes may write; NULL when out of memory. */
struct vt_value *vt_rewrite_new_f32(struct vt_rewrite *rewrite, const char *name, int rank, const int64_t *dims);
struct vt_value *vt_rewrite_new_vector(
    struct vt_rewrite *rewrite, const char *name, const double *values, int64_t count);
/* The content of a node's constant float32 input for writing: copied first unless it is the node's own. */
float *vt_rewrite_writable(struct vt_rewrite *rewrite, struct vt_node *node, size_t index);

bool vt_rewrite_same_dims(const struct vt_value *a, const struct vt_value *b);
/* Gives `value` the type and shape of `like`. */
void vt_rewrite_copy_type(struct vt_value *value, const struct vt_value *like);

/*
 * Whether a constant float32 that is broadcast to a shape of at least two axes varies at most along axis 1, and leaves
 * the shape as it is; its dims[1] values go to `values`.
 */
bool vt_rewrite_channel_values(const struct vt_value *constant, const int64_t *dims, int rank, double *values);

/* Reshape, Flatten, Squeeze and Unsqueeze: the elements keep their order. */
bool vt_rewrite_is_reshape(enum vt_op op);

/*
 * The activation that a node applies to its first input, its bounds constant; VT_ACT_NONE for any other node. A PRelu's
 * slope is still to be looked at.
 */
struct vt_rewrite_activation {
    enum vt_activation kind;
    float alpha, beta;
};
struct vt_rewrite_activation vt_rewrite_activation(const struct vt_node *node);

/* Turns Conv, ConvTranspose, Gemm and MatMul of constant weights into their fused forms in place; leaves others alone.
 */
enum vultus_status vt_rewrite_canonicalise(struct vt_rewrite *rewrite, struct vt_node *node);

#endif
