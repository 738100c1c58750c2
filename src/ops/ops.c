/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

#include "ops/run.h"

static const struct vt_op_info op_infos[VT_OP_COUNT] = {
    [VT_OP_NONE] = {"none", 0, 0, 0},
#define VT_OP(e, name, least, most, outputs) [VT_OP_##e] = {name, least, most, outputs},
#include "ops/ops.inc"
#undef VT_OP
};

const struct vt_op_info *vt_op_info(enum vt_op op) { return &op_infos[(unsigned)op < VT_OP_COUNT ? op : VT_OP_NONE]; }

enum vt_op vt_op_from_name(const char *name) {
    for (int op = VT_OP_NONE + 1; op < VT_OP_COUNT; op++)
        if (strcmp(op_infos[op].name, name) == 0) return (enum vt_op)op;
    return VT_OP_NONE;
}

const struct vt_attr *vt_attr_find(const struct vt_attrs *attrs, const char *name, enum vt_attr_kind kind) {
    for (size_t i = 0; i < attrs->count; i++)
        if (attrs->items[i].kind == kind && strcmp(attrs->items[i].name, name) == 0) return &attrs->items[i];
    return NULL;
}

int64_t vt_attr_int(const struct vt_attrs *attrs, const char *name, int64_t fallback) {
    const struct vt_attr *attr = vt_attr_find(attrs, name, VT_ATTR_INT);
    return attr ? attr->i : fallback;
}

float vt_attr_float(const struct vt_attrs *attrs, const char *name, float fallback) {
    const struct vt_attr *attr = vt_attr_find(attrs, name, VT_ATTR_FLOAT);
    return attr ? attr->f : fallback;
}

const char *vt_attr_string(const struct vt_attrs *attrs, const char *name, const char *fallback) {
    const struct vt_attr *attr = vt_attr_find(attrs, name, VT_ATTR_STRING);
    return attr ? attr->s : fallback;
}

enum vt_dtype vt_dtype_from_onnx(int64_t number) {
    static const enum vt_dtype dtypes[] = {VT_DTYPE_NONE, VT_DTYPE_F32, VT_DTYPE_U8, VT_DTYPE_I8, VT_DTYPE_U16,
        VT_DTYPE_I16, VT_DTYPE_I32, VT_DTYPE_I64, VT_DTYPE_NONE, VT_DTYPE_BOOL, VT_DTYPE_F16, VT_DTYPE_F64,
        VT_DTYPE_U32, VT_DTYPE_U64, VT_DTYPE_NONE, VT_DTYPE_NONE, VT_DTYPE_BF16};
    return number >= 0 && number < (int64_t)(sizeof dtypes / sizeof *dtypes) ? dtypes[number] : VT_DTYPE_NONE;
}

const char *vt_activation_name(enum vt_activation activation) {
    static const char *const names[VT_ACT_COUNT] = {
        [VT_ACT_NONE] = "none",
        [VT_ACT_RELU] = "relu",
        [VT_ACT_LEAKY_RELU] = "leaky_relu",
        [VT_ACT_PRELU] = "prelu",
        [VT_ACT_CLIP] = "clip",
        [VT_ACT_SIGMOID] = "sigmoid",
        [VT_ACT_TANH] = "tanh",
        [VT_ACT_ELU] = "elu",
        [VT_ACT_HARD_SIGMOID] = "hard_sigmoid",
        [VT_ACT_HARD_SWISH] = "hard_swish",
    };
    return (unsigned)activation < VT_ACT_COUNT ? names[activation] : "unknown";
}

int vt_activation_parameters(enum vt_activation activation) {
    if (activation == VT_ACT_CLIP || activation == VT_ACT_HARD_SIGMOID) return 2;
    return activation == VT_ACT_LEAKY_RELU || activation == VT_ACT_ELU;
}

static enum vt_activation activation_attr(const struct vt_attrs *attrs, const char *name) {
    int64_t value = vt_attr_int(attrs, name, VT_ACT_NONE);
    return value >= 0 && value < VT_ACT_COUNT ? (enum vt_activation)value : VT_ACT_COUNT;
}

struct vt_tail vt_tail_from_attrs(const struct vt_attrs *attrs) {
    return (struct vt_tail){
        .act1 = activation_attr(attrs, "act1"),
        .act2 = activation_attr(attrs, "act2"),
        .act1_alpha = vt_attr_float(attrs, "act1_alpha", 0),
        .act1_beta = vt_attr_float(attrs, "act1_beta", 0),
        .act2_alpha = vt_attr_float(attrs, "act2_alpha", 0),
        .act2_beta = vt_attr_float(attrs, "act2_beta", 0),
    };
}

static double hard_sigmoid(double x, double alpha, double beta) {
    return vt_activate_f64(VT_ACT_CLIP, alpha * x + beta, 0, 1, 0);
}

double vt_activate_f64(enum vt_activation activation, double x, double alpha, double beta, double slope) {
    switch (activation) {
    case VT_ACT_RELU: return x < 0 ? 0 : x;
    case VT_ACT_LEAKY_RELU: return x < 0 ? x * alpha : x;
    case VT_ACT_PRELU: return x < 0 ? x * slope : x;
    case VT_ACT_CLIP: {
        double raised = x < alpha ? alpha : x;
        return raised > beta ? beta : raised;
    }
    case VT_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case VT_ACT_TANH: return tanh(x);
    case VT_ACT_ELU: return x < 0 ? alpha * expm1(x) : x;
    case VT_ACT_HARD_SIGMOID: return hard_sigmoid(x, alpha, beta);
    case VT_ACT_HARD_SWISH: return x * hard_sigmoid(x, 1.0 / 6, 0.5);
    case VT_ACT_NONE:
    case VT_ACT_COUNT: break;
    }
    return x;
}

float vt_activate(enum vt_activation activation, float x, float alpha, float beta, float slope) {
    return (float)vt_activate_f64(activation, x, alpha, beta, slope);
}
