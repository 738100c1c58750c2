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
    drop_attr(node, "spatial"); /* exporters set it to 0 without meaning statistics per pixel, which would not fit */
    return VULTUS_OK;
}

static enum vultus_status map_group_norm(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    node->waits_for_shapes = reader->opset < 21;
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
    if (reader->opset < 10) node->most_outputs = 1; /* the mask was of the data's type then */
    return VULTUS_OK;
}

static enum vultus_status map_softmax(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    node->waits_for_shapes = reader->opset < 13;
    return VULTUS_OK;
}

static enum vultus_status map_prelu(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    (void)reader;
    node->waits_for_shapes = true;
    return VULTUS_OK;
}

/* Statistics are always computed in single precision or better. */
static enum vultus_status map_layer_norm(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    (void)reader;
    drop_attr(node, "stash_type");
    return VULTUS_OK;
}

/* Saturation only concerns 8-bit floats, which are not supported. */
static enum vultus_status map_quantize(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    (void)reader;
    drop_attr(node, "saturate");
    return VULTUS_OK;
}

static enum vultus_status map_split(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    const struct vt_attr *parts = find_attr(node, "num_outputs");
    if (parts && parts->i != (int64_t)node->n_outputs)
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_FORMAT, "num_outputs is %lld, but there are %zu outputs",
            (long long)parts->i, node->n_outputs);
    drop_attr(node, "num_outputs");
    return ints_to_input(reader, node, "split", 1, false);
}

static enum vultus_status map_top_k(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    struct vt_attr *k = find_attr(node, "k");
    drop_attr(node, "sorted"); /* ours always are */
    if (!k) return VULTUS_OK;
    const int64_t count = k->i;
    drop_attr(node, "k");
    const char *stem = vt_arena_printf(reader->arena, "%s_k", node->name);
    if (!stem) return vt_onnx_memory_fail(reader);
    return set_input(reader, node, 1, vt_graph_add_i64(reader->graph, stem, &count, 1));
}

/* Min, Max and Sum of any number of inputs: a chain of nodes of two; this node becomes the last one. */
static enum vultus_status map_variadic(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    for (size_t i = 0; i < node->n_inputs; ++i)
        if (!node->inputs[i]) return vt_onnx_node_fail(reader, node, VULTUS_ERROR_FORMAT, "input %zu is missing", i);
    if (node->n_inputs == 1) node->op = VT_OP_IDENTITY;
    for (; node->n_inputs > 2; --node->n_inputs) {
        struct vt_node *first =
            vt_graph_add_node(reader->graph, NULL, node->op, node->name, node->inputs, 2, NULL, 1, NULL, 0);
        if (!first) return vt_onnx_memory_fail(reader);
        node->inputs[0] = first->outputs[0];
        memmove(node->inputs + 1, node->inputs + 2, (node->n_inputs - 2) * sizeof *node->inputs);
    }
    return VULTUS_OK;
}

/* ------------------------------------------------------------ windows of one dimension */

/* Sizes of one dimension get a neutral one in front, for the rows that there will be one of; paddings do at both ends.
 */
static enum vultus_status widen_ints(
    const struct vt_onnx_reader *reader, struct vt_onnx_node *node, const char *name, size_t ends, int64_t neutral) {
    struct vt_attr *attr = find_attr(node, name);
    if (!attr) return VULTUS_OK;
    if (attr->count != ends)
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_FORMAT,
            "attribute '%s' has %zu values, one dimension needs %zu", name, attr->count, ends);
    int64_t *wider = vt_arena_alloc_array(reader->arena, 2 * ends, sizeof *wider);
    if (!wider) return vt_onnx_memory_fail(reader);
    for (size_t i = 0; i < ends; ++i) {
        wider[2 * i] = neutral;
        wider[2 * i + 1] = attr->ints[i];
    }
    attr->ints = wider;
    attr->count = 2 * ends;
    return VULTUS_OK;
}

/* The value with a dimension of 1 in front of its last, or without it. */
static struct vt_value *reshape_rows(
    const struct vt_onnx_reader *reader, enum vt_op op, struct vt_value *from, struct vt_value *to) {
    const int64_t rows = 2;
    struct vt_value *const inputs[2] = {from, vt_graph_add_i64(reader->graph, from->name, &rows, 1)};
    struct vt_node *node =
        inputs[1] ? vt_graph_add_node(reader->graph, NULL, op, NULL, inputs, 2, to ? &to : NULL, 1, NULL, 0) : NULL;
    return node ? node->outputs[0] : NULL;
}

static bool has_one_dimension(struct vt_onnx_node *node, bool has_weight) {
    const struct vt_attr *kernel = find_attr(node, "kernel_shape");
    if (kernel) return kernel->count == 1;
    return has_weight && has_input(node, 1) && node->inputs[1]->rank == 3;
}

/* Convolutions and poolings of sequences [N,C,L] become those of pictures of one row. */
static enum vultus_status map_window(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    bool has_weight = node->op == VT_OP_CONV || node->op == VT_OP_CONV_TRANSPOSE;
    if (!has_one_dimension(node, has_weight)) return VULTUS_OK;
    enum vultus_status status = widen_ints(reader, node, "kernel_shape", 1, 1);
    if (!status) status = widen_ints(reader, node, "strides", 1, 1);
    if (!status) status = widen_ints(reader, node, "dilations", 1, 1);
    if (!status) status = widen_ints(reader, node, "pads", 2, 0);
    if (!status) status = widen_ints(reader, node, "output_padding", 1, 0);
    if (!status) status = widen_ints(reader, node, "output_shape", 1, 1);
    for (size_t i = 0; !status && i < (has_weight ? 2 : 1) && i < node->n_inputs; ++i) {
        if (node->inputs[i]) node->inputs[i] = reshape_rows(reader, VT_OP_UNSQUEEZE, node->inputs[i], NULL);
        if (!node->inputs[i]) status = vt_onnx_memory_fail(reader);
    }
    for (size_t i = 0; !status && i < node->n_outputs && i < node->most_outputs; ++i) {
        struct vt_value *inner = node->outputs[i] ? vt_graph_add_value(reader->graph, node->name) : NULL;
        if (!node->outputs[i]) continue;
        if (!inner || !reshape_rows(reader, VT_OP_SQUEEZE, inner, node->outputs[i])) return vt_onnx_memory_fail(reader);
        node->outputs[i] = inner;
    }
    return status;
}

/* ------------------------------------------------------------ */

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

/* Upsample before opset 9 had its scales in an attribute. */
static enum vultus_status scales_to_input(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    const struct vt_attr *scales = find_attr(node, "scales");
    if (!scales) return VULTUS_OK;
    const char *stem = vt_arena_printf(reader->arena, "%s_scales", node->name);
    if (!stem) return vt_onnx_memory_fail(reader);
    struct vt_value *value = vt_graph_add_f32(reader->graph, stem, scales->floats, scales->count);
    drop_attr(node, "scales");
    return set_input(reader, node, 1, value);
}

/*
 * Upsample and Resize before opset 11 had the inputs x, scales: positions were scaled from the corner and "nearest"
 * meant floor when enlarging. For shrinking runtimes disagree, so that is refused. Upsample never shrinks, by
 * definition.
 */
static enum vultus_status map_old_resize(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    enum vultus_status status = scales_to_input(reader, node);
    if (status) return status;
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
    status = add_string(reader, node, "coordinate_transformation_mode", "asymmetric");
    return status ? status : add_string(reader, node, "nearest_mode", "floor");
}

/* Opsets 11 and 12 require roi and scales, which exporters then give as empty tensors. */
static enum vultus_status map_resize(struct vt_onnx_reader *reader, struct vt_onnx_node *node) {
    if (reader->opset < 11) return map_old_resize(reader, node);
    const struct vt_attr *antialias = find_attr(node, "antialias");
    if (antialias && antialias->i)
        return vt_onnx_node_fail(reader, node, VULTUS_ERROR_UNSUPPORTED, "antialias is not supported");
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

/* Operators that need more than their name; those without an entry are the same in all opsets from 7 to 22. */
static const struct {
    const char *name;
    enum vt_op op;
    int first, last;
    mapper *map;
} mappings[] = {
    {"AveragePool", VT_OP_AVERAGE_POOL, 7, 22, map_window},
    {"BatchNormalization", VT_OP_BATCH_NORM, 7, 22, map_batch_norm},
    {"Clip", VT_OP_CLIP, 7, 22, map_clip},
    {"Concat", VT_OP_CONCAT, 7, 22, map_concat},
    {"Constant", VT_OP_NONE, 7, 22, map_constant},
    {"Conv", VT_OP_CONV, 7, 22, map_window},
    {"ConvTranspose", VT_OP_CONV_TRANSPOSE, 7, 22, map_window},
    {"DequantizeLinear", VT_OP_DEQUANTIZE_LINEAR, 10, 22, map_quantize},
    {"Dropout", VT_OP_DROPOUT, 7, 22, map_dropout},
    {"GroupNormalization", VT_OP_GROUP_NORM, 18, 22, map_group_norm},
    {"LayerNormalization", VT_OP_LAYER_NORM, 17, 22, map_layer_norm},
    {"Max", VT_OP_MAX, 7, 22, map_variadic},
    {"MaxPool", VT_OP_MAX_POOL, 7, 22, map_window},
    {"Min", VT_OP_MIN, 7, 22, map_variadic},
    {"PRelu", VT_OP_PRELU, 7, 22, map_prelu},
    {"Pad", VT_OP_PAD, 7, 22, map_pad},
    {"QuantizeLinear", VT_OP_QUANTIZE_LINEAR, 10, 22, map_quantize},
    {"ReduceL2", VT_OP_REDUCE_L2, 7, 22, map_axes},
    {"ReduceMax", VT_OP_REDUCE_MAX, 7, 22, map_axes},
    {"ReduceMean", VT_OP_REDUCE_MEAN, 7, 22, map_axes},
    {"ReduceMin", VT_OP_REDUCE_MIN, 7, 22, map_axes},
    {"ReduceSum", VT_OP_REDUCE_SUM, 7, 22, map_axes},
    {"Resize", VT_OP_RESIZE, 10, 22, map_resize},
    {"Slice", VT_OP_SLICE, 7, 22, map_slice},
    {"Softmax", VT_OP_SOFTMAX, 7, 22, map_softmax},
    {"Split", VT_OP_SPLIT, 7, 22, map_split},
    {"Squeeze", VT_OP_SQUEEZE, 7, 22, map_axes},
    {"Sum", VT_OP_ADD, 7, 22, map_variadic},
    {"TopK", VT_OP_TOP_K, 7, 22, map_top_k},
    {"Unsqueeze", VT_OP_UNSQUEEZE, 7, 22, map_axes},
    {"Upsample", VT_OP_RESIZE, 7, 9, map_old_resize},
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
    node->most_outputs = (size_t)vt_op_info(node->op)->most_outputs;
    enum vultus_status status = vt_onnx_check_attributes(reader, node);
    return status || !map ? status : map(reader, node);
}
