/* SPDX-License-Identifier: Apache-2.0
 * Whole models: compiled and run against the reference interpreter on the graph as read, for every family of tactics.
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
#include "exec/session.h"
#include "graph/interpreter.h"
#include "onnx/onnx.h"
#include "test_data.h"

#define MOST_IO 16
#define BATCH 3
/* Small enough for the interpreter to stay quick, large enough for every stride. */
#define SIDE 96

static const char *const models[] = {"det_500m.onnx", "scrfd_2.5g_bnkps.onnx", "mobilefacenet.onnx",
    "2.7_80x80_MiniFASNetV2.onnx", "4_0_0_80x80_MiniFASNetV1SE.onnx"};

struct loaded {
    struct vt_mapped_file file;
    struct vt_graph *graph;
};

static struct vt_compile_options small_options(const struct vt_graph *graph) {
    int64_t fixed;
    bool free_size = !vt_dim_is_constant(graph->inputs[0]->dims[2], &fixed);
    return (struct vt_compile_options){
        .width = free_size ? SIDE : 0, .height = free_size ? SIDE : 0, .max_batch = BATCH, .threads = 2};
}

/* Skips the test when there is no test data. */
static void load(const char *model, struct loaded *out) {
    char path[4096];
    struct vultus_error error = {0};
    find_test_model(model, path, sizeof path);
    if (vt_map_file(path, &out->file, &error) ||
        vt_onnx_read(out->file.data, out->file.size, model, NULL, &out->graph, &error))
        fail_msg("%s", error.text);
}

static void unload(struct loaded *l) {
    vt_graph_destroy(l->graph);
    vt_unmap_file(&l->file);
}

static void fill(float *data, int64_t count, uint32_t seed) {
    for (int64_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (float)(int32_t)seed * 0x1p-31f;
    }
}

/* Reference results of each item, one after the other. */
static void reference(const char *model, float *const *items, struct vt_arena *arena,
    struct vt_tensor outputs[BATCH][MOST_IO], size_t *n_outputs) {
    struct loaded l;
    struct vultus_error error = {0};
    load(model, &l);
    struct vt_compile_options options = small_options(l.graph);
    if (vt_compile_bind(l.graph, &options, &error)) fail_msg("%s", error.text);
    struct vt_tensor input = {.dtype = VT_DTYPE_F32, .rank = l.graph->inputs[0]->rank};
    assert_true(vt_value_static_dims(l.graph->inputs[0], input.dims));
    for (int i = 0; i < BATCH; i++) {
        input.data = items[i];
        if (vt_graph_run(l.graph, &input, outputs[i], arena, &error)) fail_msg("%s", error.text);
    }
    *n_outputs = l.graph->n_outputs;
    unload(&l);
}

static void compare(const char *what, const float *got, const struct vt_tensor *wanted) {
    int64_t count = vt_tensor_count(wanted);
    const float *reference_values = wanted->data;
    double most = 0, largest = 0;
    for (int64_t i = 0; i < count; i++) {
        assert_true(isfinite(got[i]));
        most = fmax(most, fabs((double)got[i] - reference_values[i]));
        largest = fmax(largest, fabs(reference_values[i]));
    }
    if (most > 1e-3 * largest) fail_msg("%s: largest difference %g of %g", what, most, largest);
}

static void run_compiled(const char *model, const char *tactics, const float *batch_items, int64_t item_floats,
    struct vt_tensor wanted[BATCH][MOST_IO], size_t n_outputs) {
    struct loaded l;
    struct vultus_error error = {0};
    struct vt_plan *plan = NULL;
    struct vt_engine *engine;
    struct vt_pool *pool;
    load(model, &l);
    struct vt_compile_options options = small_options(l.graph);
    options.only_tactics = tactics;
    if (vt_pool_create(2, &pool, &error) || vt_compile(l.graph, &options, pool, &plan, &error))
        fail_msg("%s", error.text);
    if (vt_engine_create(plan, pool, &engine, &error)) fail_msg("%s", error.text);
    float *together[MOST_IO], *alone[MOST_IO];
    for (size_t o = 0; o < n_outputs; o++) {
        together[o] = malloc(BATCH * vt_tensor_bytes(&wanted[0][o]));
        alone[o] = malloc(vt_tensor_bytes(&wanted[0][o]));
    }
    const void *inputs[1] = {batch_items};
    if (vt_engine_run(engine, inputs, (void *const *)together, BATCH, NULL, &error)) fail_msg("%s", error.text);
    for (int i = 0; i < BATCH; i++) {
        inputs[0] = batch_items + i * item_floats;
        if (vt_engine_run(engine, inputs, (void *const *)alone, 1, NULL, &error)) fail_msg("%s", error.text);
        for (size_t o = 0; o < n_outputs; o++) {
            char what[256];
            int64_t count = vt_tensor_count(&wanted[i][o]);
            snprintf(what, sizeof what, "%s with %s, item %d, output %zu", model, tactics, i, o);
            compare(what, together[o] + i * count, &wanted[i][o]);
            if (memcmp(alone[o], together[o] + i * count, (size_t)count * sizeof(float)) != 0)
                fail_msg("%s: bytes differ between batch 1 and %d", what, BATCH);
        }
    }
    for (size_t o = 0; o < n_outputs; o++) {
        free(together[o]);
        free(alone[o]);
    }
    vt_engine_destroy(engine);
    vt_pool_destroy(pool);
    unload(&l);
}

static void test_models(void **state) {
    (void)state;
    static const char *const tactics[] = {"reference", "direct", "winograd", "onednn"};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        struct loaded l;
        load(models[m], &l);
        struct vt_compile_options options = small_options(l.graph);
        struct vultus_error error = {0};
        if (vt_compile_bind(l.graph, &options, &error)) fail_msg("%s", error.text);
        struct vt_tensor shape = {.dtype = VT_DTYPE_F32, .rank = l.graph->inputs[0]->rank};
        assert_true(vt_value_static_dims(l.graph->inputs[0], shape.dims));
        int64_t item_floats = vt_tensor_count(&shape);
        unload(&l);

        float *data = malloc((size_t)(BATCH * item_floats) * sizeof *data), *items[BATCH];
        fill(data, BATCH * item_floats, (uint32_t)m + 1);
        for (int i = 0; i < BATCH; i++) items[i] = data + i * item_floats;
        struct vt_arena arena;
        struct vt_tensor wanted[BATCH][MOST_IO];
        size_t n_outputs;
        vt_arena_init(&arena, 0);
        reference(models[m], items, &arena, wanted, &n_outputs);
        for (size_t t = 0; t < sizeof tactics / sizeof *tactics; t++)
            run_compiled(models[m], tactics[t], data, item_floats, wanted, n_outputs);
        vt_arena_fini(&arena);
        free(data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_models)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
