/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "exec/session.h"
#include "plan_builder.h"

/* ------------------------------------------------------------ counting allocations (linked with --wrap) */

/* On all threads, the pool's among them. */
static unsigned allocations;
static int counting;

static void count_allocation(void) {
    if (__atomic_load_n(&counting, __ATOMIC_RELAXED)) __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
}

static void set_counting(int on) {
    allocations = 0;
    __atomic_store_n(&counting, on, __ATOMIC_SEQ_CST);
}

#define COUNTED(name, parameters, arguments)                                                                           \
    void *__real_##name parameters;                                                                                    \
    void *__wrap_##name parameters;                                                                                    \
    void *__wrap_##name parameters {                                                                                   \
        count_allocation();                                                                                            \
        return __real_##name arguments;                                                                                \
    }
COUNTED(malloc, (size_t size), (size))
COUNTED(calloc, (size_t count, size_t size), (count, size))
COUNTED(realloc, (void *memory, size_t size), (memory, size))
COUNTED(aligned_alloc, (size_t alignment, size_t size), (alignment, size))

int __real_posix_memalign(void **memory, size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size) {
    count_allocation();
    return __real_posix_memalign(memory, alignment, size);
}

/* ------------------------------------------------------------ a small network of every kind of step */

enum { MOST_ITEMS = 8 };

struct network {
    struct plan_builder b;
    int block;
};

/* The first tactic of this build's own, so that no library's allocations are counted. */
static void choose_own(struct network *n, struct vt_plan_step *step, const float *weights) {
    const char *names[16], *classes[16];
    size_t count = vt_backend_find("cpu")->builder->tactics(n->b.plan, step, names, classes, 16), i = 0;
    while (i < count && strstr(names[i], "onednn")) i++;
    assert_true(i < count);
    builder_choose(&n->b, step, names[i], n->b.plan->max_batch, weights);
}

static uint32_t conv(struct network *n, uint32_t x, uint32_t y, int64_t kernel, int64_t stride) {
    const struct vt_plan_value *in = &n->b.plan->values[x], *out = &n->b.plan->values[y];
    int64_t pad = kernel / 2;
    size_t count = (size_t)(in->dims[1] * out->dims[1] * kernel * kernel);
    uint32_t inputs[4] = {x, builder_random_constant(&n->b, (size_t)out->dims[1], -1, 1),
        builder_random_constant(&n->b, (size_t)out->dims[1], 0, 1), VT_PLAN_NONE};
    struct vt_plan_step *step = builder_step(&n->b, VT_STEP_CONV, inputs, 4, y);
    step->params.window = (struct vt_window){.kernel = {kernel, kernel},
        .stride = {stride, stride},
        .dilation = {1, 1},
        .pad = {pad, pad, pad, pad},
        .group = 1};
    step->params.tail.act1 = VT_ACT_PRELU;
    choose_own(n, step, random_floats(&n->b.arena, &n->b.seed, count, -0.3f, 0.3f));
    return y;
}

static uint32_t blocked(struct network *n, int64_t channels, int64_t side, int32_t pad) {
    return builder_blocked(&n->b, VT_STORAGE_ARENA, (const int64_t[]){channels, side, side}, n->block,
        (const int32_t[]){pad, pad, pad, pad}, NULL);
}

static uint32_t simple_step(
    struct network *n, enum vt_step kind, uint32_t x, uint32_t second, uint32_t y, struct vt_plan_step **out) {
    uint32_t inputs[4] = {x, second, VT_PLAN_NONE, VT_PLAN_NONE};
    *out = builder_step(&n->b, kind, inputs, 4, y);
    return y;
}

static void add_head(struct network *n, uint32_t x) {
    struct vt_plan_step *step;
    uint32_t pooled = simple_step(n, VT_STEP_POOL, x, VT_PLAN_NONE, blocked(n, 24, 1, 0), &step);
    step->params.mode = VT_POOL_GLOBAL_AVERAGE;
    uint32_t plain = builder_plain(&n->b, VT_STORAGE_ARENA, 2, (const int64_t[]){1, 24});
    simple_step(n, VT_STEP_CONVERT, pooled, VT_PLAN_NONE, plain, &step);
    uint32_t inputs[4] = {plain, VT_PLAN_NONE, VT_PLAN_NONE, VT_PLAN_NONE};
    uint32_t y = builder_plain(&n->b, VT_STORAGE_OUTPUT, 2, (const int64_t[]){1, 40});
    choose_own(
        n, builder_step(&n->b, VT_STEP_GEMM, inputs, 4, y), random_floats(&n->b.arena, &n->b.seed, 24 * 40, -1, 1));
}

/* Picture [1,3,32,32] -> embedding [1,40] and a detector's map [16*16*24,1] without batch axis. */
static struct vt_plan *build_network(struct network *n) {
    struct vt_plan_step *step;
    builder_init(&n->b);
    n->block = vt_backend_find("cpu")->builder->block(VT_DTYPE_F32);
    uint32_t picture = builder_plain(&n->b, VT_STORAGE_INPUT, 4, (const int64_t[]){1, 3, 32, 32});
    uint32_t a = conv(n, picture, blocked(n, 20, 16, 1), 3, 2);
    uint32_t b = conv(n, a, blocked(n, 24, 16, 0), 3, 1);
    uint32_t small = simple_step(n, VT_STEP_POOL, b, VT_PLAN_NONE, blocked(n, 24, 8, 1), &step);
    step->params.window = (struct vt_window){.kernel = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}};
    small = conv(n, small, blocked(n, 24, 8, 0), 3, 1);
    uint32_t up = simple_step(n, VT_STEP_UPSAMPLE, small, b, blocked(n, 24, 16, 0), &step);
    uint32_t normed[3] = {up, builder_random_constant(&n->b, 24, 0, 1), builder_random_constant(&n->b, 24, -1, 1)};
    uint32_t norm = blocked(n, 24, 16, 0);
    step = builder_step(&n->b, VT_STEP_GROUP_NORM, normed, 3, norm);
    step->params.groups = 8;
    step->params.epsilon = 1e-5f;
    uint32_t sum = simple_step(n, VT_STEP_BINARY, norm, up, blocked(n, 24, 16, 0), &step);
    uint32_t map = builder_plain(&n->b, VT_STORAGE_OUTPUT, 2, (const int64_t[]){16 * 16 * 24, 1});
    simple_step(n, VT_STEP_CONVERT, sum, VT_PLAN_NONE, map, &step);
    step->params.perm_rank = 4;
    memcpy(step->params.perm, (const int32_t[]){2, 3, 0, 1}, 4 * sizeof(int32_t));
    add_head(n, sum);
    n->b.plan->max_batch = MOST_ITEMS;
    builder_finish(&n->b);
    return n->b.plan;
}

struct buffers {
    float *input, *outputs[2];
    size_t output_bytes[2]; /* of one item */
};

static void make_buffers(struct buffers *data, const struct vt_engine *engine, struct vt_arena *arena, uint32_t seed) {
    struct vt_tensor in = vt_engine_input(engine, 0, MOST_ITEMS);
    data->input = random_floats(arena, &seed, (size_t)vt_tensor_count(&in), -1, 1);
    for (uint32_t i = 0; i < 2; i++) {
        struct vt_tensor item = vt_engine_output(engine, i, 1);
        data->output_bytes[i] = vt_tensor_bytes(&item);
        data->outputs[i] = vt_arena_alloc(arena, MOST_ITEMS * data->output_bytes[i]);
        assert_non_null(data->outputs[i]);
    }
}

static enum vultus_status run(struct vt_engine *engine, const struct buffers *data, int64_t batch) {
    return vt_engine_run(engine, (const void *const[]){data->input},
        (void *const[]){data->outputs[0], data->outputs[1]}, batch, NULL, NULL);
}

static struct vt_engine *make_engine(struct network *n, struct vt_pool *pool) {
    struct vt_engine *engine = NULL;
    struct vultus_error error = {0};
    if (vt_engine_create(build_network(n), pool, &engine, &error)) fail_msg("%s", error.text);
    n->b.plan = NULL; /* the engine's now */
    return engine;
}

static struct vt_pool *make_pool(int threads) {
    struct vt_pool *pool = NULL;
    struct vultus_error error;
    assert_int_equal(vt_pool_create(threads, &pool, &error), VULTUS_OK);
    return pool;
}

/* ------------------------------------------------------------ tests */

static void test_shapes(void **state) {
    (void)state;
    struct network n;
    struct vt_engine *engine = make_engine(&n, NULL);
    char text[64];
    struct vt_tensor in = vt_engine_input(engine, 0, 5), map = vt_engine_output(engine, 0, 5);
    struct vt_tensor embedding = vt_engine_output(engine, 1, 5);
    assert_string_equal(vt_tensor_describe(&in, text, sizeof text), "float32[5,3,32,32]");
    assert_string_equal(vt_tensor_describe(&map, text, sizeof text), "float32[5,6144,1]");
    assert_string_equal(vt_tensor_describe(&embedding, text, sizeof text), "float32[5,40]");
    vt_engine_destroy(engine);
    builder_fini(&n.b);
}

static void test_no_allocation_after_warm_up(void **state) {
    (void)state;
    struct network n;
    struct vt_pool *pool = make_pool(3);
    set_counting(1);
    struct vt_engine *engine = make_engine(&n, pool);
    assert_true(allocations > 0); /* the counter counts */
    set_counting(0);
    struct buffers data;
    make_buffers(&data, engine, &n.b.arena, 1);
    assert_int_equal(run(engine, &data, MOST_ITEMS), VULTUS_OK);
    set_counting(1);
    for (int64_t batch = MOST_ITEMS; batch >= 1; batch--) assert_int_equal(run(engine, &data, batch), VULTUS_OK);
    __atomic_store_n(&counting, 0, __ATOMIC_SEQ_CST);
    assert_int_equal(allocations, 0);
    vt_engine_destroy(engine);
    vt_pool_destroy(pool);
    builder_fini(&n.b);
}

struct caller {
    struct vt_engine *engine;
    struct buffers data;
    const struct buffers *expected;
    int failures;
};

static void *call_often(void *context) {
    struct caller *c = context;
    for (int i = 0; i < 30; i++) {
        int64_t batch = 1 + i % MOST_ITEMS;
        if (run(c->engine, &c->data, batch)) c->failures++;
        for (int o = 0; o < 2; o++)
            if (memcmp(c->data.outputs[o], c->expected->outputs[o], c->data.output_bytes[o] * (size_t)batch))
                c->failures++;
    }
    return NULL;
}

static void test_concurrent_callers_get_equal_bytes(void **state) {
    enum { CALLERS = 4 };
    (void)state;
    struct network n;
    struct vt_pool *pool = make_pool(2);
    struct vt_engine *engine = make_engine(&n, pool);
    struct buffers expected;
    make_buffers(&expected, engine, &n.b.arena, 7);
    assert_int_equal(run(engine, &expected, MOST_ITEMS), VULTUS_OK);
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.engine = engine, .expected = &expected};
        make_buffers(&callers[i].data, engine, &n.b.arena, 7);
    }
    for (int i = 0; i < CALLERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].failures, 0);
    }
    vt_engine_destroy(engine);
    vt_pool_destroy(pool);
    builder_fini(&n.b);
}

static void test_profile_has_every_step(void **state) {
    (void)state;
    struct network n;
    struct vt_engine *engine = make_engine(&n, NULL);
    struct buffers data;
    struct vt_step_profile profile[MAX_STEPS] = {{0}};
    make_buffers(&data, engine, &n.b.arena, 3);
    assert_int_equal(vt_engine_run(engine, (const void *const[]){data.input},
                         (void *const[]){data.outputs[0], data.outputs[1]}, 8, profile, NULL),
        VULTUS_OK);
    uint32_t measured = 0;
    for (uint32_t i = 0; i < vt_engine_plan(engine)->n_steps; i++) measured += profile[i].nanoseconds > 0;
    assert_int_equal(measured, vt_engine_plan(engine)->n_steps);
    vt_engine_destroy(engine);
    builder_fini(&n.b);
}

static void test_bad_calls(void **state) {
    (void)state;
    struct network n;
    struct vt_engine *engine = make_engine(&n, NULL);
    struct buffers data;
    struct vultus_error error = {0};
    make_buffers(&data, engine, &n.b.arena, 1);
    assert_int_equal(run(engine, &data, 0), VULTUS_ERROR_INVALID);
    assert_int_equal(run(engine, &data, MOST_ITEMS + 1), VULTUS_ERROR_INVALID);
    void *outputs[2] = {data.outputs[0], NULL};
    const void *inputs[1] = {data.input};
    assert_int_equal(vt_engine_run(engine, inputs, outputs, 1, NULL, &error), VULTUS_ERROR_INVALID);
    assert_non_null(strstr(error.text, "output 1"));
    inputs[0] = NULL;
    assert_int_equal(vt_engine_run(engine, inputs, outputs, 1, NULL, &error), VULTUS_ERROR_INVALID);
    assert_non_null(strstr(error.text, "input 0"));
    vt_engine_destroy(engine);
    builder_fini(&n.b);
}

/* A refused plan still belongs to the caller, and the sentence names the field. */
static void expect_refusal(struct network *n, enum vultus_status status, const char *part) {
    struct vt_engine *engine = NULL;
    struct vultus_error error = {0};
    assert_int_equal(vt_engine_create(n->b.plan, NULL, &engine, &error), status);
    assert_null(engine);
    if (!strstr(error.text, part)) fail_msg("\"%s\" does not say \"%s\"", error.text, part);
    builder_fini(&n->b);
}

static void test_plan_of_another_backend(void **state) {
    (void)state;
    struct network n;
    strcpy(build_network(&n)->key.backend, "abacus");
    expect_refusal(&n, VULTUS_ERROR_MISMATCH, "backend is \"abacus\"");
}

static void test_plan_of_another_machine(void **state) {
    (void)state;
    struct network n;
    build_network(&n)->required_features = VT_CPU_NEON | VT_CPU_SSE2; /* no machine has both */
    expect_refusal(&n, VULTUS_ERROR_MISMATCH, "it needs ");
}

static void test_plan_of_another_instruction_set(void **state) {
    (void)state;
    struct network n;
    const char *other = vt_cpu_has(VT_CPU_NEON) ? "sse" : "neon";
    strcpy(build_network(&n)->key.arch, other);
    expect_refusal(&n, VULTUS_ERROR_MISMATCH, other);
}

static void test_plan_of_another_build(void **state) {
    (void)state;
    struct network n;
    strcpy(build_network(&n)->key.build, "0.0.1-0123456789ab");
    expect_refusal(&n, VULTUS_ERROR_MISMATCH, "build is 0.0.1-0123456789ab");
}

static void test_unknown_tactic(void **state) {
    (void)state;
    struct network n;
    build_network(&n)->steps[3].choices[0].tactic = "conv:wishful";
    expect_refusal(&n, VULTUS_ERROR_MISMATCH, "conv:wishful");
}

static void test_rank_without_room_for_the_batch(void **state) {
    (void)state;
    struct network n;
    build_network(&n)->values[n.b.plan->inputs[0]].rank = VT_MAX_RANK;
    expect_refusal(&n, VULTUS_ERROR_UNSUPPORTED, "rank 8");
}

static void test_what_stands_by_is_of_the_same_network(void **state) {
    (void)state;
    struct network n, m;
    struct vt_engine *engine = make_engine(&n, NULL), *other = make_engine(&m, NULL);
    struct vt_plan *plan = (struct vt_plan *)vt_engine_plan(other);
    struct vultus_error error = {0};
    strcpy(plan->key.model_sha256, "another");
    assert_int_equal(vt_engine_set_fallback(engine, other, &error), VULTUS_ERROR_MISMATCH);
    strcpy(plan->key.model_sha256, vt_engine_plan(engine)->key.model_sha256);
    plan->max_batch--;
    assert_int_equal(vt_engine_set_fallback(engine, other, &error), VULTUS_ERROR_MISMATCH);
    plan->max_batch++;
    plan->values[plan->inputs[0]].dims[1]++;
    assert_int_equal(vt_engine_set_fallback(engine, other, &error), VULTUS_ERROR_MISMATCH);
    plan->values[plan->inputs[0]].dims[1]--;
    assert_int_equal(vt_engine_set_fallback(engine, other, &error), VULTUS_OK);
    assert_string_equal(vt_engine_backend(engine), "cpu");
    assert_null(vt_engine_failure(engine));
    vt_engine_destroy(engine);
    builder_fini(&n.b);
    builder_fini(&m.b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_no_allocation_after_warm_up),
        cmocka_unit_test(test_concurrent_callers_get_equal_bytes),
        cmocka_unit_test(test_profile_has_every_step),
        cmocka_unit_test(test_bad_calls),
        cmocka_unit_test(test_plan_of_another_backend),
        cmocka_unit_test(test_plan_of_another_machine),
        cmocka_unit_test(test_plan_of_another_instruction_set),
        cmocka_unit_test(test_plan_of_another_build),
        cmocka_unit_test(test_unknown_tactic),
        cmocka_unit_test(test_rank_without_room_for_the_batch),
        cmocka_unit_test(test_what_stands_by_is_of_the_same_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
