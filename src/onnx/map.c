/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "onnx/reader.h"

typedef enum vultus_status mapper(struct vt_onnx_reader *reader, struct vt_onnx_node *node);

static struct vt_attr *find_attr(struct vt_onnx_node *node, const char *name) {
    for (size_t i = 0; i < node->n_attrs; ++i)
        if (strcmp(node->attrs[i].name, name) == 0) return &node->attrs[i];
    return NULL;
}

static void drop_attr(struct vt_onnx_node *node, const char *name) {
    struct vt_attr *attr = find_attr(node, name);
    if (!attr) return;
    struct vt_attr *end = node->attrs + node->n_attrs--;
    memmove(attr, attr + 1, (size_t)(end - attr - 1) * sizeof *attr);
}

static enum vultus_status add_string(
    const struct vt_onnx_reader *reader, struct vt_onnx_node *node, const char *name, const char *text) {
    if (node->n_attrs == VT_ONNX_MOST_ATTRIBUTES)
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_LIMIT, "there are too many attributes");
    node->attrs[node->n_attrs++] = (struct vt_attr){.name = name, .kind = VT_ATTR_STRING, .s = text};
    return VULTUS_OK;
}

static bool has_input(const struct vt_onnx_node *node, size_t index) {
    return index < node->n_inputs && node->inputs[index];
}

/* Sets an input, with missing ones before it where there are none. */
static enum vultus_status set_input(
    const struct vt_onnx_reader *reader, struct vt_onnx_node *node, size_t index, struct vt_value *value) {
    if (!value) return vt_onnx_memory_fail(reader);
    if (has_input(node, index))
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_FORMAT,
            "input %zu does not exist in opset %lld, where an attribute holds it", index, (long long)reader->opset);
    while (node->n_inputs <= index) node->inputs[node->n_inputs++] = NULL;
    node->inputs[index] = value;
    return VULTUS_OK;
}

/* An attribute of integers becomes a constant input, as newer opsets have it. */
static enum vultus_status ints_to_input(
    struct vt_onnx_reader *reader, struct vt_onnx_node *node, const char *name, size_t index, bool required) {
    const struct vt_attr *attr = find_attr(node, name);
    if (!attr && required)
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_FORMAT, "attribute '%s' is missing", name);
    if (!attr) return VULTUS_OK;
    const char *stem = vt_arena_printf(reader->arena, "%s_%s", node->name, name);
    if (!stem) return vt_onnx_memory_fail(reader);
    enum vultus_status status =
        set_input(reader, node, index, vt_graph_add_i64(reader->graph, stem, attr->ints, attr->count));
    drop_attr(node, name);
    return status;
}

/* The same of one float, which becomes a scalar. */
static enum vultus_status float_to_input(
    struct vt_onnx_reader *reader, struct vt_onnx_node *node, const char *name, size_t index) {
    const struct vt_attr *attr = find_attr(node, name);
    if (!attr) return VULTUS_OK;
    struct vt_tensor scalar;
    const char *stem = vt_arena_printf(reader->arena, "%s_%s", node->name, name);
    if (!stem || vt_tensor_alloc(reader->arena, VT_DTYPE_F32, 0, NULL, &scalar, NULL))
        return vt_onnx_memory_fail(reader);
    *(float *)scalar.data = attr->f;
    enum vultus_status status = set_input(reader, node, index, vt_graph_add_constant(reader->graph, stem, &scalar));
    drop_attr(node, name);
    return status;
}

static enum vultus_status map_clip(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    enum vultus_status status = float_to_input(reader, node, "min", 1);
    return status ? status : float_to_input(reader, node, "max", 2);
}

static enum vultus_status map_axes(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    bool required = node->op == VT_OP_UNSQUEEZE && reader->opset < 13;
    return ints_to_input(reader, node, "axes", 1, required);
}

static enum vultus_status map_slice(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    if (reader->opset >= 10) return VULTUS_OK;
    enum vultus_status status = ints_to_input(reader, node, "starts", 1, true);
    if (!status) status = ints_to_input(reader, node, "ends", 2, true);
    return status ? status : ints_to_input(reader, node, "axes", 3, false);
}

static enum vultus_status map_pad(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    if (reader->opset >= 11) return VULTUS_OK;
    enum vultus_status status = ints_to_input(reader, node, "pads", 1, true);
    return status ? status : float_to_input(reader, node, "value", 2);
}

static enum vultus_status map_batch_norm(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    const struct vt_attr *training = find_attr(node, "training_mode");
    if (training && training->i)
        return vt_onnx_node_fail(
            reader, node, VULTUS_ERROR_UNSUPPORTED, "training_mode is set; only inference is supported");
    drop_attr(node, "training_mode");
    drop_attr(node, "momentum");
    return VULTUS_OK;
}

/* GroupNormalization of opset 18 had one scale per group, which nobody exports. */
static enum vultus_status map_group_norm(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    if (reader->opset < 21)
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_UNSUPPORTED,
            "the form of opset %lld is not supported, that of opset 21 is", (long long)reader->opset);
    if (!find_attr(node, "num_groups"))
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_FORMAT, "attribute 'num_groups' is missing");
    drop_attr(node, "stash_type");
    return VULTUS_OK;
}

/* Inference keeps everything: only the data input matters. */
static enum vultus_status map_dropout(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    if (has_input(node, 2)) {
        const struct vt_tensor *training = node->inputs[2]->constant;
        if (!training || vt_tensor_count(training) != 1 || vt_tensor_get(training, 0) != 0)
            return vt_onnx_node_fail(reader, node, VULTUS_ERROR_UNSUPPORTED,
                "training_mode is not a constant false; only inference is supported");
    }
    if (node->n_inputs > 1) node->n_inputs = 1;
    node->n_attrs = 0;
    return VULTUS_OK;
}

/* The storage order only concerns the output of indices, which nobody may read. */
static enum vultus_status map_max_pool(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    (void)reader;
    drop_attr(node, "storage_order");
    return VULTUS_OK;
}

static enum vultus_status map_softmax(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    node->is_old_softmax = reader->opset < 13;
    return VULTUS_OK;
}

static enum vultus_status map_concat(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    if (find_attr(node, "axis")) return VULTUS_OK;
    return vt_onnx_node_fail(reader, node, VULTUS_ERROR_FORMAT, "attribute 'axis' is missing");
}

/* Whether every scale is known to be at least 1. */
static bool only_enlarges(const struct vt_value *scales) {
    if (!scales->constant) return false;
    for (int64_t i = 0; i < vt_tensor_count(scales->constant); ++i)
        if (!(vt_tensor_get(scales->constant, i) >= 1)) return false;
    return true;
}

/*
 * Upsample and Resize before opset 11 had the inputs x, scales: positions were scaled from the corner and "nearest"
 * meant floor when enlarging. For shrinking runtimes disagree, so that is refused. Upsample never shrinks, by
 * definition.
 */
static enum vultus_status map_old_resize(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    if (node->n_inputs != 2 || !node->inputs[1])
        return vt_onnx_node_fail(
            reader, node, VULTUS_ERROR_FORMAT, "there are %zu inputs instead of x and scales", node->n_inputs);
    const struct vt_attr *mode = find_attr(node, "mode");
    bool nearest = !mode || strcmp(mode->s, "nearest") == 0;
    if (nearest && strcmp(node->operator_name, "Resize") == 0 && !only_enlarges(node->inputs[1]))
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_UNSUPPORTED,
            "opset 10 leaves open how mode nearest shrinks, and not all scales are known to be at least 1");
    node->inputs[2] = node->inputs[1];
    node->inputs[1] = NULL;
    node->n_inputs = 3;
    enum vultus_status status = add_string(reader, node, "coordinate_transformation_mode", "asymmetric");
    return status ? status : add_string(reader, node, "nearest_mode", "floor");
}

/* Opsets 11 and 12 require roi and scales, which exporters then give as empty tensors. */
static enum vultus_status map_resize(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    if (reader->opset < 11) return map_old_resize(reader, node);
    const struct vt_attr *policy = find_attr(node, "keep_aspect_ratio_policy"),
                         *antialias = find_attr(node, "antialias");
    if ((policy && strcmp(policy->s, "stretch") != 0) || (antialias && antialias->i))
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_UNSUPPORTED,
            "keep_aspect_ratio_policy other than 'stretch' and antialias are not supported");
    const struct vt_attr *mode = find_attr(node, "coordinate_transformation_mode");
    bool crops = mode && strcmp(mode->s, "tf_crop_and_resize") == 0;
    for (size_t i = 1; i < node->n_inputs; ++i) {
        const struct vt_value *input = node->inputs[i];
        bool is_empty = input && input->constant && vt_tensor_count(input->constant) == 0;
        if (is_empty || (i == 1 && !crops)) node->inputs[i] = NULL;
    }
    return VULTUS_OK;
}

static enum vultus_status map_constant(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    if (node->n_attrs != 1 || node->n_inputs || node->n_outputs != 1)
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_FORMAT,
            "a constant needs one attribute, no input and one output, not %zu, %zu and %zu", node->n_attrs,
            node->n_inputs, node->n_outputs);
    const struct vt_attr *attr = &node->attrs[0];
    const int64_t count = (int64_t)attr->count;
    struct vt_tensor content = {.rank = 1};
    switch (attr->kind) {
    case VT_ATTR_TENSOR: content = *attr->tensor; break;
    case VT_ATTR_FLOATS: content.dtype = VT_DTYPE_F32; break;
    case VT_ATTR_INTS: content.dtype = VT_DTYPE_I64; break;
    default: content.dtype = attr->kind == VT_ATTR_FLOAT ? VT_DTYPE_F32 : VT_DTYPE_I64; content.rank = 0;
    }
    if (attr->kind != VT_ATTR_TENSOR) {
        const void *source = &attr->i;
        if (attr->kind == VT_ATTR_FLOAT) source = &attr->f;
        if (attr->kind == VT_ATTR_INTS) source = attr->ints;
        if (attr->kind == VT_ATTR_FLOATS) source = attr->floats;
        if (vt_tensor_alloc(reader->arena, content.dtype, content.rank, &count, &content, NULL))
            return vt_onnx_memory_fail(reader);
        if (vt_tensor_bytes(&content)) memcpy(content.data, source, vt_tensor_bytes(&content));
    }
    return vt_graph_set_constant(reader->graph, node->outputs[0], &content) ? VULTUS_OK : vt_onnx_memory_fail(reader);
}

/* Operators that need more than their name; those without an entry are the same in all opsets from 9 to 21. */
static const struct {
    const char *name;
    enum vt_op op;
    int first, last;
    mapper *map;
} mappings[] = {
    {"BatchNormalization", VT_OP_BATCH_NORM, 9, 21, map_batch_norm},
    {"Clip", VT_OP_CLIP, 9, 21, map_clip},
    {"Concat", VT_OP_CONCAT, 9, 21, map_concat},
    {"Constant", VT_OP_NONE, 9, 21, map_constant},
    {"Dropout", VT_OP_DROPOUT, 9, 21, map_dropout},
    {"GroupNormalization", VT_OP_GROUP_NORM, 18, 21, map_group_norm},
    {"MaxPool", VT_OP_MAX_POOL, 9, 21, map_max_pool},
    {"Pad", VT_OP_PAD, 9, 21, map_pad},
    {"ReduceL2", VT_OP_REDUCE_L2, 9, 21, map_axes},
    {"ReduceMean", VT_OP_REDUCE_MEAN, 9, 21, map_axes},
    {"ReduceSum", VT_OP_REDUCE_SUM, 9, 21, map_axes},
    {"Resize", VT_OP_RESIZE, 10, 21, map_resize},
    {"Slice", VT_OP_SLICE, 9, 21, map_slice},
    {"Softmax", VT_OP_SOFTMAX, 9, 21, map_softmax},
    {"Squeeze", VT_OP_SQUEEZE, 9, 21, map_axes},
    {"Unsqueeze", VT_OP_UNSQUEEZE, 9, 21, map_axes},
    {"Upsample", VT_OP_RESIZE, 9, 9, map_old_resize},
};

static enum vultus_status fail_unknown(const struct vt_onnx_reader *reader, const struct vt_onnx_node *node) {
    if (*node->domain)
        return vt_onnx_fail(reader, VULTUS_ERROR_UNSUPPORTED,
            "node '%.100s': operator '%.60s' of domain '%.60s' is not supported", node->name, node->operator_name,
            node->domain);
    return vt_onnx_fail(reader, VULTUS_ERROR_UNSUPPORTED,
        "node '%.100s': operator '%.60s' of opset %lld is not supported", node->name, node->operator_name,
        (long long)reader->opset);
}

enum vultus_status vt_onnx_map_node(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    mapper *map = NULL;
    bool known = false;
    for (size_t i = 0; i < sizeof mappings / sizeof *mappings && !known; ++i) {
        if (strcmp(mappings[i].name, node->operator_name) != 0) continue;
        if (reader->opset < mappings[i].first || reader->opset > mappings[i].last) return fail_unknown(reader, node);
        known = true;
        node->op = mappings[i].op;
        map = mappings[i].map;
    }
    /* A dot marks operators that only our own passes make. */
    if (!known && !strchr(node->operator_name, '.')) {
        node->op = vt_op_from_name(node->operator_name);
        known = node->op != VT_OP_NONE;
    }
    if (!known || *node->domain) return fail_unknown(reader, node);
    enum vultus_status status = vt_onnx_check_attributes(reader, node);
    return status || !map ? status : map(reader, node);
}
