/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "onnx/reader.h"

enum attribute_field {
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_F = 2,
    ATTRIBUTE_I = 3,
    ATTRIBUTE_S = 4,
    ATTRIBUTE_T = 5,
    ATTRIBUTE_FLOATS = 7,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_TYPE = 20,
    ATTRIBUTE_REF_NAME = 21,
};

/* AttributeProto.AttributeType */
enum attribute_type { TYPE_FLOAT = 1, TYPE_INT, TYPE_STRING, TYPE_TENSOR, TYPE_GRAPH, TYPE_FLOATS, TYPE_INTS };

/* What each operator takes, and in which opsets (7 to 22) it has it. */
struct rule {
    const char *operator_name, *name;
    enum vt_attr_kind kind;
    int first, last;
};

static const struct rule rules[] = {
    {"Conv", "auto_pad", VT_ATTR_STRING, 7, 22},
    {"Conv", "dilations", VT_ATTR_INTS, 7, 22},
    {"Conv", "group", VT_ATTR_INT, 7, 22},
    {"Conv", "kernel_shape", VT_ATTR_INTS, 7, 22},
    {"Conv", "pads", VT_ATTR_INTS, 7, 22},
    {"Conv", "strides", VT_ATTR_INTS, 7, 22},
    {"Gemm", "alpha", VT_ATTR_FLOAT, 7, 22},
    {"Gemm", "beta", VT_ATTR_FLOAT, 7, 22},
    {"Gemm", "transA", VT_ATTR_INT, 7, 22},
    {"Gemm", "transB", VT_ATTR_INT, 7, 22},
    {"BatchNormalization", "epsilon", VT_ATTR_FLOAT, 7, 22},
    {"BatchNormalization", "momentum", VT_ATTR_FLOAT, 7, 22},
    {"BatchNormalization", "spatial", VT_ATTR_INT, 7, 8},
    {"BatchNormalization", "training_mode", VT_ATTR_INT, 14, 22},
    {"InstanceNormalization", "epsilon", VT_ATTR_FLOAT, 7, 22},
    {"GroupNormalization", "epsilon", VT_ATTR_FLOAT, 18, 22},
    {"GroupNormalization", "num_groups", VT_ATTR_INT, 18, 22},
    {"GroupNormalization", "stash_type", VT_ATTR_INT, 21, 22},
    {"LeakyRelu", "alpha", VT_ATTR_FLOAT, 7, 22},
    {"Clip", "min", VT_ATTR_FLOAT, 7, 10},
    {"Clip", "max", VT_ATTR_FLOAT, 7, 10},
    {"Softmax", "axis", VT_ATTR_INT, 7, 22},
    {"MaxPool", "auto_pad", VT_ATTR_STRING, 7, 22},
    {"MaxPool", "ceil_mode", VT_ATTR_INT, 10, 22},
    {"MaxPool", "dilations", VT_ATTR_INTS, 10, 22},
    {"MaxPool", "kernel_shape", VT_ATTR_INTS, 7, 22},
    {"MaxPool", "pads", VT_ATTR_INTS, 7, 22},
    {"MaxPool", "storage_order", VT_ATTR_INT, 7, 22},
    {"MaxPool", "strides", VT_ATTR_INTS, 7, 22},
    {"AveragePool", "auto_pad", VT_ATTR_STRING, 7, 22},
    {"AveragePool", "ceil_mode", VT_ATTR_INT, 10, 22},
    {"AveragePool", "count_include_pad", VT_ATTR_INT, 7, 22},
    {"AveragePool", "dilations", VT_ATTR_INTS, 19, 22},
    {"AveragePool", "kernel_shape", VT_ATTR_INTS, 7, 22},
    {"AveragePool", "pads", VT_ATTR_INTS, 7, 22},
    {"AveragePool", "strides", VT_ATTR_INTS, 7, 22},
    {"ReduceMean", "axes", VT_ATTR_INTS, 7, 17},
    {"ReduceMean", "keepdims", VT_ATTR_INT, 7, 22},
    {"ReduceMean", "noop_with_empty_axes", VT_ATTR_INT, 18, 22},
    {"ReduceSum", "axes", VT_ATTR_INTS, 7, 12},
    {"ReduceSum", "keepdims", VT_ATTR_INT, 7, 22},
    {"ReduceSum", "noop_with_empty_axes", VT_ATTR_INT, 13, 22},
    {"ReduceL2", "axes", VT_ATTR_INTS, 7, 17},
    {"ReduceL2", "keepdims", VT_ATTR_INT, 7, 22},
    {"ReduceL2", "noop_with_empty_axes", VT_ATTR_INT, 18, 22},
    {"Upsample", "mode", VT_ATTR_STRING, 7, 9},
    {"Upsample", "scales", VT_ATTR_FLOATS, 7, 8},
    {"Resize", "antialias", VT_ATTR_INT, 18, 22},
    {"Resize", "axes", VT_ATTR_INTS, 18, 22},
    {"Resize", "coordinate_transformation_mode", VT_ATTR_STRING, 11, 22},
    {"Resize", "cubic_coeff_a", VT_ATTR_FLOAT, 11, 22},
    {"Resize", "exclude_outside", VT_ATTR_INT, 11, 22},
    {"Resize", "extrapolation_value", VT_ATTR_FLOAT, 11, 22},
    {"Resize", "keep_aspect_ratio_policy", VT_ATTR_STRING, 18, 22},
    {"Resize", "mode", VT_ATTR_STRING, 10, 22},
    {"Resize", "nearest_mode", VT_ATTR_STRING, 11, 22},
    {"Reshape", "allowzero", VT_ATTR_INT, 14, 22},
    {"Flatten", "axis", VT_ATTR_INT, 7, 22},
    {"Transpose", "perm", VT_ATTR_INTS, 7, 22},
    {"Squeeze", "axes", VT_ATTR_INTS, 7, 12},
    {"Unsqueeze", "axes", VT_ATTR_INTS, 7, 12},
    {"Concat", "axis", VT_ATTR_INT, 7, 22},
    {"Slice", "axes", VT_ATTR_INTS, 7, 9},
    {"Slice", "ends", VT_ATTR_INTS, 7, 9},
    {"Slice", "starts", VT_ATTR_INTS, 7, 9},
    {"Gather", "axis", VT_ATTR_INT, 7, 22},
    {"Pad", "mode", VT_ATTR_STRING, 7, 22},
    {"Pad", "pads", VT_ATTR_INTS, 7, 10},
    {"Pad", "value", VT_ATTR_FLOAT, 7, 10},
    {"Shape", "start", VT_ATTR_INT, 15, 22},
    {"Shape", "end", VT_ATTR_INT, 15, 22},
    {"Cast", "to", VT_ATTR_INT, 7, 22},
    {"Cast", "saturate", VT_ATTR_INT, 19, 22},
    {"Constant", "value", VT_ATTR_TENSOR, 7, 22},
    {"Constant", "value_float", VT_ATTR_FLOAT, 12, 22},
    {"Constant", "value_floats", VT_ATTR_FLOATS, 12, 22},
    {"Constant", "value_int", VT_ATTR_INT, 12, 22},
    {"Constant", "value_ints", VT_ATTR_INTS, 12, 22},
    {"ConstantOfShape", "value", VT_ATTR_TENSOR, 7, 22},
    {"Dropout", "ratio", VT_ATTR_FLOAT, 7, 11},
    {"Dropout", "seed", VT_ATTR_INT, 12, 22},
    {"ConvTranspose", "auto_pad", VT_ATTR_STRING, 7, 22},
    {"ConvTranspose", "dilations", VT_ATTR_INTS, 7, 22},
    {"ConvTranspose", "group", VT_ATTR_INT, 7, 22},
    {"ConvTranspose", "kernel_shape", VT_ATTR_INTS, 7, 22},
    {"ConvTranspose", "output_padding", VT_ATTR_INTS, 7, 22},
    {"ConvTranspose", "output_shape", VT_ATTR_INTS, 7, 22},
    {"ConvTranspose", "pads", VT_ATTR_INTS, 7, 22},
    {"ConvTranspose", "strides", VT_ATTR_INTS, 7, 22},
    {"LayerNormalization", "axis", VT_ATTR_INT, 17, 22},
    {"LayerNormalization", "epsilon", VT_ATTR_FLOAT, 17, 22},
    {"LayerNormalization", "stash_type", VT_ATTR_INT, 17, 22},
    {"LpNormalization", "axis", VT_ATTR_INT, 7, 22},
    {"LpNormalization", "p", VT_ATTR_INT, 7, 22},
    {"Elu", "alpha", VT_ATTR_FLOAT, 7, 22},
    {"HardSigmoid", "alpha", VT_ATTR_FLOAT, 7, 22},
    {"HardSigmoid", "beta", VT_ATTR_FLOAT, 7, 22},
    {"Gelu", "approximate", VT_ATTR_STRING, 20, 22},
    {"ReduceMax", "axes", VT_ATTR_INTS, 7, 17},
    {"ReduceMax", "keepdims", VT_ATTR_INT, 7, 22},
    {"ReduceMax", "noop_with_empty_axes", VT_ATTR_INT, 18, 22},
    {"ReduceMin", "axes", VT_ATTR_INTS, 7, 17},
    {"ReduceMin", "keepdims", VT_ATTR_INT, 7, 22},
    {"ReduceMin", "noop_with_empty_axes", VT_ATTR_INT, 18, 22},
    {"Split", "axis", VT_ATTR_INT, 7, 22},
    {"Split", "split", VT_ATTR_INTS, 7, 12},
    {"Split", "num_outputs", VT_ATTR_INT, 18, 22},
    {"ArgMax", "axis", VT_ATTR_INT, 7, 22},
    {"ArgMax", "keepdims", VT_ATTR_INT, 7, 22},
    {"ArgMax", "select_last_index", VT_ATTR_INT, 12, 22},
    {"TopK", "axis", VT_ATTR_INT, 7, 22},
    {"TopK", "k", VT_ATTR_INT, 7, 9},
    {"TopK", "largest", VT_ATTR_INT, 11, 22},
    {"TopK", "sorted", VT_ATTR_INT, 11, 22},
    {"QuantizeLinear", "axis", VT_ATTR_INT, 13, 22},
    {"QuantizeLinear", "block_size", VT_ATTR_INT, 21, 22},
    {"QuantizeLinear", "output_dtype", VT_ATTR_INT, 21, 22},
    {"QuantizeLinear", "saturate", VT_ATTR_INT, 19, 22},
    {"DequantizeLinear", "axis", VT_ATTR_INT, 13, 22},
    {"DequantizeLinear", "block_size", VT_ATTR_INT, 21, 22},
    {"CastLike", "saturate", VT_ATTR_INT, 19, 22},
};

static const char *kind_name(enum vt_attr_kind kind) {
    static const char *const names[] = {[VT_ATTR_INT] = "an integer",
        [VT_ATTR_FLOAT] = "a float",
        [VT_ATTR_STRING] = "a string",
        [VT_ATTR_INTS] = "integers",
        [VT_ATTR_FLOATS] = "floats",
        [VT_ATTR_TENSOR] = "a tensor"};
    return names[kind];
}

static enum vultus_status check_attribute(
    const struct vt_onnx_reader *reader, const struct vt_onnx_node *node, const struct vt_attr *attr) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; ++i) {
        const struct rule *rule = &rules[i];
        if (strcmp(rule->operator_name, node->operator_name) != 0 || strcmp(rule->name, attr->name) != 0) continue;
        if (reader->opset < rule->first || reader->opset > rule->last)
            return vt_onnx_node_fail(reader, node, VULTUS_ERROR_FORMAT,
                "attribute '%.50s' exists in opsets %d to %d, the model uses opset %lld", attr->name, rule->first,
                rule->last, (long long)reader->opset);
        if (attr->kind == rule->kind) return VULTUS_OK;
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_FORMAT, "attribute '%.50s' holds %s instead of %s",
            attr->name, kind_name(attr->kind), kind_name(rule->kind));
    }
    return vt_onnx_node_fail(reader, node, VULTUS_ERROR_UNSUPPORTED, "attribute '%.50s' is not known", attr->name);
}

enum vultus_status vt_onnx_check_attributes(const struct vt_onnx_reader *reader, const struct vt_onnx_node *node) {
    for (size_t i = 0; i < node->n_attrs; ++i) {
        enum vultus_status status = check_attribute(reader, node, &node->attrs[i]);
        for (size_t k = 0; !status && k < i; ++k)
            if (strcmp(node->attrs[k].name, node->attrs[i].name) == 0)
                status = vt_onnx_node_fail(
                    reader, node, VULTUS_ERROR_FORMAT, "attribute '%.50s' is given twice", node->attrs[i].name);
        if (status) return status;
    }
    return VULTUS_OK;
}

static enum vultus_status read_tensor_attribute(
    struct vt_onnx_reader *reader, const struct vt_pb_field *field, const struct vt_tensor **out) {
    struct vt_pb message;
    const char *name;
    struct vt_tensor *tensor = vt_arena_alloc(reader->arena, sizeof *tensor);
    if (!tensor) return vt_onnx_memory_fail(reader);
    enum vultus_status status = vt_pb_message(field, &message);
    if (!status) status = vt_onnx_read_tensor(reader, message, &name, tensor);
    *out = tensor;
    return status;
}

/* Decides by `type`, which says what the attribute holds, whatever other fields there are. */
static enum vultus_status set_kind(
    const struct vt_onnx_reader *reader, const struct vt_onnx_node *node, struct vt_attr *attr, int64_t type) {
    switch (type) {
    case TYPE_FLOAT: attr->kind = VT_ATTR_FLOAT; return VULTUS_OK;
    case TYPE_INT: attr->kind = VT_ATTR_INT; return VULTUS_OK;
    case TYPE_STRING: attr->kind = VT_ATTR_STRING; return VULTUS_OK;
    case TYPE_TENSOR: attr->kind = VT_ATTR_TENSOR; return VULTUS_OK;
    case TYPE_FLOATS: attr->kind = VT_ATTR_FLOATS; return VULTUS_OK;
    case TYPE_INTS: attr->kind = VT_ATTR_INTS; return VULTUS_OK;
    case TYPE_GRAPH:
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_UNSUPPORTED,
            "attribute '%.50s' holds a subgraph; control flow is not supported", attr->name);
    default:
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_UNSUPPORTED,
            "attribute '%.50s' is of type %lld, which is not supported", attr->name, (long long)type);
    }
}

/* What an AttributeProto holds before its type is known. */
struct attribute {
    const char *name, *text, *referred; /* referred: the name of a function's attribute to take, or "" */
    int64_t type, integer;
    float real;
    const struct vt_tensor *tensor;
};

static enum vultus_status read_fields(struct vt_onnx_reader *reader, struct vt_pb message, struct attribute *out) {
    struct vt_pb_field field;
    enum vultus_status status;
    while (!(status = vt_pb_next(&message, &field)) && field.number) {
        switch (field.number) {
        case ATTRIBUTE_NAME: status = vt_pb_text(&field, reader->arena, &out->name); break;
        case ATTRIBUTE_F: status = vt_pb_float(&field, &out->real); break;
        case ATTRIBUTE_I: status = vt_pb_int(&field, &out->integer); break;
        case ATTRIBUTE_S: status = vt_pb_text(&field, reader->arena, &out->text); break;
        case ATTRIBUTE_T: status = read_tensor_attribute(reader, &field, &out->tensor); break;
        case ATTRIBUTE_TYPE: status = vt_pb_int(&field, &out->type); break;
        case ATTRIBUTE_REF_NAME: status = vt_pb_text(&field, reader->arena, &out->referred); break;
        default: break;
        }
        if (status) break;
    }
    return status;
}

/* The newest attribute becomes that of the call; one that nobody gives is as if it were not there. */
static enum vultus_status take_referred(
    struct vt_onnx_reader *reader, struct vt_onnx_node *node, const struct attribute *raw) {
    struct vt_attr *attr = &node->attrs[node->n_attrs - 1];
    bool found;
    enum vultus_status status = vt_onnx_refer_attribute(reader, node, raw->referred, attr, &found);
    attr->name = raw->name;
    if (!status && !found) node->n_attrs--;
    return status;
}

enum vultus_status vt_onnx_read_attribute(
    struct vt_onnx_reader *reader, struct vt_onnx_node *node, struct vt_pb message) {
    if (node->n_attrs == VT_ONNX_MOST_ATTRIBUTES)
        return vt_onnx_node_fail(
            reader, node, VULTUS_ERROR_LIMIT, "there are more than %d attributes", VT_ONNX_MOST_ATTRIBUTES);
    struct attribute raw = {.name = "", .text = "", .referred = ""};
    struct vt_attr *attr = &node->attrs[node->n_attrs++];
    enum vultus_status status = read_fields(reader, message, &raw);
    if (!status && *raw.referred) return take_referred(reader, node, &raw);
    *attr = (struct vt_attr){.name = raw.name};
    if (!status) status = set_kind(reader, node, attr, raw.type);
    if (status) return status;
    struct vt_pb_numbers numbers = {0};
    switch (attr->kind) {
    case VT_ATTR_INT: attr->i = raw.integer; break;
    case VT_ATTR_FLOAT: attr->f = raw.real; break;
    case VT_ATTR_STRING: attr->s = raw.text; break;
    case VT_ATTR_TENSOR:
        attr->tensor = raw.tensor;
        if (!raw.tensor)
            return vt_onnx_node_fail(reader, node, VULTUS_ERROR_FORMAT, "attribute '%.50s' lacks its tensor", raw.name);
        break;
    case VT_ATTR_INTS:
        status = vt_pb_numbers(&message, ATTRIBUTE_INTS, VT_PB_VARINT, reader->arena, &numbers);
        attr->ints = numbers.items;
        break;
    case VT_ATTR_FLOATS:
        status = vt_pb_numbers(&message, ATTRIBUTE_FLOATS, VT_PB_FIXED32, reader->arena, &numbers);
        attr->floats = numbers.items;
        break;
    }
    attr->count = numbers.count;
    return status;
}
