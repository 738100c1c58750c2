/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that a model defines: their nodes take the place of calls. Checked on the printed graph. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reading.h"

#define DOMAIN "our"

/* Names separated by spaces, each as the field `number`. */
static void put_names(struct encoder *message, uint32_t number, const char *names) {
    char name[32];
    for (int used; sscanf(names, "%31s%n", name, &used) == 1; names += used) put_text(message, number, name);
}

/* A FunctionProto to which nodes are added by put_call and put_inner. */
static struct encoder function_of(const char *name, const char *inputs, const char *outputs) {
    struct encoder function = {0};
    put_text(&function, 1, name);
    put_names(&function, 4, inputs);
    put_names(&function, 5, outputs);
    put_text(&function, 10, DOMAIN);
    return function;
}

static void put_inner(struct encoder *function, struct encoder *node) { put_message(function, 7, node); }

static struct encoder call_of(const char *name, const char *inputs, const char *outputs) {
    struct encoder node = node_of(name, inputs, outputs);
    put_text(&node, 7, DOMAIN);
    return node;
}

/* An attribute that takes the value of the function's attribute `target`. */
static void attribute_reference(struct encoder *node, const char *name, const char *target, int64_t type) {
    struct encoder attribute = {0};
    put_text(&attribute, 1, name);
    put_text(&attribute, 21, target);
    put_int(&attribute, 20, type);
    put_message(node, 5, &attribute);
}

/* x [1,3,8,8] and y, which `call` makes, with the functions in `functions` (fields 25 of the model). */
static struct reading read_call(struct encoder *call, struct encoder *functions) {
    struct encoder graph = {0};
    put_input(&graph, "x", ONNX_F32, 4, (const int64_t[]){1, 3, 8, 8});
    put_output(&graph, "y");
    put_node(&graph, call);
    struct reading reading = {.model = model_of(&graph, 13)};
    put_bytes(&reading.model, functions->bytes, functions->size);
    encoder_fini(functions);
    reading.status =
        vt_onnx_read(reading.model.bytes, reading.model.size, "hand.onnx", NULL, &reading.graph, &reading.error);
    return reading;
}

static void expect_call(struct encoder *call, struct encoder *functions, const char *parts) {
    struct reading reading = read_call(call, functions);
    if (reading.status) fail_msg("reading failed: %s", reading.error.text);
    expect_graph(&reading, parts);
    reading_fini(&reading);
}

static void refuse_call(struct encoder *call, struct encoder *functions, enum vultus_status status, const char *parts) {
    struct reading reading = read_call(call, functions);
    if (!reading.status) fail_msg("the model was accepted, expected was '%s'", parts);
    expect_parts(reading.error.text, parts);
    assert_int_equal(reading.status, status);
    reading_fini(&reading);
}

/* twice(a) -> b: inner = Relu(a); b = Add(inner, a) */
static void put_twice(struct encoder *functions) {
    struct encoder function = function_of("twice", "a", "b"), node = node_of("Add", "inner a", "b");
    put_inner(&function, &node);
    node = node_of("Relu", "a", "inner"); /* in any order */
    put_inner(&function, &node);
    put_message(functions, 25, &function);
}

static void calls_become_nodes(void **state) {
    (void)state;
    struct encoder functions = {0}, call = call_of("twice", "x", "y");
    put_twice(&functions);
    expect_call(&call, &functions, "twice/1/inner = Relu(x)|y = Add(twice/1/inner, x) : float32[1,3,8,8]");

    struct encoder outer = function_of("four", "p", "q");
    put_twice(&functions);
    call = call_of("twice", "p", "inner");
    put_inner(&outer, &call);
    call = call_of("twice", "inner", "q");
    put_inner(&outer, &call);
    put_message(&functions, 25, &outer);
    call = call_of("four", "x", "y");
    expect_call(&call, &functions,
        "twice/2/inner = Relu(x)|four/1/inner = Add(twice/2/inner, x)|twice/3/inner = Relu(four/1/inner)|"
        "y = Add(twice/3/inner, four/1/inner)");
}

static void attributes_are_handed_down(void **state) {
    (void)state;
    for (int given = 0; given < 2; ++given) {
        struct encoder functions = {0}, function = function_of("leaky", "a", "b"),
                       node = node_of("LeakyRelu", "a", "b");
        struct encoder own = {0};
        attribute_reference(&node, "alpha", "slope", 1);
        put_inner(&function, &node);
        put_text(&own, 1, "slope");
        put_float(&own, 2, 0.25F);
        put_int(&own, 20, 1);
        put_message(&function, 11, &own);
        put_message(&functions, 25, &function);
        struct encoder call = call_of("leaky", "x", "y");
        if (given) attribute_float(&call, "slope", 0.5F);
        expect_call(&call, &functions, given ? "LeakyRelu(x) {alpha=0.5}" : "LeakyRelu(x) {alpha=0.25}");
    }
    struct encoder functions = {0}, function = function_of("leaky", "a", "b"), node = node_of("LeakyRelu", "a", "b");
    attribute_reference(&node, "alpha", "slope", 1);
    put_inner(&function, &node);
    put_message(&functions, 25, &function);
    struct encoder call = call_of("leaky", "x", "y");
    expect_call(&call, &functions, "y = LeakyRelu(x) : ");

    /* A value of its own that refers to itself. */
    struct encoder own = {0};
    function = function_of("leaky", "a", "b");
    node = node_of("LeakyRelu", "a", "b");
    attribute_reference(&node, "alpha", "slope", 1);
    put_inner(&function, &node);
    put_text(&own, 1, "slope");
    put_text(&own, 21, "slope");
    put_message(&function, 11, &own);
    put_message(&functions, 25, &function);
    call = call_of("leaky", "x", "y");
    refuse_call(&call, &functions, VULTUS_ERROR_FORMAT, "refers to 'slope' of a function");
    call = node_of("LeakyRelu", "x", "y");
    attribute_reference(&call, "alpha", "slope", 1);
    refuse_call(&call, &functions, VULTUS_ERROR_FORMAT, "the node is in none");
}

static void operands_may_be_left_out(void **state) {
    (void)state;
    struct encoder functions = {0}, function = function_of("limit", "a low high", "b c"), call;
    struct encoder node = node_of("Clip", "a low high", "b");
    put_inner(&function, &node);
    node = node_of("Relu", "b", "c");
    put_inner(&function, &node);
    put_message(&functions, 25, &function);
    call = call_of("limit", "x", "y");
    expect_call(&call, &functions, "y = Clip(x) : |limit/1/c = Relu(y)");

    function = function_of("same", "a", "a");
    put_message(&functions, 25, &function);
    call = call_of("same", "x", "y");
    expect_call(&call, &functions, "y = Identity(x)");
}

/* The function's opset says what its operators mean. */
static void functions_have_opsets_of_their_own(void **state) {
    (void)state;
    struct encoder functions = {0}, function = function_of("old", "a", "b"), import = {0};
    struct encoder node = node_of("Squeeze", "a", "b");
    attribute_ints(&node, "axes", 1, (const int64_t[]){0});
    put_inner(&function, &node);
    put_int(&import, 2, 11);
    put_message(&function, 9, &import);
    put_message(&functions, 25, &function);
    struct encoder call = call_of("old", "x", "y");
    expect_call(&call, &functions, "y = Squeeze(x, |: float32[3,8,8]");
}

static void wrong_calls_are_refused(void **state) {
    (void)state;
    struct encoder functions = {0}, call = call_of("thrice", "x", "y");
    put_twice(&functions);
    refuse_call(&call, &functions, VULTUS_ERROR_UNSUPPORTED, "'thrice' of domain 'our'");
    put_twice(&functions);
    call = call_of("twice", "x x", "y");
    refuse_call(&call, &functions, VULTUS_ERROR_FORMAT, "2 inputs and 1 outputs, the function takes 1 and gives 1");

    struct encoder function = function_of("nothing", "a", "b");
    put_message(&functions, 25, &function);
    call = call_of("nothing", "x", "y");
    refuse_call(&call, &functions, VULTUS_ERROR_FORMAT, "makes its output 'b'");
    static const char *const doubled[] = {"b", "a"};
    for (int i = 0; i < 2; ++i) {
        function = function_of("doubled", "a", "b");
        for (int k = 0; k < 2; ++k) {
            struct encoder node = node_of("Relu", "a", doubled[i]);
            put_inner(&function, &node);
        }
        put_message(&functions, 25, &function);
        call = call_of("doubled", "x", "y");
        refuse_call(&call, &functions, VULTUS_ERROR_FORMAT, "is given to two values");
    }
    function = function_of("outside", "a", "b");
    struct encoder node = node_of("Relu", "x", "b"); /* of the graph around it */
    put_inner(&function, &node);
    put_message(&functions, 25, &function);
    call = call_of("outside", "x", "y");
    refuse_call(&call, &functions, VULTUS_ERROR_FORMAT, "reads 'x'");
}

/* Each function calls the one before it `calls` times; the first has no node, or calls itself. */
static void put_tower(struct encoder *functions, int height, int calls, bool endless) {
    for (int i = 0; i < height; ++i) {
        char name[16], below[16];
        snprintf(name, sizeof name, "f%d", i);
        snprintf(below, sizeof below, "f%d", i ? i - 1 : 0);
        struct encoder function = function_of(name, "a", "a");
        for (int k = 0; k < calls && (i > 0 || endless); ++k) {
            char output[16];
            snprintf(output, sizeof output, "v%d", k);
            struct encoder call = call_of(below, "a", output);
            put_inner(&function, &call);
        }
        put_message(functions, 25, &function);
    }
}

static void bombs_are_bounded(void **state) {
    (void)state;
    struct encoder functions = {0}, call = call_of("f0", "x", "y");
    put_tower(&functions, 1, 1, true);
    refuse_call(&call, &functions, VULTUS_ERROR_LIMIT, "more than 32 deep");
    put_tower(&functions, 1, 50, true);
    call = call_of("f0", "x", "y");
    refuse_call(&call, &functions, VULTUS_ERROR_LIMIT, "more than 32 deep");
    put_tower(&functions, 20, 20, false);
    call = call_of("f19", "x", "y");
    refuse_call(&call, &functions, VULTUS_ERROR_LIMIT, "called more than 65536 times");

    /* A long function that does nothing, called often. */
    struct encoder function = function_of("long", "a", "a"), outer = function_of("outer", "a", "a");
    static char blank[1 << 20];
    memset(blank, 'n', sizeof blank - 1);
    put_text(&function, 8, blank);
    put_message(&functions, 25, &function);
    for (int i = 0; i < 1000; ++i) {
        char output[16];
        snprintf(output, sizeof output, "v%d", i);
        call = call_of("long", "a", output);
        put_inner(&outer, &call);
    }
    put_message(&functions, 25, &outer);
    call = call_of("outer", "x", "y");
    refuse_call(&call, &functions, VULTUS_ERROR_LIMIT, "bytes of them");

    for (int i = 0; i < 5000; ++i) put_text(&functions, 25, "");
    call = call_of("f", "x", "y");
    refuse_call(&call, &functions, VULTUS_ERROR_LIMIT, "more than 4096 functions");
}

#define TEST(name) cmocka_unit_test(name)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(calls_become_nodes), TEST(attributes_are_handed_down),
        TEST(operands_may_be_left_out), TEST(functions_have_opsets_of_their_own), TEST(wrong_calls_are_refused),
        TEST(bombs_are_bounded)};
    return cmocka_run_group_tests_name("onnx-functions", tests, NULL, NULL);
}
