/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_OPS_OPS_H
#define VT_OPS_OPS_H

#include "base/arena.h"
#include "base/status.h"
#include "tensor/tensor.h"

enum vt_op {
    VT_OP_NONE,
#define VT_OP(e, name, least, most, outputs) VT_OP_##e,
#include "ops/ops.inc"
#undef VT_OP
    VT_OP_COUNT
};

struct vt_op_info {
    const char *name;
    int least_inputs, most_inputs, most_outputs;
};
const struct vt_op_info *vt_op_info(enum vt_op op);
enum vt_op vt_op_from_name(const char *name); /* VT_OP_NONE when unknown */

enum vt_attr_kind { VT_ATTR_INT, VT_ATTR_FLOAT, VT_ATTR_STRING, VT_ATTR_INTS, VT_ATTR_FLOATS, VT_ATTR_TENSOR };

/* One attribute. Names are ONNX's; memory belongs to whoever made the attribute (a graph's arena, a plan). */
struct vt_attr {
    const char *name;
    enum vt_attr_kind kind;
    size_t count; /* of ints or floats */
    union {
        int64_t i;
        float f;
        const char *s;
        const int64_t *ints;
        const float *floats;
        const struct vt_tensor *tensor;
    };
};

struct vt_attrs {
    const struct vt_attr *items;
    size_t count;
};

/* The attribute of that name and kind, or NULL / the fallback. */
const struct vt_attr *vt_attr_find(const struct vt_attrs *attrs, const char *name, enum vt_attr_kind kind);
int64_t vt_attr_int(const struct vt_attrs *attrs, const char *name, int64_t fallback);
float vt_attr_float(const struct vt_attrs *attrs, const char *name, float fallback);
const char *vt_attr_string(const struct vt_attrs *attrs, const char *name, const char *fallback);

/*
 * ONNX's number of an element type (onnx.proto, TensorProto.DataType), as Cast's attribute `to` holds it;
 * VT_DTYPE_NONE when unknown.
 */
enum vt_dtype vt_dtype_from_onnx(int64_t number);

/* Activations a tail can hold; the order is written into plan files. */
enum vt_activation {
    VT_ACT_NONE,
    VT_ACT_RELU,
    VT_ACT_LEAKY_RELU, /* alpha: slope below 0 */
    VT_ACT_PRELU,      /* slope per channel */
    VT_ACT_CLIP,       /* to [alpha, beta] */
    VT_ACT_SIGMOID,
    VT_ACT_TANH,
    VT_ACT_ELU,          /* alpha: what negative numbers go to, negated */
    VT_ACT_HARD_SIGMOID, /* alpha * x + beta, to [0, 1] */
    VT_ACT_HARD_SWISH,   /* x times hard sigmoid with 1/6 and 1/2 */
    VT_ACT_COUNT
};
const char *vt_activation_name(enum vt_activation activation);
/* How many of alpha and beta it has, alpha first. */
int vt_activation_parameters(enum vt_activation activation);

/*
 * What happens to a step's result before it is stored: y = act2(act1(result + bias) + residual).
 * Attributes of the same names carry it on graph nodes: act1, act1_alpha, act1_beta, act2, act2_alpha, act2_beta.
 */
struct vt_tail {
    enum vt_activation act1, act2; /* act2 is never PRELU */
    float act1_alpha, act1_beta, act2_alpha, act2_beta;
};
/* An unknown activation becomes VT_ACT_COUNT, which vt_op_run refuses. */
struct vt_tail vt_tail_from_attrs(const struct vt_attrs *attrs);
float vt_activate(enum vt_activation activation, float x, float alpha, float beta, float slope);

/* The spatial attributes of convolutions and poolings, defaults and auto_pad resolved. */
struct vt_window {
    int64_t kernel[2], stride[2], dilation[2];
    int64_t pad[4]; /* top, left, bottom, right */
    int64_t group;
    bool ceil_mode, count_include_pad;
};
/*
 * Reads kernel_shape (or `weight_dims` + 2 of a convolution), strides, dilations, pads, auto_pad, group, ceil_mode for
 * a 4-D input of spatial size in[2], checks every value, and writes the output's spatial size.
 */
enum vultus_status vt_window_resolve(const struct vt_attrs *attrs, const int64_t *weight_dims, const int64_t in[2],
    struct vt_window *window, int64_t out[2], struct vultus_error *error);

/* The same of a ConvTranspose, whose weight is [C, M/group, kh, kw]; output_shape and output_padding count. */
enum vultus_status vt_window_resolve_transposed(const struct vt_attrs *attrs, const int64_t *weight_dims,
    const int64_t in[2], struct vt_window *window, int64_t out[2], struct vultus_error *error);

/*
 * Runs one operator on dense tensors: plain C, slow, right, and deterministic (sums run in double, in index order).
 * Every shape and attribute is checked. Missing optional inputs are NULL. Outputs are allocated from the arena.
 * This is the oracle of all tests and the CPU back end's last resort.
 */
struct vt_op_call {
    enum vt_op op;
    struct vt_attrs attrs;
    const struct vt_tensor *const *inputs;
    size_t n_inputs;
    struct vt_tensor *outputs;
    size_t n_outputs;
    struct vt_arena *arena;
};
enum vultus_status vt_op_run(const struct vt_op_call *call, struct vultus_error *error);

#endif
