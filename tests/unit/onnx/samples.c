/* SPDX-License-Identifier: Apache-2.0 */
#include "samples.h"

#include <stdio.h>

static const float ones[64] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static void put_weights(struct encoder *graph, const char *name, int rank, const int64_t *dims) {
    int64_t count = 1;
    for (int i = 0; i < rank; ++i) count *= dims[i];
    put_initializer(graph, name, ONNX_F32, rank, dims, ones, (size_t)count * sizeof *ones);
}

/* Convolution, normalisation, activations, pooling, a head: a network in small. */
static struct encoder make_network(void) {
    struct encoder graph = {0}, node;
    put_text(&graph, 2, "network");
    put_input(&graph, "x", ONNX_F32, 4, (const int64_t[]){0, 2, 0, 0});
    put_weights(&graph, "w", 4, (const int64_t[]){2, 2, 3, 3});
    put_weights(&graph, "c", 1, (const int64_t[]){2});
    put_weights(&graph, "slope", 3, (const int64_t[]){2, 1, 1});
    node = node_of("Conv", "x w c", "a");
    attribute_ints(&node, "kernel_shape", 2, (const int64_t[]){3, 3});
    attribute_ints(&node, "pads", 4, (const int64_t[]){1, 1, 1, 1});
    attribute_ints(&node, "strides", 2, (const int64_t[]){2, 2});
    attribute_int(&node, "group", 1);
    put_node(&graph, &node);
    node = node_of("BatchNormalization", "a c c c c", "b");
    attribute_float(&node, "epsilon", 1e-5F);
    put_node(&graph, &node);
    put_plain_node(&graph, "PRelu", "b slope", "d");
    node = node_of("AveragePool", "d", "e");
    attribute_ints(&node, "kernel_shape", 2, (const int64_t[]){2, 2});
    attribute_ints(&node, "strides", 2, (const int64_t[]){2, 2});
    attribute_int(&node, "ceil_mode", 1);
    put_node(&graph, &node);
    put_plain_node(&graph, "GlobalAveragePool", "e", "f");
    node = node_of("Flatten", "f", "g");
    attribute_int(&node, "axis", 1);
    put_node(&graph, &node);
    put_weights(&graph, "m", 2, (const int64_t[]){3, 2});
    node = node_of("Gemm", "g m", "h");
    attribute_int(&node, "transB", 1);
    attribute_float(&node, "alpha", 0.5F);
    put_node(&graph, &node);
    put_plain_node(&graph, "Softmax", "h", "y");
    put_output(&graph, "y");
    return model_of(&graph, 11);
}

/* A shape on its way to Resize and Reshape, as exporters write it. */
static struct encoder make_shape_chain(void) {
    struct encoder graph = {0}, node;
    put_input(&graph, "x", ONNX_F32, 4, (const int64_t[]){1, 4, -1, 0});
    put_i64(&graph, "two", 1, (const int64_t[]){2});
    put_i64(&graph, "zero", 1, (const int64_t[]){0});
    put_i64(&graph, "end", 1, (const int64_t[]){INT64_MAX});
    put_i64(&graph, "rows", 3, (const int64_t[]){0, -1, 2});
    put_plain_node(&graph, "Shape", "x", "s");
    put_plain_node(&graph, "Slice", "s zero two", "front");
    put_plain_node(&graph, "Slice", "s two end zero", "back");
    put_plain_node(&graph, "Mul", "back two", "larger");
    node = node_of("Concat", "front larger", "sizes");
    attribute_int(&node, "axis", 0);
    put_node(&graph, &node);
    node = node_of("Resize", "x - - sizes", "r");
    attribute_text(&node, "mode", "nearest");
    attribute_text(&node, "coordinate_transformation_mode", "asymmetric");
    attribute_text(&node, "nearest_mode", "floor");
    put_node(&graph, &node);
    node = node_of("Transpose", "r", "t");
    attribute_ints(&node, "perm", 4, (const int64_t[]){0, 2, 3, 1});
    put_node(&graph, &node);
    put_plain_node(&graph, "Reshape", "t rows", "u");
    put_plain_node(&graph, "Sigmoid", "u", "y");
    node = node_of("Gather", "s two", "g");
    attribute_int(&node, "axis", 0);
    put_node(&graph, &node);
    put_plain_node(&graph, "Div", "g two", "half");
    put_plain_node(&graph, "ConstantOfShape", "half", "filled");
    node = node_of("Cast", "filled", "z");
    attribute_int(&node, "to", ONNX_F16);
    put_node(&graph, &node);
    put_output(&graph, "y");
    put_output(&graph, "z");
    return model_of(&graph, 13);
}

/* Attributes that became inputs, and an Upsample. */
static struct encoder make_old_forms(void) {
    struct encoder graph = {0}, node;
    const int64_t axes[2] = {2, 3};
    put_input(&graph, "x", ONNX_F32, 4, (const int64_t[]){1, 2, 5, 5});
    put_f32(&graph, "scales", 4, (const float[]){1, 1, 2, 2});
    node = node_of("Clip", "x", "a");
    attribute_float(&node, "min", 0);
    attribute_float(&node, "max", 6);
    put_node(&graph, &node);
    node = node_of("Pad", "a", "b");
    attribute_ints(&node, "pads", 8, (const int64_t[]){0, 0, 1, 1, 0, 0, 1, 1});
    put_node(&graph, &node);
    node = node_of("Slice", "b", "c");
    attribute_ints(&node, "starts", 2, (const int64_t[]){1, 1});
    attribute_ints(&node, "ends", 2, (const int64_t[]){-1, 100});
    attribute_ints(&node, "axes", 2, axes);
    put_node(&graph, &node);
    put_plain_node(&graph, "Upsample", "c scales", "d");
    node = node_of("ReduceMean", "d", "e");
    attribute_ints(&node, "axes", 2, axes);
    put_node(&graph, &node);
    node = node_of("Squeeze", "e", "f");
    attribute_ints(&node, "axes", 2, axes);
    put_node(&graph, &node);
    node = node_of("Unsqueeze", "f", "g");
    attribute_ints(&node, "axes", 1, (const int64_t[]){0});
    put_node(&graph, &node);
    put_plain_node(&graph, "Softmax", "g", "h");
    put_plain_node(&graph, "Dropout", "h", "y mask");
    put_output(&graph, "y");
    return model_of(&graph, 9);
}

/* Constants in all forms that tensors and Constant nodes have. */
static struct encoder make_constants(void) {
    struct encoder graph = {0}, node, tensor;
    node = node_of("Constant", "", "a");
    tensor = tensor_of("t", ONNX_F32, 0, NULL, ones, sizeof *ones);
    attribute_tensor(&node, "value", &tensor);
    put_node(&graph, &node);
    node = node_of("Constant", "", "b");
    attribute_ints(&node, "value_ints", 3, (const int64_t[]){1, -1, 300});
    put_node(&graph, &node);
    node = node_of("Constant", "", "c");
    attribute_floats(&node, "value_floats", 2, ones);
    put_node(&graph, &node);
    tensor = (struct encoder){0};
    put_int(&tensor, 1, 2);
    put_int(&tensor, 2, ONNX_F32);
    put_block(&tensor, 4, ones, 2 * sizeof *ones);
    put_text(&tensor, 8, "d");
    put_message(&graph, 5, &tensor);
    tensor = (struct encoder){0};
    put_int(&tensor, 1, 1);
    put_int(&tensor, 2, ONNX_F16);
    put_packed(&tensor, 5, 1, (const int64_t[]){0x3C00});
    put_text(&tensor, 8, "e");
    put_message(&graph, 5, &tensor);
    tensor = (struct encoder){0};
    put_int(&tensor, 2, ONNX_I64);
    put_int(&tensor, 7, -5);
    put_text(&tensor, 8, "f");
    put_message(&graph, 5, &tensor);
    put_plain_node(&graph, "Add", "c d", "sum");
    put_plain_node(&graph, "MatMul", "c d", "product");
    node = node_of("Shape", "b", "shape");
    attribute_int(&node, "start", 0);
    put_node(&graph, &node);
    static const char *const outputs[] = {"a", "b", "e", "f", "sum", "product", "shape"};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; ++i) put_output(&graph, outputs[i]);
    return model_of(&graph, 15);
}

/* What detectors and attention have beyond the above: several outputs, chains, slopes without their place,
 * quantisation. */
static struct encoder make_heads(void) {
    struct encoder graph = {0}, node;
    put_input(&graph, "x", ONNX_F32, 4, (const int64_t[]){0, 4, 0, 8});
    put_weights(&graph, "c", 1, (const int64_t[]){4});
    put_weights(&graph, "w", 4, (const int64_t[]){4, 2, 2, 2});
    put_weights(&graph, "one", 0, NULL);
    put_i64(&graph, "two", 1, (const int64_t[]){2});
    put_i64(&graph, "shape", 4, (const int64_t[]){1, 1, 1, 8});
    put_i64(&graph, "limits", 3, (const int64_t[]){0, 8, 1});
    put_plain_node(&graph, "PRelu", "x c", "a");
    put_plain_node(&graph, "Sum", "a x a", "b");
    node = node_of("Split", "b", "left right");
    attribute_int(&node, "axis", 1);
    put_node(&graph, &node);
    node = node_of("Concat", "right left", "joined");
    attribute_int(&node, "axis", 1);
    put_node(&graph, &node);
    node = node_of("ConvTranspose", "b w", "grown");
    attribute_ints(&node, "strides", 2, (const int64_t[]){2, 2});
    attribute_int(&node, "group", 2);
    put_node(&graph, &node);
    put_plain_node(&graph, "GlobalMaxPool", "grown", "peak");
    put_plain_node(&graph, "TopK", "joined two", "best places");
    node = node_of("ArgMax", "best", "place");
    attribute_int(&node, "axis", -1);
    put_node(&graph, &node);
    static const char *const numbers[] = {"start", "limit", "delta"};
    for (int64_t i = 0; i < 3; ++i) {
        char name[8], inputs[16];
        snprintf(name, sizeof name, "n%d", (int)i);
        put_initializer(&graph, name, ONNX_I64, 0, NULL, &i, sizeof i);
        snprintf(inputs, sizeof inputs, "limits n%d", (int)i);
        put_plain_node(&graph, "Gather", inputs, numbers[i]);
    }
    put_plain_node(&graph, "Range", "start limit delta", "range");
    put_plain_node(&graph, "Greater", "range start", "later");
    put_plain_node(&graph, "Expand", "later shape", "mask");
    put_plain_node(&graph, "Where", "mask b one", "chosen");
    put_plain_node(&graph, "LayerNormalization", "chosen one", "normal mean");
    put_plain_node(&graph, "QuantizeLinear", "normal one", "q");
    put_plain_node(&graph, "DequantizeLinear", "q one", "dq");
    put_plain_node(&graph, "Tile", "dq shape", "tiled");
    put_plain_node(&graph, "Size", "tiled", "count");
    static const char *const outputs[] = {"peak", "place", "places", "tiled", "mean", "count"};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; ++i) put_output(&graph, outputs[i]);
    return model_of(&graph, 17);
}

/* A function with an attribute, called by another one. */
static struct encoder make_functions(void) {
    struct encoder model = {0}, inner = {0}, outer = {0}, attribute = {0}, graph = {0}, body;
    put_text(&inner, 1, "leaky");
    put_text(&inner, 4, "a");
    put_text(&inner, 5, "b");
    put_text(&inner, 6, "slope");
    put_text(&inner, 10, "our");
    struct encoder node = node_of("LeakyRelu", "a", "b");
    put_text(&attribute, 1, "alpha");
    put_text(&attribute, 21, "slope");
    put_int(&attribute, 20, 1);
    put_message(&node, 5, &attribute);
    put_message(&inner, 7, &node);
    put_message(&model, 25, &inner);
    put_text(&outer, 1, "twice");
    put_text(&outer, 4, "a");
    put_text(&outer, 5, "b");
    put_text(&outer, 10, "our");
    for (int i = 0; i < 2; ++i) {
        node = i ? node_of("leaky", "middle", "b") : node_of("leaky", "a", "middle");
        attribute_float(&node, "slope", 0.5F);
        put_text(&node, 7, "our");
        put_message(&outer, 7, &node);
    }
    put_message(&model, 25, &outer);
    put_input(&graph, "x", ONNX_F32, 2, (const int64_t[]){0, 4});
    put_output(&graph, "y");
    node = node_of("twice", "x", "y");
    put_text(&node, 7, "our");
    put_node(&graph, &node);
    body = model_of(&graph, 15);
    put_bytes(&model, body.bytes, body.size);
    encoder_fini(&body);
    return model;
}

const struct sample samples[] = {
    {"functions", make_functions},
    {"heads", make_heads},
    {"network", make_network},
    {"shape-chain", make_shape_chain},
    {"old-forms", make_old_forms},
    {"constants", make_constants},
};
const size_t n_samples = sizeof samples / sizeof *samples;
