/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the bytes, reading ends with a graph that can be used or with one sentence, in bounded memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reading.h"
#include "samples.h"

#define MEMORY ((size_t)4 << 20)

static struct vultus_error error;

/* Reads, infers, binds and prints what there is; true when all of it worked. */
static bool survives(const uint8_t *bytes, size_t size) {
    const struct vt_onnx_limits limits = {.arena_bytes = MEMORY};
    struct vt_graph *graph = NULL;
    error = (struct vultus_error){0};
    enum vultus_status status = vt_onnx_read(bytes, size, "hostile.onnx", &limits, &graph, &error);
    if (status) {
        assert_int_equal(error.status, status);
        assert_int_equal(strncmp(error.text, "hostile.onnx: ", 14), 0);
        assert_null(graph);
        return false;
    }
    status = vt_graph_infer(graph, &error);
    for (size_t i = 0; !status && i < graph->n_inputs; ++i) {
        const int64_t sizes[VT_MAX_RANK] = {1, 2, 9, 9, 1, 1, 1, 1};
        if (graph->inputs[i]->rank >= 0) /* a contradiction is fine */
            vt_graph_bind_input(graph, graph->inputs[i], sizes, graph->inputs[i]->rank, &error);
    }
    if (!status) status = vt_graph_infer(graph, &error);
    struct vt_strbuf buffer = {0};
    vt_graph_dump(graph, &buffer);
    vt_strbuf_fini(&buffer);
    assert_true(graph->arena.used <= MEMORY);
    vt_graph_destroy(graph);
    return !status;
}

/* From a block of exactly that size, so that a sanitizer sees every read past the end. */
static bool survives_copy(const uint8_t *bytes, size_t size) {
    uint8_t *copy = test_malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    bool good = survives(copy, size);
    test_free(copy);
    return good;
}

static void samples_are_good(void **state) {
    (void)state;
    for (size_t i = 0; i < n_samples; ++i) {
        struct encoder model = samples[i].make();
        if (!survives_copy(model.bytes, model.size)) fail_msg("%s: %s", samples[i].name, error.text);
        encoder_fini(&model);
    }
}

static void truncations_are_survived(void **state) {
    (void)state;
    for (size_t i = 0; i < n_samples; ++i) {
        struct encoder model = samples[i].make();
        size_t accepted = 0;
        for (size_t size = 0; size < model.size; ++size) {
            accepted += survives_copy(model.bytes, size);
            vt_onnx_probe(model.bytes, size);
        }
        assert_int_equal(accepted, 0); /* the last field is the opset, without which nothing works */
        encoder_fini(&model);
    }
}

static void single_bit_flips_are_survived(void **state) {
    (void)state;
    for (size_t i = 0; i < n_samples; ++i) {
        struct encoder model = samples[i].make();
        size_t refused = 0;
        for (size_t bit = 0; bit < 8 * model.size; ++bit) {
            model.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
            refused += !survives_copy(model.bytes, model.size);
            model.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        assert_true(refused > model.size); /* most flips cannot go unnoticed */
        encoder_fini(&model);
    }
}

static uint32_t random_state;
static uint32_t next_random(uint32_t below) {
    random_state = random_state * 1664525U + 1013904223U; /* Numerical Recipes' generator */
    return (random_state >> 8) % below;
}

/* Several bytes replaced by values that mean something in the format, or pieces moved about. */
static void random_damage_is_survived(void **state) {
    (void)state;
    static const uint8_t telling[] = {0, 1, 2, 7, 8, 0x0A, 0x12, 0x3A, 0x7F, 0x80, 0xFF, 0xFE, 0x20, 0x10};
    random_state = 3;
    for (size_t i = 0; i < n_samples; ++i) {
        struct encoder model = samples[i].make();
        uint8_t *damaged = test_malloc(model.size);
        for (int round = 0; round < 4000; ++round) {
            memcpy(damaged, model.bytes, model.size);
            for (uint32_t k = 1 + next_random(6); k; --k)
                damaged[next_random((uint32_t)model.size)] = telling[next_random(sizeof telling)];
            if (!next_random(3)) {
                size_t length = 1 + next_random(16), from = next_random((uint32_t)(model.size - length));
                memmove(damaged + next_random((uint32_t)(model.size - length)), damaged + from, length);
            }
            survives(damaged, model.size);
        }
        test_free(damaged);
        encoder_fini(&model);
    }
}

/* A graph of one node that declares no more than it must. */
static struct encoder small_graph(void) {
    struct encoder graph = {0};
    put_input(&graph, "x", ONNX_F32, 1, (const int64_t[]){4});
    put_output(&graph, "y");
    return graph;
}

static void expect_refusal(struct encoder *graph, enum vultus_status status, const char *parts) {
    struct encoder model = model_of(graph, 13);
    assert_false(survives(model.bytes, model.size));
    expect_parts(error.text, parts);
    assert_int_equal(error.status, status);
    encoder_fini(&model);
}

static void repeated_fields_do_not_exhaust_memory(void **state) {
    (void)state;
    struct encoder graph = small_graph(), node = node_of("Concat", "", "y");
    for (int i = 0; i < 100000; ++i) put_text(&node, 1, "x");
    put_node(&graph, &node);
    expect_refusal(&graph, VULTUS_ERROR_LIMIT, "more than 64 inputs");

    graph = small_graph();
    node = node_of("Relu", "x", "y");
    for (int i = 0; i < 100000; ++i) put_text(&node, 2, "");
    put_node(&graph, &node);
    expect_refusal(&graph, VULTUS_ERROR_LIMIT, "more than 64 outputs");

    graph = small_graph();
    node = node_of("Relu", "x", "y");
    for (int i = 0; i < 1000; ++i) attribute_int(&node, "alpha", i);
    put_node(&graph, &node);
    expect_refusal(&graph, VULTUS_ERROR_LIMIT, "more than 64 attributes");

    graph = small_graph();
    for (int i = 0; i < 3000; ++i) {
        char name[16];
        snprintf(name, sizeof name, "input%d", i);
        put_input(&graph, name, ONNX_F32, 0, NULL);
    }
    expect_refusal(&graph, VULTUS_ERROR_LIMIT, "more than 1024 inputs");

    graph = small_graph();
    put_plain_node(&graph, "Relu", "x", "y");
    for (int i = 0; i < 100000; ++i) put_bytes(&graph, "\x0a\x00", 2); /* nodes of nothing */
    expect_refusal(&graph, VULTUS_ERROR_UNSUPPORTED, "operator ''");
}

/* Numbers of one byte each take eight in memory. */
static void inflating_numbers_are_bounded(void **state) {
    (void)state;
    struct encoder graph = small_graph(), tensor = {0};
    static char zeros[1 << 20];
    const int64_t count = sizeof zeros;
    put_packed(&tensor, 1, 1, &count);
    put_int(&tensor, 2, ONNX_I64);
    put_block(&tensor, 7, zeros, sizeof zeros);
    put_text(&tensor, 8, "w");
    put_message(&graph, 5, &tensor);
    expect_refusal(&graph, VULTUS_ERROR_MEMORY, "1048576 numbers");
}

static void many_values_are_bounded(void **state) {
    (void)state;
    struct encoder graph = small_graph();
    for (int i = 0; i < 60000; ++i) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        put_f32(&graph, name, 0, NULL);
    }
    expect_refusal(&graph, VULTUS_ERROR_MEMORY, "memory");
}

/* Subgraphs in subgraphs in subgraphs: nothing follows them down. */
static void deep_nesting_is_survived(void **state) {
    (void)state;
    struct encoder inner = {0};
    for (int depth = 0; depth < 2000; ++depth) {
        struct encoder attribute = {0}, node = {0}, outer = {0};
        put_text(&attribute, 1, "body");
        put_message(&attribute, 6, &inner);
        put_int(&attribute, 20, 5);
        put_message(&node, 5, &attribute);
        put_message(&outer, 1, &node);
        inner = outer;
    }
    expect_refusal(&inner, VULTUS_ERROR_UNSUPPORTED, "subgraph");
}

static void absurd_sizes_are_refused(void **state) {
    (void)state;
    struct encoder graph = {0};
    put_input(&graph, "x", ONNX_F32, 3, (const int64_t[]){INT64_MAX, INT64_MAX, INT64_MAX});
    put_output(&graph, "y");
    put_plain_node(&graph, "Relu", "x", "y");
    expect_refusal(&graph, VULTUS_ERROR_LIMIT, "too large");

    graph = (struct encoder){0};
    struct encoder node = node_of("Conv", "x w", "y");
    const int64_t huge[4] = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX};
    put_input(&graph, "x", ONNX_F32, 4, (const int64_t[]){1, 1, 0, 0});
    put_initializer(&graph, "w", ONNX_F32, 4, (const int64_t[]){1, 1, 1, 1}, "1234", 4);
    put_output(&graph, "y");
    attribute_ints(&node, "pads", 4, huge);
    attribute_ints(&node, "strides", 2, huge);
    attribute_ints(&node, "dilations", 2, huge);
    put_node(&graph, &node);
    expect_refusal(&graph, VULTUS_ERROR_FORMAT, "(Conv)");

    graph = small_graph();
    put_i64(&graph, "target", 2, (const int64_t[]){INT64_MIN, -1});
    put_plain_node(&graph, "Reshape", "x target", "y");
    expect_refusal(&graph, VULTUS_ERROR_FORMAT, "(Reshape)");
}

/* Operators whose results are as large as their inputs say. */
static void absurd_results_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *operator_name, *inputs;
        enum vultus_status status;
    } cases[] = {
        {"Expand", "x huge", VULTUS_ERROR_LIMIT},
        {"Tile", "x4 huge", VULTUS_ERROR_LIMIT},
        {"ConstantOfShape", "huge", VULTUS_ERROR_LIMIT},
        {"Expand", "x negative", VULTUS_ERROR_FORMAT},
        {"Tile", "x4 negative", VULTUS_ERROR_FORMAT},
        {"Range", "zero most zero", VULTUS_ERROR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        struct encoder graph = small_graph();
        const int64_t zero = 0, most = INT64_MAX;
        put_input(&graph, "x4", ONNX_F32, 4, (const int64_t[]){1, 2, 3, 4});
        put_i64(&graph, "huge", 4, (const int64_t[]){INT64_C(1) << 40, INT64_C(1) << 40, 1, 4});
        put_i64(&graph, "negative", 4, (const int64_t[]){-7, 1, 1, 4});
        put_initializer(&graph, "zero", ONNX_I64, 0, NULL, &zero, sizeof zero);
        put_initializer(&graph, "most", ONNX_I64, 0, NULL, &most, sizeof most);
        put_plain_node(&graph, cases[i].operator_name, cases[i].inputs, "y");
        expect_refusal(&graph, cases[i].status, cases[i].operator_name);
    }

    struct encoder graph = {0}, node = node_of("ConvTranspose", "x w", "y");
    const int64_t huge[4] = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX};
    put_input(&graph, "x", ONNX_F32, 4, (const int64_t[]){1, 1, 1, 1});
    put_initializer(&graph, "w", ONNX_F32, 4, (const int64_t[]){1, 1, 1, 1}, "1234", 4);
    put_output(&graph, "y");
    attribute_ints(&node, "output_shape", 2, huge);
    put_node(&graph, &node);
    expect_refusal(&graph, VULTUS_ERROR_FORMAT, "(ConvTranspose)");
}

/* A chain of hundreds of thousands of additions out of one node. */
static void long_sums_are_bounded(void **state) {
    (void)state;
    struct encoder graph = small_graph();
    const char *from = "x";
    static char names[2000][8];
    for (int i = 0; i < 2000; ++i) {
        struct encoder node = node_of("Sum", "", i == 1999 ? "y" : "");
        for (int k = 0; k < 64; ++k) put_text(&node, 1, from);
        snprintf(names[i], sizeof *names, "s%d", i);
        if (i < 1999) put_text(&node, 2, names[i]);
        from = names[i];
        put_node(&graph, &node);
    }
    expect_refusal(&graph, VULTUS_ERROR_MEMORY, "memory");
}

/* Symbolic sizes that grow with every node must not grow without end. */
static void growing_expressions_are_bounded(void **state) {
    (void)state;
    struct encoder graph = {0};
    put_input(&graph, "v0", ONNX_F32, 2, (const int64_t[]){0, 0});
    put_i64(&graph, "flat", 2, (const int64_t[]){1, -1});
    for (int i = 0; i < 400; ++i) {
        char from[24], to[16];
        snprintf(from, sizeof from, "v%d v%d", i, i);
        snprintf(to, sizeof to, "w%d", i);
        struct encoder node = node_of("Concat", from, to);
        attribute_int(&node, "axis", i % 2);
        put_node(&graph, &node);
        snprintf(from, sizeof from, "w%d flat", i);
        snprintf(to, sizeof to, "v%d", i + 1);
        put_plain_node(&graph, "Reshape", from, to);
    }
    put_output(&graph, "v400");
    struct encoder model = model_of(&graph, 13);
    survives(model.bytes, model.size);
    encoder_fini(&model);
}

static void every_memory_limit_is_survived(void **state) {
    (void)state;
    for (size_t i = 0; i < n_samples; ++i) {
        struct encoder model = samples[i].make();
        int failures = 0, successes = 0;
        for (size_t limit = 1; limit < 60000; limit += 509) {
            const struct vt_onnx_limits limits = {.arena_bytes = limit};
            struct vt_graph *graph = NULL;
            enum vultus_status status = vt_onnx_read(model.bytes, model.size, "m", &limits, &graph, &error);
            if (!status) status = vt_graph_infer(graph, &error);
            if (status && status != VULTUS_ERROR_MEMORY) fail_msg("%s: %s", samples[i].name, error.text);
            *(status ? &failures : &successes) += 1;
            vt_graph_destroy(graph);
        }
        assert_true(failures > 0 && successes > 0);
        encoder_fini(&model);
    }
}

#define TEST(name) cmocka_unit_test(name)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(samples_are_good), TEST(truncations_are_survived),
        TEST(single_bit_flips_are_survived), TEST(random_damage_is_survived),
        TEST(repeated_fields_do_not_exhaust_memory), TEST(inflating_numbers_are_bounded), TEST(many_values_are_bounded),
        TEST(deep_nesting_is_survived), TEST(absurd_sizes_are_refused), TEST(absurd_results_are_refused),
        TEST(long_sums_are_bounded), TEST(growing_expressions_are_bounded), TEST(every_memory_limit_is_survived)};
    return cmocka_run_group_tests_name("onnx-hostile", tests, NULL, NULL);
}
