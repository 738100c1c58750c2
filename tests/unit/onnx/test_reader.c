/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "reading.h"
#include "test_data.h"

/* A real model, mapped and read; skips the test when the data is not there. */
struct real_model {
    struct vt_mapped_file file;
    struct vt_graph *graph;
};

static struct real_model open_real(const char *name) {
    struct real_model model;
    struct vultus_error error;
    char path[1024];
    find_test_model(name, path, sizeof path);
    if (vt_map_file(path, &model.file, &error)) fail_msg("%s", error.text);
    assert_true(vt_onnx_probe(model.file.data, model.file.size));
    if (vt_onnx_read(model.file.data, model.file.size, name, NULL, &model.graph, &error)) fail_msg("%s", error.text);
    if (vt_graph_infer(model.graph, &error)) fail_msg("%s", error.text);
    return model;
}

static void close_real(struct real_model *model) {
    vt_graph_destroy(model->graph);
    vt_unmap_file(&model->file);
}

static void expect_dims(const struct vt_graph *graph, const char *name, const char *expected) {
    const struct vt_value *value = vt_graph_find_value(graph, name);
    char text[512] = "", dim[256];
    if (!value) fail_msg("there is no value '%s'", name);
    for (int i = 0; i < value->rank; ++i) {
        if (i) strcat(text, ", ");
        strcat(text, vt_dim_format(value->dims[i], dim, sizeof dim));
    }
    if (strcmp(text, expected) != 0) fail_msg("'%s' is [%s], not [%s]", name, text, expected);
}

static void bind(struct vt_graph *graph, const int64_t dims[4]) {
    struct vultus_error error;
    if (vt_graph_bind_input(graph, graph->inputs[0], dims, 4, &error)) fail_msg("%s", error.text);
    if (vt_graph_infer(graph, &error)) fail_msg("%s", error.text);
    for (const struct vt_node *node = graph->first; node; node = node->next) {
        int64_t known[VT_MAX_RANK];
        if (!vt_value_static_dims(node->outputs[0], known)) fail_msg("'%s' is not static", node->outputs[0]->name);
    }
}

/* Shapes at 640x640 are those that onnxruntime 1.x reports for the same model. */
static void det_500m_is_read(void **state) {
    (void)state;
    struct real_model model = open_real("det_500m.onnx");
    struct vt_graph *graph = model.graph;
    assert_int_equal(graph->opset, 11);
    assert_string_equal(graph->producer, "pytorch");
    assert_int_equal(graph->n_nodes, 146);
    assert_int_equal(graph->n_inputs, 1);
    assert_int_equal(graph->n_outputs, 9);
    expect_dims(graph, "input.1", "1, 3, input.1[2], input.1[3]");
    expect_dims(graph, "443", "2*floor((input.1[2] + 7)/8)*floor((input.1[3] + 7)/8), 1");
    expect_dims(graph, "414", "1, 16, floor((input.1[2] + 7)/8), floor((input.1[3] + 7)/8)");
    bind(graph, (const int64_t[]){1, 3, 640, 640});
    expect_dims(graph, "443", "12800, 1");
    expect_dims(graph, "468", "3200, 1");
    expect_dims(graph, "493", "800, 1");
    expect_dims(graph, "446", "12800, 4");
    expect_dims(graph, "499", "800, 10");
    expect_dims(graph, "394", "1, 16, 40, 40");
    expect_dims(graph, "414", "1, 16, 80, 80");
    close_real(&model);
}

static void scrfd_25g_is_read_at_an_odd_size(void **state) {
    (void)state;
    struct real_model model = open_real("scrfd_2.5g_bnkps.onnx");
    assert_int_equal(model.graph->n_nodes, 157);
    bind(model.graph, (const int64_t[]){1, 3, 321, 257});
    expect_dims(model.graph, "446", "2560, 1");
    expect_dims(model.graph, "466", "640, 1");
    expect_dims(model.graph, "489", "160, 4");
    expect_dims(model.graph, "472", "640, 10");
    close_real(&model);
}

static void mobilefacenet_is_read(void **state) {
    (void)state;
    struct real_model model = open_real("mobilefacenet.onnx");
    int64_t dims[VT_MAX_RANK];
    assert_int_equal(model.graph->n_nodes, 98); /* 163 less 65 constants */
    expect_dims(model.graph, "output", "1, 128");
    expect_dims(model.graph, "/features/features.14/Add_output_0", "1, 128, 7, 7");
    const struct vt_value *weight = vt_graph_find_value(model.graph, "onnx::Conv_527");
    assert_true(vt_value_static_dims(weight, dims));
    assert_non_null(weight->constant);
    assert_int_equal(weight->dtype, VT_DTYPE_F32);
    close_real(&model);
}

static void anti_spoofing_models_are_read(void **state) {
    (void)state;
    static const char *const names[] = {"2.7_80x80_MiniFASNetV2.onnx", "4_0_0_80x80_MiniFASNetV1SE.onnx"};
    for (int i = 0; i < 2; ++i) {
        struct real_model model = open_real(names[i]);
        expect_dims(model.graph, "input", "1, 3, 80, 80");
        expect_dims(model.graph, "logits", "1, 3");
        close_real(&model);
    }
}

/* Weights lie in the file where alignment allows, and are the right ones in any case. */
static void weights_are_not_copied(void **state) {
    (void)state;
    const float values[4] = {1, 2, 3, 4};
    for (int shift = 0; shift < 4; ++shift) {
        struct encoder graph = {0};
        char doc[8] = "        ";
        put_block(&graph, 10, doc, (size_t)shift + 1);
        put_f32(&graph, "w", 4, values);
        put_output(&graph, "w");
        struct reading reading = read_good(&graph, 13);
        const struct vt_tensor *content = vt_graph_find_value(reading.graph, "w")->constant;
        const uint8_t *data = content->data, *file = reading.model.bytes;
        bool inside = data >= file && data < file + reading.model.size;
        assert_memory_equal(data, values, sizeof values);
        assert_int_equal((uintptr_t)data % sizeof(float), 0);
        const uint8_t *stored = memmem(file, reading.model.size, values, sizeof values);
        assert_int_equal(inside, (uintptr_t)stored % sizeof(float) == 0);
        reading_fini(&reading);
    }
}

/* A tensor in the field that its element type uses instead of raw data. */
static void expect_typed(int64_t type, uint32_t field, struct encoder *data, enum vt_dtype dtype, const void *expected,
    size_t size, bool packed) {
    struct encoder graph = {0}, tensor = {0};
    put_int(&tensor, 1, 3); /* dims, not packed */
    put_int(&tensor, 2, type);
    put_text(&tensor, 8, "w");
    if (packed)
        put_message(&tensor, field, data);
    else
        put_bytes(&tensor, data->bytes, data->size);
    encoder_fini(data);
    put_message(&graph, 5, &tensor);
    put_output(&graph, "w");
    struct reading reading = read_good(&graph, 13);
    const struct vt_tensor *content = vt_graph_find_value(reading.graph, "w")->constant;
    assert_int_equal(content->dtype, dtype);
    assert_int_equal(content->rank, 1);
    assert_int_equal(content->dims[0], 3);
    assert_memory_equal(content->data, expected, size);
    reading_fini(&reading);
}

static void typed_data_is_decoded(void **state) {
    (void)state;
    const float floats[3] = {1, -2, 0.5F};
    const double doubles[3] = {1e99, -2, 0.5};
    const int64_t longs[3] = {-1, INT64_MIN, 7};
    const int32_t ints[3] = {-1, INT32_MIN, 7};
    const int8_t bytes[3] = {-1, -128, 7};
    const uint16_t halves[3] = {0x3C00, 0xC000, 0x7BFF};
    struct encoder data = {0};
    put_bytes(&data, floats, sizeof floats);
    expect_typed(ONNX_F32, 4, &data, VT_DTYPE_F32, floats, sizeof floats, true);
    for (int i = 0; i < 3; ++i) put_float(&data, 4, floats[i]);
    expect_typed(ONNX_F32, 4, &data, VT_DTYPE_F32, floats, sizeof floats, false);
    put_bytes(&data, doubles, sizeof doubles);
    expect_typed(ONNX_F64, 10, &data, VT_DTYPE_F64, doubles, sizeof doubles, true);
    for (int i = 0; i < 3; ++i) put_int(&data, 7, longs[i]);
    expect_typed(ONNX_I64, 7, &data, VT_DTYPE_I64, longs, sizeof longs, false);
    for (int i = 0; i < 3; ++i) put_varint(&data, (uint64_t)(int64_t)ints[i]);
    expect_typed(ONNX_I32, 5, &data, VT_DTYPE_I32, ints, sizeof ints, true);
    for (int i = 0; i < 3; ++i) put_varint(&data, (uint64_t)(int64_t)bytes[i]);
    expect_typed(ONNX_I8, 5, &data, VT_DTYPE_I8, bytes, sizeof bytes, true);
    for (int i = 0; i < 3; ++i) put_varint(&data, halves[i]);
    expect_typed(ONNX_F16, 5, &data, VT_DTYPE_F16, halves, sizeof halves, true);
}

static struct encoder identity_graph(void) {
    struct encoder graph = {0};
    put_input(&graph, "x", ONNX_F32, 1, (const int64_t[]){4});
    put_output(&graph, "y");
    put_plain_node(&graph, "Identity", "x", "y");
    return graph;
}

static void open_dims_become_symbols(void **state) {
    (void)state;
    static const struct {
        const char *param; /* NULL: none */
        int64_t value;
        const char *expected;
    } cases[] = {{NULL, 0, "x[0]"}, {NULL, -1, "x[0]"}, {"?", 0, "x[0]"}, {"", 0, "x[0]"}, {"None", 0, "x[0]"},
        {"batch", 0, "batch"}, {NULL, 7, "7"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        struct encoder graph = {0}, dim = {0}, shape = {0}, tensor = {0}, type = {0}, value = {0};
        if (cases[i].value) put_int(&dim, 1, cases[i].value);
        if (cases[i].param) put_text(&dim, 2, cases[i].param);
        put_message(&shape, 1, &dim);
        put_int(&tensor, 1, ONNX_F32);
        put_message(&tensor, 2, &shape);
        put_message(&type, 1, &tensor);
        put_text(&value, 1, "x");
        put_message(&value, 2, &type);
        put_message(&graph, 11, &value);
        put_output(&graph, "y");
        put_plain_node(&graph, "Identity", "x", "y");
        struct reading reading = read_good(&graph, 13);
        expect_dims(reading.graph, "x", cases[i].expected);
        reading_fini(&reading);
    }
}

static void inputs_that_are_initializers_are_constants(void **state) {
    (void)state;
    struct encoder graph = identity_graph();
    put_f32(&graph, "w", 2, (const float[]){1, 2});
    put_input(&graph, "w", ONNX_F32, 1, (const int64_t[]){2});
    struct reading reading = read_good(&graph, 9);
    assert_int_equal(reading.graph->n_inputs, 1);
    assert_non_null(vt_graph_find_value(reading.graph, "w")->constant);
    reading_fini(&reading);
}

static void nodes_may_come_in_any_order(void **state) {
    (void)state;
    struct encoder graph = {0};
    put_input(&graph, "x", ONNX_F32, 1, (const int64_t[]){4});
    put_output(&graph, "c");
    put_plain_node(&graph, "Relu", "b", "c");
    put_plain_node(&graph, "Tanh", "a", "b");
    put_plain_node(&graph, "Sigmoid", "x", "a");
    struct reading reading = read_good(&graph, 13);
    assert_int_equal(reading.graph->first->op, VT_OP_SIGMOID);
    assert_int_equal(reading.graph->last->op, VT_OP_RELU);
    reading_fini(&reading);
}

/* A constant that we make must not take a name that the file uses further down. */
static void our_names_do_not_clash(void **state) {
    (void)state;
    struct encoder graph = {0}, node = node_of("Clip", "x", "a");
    put_input(&graph, "x", ONNX_F32, 1, (const int64_t[]){4});
    put_output(&graph, "the-node_max");
    attribute_float(&node, "max", 6);
    put_node(&graph, &node);
    put_plain_node(&graph, "Relu", "a", "the-node_max");
    struct reading reading = read_good(&graph, 9);
    expect_graph(&reading, "a = Clip(x, -, the-node_max_|the-node_max = Relu(a)");
    reading_fini(&reading);
}

static void unnamed_nodes_are_named_after_their_output(void **state) {
    (void)state;
    struct encoder graph = {0}, node = {0};
    put_input(&graph, "x", ONNX_F32, 1, (const int64_t[]){4});
    put_output(&graph, "y");
    put_text(&node, 1, "x");
    put_text(&node, 2, "y");
    put_text(&node, 4, "Relu");
    put_node(&graph, &node);
    struct reading reading = read_good(&graph, 13);
    assert_string_equal(reading.graph->first->name, "y");
    reading_fini(&reading);
}

static void unknown_fields_are_stepped_over(void **state) {
    (void)state;
    struct encoder graph = identity_graph(), extra = {0};
    put_int(&graph, 100, 5);
    put_text(&graph, 101, "future");
    put_int(&extra, 1, 1);
    put_message(&graph, 13, &extra); /* value_info, which is not trusted */
    struct reading reading = read_good(&graph, 21);
    expect_graph(&reading, "y = Identity(x) : float32[4]");
    reading_fini(&reading);
}

static void opsets_outside_are_refused(void **state) {
    (void)state;
    static const int64_t opsets[] = {6, 23, 0, -1, INT64_MAX};
    for (size_t i = 0; i < sizeof opsets / sizeof *opsets; ++i) {
        struct encoder graph = identity_graph();
        read_bad(&graph, opsets[i], VULTUS_ERROR_UNSUPPORTED, "opset |outside 7 to 22");
    }
    for (int64_t opset = 7; opset <= 22; ++opset) {
        struct encoder graph = identity_graph();
        struct reading reading = read_good(&graph, opset);
        assert_int_equal(reading.graph->opset, opset);
        reading_fini(&reading);
    }
}

static void broken_graphs_are_refused(void **state) {
    (void)state;
    struct encoder graph = identity_graph();
    put_plain_node(&graph, "Relu", "nowhere", "z");
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "(Relu)|'nowhere'");
    graph = identity_graph();
    put_plain_node(&graph, "Relu", "x", "y");
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "'y' is given to two");
    graph = identity_graph();
    put_plain_node(&graph, "Relu", "x", "x");
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "'x' is given to two");
    graph = identity_graph();
    put_output(&graph, "nothing");
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "output 'nothing'");
    graph = identity_graph();
    put_output(&graph, "y");
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "'y' is listed twice");
    graph = identity_graph();
    put_plain_node(&graph, "Add", "x b", "a");
    put_plain_node(&graph, "Relu", "a", "b");
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "cycle|'the-node'");
    graph = identity_graph();
    put_f32(&graph, "w", 0, NULL);
    put_f32(&graph, "w", 0, NULL);
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "'w'|two initializers");
    graph = identity_graph();
    put_input(&graph, "x", ONNX_F32, 0, NULL);
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "'x'");
    graph = (struct encoder){0};
    put_input(&graph, "x", ONNX_F32, 0, NULL);
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "no outputs");
    graph = identity_graph();
    put_plain_node(&graph, "Relu", "x", "-");
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "(Relu)|output 0 has no name");
    graph = identity_graph();
    put_input(&graph, "z", ONNX_F32, 1, (const int64_t[]){-7});
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "dimension 0 of input 'z' is -7");
    graph = identity_graph();
    put_input(&graph, "z", ONNX_TEXT, 1, (const int64_t[]){1});
    read_bad(&graph, 13, VULTUS_ERROR_UNSUPPORTED, "'z'|element type 8");
    graph = identity_graph();
    put_input(&graph, "z", ONNX_F32, 9, (const int64_t[9]){1});
    read_bad(&graph, 13, VULTUS_ERROR_UNSUPPORTED, "'z'|more than 8 dimensions");
}

static void broken_tensors_are_refused(void **state) {
    (void)state;
    const float values[2] = {1, 2};
    struct encoder graph = identity_graph();
    put_initializer(&graph, "w", ONNX_F32, 1, (const int64_t[]){3}, values, sizeof values);
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "'w' needs 12 bytes of data but has 8");
    graph = identity_graph();
    put_initializer(&graph, "w", ONNX_F32, 1, (const int64_t[]){1}, values, sizeof values);
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "'w' needs 4 bytes of data but has 8");
    graph = identity_graph();
    put_initializer(&graph, "w", ONNX_F32, 1, (const int64_t[]){-2}, values, sizeof values);
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "'w'|negative");
    graph = identity_graph();
    const int64_t huge[3] = {INT64_C(1) << 40, INT64_C(1) << 40, 0};
    put_initializer(&graph, "w", ONNX_F32, 2, huge, values, sizeof values);
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "'w'|too large");
    graph = identity_graph();
    put_initializer(&graph, "w", ONNX_TEXT, 1, (const int64_t[]){2}, values, sizeof values);
    read_bad(&graph, 13, VULTUS_ERROR_UNSUPPORTED, "'w'|element type 8");
    graph = identity_graph();
    put_initializer(&graph, "w", ONNX_F32, 9, (const int64_t[9]){1, 1, 1, 1, 1, 1, 1, 1, 2}, values, sizeof values);
    read_bad(&graph, 13, VULTUS_ERROR_UNSUPPORTED, "'w'|9 dimensions");
    graph = identity_graph();
    put_initializer(&graph, "", ONNX_F32, 1, (const int64_t[]){2}, values, sizeof values);
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "no name");

    struct encoder tensor = {0}, entry = {0};
    for (int count = 2; count <= 4; count += 2) { /* of 3 that the dims ask for */
        put_int(&tensor, 1, 3);
        put_int(&tensor, 2, ONNX_F32);
        for (int i = 0; i < count; ++i) put_float(&tensor, 4, 1);
        put_text(&tensor, 8, "w");
        graph = identity_graph();
        put_message(&graph, 5, &tensor);
        read_bad(&graph, 13, VULTUS_ERROR_FORMAT, count == 2 ? "'w' needs 3 elements of data but has 2" : "but has 4");
    }

    tensor = tensor_of("w", ONNX_F32, 1, (const int64_t[]){2}, values, sizeof values);
    put_text(&entry, 1, "location");
    put_text(&entry, 2, "weights.bin");
    put_message(&tensor, 13, &entry);
    put_int(&tensor, 14, 1);
    graph = identity_graph();
    put_message(&graph, 5, &tensor);
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "'w'|data location 1 and data of its own");
    tensor = tensor_of("w", ONNX_F32, 1, (const int64_t[]){2}, values, sizeof values);
    put_int(&tensor, 14, 2);
    graph = identity_graph();
    put_message(&graph, 5, &tensor);
    read_bad(&graph, 13, VULTUS_ERROR_FORMAT, "'w'|data location 2");
    graph = identity_graph();
    put_text(&graph, 15, "");
    read_bad(&graph, 13, VULTUS_ERROR_UNSUPPORTED, "sparse");
}

static void broken_models_are_refused(void **state) {
    (void)state;
    struct vultus_error error;
    struct vt_graph *read = NULL;
    struct encoder graph = identity_graph(), model = {0}, import = {0};
    put_int(&model, 1, 8);
    put_block(&model, 7, graph.bytes, graph.size);
    assert_int_equal(vt_onnx_read(model.bytes, model.size, "m", NULL, &read, &error), VULTUS_ERROR_FORMAT);
    expect_parts(error.text, "m: |opset");
    put_int(&import, 2, 13);
    put_message(&model, 8, &import);
    assert_int_equal(vt_onnx_read(model.bytes, model.size, "m", NULL, &read, &error), VULTUS_OK);
    vt_graph_destroy(read);
    put_block(&model, 7, graph.bytes, graph.size);
    assert_int_equal(vt_onnx_read(model.bytes, model.size, "m", NULL, &read, &error), VULTUS_ERROR_FORMAT);
    expect_parts(error.text, "two graphs");
    encoder_fini(&model);

    encoder_fini(&graph);
    assert_int_equal(vt_onnx_read(NULL, 0, "m", NULL, &read, &error), VULTUS_ERROR_FORMAT);
    expect_parts(error.text, "no ONNX model");
}

static void node_limits_hold(void **state) {
    (void)state;
    struct encoder graph = {0};
    put_input(&graph, "n0", ONNX_F32, 0, NULL);
    for (int i = 0; i < 20; ++i) {
        char from[8], to[8];
        snprintf(from, sizeof from, "n%d", i);
        snprintf(to, sizeof to, "n%d", i + 1);
        put_plain_node(&graph, "Relu", from, to);
    }
    put_output(&graph, "n20");
    struct encoder model = model_of(&graph, 13);
    struct vultus_error error;
    struct vt_graph *read = NULL;
    for (size_t most = 19; most <= 20; ++most) {
        const struct vt_onnx_limits limits = {.nodes = most};
        enum vultus_status status = vt_onnx_read(model.bytes, model.size, "m", &limits, &read, &error);
        assert_int_equal(status, most == 19 ? VULTUS_ERROR_LIMIT : VULTUS_OK);
    }
    expect_parts(error.text, "more than 19 nodes");
    vt_graph_destroy(read);
    encoder_fini(&model);
}

static void models_are_told_from_other_files(void **state) {
    (void)state;
    struct encoder graph = identity_graph(), model = model_of(&graph, 13);
    assert_true(vt_onnx_probe(model.bytes, model.size));
    assert_true(vt_onnx_probe(model.bytes, model.size / 2)); /* cut off, but plainly a model */
    assert_false(vt_onnx_probe(model.bytes + 2, model.size - 2));
    encoder_fini(&model);
    static const char *const others[] = {"", "\x89PNG\r\n\x1a\n", "\xff\xd8\xff\xe0", "VULTUSPLAN......", "hello world",
        "\x08", "\x08\x08", "{\"json\": 1}", "PK\x03\x04", "\x93NUMPY\x01"};
    for (size_t i = 0; i < sizeof others / sizeof *others; ++i)
        assert_false(vt_onnx_probe((const uint8_t *)others[i], strlen(others[i])));
    assert_false(vt_onnx_probe(NULL, 0));
}

#define TEST(name) cmocka_unit_test(name)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(det_500m_is_read), TEST(scrfd_25g_is_read_at_an_odd_size),
        TEST(mobilefacenet_is_read), TEST(anti_spoofing_models_are_read), TEST(weights_are_not_copied),
        TEST(typed_data_is_decoded), TEST(open_dims_become_symbols), TEST(inputs_that_are_initializers_are_constants),
        TEST(nodes_may_come_in_any_order), TEST(our_names_do_not_clash),
        TEST(unnamed_nodes_are_named_after_their_output), TEST(unknown_fields_are_stepped_over),
        TEST(opsets_outside_are_refused), TEST(broken_graphs_are_refused), TEST(broken_tensors_are_refused),
        TEST(broken_models_are_refused), TEST(node_limits_hold), TEST(models_are_told_from_other_files)};
    return cmocka_run_group_tests_name("onnx-reader", tests, NULL, NULL);
}
