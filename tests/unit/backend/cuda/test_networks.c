/* SPDX-License-Identifier: Apache-2.0
 * The starter models, compiled for the CUDA back end and run on what this test is linked with, a GPU or an emulated
 * one, against the reference interpreter on the graph as read.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compile/compile.h"
#include "config.h"
#include "exec/session.h"
#include "graph/interpreter.h"
#include "onnx/onnx.h"

enum { MOST_OUTPUTS = 16, ITEMS = 3 };
/* Of detectors, whose size is free: the smallest that all strides divide. */
#define SIDE 32

/* Relative to the largest magnitude of an output; the bounds of half precision and of bfloat16 are ten of their units,
 * for sums of rounded numbers through some fifty layers. */
static const struct {
    const char *name;
    float tolerance;
} precisions[] = {{"fp32", 1e-3f}, {"tf32", 1e-2f}, {"fp16", 1e-2f}, {"bf16", 4e-2f}};

static const char *const models[] = {"starter_det.onnx", "starter_rec.onnx"};

struct loaded {
    struct vt_mapped_file file;
    struct vt_graph *graph;
    struct vt_compile_options options;
};

static void load(const char *model, const char *precision, struct loaded *l) {
    char path[4096];
    struct vultus_error error = {0};
    int64_t fixed;
    snprintf(path, sizeof path, "%s/models/starter/%s", VT_SOURCE_DIR, model);
    if (vt_map_file(path, &l->file, &error) || vt_onnx_read(l->file.data, l->file.size, model, NULL, &l->graph, &error))
        fail_msg("%s", error.text);
    bool free_size = !vt_dim_is_constant(l->graph->inputs[0]->dims[2], &fixed);
    l->options = (struct vt_compile_options){.backend = "cuda",
        .precision = precision,
        .width = free_size ? SIDE : 0,
        .height = free_size ? SIDE : 0,
        .max_batch = ITEMS,
        .threads = 1};
}

static void unload(struct loaded *l) {
    vt_graph_destroy(l->graph);
    vt_unmap_file(&l->file);
}

struct expected {
    struct vt_arena arena;
    float *items; /* all inputs */
    int64_t item_floats;
    struct vt_tensor outputs[ITEMS][MOST_OUTPUTS];
    size_t n_outputs;
};

static void interpret(const char *model, struct expected *e) {
    struct loaded l;
    struct vultus_error error = {0};
    uint32_t seed = 7;
    load(model, "fp32", &l);
    vt_arena_init(&e->arena, 0);
    if (vt_compile_bind(l.graph, &l.options, &error)) fail_msg("%s", error.text);
    struct vt_tensor input = {.dtype = VT_DTYPE_F32, .rank = l.graph->inputs[0]->rank};
    assert_true(vt_value_static_dims(l.graph->inputs[0], input.dims));
    e->item_floats = vt_tensor_count(&input);
    e->n_outputs = l.graph->n_outputs;
    e->items = vt_arena_alloc_array(&e->arena, (size_t)(ITEMS * e->item_floats), sizeof *e->items);
    assert_non_null(e->items);
    for (int64_t i = 0; i < ITEMS * e->item_floats; i++) {
        seed = seed * 1664525u + 1013904223u;
        e->items[i] = (float)(int32_t)seed * 0x1p-31f;
    }
    for (int i = 0; i < ITEMS; i++) {
        input.data = e->items + i * e->item_floats;
        if (vt_graph_run(l.graph, &input, e->outputs[i], &e->arena, &error)) fail_msg("%s", error.text);
    }
    unload(&l);
}

static void compare(const char *what, const float *got, const struct vt_tensor *wanted, float tolerance) {
    const float *numbers = wanted->data;
    double most = 0, largest = 0;
    for (int64_t i = 0; i < vt_tensor_count(wanted); i++) {
        assert_true(isfinite(got[i]));
        most = fmax(most, fabs((double)got[i] - (double)numbers[i]));
        largest = fmax(largest, fabs((double)numbers[i]));
    }
    if (most > (double)tolerance * largest) fail_msg("%s: largest difference %g of %g", what, most, largest);
}

/* Room for all outputs of `items` items, full of NaN. */
static void make_room(const struct expected *e, int items, float *room[MOST_OUTPUTS]) {
    for (size_t o = 0; o < e->n_outputs; o++) {
        size_t bytes = (size_t)items * vt_tensor_bytes(&e->outputs[0][o]);
        room[o] = malloc(bytes);
        assert_non_null(room[o]);
        memset(room[o], 0xff, bytes);
    }
}

static void free_room(const struct expected *e, float *room[MOST_OUTPUTS]) {
    for (size_t o = 0; o < e->n_outputs; o++) free(room[o]);
}

static void run(struct vt_engine *engine, const float *items, int batch, float *room[MOST_OUTPUTS],
    struct vt_step_profile *profile) {
    struct vultus_error error = {0};
    if (vt_engine_run(engine, (const void *[]){items}, (void *const *)room, batch, profile, &error))
        fail_msg("%s", error.text);
}

/* Together, alone, alone once more (a graph recorded before) and profiled: the same bytes; the first of them right.
 */
static void check_engine(struct vt_engine *engine, const char *what, const struct expected *e, float tolerance) {
    float *together[MOST_OUTPUTS], *alone[MOST_OUTPUTS], *again[MOST_OUTPUTS], *profiled[MOST_OUTPUTS];
    uint32_t n_steps = vt_engine_plan(engine)->n_steps;
    struct vt_step_profile *profile = calloc(n_steps, sizeof *profile);
    assert_non_null(profile);
    make_room(e, ITEMS, together);
    make_room(e, 1, again);
    make_room(e, 1, profiled);
    run(engine, e->items, ITEMS, together, NULL);
    for (int i = 0; i < ITEMS; i++) {
        make_room(e, 1, alone);
        run(engine, e->items + i * e->item_floats, 1, alone, NULL);
        for (size_t o = 0; o < e->n_outputs; o++) {
            int64_t count = vt_tensor_count(&e->outputs[i][o]);
            compare(what, together[o] + i * count, &e->outputs[i][o], tolerance);
            assert_memory_equal(alone[o], together[o] + i * count, (size_t)count * sizeof(float));
        }
        free_room(e, alone);
    }
    run(engine, e->items, 1, again, NULL);
    run(engine, e->items, 1, profiled, profile);
    for (size_t o = 0; o < e->n_outputs; o++) {
        assert_memory_equal(again[o], together[o], vt_tensor_bytes(&e->outputs[0][o]));
        assert_memory_equal(profiled[o], together[o], vt_tensor_bytes(&e->outputs[0][o]));
    }
    free_room(e, together);
    free_room(e, again);
    free_room(e, profiled);
    free(profile);
}

static void test_starter_models(void **state) {
    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        struct expected e;
        interpret(models[m], &e);
        for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
            struct loaded l;
            struct vultus_error error = {0};
            struct vt_plan *plan = NULL;
            struct vt_engine *engine;
            char what[128];
            load(models[m], precisions[p].name, &l);
            if (vt_compile(l.graph, &l.options, NULL, &plan, &error)) fail_msg("%s", error.text);
            if (vt_plan_check(plan, &error)) fail_msg("%s", error.text);
            if (vt_engine_create(plan, NULL, &engine, &error)) fail_msg("%s", error.text);
            snprintf(what, sizeof what, "%s in %s", models[m], precisions[p].name);
            check_engine(engine, what, &e, precisions[p].tolerance);
            vt_engine_destroy(engine);
            unload(&l);
        }
        vt_arena_fini(&e.arena);
    }
}

/* What has no kernel runs all the same. */
static void test_operators_without_kernel(void **state) {
    (void)state;
    struct vultus_error error = {0};
    struct vt_graph *graph = NULL;
    struct vt_plan *plan = NULL;
    assert_int_equal(vt_graph_create(0, &graph, &error), VULTUS_OK);
    struct vt_value *x = vt_graph_add_value(graph, "x"), *sorted;
    x->dtype = VT_DTYPE_F32;
    x->rank = 2;
    for (int i = 0; i < 2; i++) x->dims[i] = vt_dim_constant(&graph->arena, 1 + 7 * i);
    assert_true(vt_graph_add_input(graph, x));
    struct vt_node *node = vt_graph_add_node(graph, NULL, VT_OP_SOFTMAX, "softmax", &x, 1, NULL, 1, NULL, 0);
    assert_non_null(node);
    sorted = node->outputs[0];
    assert_true(vt_graph_add_output(graph, sorted));
    struct vt_compile_options options = {.backend = "cuda", .max_batch = 2, .threads = 1};
    struct vt_engine *engine;
    float in[2][8], out[2][8];
    if (vt_compile(graph, &options, NULL, &plan, &error) || vt_engine_create(plan, NULL, &engine, &error))
        fail_msg("%s", error.text);
    for (int i = 0; i < 16; i++) in[i / 8][i % 8] = (float)(i * i % 11) / 4;
    if (vt_engine_run(engine, (const void *[]){in}, (void *[]){out}, 2, NULL, &error)) fail_msg("%s", error.text);
    for (int item = 0; item < 2; item++) {
        double sum = 0;
        for (int i = 0; i < 8; i++) sum += exp((double)in[item][i]);
        for (int i = 0; i < 8; i++) assert_true(fabs((double)out[item][i] - exp((double)in[item][i]) / sum) < 1e-6);
    }
    vt_engine_destroy(engine);
    vt_graph_destroy(graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starter_models), cmocka_unit_test(test_operators_without_kernel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
