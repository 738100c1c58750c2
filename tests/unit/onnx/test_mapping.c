/* SPDX-License-Identifier: Apache-2.0 */
/* Old operator forms become today's; what cannot is refused. Checked on the printed graph. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "reading.h"

static const int64_t picture[4] = {1, 3, 8, 8};

/* A graph with the float32 input x [1,3,8,8] and the output y; the-node is to come. */
static struct encoder picture_graph(void) {
    struct encoder graph = {0};
    put_input(&graph, "x", ONNX_F32, 4, picture);
    put_output(&graph, "y");
    return graph;
}

/* Reads a graph of one node over x and checks its printed form. */
static void expect_node(struct encoder *node, int64_t opset, const char *parts) {
    struct encoder graph = picture_graph();
    put_node(&graph, node);
    struct reading reading = read_good(&graph, opset);
    expect_graph(&reading, parts);
    reading_fini(&reading);
}

static void refuse_node(struct encoder *node, int64_t opset, enum vultus_status status, const char *parts) {
    struct encoder graph = picture_graph();
    put_node(&graph, node);
    read_bad(&graph, opset, status, parts);
}

static void clip_attributes_become_inputs(void **state) {
    (void)state;
    struct encoder node = node_of("Clip", "x", "y");
    attribute_float(&node, "min", 0);
    attribute_float(&node, "max", 6);
    expect_node(&node, 9, "y = Clip(x, the-node_min:float32[] {0}, the-node_max:float32[] {6}) : float32[1,3,8,8]");
    node = node_of("Clip", "x", "y");
    attribute_float(&node, "max", 6);
    expect_node(&node, 10, "y = Clip(x, -, the-node_max:float32[] {6}) : ");
    node = node_of("Clip", "x", "y");
    expect_node(&node, 9, "y = Clip(x) : ");
    node = node_of("Clip", "x", "y");
    attribute_float(&node, "min", 0);
    refuse_node(&node, 11, VULTUS_ERROR_FORMAT, "'the-node' (Clip)|'min' exists in opsets 7 to 10|opset 11");
}

static void axes_become_inputs(void **state) {
    (void)state;
    static const char *const reductions[] = {"ReduceMean", "ReduceSum", "ReduceL2"};
    const int64_t axes[2] = {2, -1};
    for (int i = 0; i < 3; ++i) {
        struct encoder node = node_of(reductions[i], "x", "y");
        attribute_ints(&node, "axes", 2, axes);
        attribute_int(&node, "keepdims", 0);
        expect_node(&node, 11, "(x, the-node_axes:int64[2] {2, -1}) {keepdims=0} : float32[1,3]");
    }
    struct encoder node = node_of("ReduceMean", "x", "y");
    expect_node(&node, 17, "y = ReduceMean(x) : float32[1,1,1,1]");
    node = node_of("ReduceMean", "x", "y");
    attribute_ints(&node, "axes", 2, axes);
    expect_node(&node, 17, "float32[1,3,1,1]");
    node = node_of("ReduceMean", "x", "y");
    attribute_ints(&node, "axes", 2, axes);
    refuse_node(&node, 18, VULTUS_ERROR_FORMAT, "(ReduceMean)|'axes'");
    node = node_of("ReduceSum", "x", "y");
    attribute_ints(&node, "axes", 2, axes);
    refuse_node(&node, 13, VULTUS_ERROR_FORMAT, "(ReduceSum)|'axes'");
}

static void squeeze_and_unsqueeze_axes_become_inputs(void **state) {
    (void)state;
    struct encoder node = node_of("Squeeze", "x", "y");
    attribute_ints(&node, "axes", 1, (const int64_t[]){0});
    expect_node(&node, 11, "y = Squeeze(x, the-node_axes:int64[1] {0}) : float32[3,8,8]");
    node = node_of("Squeeze", "x", "y");
    expect_node(&node, 11, "y = Squeeze(x) : float32[3,8,8]");
    node = node_of("Unsqueeze", "x", "y");
    attribute_ints(&node, "axes", 2, (const int64_t[]){0, 5});
    expect_node(&node, 12, "y = Unsqueeze(x, the-node_axes:int64[2] {0, 5}) : float32[1,1,3,8,8,1]");
    node = node_of("Unsqueeze", "x", "y");
    refuse_node(&node, 12, VULTUS_ERROR_FORMAT, "(Unsqueeze)|'axes' is missing");
}

static void slice_attributes_become_inputs(void **state) {
    (void)state;
    struct encoder node = node_of("Slice", "x", "y");
    attribute_ints(&node, "starts", 2, (const int64_t[]){1, 2});
    attribute_ints(&node, "ends", 2, (const int64_t[]){3, -1});
    attribute_ints(&node, "axes", 2, (const int64_t[]){1, 3});
    expect_node(&node, 9, "{1, 2}, the-node_ends:int64[2] {3, -1}, the-node_axes:int64[2] {1, 3}) : float32[1,2,8,5]");
    node = node_of("Slice", "x", "y");
    attribute_ints(&node, "starts", 1, (const int64_t[]){1});
    refuse_node(&node, 9, VULTUS_ERROR_FORMAT, "(Slice)|'ends' is missing");
}

static void pad_attributes_become_inputs(void **state) {
    (void)state;
    struct encoder node = node_of("Pad", "x", "y");
    attribute_ints(&node, "pads", 8, (const int64_t[]){0, 0, 1, 2, 0, 0, 3, 4});
    attribute_float(&node, "value", 1.5F);
    attribute_text(&node, "mode", "constant");
    expect_node(&node, 10,
        "{0, 0, 1, 2, 0, 0, 3, 4}, the-node_value:float32[] {1.5}) {mode=\"constant\"} : float32[1,3,12,14]");
}

static void upsample_becomes_resize(void **state) {
    (void)state;
    struct encoder graph = picture_graph(), node = node_of("Upsample", "x scales", "y");
    attribute_text(&node, "mode", "nearest");
    put_node(&graph, &node);
    put_f32(&graph, "scales", 4, (const float[]){1, 1, 2, 2});
    struct reading reading = read_good(&graph, 9);
    expect_graph(&reading, "y = Resize(x, -, scales:float32[4] {1, 1, 2, 2}) {|mode=\"nearest\"|"
                           "coordinate_transformation_mode=\"asymmetric\"|nearest_mode=\"floor\"|float32[1,3,16,16]");
    reading_fini(&reading);

    graph = picture_graph();
    put_plain_node(&graph, "Upsample", "x scales", "y");
    put_f32(&graph, "scales", 4, (const float[]){1, 1, 2, 2});
    read_bad(&graph, 11, VULTUS_ERROR_UNSUPPORTED, "'Upsample' of opset 11");
}

static void resize_10_gets_the_newer_inputs(void **state) {
    (void)state;
    struct encoder graph = picture_graph();
    put_plain_node(&graph, "Resize", "x scales", "y");
    put_f32(&graph, "scales", 4, (const float[]){1, 1, 1.5F, 3});
    struct reading reading = read_good(&graph, 10);
    expect_graph(&reading, "y = Resize(x, -, scales:|coordinate_transformation_mode=\"asymmetric\"|float32[1,3,12,24]");
    reading_fini(&reading);

    graph = picture_graph();
    put_plain_node(&graph, "Resize", "x scales", "y");
    put_f32(&graph, "scales", 4, (const float[]){1, 1, 0.5F, 0.5F});
    read_bad(&graph, 10, VULTUS_ERROR_UNSUPPORTED, "(Resize)|at least 1");

    graph = picture_graph();
    put_plain_node(&graph, "Resize", "x", "y");
    read_bad(&graph, 10, VULTUS_ERROR_FORMAT, "(Resize)|1 inputs");

    graph = picture_graph();
    put_plain_node(&graph, "Resize", "x", "y");
    read_bad(&graph, 9, VULTUS_ERROR_UNSUPPORTED, "'Resize' of opset 9");
}

static void empty_resize_inputs_are_missing(void **state) {
    (void)state;
    struct encoder graph = picture_graph();
    put_plain_node(&graph, "Resize", "x empty empty sizes", "y");
    put_f32(&graph, "empty", 0, NULL);
    put_i64(&graph, "sizes", 4, (const int64_t[]){1, 3, 5, 7});
    struct reading reading = read_good(&graph, 11);
    expect_graph(&reading, "y = Resize(x, -, -, sizes:int64[4] {1, 3, 5, 7}) : float32[1,3,5,7]");
    reading_fini(&reading);
}

static void resize_variants_are_refused(void **state) {
    (void)state;
    struct encoder node = node_of("Resize", "x - - x", "y");
    attribute_int(&node, "antialias", 1);
    refuse_node(&node, 19, VULTUS_ERROR_UNSUPPORTED, "(Resize)|antialias");
}

static void inputs_from_newer_opsets_are_refused_beside_attributes(void **state) {
    (void)state;
    struct encoder node = node_of("Squeeze", "x x", "y");
    attribute_ints(&node, "axes", 1, (const int64_t[]){0});
    refuse_node(&node, 11, VULTUS_ERROR_FORMAT, "(Squeeze)|input 1 does not exist in opset 11");
}

static void old_softmax_keeps_its_meaning(void **state) {
    (void)state;
    struct encoder node = node_of("Softmax", "x", "y");
    attribute_int(&node, "axis", 3);
    expect_node(&node, 11, "y = Softmax(x) {axis=3} : float32[1,3,8,8]");
    node = node_of("Softmax", "x", "y");
    attribute_int(&node, "axis", -1);
    expect_node(&node, 11, "y = Softmax(x) {axis=3} : ");
    node = node_of("Softmax", "x", "y"); /* over 3 x 8 x 8, together */
    expect_node(&node, 9,
        " = Flatten(x) {axis=1} : float32[1,192]| = Shape(x) : int64[4]| = Softmax(the-node) {axis=1} : "
        "float32[1,192]|"
        "y = Reshape(the-node_|) : float32[1,3,8,8]");
    node = node_of("Softmax", "x", "y");
    expect_node(&node, 13, "y = Softmax(x) : float32[1,3,8,8]");
    node = node_of("Softmax", "x", "y");
    attribute_int(&node, "axis", 5);
    refuse_node(&node, 11, VULTUS_ERROR_FORMAT, "(Softmax)|axis 5");
}

/* The default axis 1 of a vector is outside. */
static void old_softmax_of_a_vector_needs_an_axis(void **state) {
    (void)state;
    struct encoder graph = {0};
    put_input(&graph, "x", ONNX_F32, 1, (const int64_t[]){5});
    put_output(&graph, "y");
    put_plain_node(&graph, "Softmax", "x", "y");
    read_bad(&graph, 11, VULTUS_ERROR_FORMAT, "(Softmax)|axis 1 of 1 dimensions");
}

/* [n, 10] and [n, 10, 1, 1] with the default axis 1: only one dimension is more than 1 long. */
static void old_softmax_over_one_dimension_is_direct(void **state) {
    (void)state;
    for (int rank = 2; rank <= 4; rank += 2) {
        struct encoder graph = {0};
        put_input(&graph, "x", ONNX_F32, rank, (const int64_t[]){0, 10, 1, 1});
        put_output(&graph, "y");
        put_plain_node(&graph, "Softmax", "x", "y");
        struct reading reading = read_good(&graph, 11);
        assert_int_equal(reading.graph->n_nodes, 1);
        expect_graph(&reading, "y = Softmax(x) {axis=1} : float32[x[0],10");
        reading_fini(&reading);
    }
}

static void softmax_of_unknown_rank_is_spelled_out(void **state) {
    (void)state;
    struct encoder graph = {0};
    put_input(&graph, "x", ONNX_F32, -1, NULL);
    put_output(&graph, "y");
    put_plain_node(&graph, "Softmax", "x", "y");
    struct reading reading = read_good(&graph, 11);
    assert_int_equal(reading.graph->n_nodes, 4);
    expect_graph(&reading, "= Flatten(x) {axis=1}|y = Reshape(");
    reading_fini(&reading);
}

static void batch_norm_drops_training(void **state) {
    (void)state;
    struct encoder graph = picture_graph(), node = node_of("BatchNormalization", "x s b m v", "y");
    const float values[3] = {1, 2, 3};
    static const char *const names[] = {"s", "b", "m", "v"};
    attribute_float(&node, "epsilon", 0.5F);
    attribute_float(&node, "momentum", 0.9F);
    attribute_int(&node, "training_mode", 0);
    put_node(&graph, &node);
    for (int i = 0; i < 4; ++i) put_f32(&graph, names[i], 3, values);
    struct reading reading = read_good(&graph, 15);
    expect_graph(&reading, ") {epsilon=0.5} : float32[1,3,8,8]");
    reading_fini(&reading);

    node = node_of("BatchNormalization", "x x x x x", "y");
    attribute_int(&node, "training_mode", 1);
    refuse_node(&node, 15, VULTUS_ERROR_UNSUPPORTED, "training_mode");
    node = node_of("BatchNormalization", "x x x x x", "y");
    attribute_int(&node, "training_mode", 0);
    refuse_node(&node, 13, VULTUS_ERROR_FORMAT, "training_mode");
}

static void dropout_is_plain(void **state) {
    (void)state;
    struct encoder node = node_of("Dropout", "x", "y mask");
    attribute_float(&node, "ratio", 0.5F);
    expect_node(&node, 9, "y = Dropout(x) : float32[1,3,8,8]");
    node = node_of("Dropout", "x", "y mask");
    expect_node(&node, 10, "y, mask = Dropout(x) : float32[1,3,8,8], bool[1,3,8,8]");

    struct encoder graph = picture_graph();
    node = node_of("Dropout", "x ratio training", "y");
    put_node(&graph, &node);
    put_f32(&graph, "ratio", 1, (const float[]){0.5F});
    put_initializer(&graph, "training", ONNX_BOOL, 0, NULL, "\0", 1);
    struct reading reading = read_good(&graph, 13);
    expect_graph(&reading, "y = Dropout(x) : ");
    reading_fini(&reading);

    graph = picture_graph();
    put_plain_node(&graph, "Dropout", "x - training", "y");
    put_initializer(&graph, "training", ONNX_BOOL, 0, NULL, "\1", 1);
    read_bad(&graph, 13, VULTUS_ERROR_UNSUPPORTED, "(Dropout)|training_mode");
}

static void secondary_outputs_may_not_be_used(void **state) {
    (void)state;
    struct encoder graph = picture_graph();
    put_plain_node(&graph, "Dropout", "x", "a mask");
    put_plain_node(&graph, "Identity", "mask", "y");
    read_bad(&graph, 9, VULTUS_ERROR_UNSUPPORTED, "(Dropout)|'mask'");
    graph = picture_graph();
    put_output(&graph, "mean");
    struct encoder node = node_of("BatchNormalization", "x s s s s", "y mean");
    put_f32(&graph, "s", 3, (const float[]){1, 2, 3});
    put_node(&graph, &node);
    read_bad(&graph, 10, VULTUS_ERROR_UNSUPPORTED, "(BatchNormalization)|'mean'");
}

static void constants_of_every_kind(void **state) {
    (void)state;
    const float floats[2] = {1.5F, -2};
    const int64_t ints[3] = {1, 2, 3}, one[1] = {1};
    struct encoder graph = {0};
    static const char *const names[] = {"tensor", "float", "floats", "int", "ints"};
    for (int i = 0; i < 5; ++i) {
        struct encoder node = node_of("Constant", "", names[i]), tensor;
        put_output(&graph, names[i]);
        switch (i) {
        case 0:
            tensor = tensor_of("ignored", ONNX_U8, 1, one, "\x07", 1);
            attribute_tensor(&node, "value", &tensor);
            break;
        case 1: attribute_float(&node, "value_float", 0.25F); break;
        case 2: attribute_floats(&node, "value_floats", 2, floats); break;
        case 3: attribute_int(&node, "value_int", -9); break;
        default: attribute_ints(&node, "value_ints", 3, ints);
        }
        put_node(&graph, &node);
    }
    struct reading reading = read_good(&graph, 13);
    assert_int_equal(reading.graph->n_nodes, 0);
    const struct vt_tensor *content[5];
    for (int i = 0; i < 5; ++i) content[i] = vt_graph_find_value(reading.graph, names[i])->constant;
    assert_int_equal(content[0]->dtype, VT_DTYPE_U8);
    assert_int_equal(vt_tensor_get_int(content[0], 0), 7);
    assert_int_equal(content[1]->rank, 0);
    assert_true(vt_tensor_get(content[1], 0) == 0.25);
    assert_int_equal(content[2]->dims[0], 2);
    assert_true(vt_tensor_get(content[2], 1) == -2);
    assert_int_equal(content[3]->rank, 0);
    assert_int_equal(vt_tensor_get_int(content[3], 0), -9);
    assert_int_equal(content[4]->dtype, VT_DTYPE_I64);
    assert_int_equal(vt_tensor_get_int(content[4], 2), 3);
    reading_fini(&reading);

    struct encoder node = node_of("Constant", "", "y");
    refuse_node(&node, 13, VULTUS_ERROR_FORMAT, "(Constant)|one attribute");
    node = node_of("Constant", "", "y");
    attribute_text(&node, "value_string", "text");
    refuse_node(&node, 13, VULTUS_ERROR_UNSUPPORTED, "(Constant)|value_string");
}

static void group_normalization_is_known(void **state) {
    (void)state;
    struct encoder graph = {0}, node = node_of("GroupNormalization", "x s b", "y");
    put_input(&graph, "x", ONNX_F32, 4, (const int64_t[]){1, 4, 8, 8});
    put_output(&graph, "y");
    put_f32(&graph, "s", 4, (const float[]){1, 1, 1, 1});
    put_f32(&graph, "b", 4, (const float[]){0, 0, 0, 0});
    attribute_int(&node, "num_groups", 2);
    attribute_int(&node, "stash_type", 1);
    put_node(&graph, &node);
    struct reading reading = read_good(&graph, 21);
    expect_graph(&reading, "y = vultus.GroupNorm(x, |{num_groups=2} : float32[1,4,8,8]");
    reading_fini(&reading);

    node = node_of("GroupNormalization", "x x x", "y");
    attribute_int(&node, "num_groups", 2);
    refuse_node(&node, 18, VULTUS_ERROR_FORMAT, "(GroupNormalization)|3 channels cannot form 2 groups");
    node = node_of("GroupNormalization", "x x x", "y");
    refuse_node(&node, 21, VULTUS_ERROR_FORMAT, "(GroupNormalization)|num_groups");
}

static void unknown_operators_are_named(void **state) {
    (void)state;
    struct encoder node = node_of("Foo", "x", "y");
    refuse_node(&node, 17, VULTUS_ERROR_UNSUPPORTED, "'the-node'|'Foo'|opset 17");
    node = node_of("vultus.FusedConv", "x x", "y");
    refuse_node(&node, 17, VULTUS_ERROR_UNSUPPORTED, "'vultus.FusedConv'");
    node = node_of("none", "x", "y");
    refuse_node(&node, 17, VULTUS_ERROR_UNSUPPORTED, "'none'");
    node = node_of("Relu", "x", "y");
    put_text(&node, 7, "com.example");
    refuse_node(&node, 17, VULTUS_ERROR_UNSUPPORTED, "'the-node'|'Relu'|'com.example'");
    node = node_of("Relu", "x", "y");
    put_text(&node, 7, "ai.onnx");
    expect_node(&node, 17, "y = Relu(x)");
}

static void attributes_are_checked(void **state) {
    (void)state;
    struct encoder node = node_of("Relu", "x", "y");
    attribute_int(&node, "surprise", 1);
    refuse_node(&node, 17, VULTUS_ERROR_UNSUPPORTED, "(Relu)|'surprise'");
    node = node_of("Transpose", "x", "y");
    attribute_int(&node, "perm", 1);
    refuse_node(&node, 17, VULTUS_ERROR_FORMAT, "(Transpose)|'perm' holds an integer instead of integers");
    node = node_of("Softmax", "x", "y");
    attribute_int(&node, "axis", 1);
    attribute_int(&node, "axis", 2);
    refuse_node(&node, 17, VULTUS_ERROR_FORMAT, "(Softmax)|'axis'|twice");
    node = node_of("Concat", "x", "y");
    refuse_node(&node, 17, VULTUS_ERROR_FORMAT, "(Concat)|'axis'");
}

/* An attribute whose `type` is `type` and nothing else. */
static void put_attribute_of_type(struct encoder *node, int64_t type) {
    struct encoder attribute = {0};
    put_text(&attribute, 1, "body");
    put_int(&attribute, 20, type);
    put_message(node, 5, &attribute);
}

static void control_flow_is_refused(void **state) {
    (void)state;
    struct encoder node = node_of("If", "x", "y");
    put_attribute_of_type(&node, 5);
    refuse_node(&node, 17, VULTUS_ERROR_UNSUPPORTED, "'the-node' (If)|subgraph");
    node = node_of("Relu", "x", "y");
    put_attribute_of_type(&node, 11);
    refuse_node(&node, 17, VULTUS_ERROR_UNSUPPORTED, "(Relu)|type 11");
    node = node_of("Relu", "x", "y");
    put_attribute_of_type(&node, 0);
    refuse_node(&node, 17, VULTUS_ERROR_UNSUPPORTED, "(Relu)|type 0");
    node = node_of("ConstantOfShape", "x", "y");
    put_attribute_of_type(&node, 4);
    refuse_node(&node, 17, VULTUS_ERROR_FORMAT, "(ConstantOfShape)|lacks its tensor");
}

static void sums_become_chains(void **state) {
    (void)state;
    struct encoder node = node_of("Sum", "x x x x", "y");
    expect_node(
        &node, 8, "the-node = Add(x, x)|the-node_1 = Add(the-node, x)|y = Add(the-node_1, x) : float32[1,3,8,8]");
    node = node_of("Max", "x x", "y");
    expect_node(&node, 13, "y = Max(x, x) : ");
    node = node_of("Min", "x", "y");
    expect_node(&node, 13, "y = Identity(x) : ");
    node = node_of("Sum", "x - x", "y");
    refuse_node(&node, 13, VULTUS_ERROR_FORMAT, "(Sum)|input 1 is missing");
}

static void splits_and_top_k_take_attributes(void **state) {
    (void)state;
    struct encoder node = node_of("Split", "x", "y z");
    attribute_ints(&node, "split", 2, (const int64_t[]){3, 5});
    attribute_int(&node, "axis", 2);
    expect_node(&node, 11, "y, z = Split(x, the-node_split:int64[2] {3, 5})|float32[1,3,3,8], float32[1,3,5,8]");
    node = node_of("Split", "x", "y z");
    attribute_int(&node, "num_outputs", 3);
    refuse_node(&node, 18, VULTUS_ERROR_FORMAT, "num_outputs is 3|2 outputs");
    node = node_of("TopK", "x", "y places");
    attribute_int(&node, "k", 2);
    expect_node(&node, 9, "y, places = TopK(x, the-node_k:int64[1] {2}) : float32[1,3,8,2], int64[1,3,8,2]");
    node = node_of("TopK", "x", "y");
    attribute_int(&node, "k", 2);
    refuse_node(&node, 10, VULTUS_ERROR_FORMAT, "'k' exists in opsets 7 to 9");
}

/* MXNet's ways, opset 7 and 8. */
static void oldest_forms(void **state) {
    (void)state;
    struct encoder node = node_of("Upsample", "x", "y");
    attribute_floats(&node, "scales", 4, (const float[]){1, 1, 2, 2});
    expect_node(&node, 7, "y = Resize(x, -, the-node_scales:float32[4] {1, 1, 2, 2}) |float32[1,3,16,16]");

    struct encoder graph = picture_graph();
    node = node_of("BatchNormalization", "x c c c c", "y");
    attribute_int(&node, "spatial", 0);
    put_node(&graph, &node);
    put_f32(&graph, "c", 3, (const float[]){1, 2, 3});
    struct reading reading = read_good(&graph, 8);
    expect_graph(&reading, "y = BatchNormalization(x, c");
    reading_fini(&reading);

    graph = picture_graph();
    put_plain_node(&graph, "PRelu", "x c", "y");
    put_f32(&graph, "c", 3, (const float[]){1, 2, 3});
    reading = read_good(&graph, 8);
    expect_graph(
        &reading, "Unsqueeze(c:float32[3] {1, 2, 3}, the-node:int64[2] {1, 2}) : float32[3,1,1]|y = PRelu(x, ");
    reading_fini(&reading);

    graph = picture_graph();
    put_plain_node(&graph, "PRelu", "x c", "y");
    put_f32(&graph, "c", 8, (const float[]){1, 2, 3, 4, 5, 6, 7, 8});
    reading = read_good(&graph, 8);
    expect_graph(&reading, "y = PRelu(x, c:float32[8]");
    reading_fini(&reading);

    graph = picture_graph();
    put_plain_node(&graph, "PRelu", "x c", "y");
    put_f32(&graph, "c", 5, (const float[]){1, 2, 3, 4, 5});
    read_bad(&graph, 8, VULTUS_ERROR_FORMAT, "(PRelu)|8 and 5");
}

static void windows_of_one_dimension_get_a_row(void **state) {
    (void)state;
    struct encoder graph = {0}, node = node_of("MaxPool", "x", "y places");
    put_input(&graph, "x", ONNX_F32, 3, (const int64_t[]){1, 3, 8});
    put_output(&graph, "y");
    attribute_ints(&node, "kernel_shape", 1, (const int64_t[]){3});
    attribute_ints(&node, "pads", 2, (const int64_t[]){1, 0});
    put_node(&graph, &node);
    struct reading reading = read_good(&graph, 13);
    expect_graph(
        &reading, "Unsqueeze(x, |kernel_shape=[1,3]|pads=[0,1,0,0]|y = Squeeze(|: float32[1,3,7]|int64[1,3,7]");
    reading_fini(&reading);
    node = node_of("MaxPool", "x", "y");
    attribute_ints(&node, "kernel_shape", 1, (const int64_t[]){3});
    attribute_ints(&node, "strides", 2, (const int64_t[]){1, 1});
    refuse_node(&node, 13, VULTUS_ERROR_FORMAT, "(MaxPool)|'strides' has 2 values");
}

#define TEST(name) cmocka_unit_test(name)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(clip_attributes_become_inputs), TEST(axes_become_inputs),
        TEST(squeeze_and_unsqueeze_axes_become_inputs), TEST(slice_attributes_become_inputs),
        TEST(pad_attributes_become_inputs), TEST(upsample_becomes_resize), TEST(resize_10_gets_the_newer_inputs),
        TEST(empty_resize_inputs_are_missing), TEST(resize_variants_are_refused),
        TEST(inputs_from_newer_opsets_are_refused_beside_attributes), TEST(old_softmax_keeps_its_meaning),
        TEST(old_softmax_of_a_vector_needs_an_axis), TEST(old_softmax_over_one_dimension_is_direct),
        TEST(softmax_of_unknown_rank_is_spelled_out), TEST(batch_norm_drops_training), TEST(dropout_is_plain),
        TEST(secondary_outputs_may_not_be_used), TEST(constants_of_every_kind), TEST(group_normalization_is_known),
        TEST(sums_become_chains), TEST(splits_and_top_k_take_attributes), TEST(oldest_forms),
        TEST(windows_of_one_dimension_get_a_row), TEST(unknown_operators_are_named), TEST(attributes_are_checked),
        TEST(control_flow_is_refused)};
    return cmocka_run_group_tests_name("onnx-mapping", tests, NULL, NULL);
}
