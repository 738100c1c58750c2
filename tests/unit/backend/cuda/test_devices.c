/* SPDX-License-Identifier: Apache-2.0
 * Several GPUs, one that is lost, one whose memory is the host's, and the clock that tactics are timed with, emulated.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "plan_builder.h"

#include "backend/cuda/module/devices.h"
#include "backend/cuda/module/kernels/kernels.h"
#include "backend/cuda/module/measure.h"
#include "base/log.h"
#include "emulated.h"
#include "exec/session.h"

enum { CHANNELS = 8, SIDE = 5, ITEM = CHANNELS * SIDE * SIDE, ITEMS = 4, DEVICES = 3 };
enum { PLAIN, LOST, INTEGRATED }; /* what devices 0, 1 and 2 are good for */

/* A plain input, planes, a 1x1 convolution, and back. */
static void build(struct plan_builder *b) {
    const int64_t size[] = {CHANNELS, SIDE, SIDE}, dims[] = {1, CHANNELS, SIDE, SIDE};
    builder_init(b);
    uint32_t in = builder_plain(b, VT_STORAGE_INPUT, 4, dims), out = builder_plain(b, VT_STORAGE_OUTPUT, 4, dims);
    uint32_t x = builder_blocked(b, VT_STORAGE_ARENA, size, VT_CUDA_BLOCK, NULL, NULL);
    uint32_t y = builder_blocked(b, VT_STORAGE_ARENA, size, VT_CUDA_BLOCK, NULL, NULL);
    float *weights = random_floats(&b->arena, &b->seed, CHANNELS * CHANNELS, -1, 1);
    builder_choose(b, builder_step(b, VT_STEP_CONVERT, &in, 1, x), NULL, 32, NULL);
    struct vt_plan_step *conv = builder_step(b, VT_STEP_CONV, &x, 1, y);
    conv->params.window = (struct vt_window){.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .group = 1};
    builder_choose(b, conv, NULL, 32, weights);
    builder_choose(b, builder_step(b, VT_STEP_CONVERT, &y, 1, out), NULL, 32, NULL);
    builder_finish(b);
}

static const float *inputs(void) {
    static float numbers[ITEMS * ITEM];
    for (int i = 0; i < ITEMS * ITEM; i++) numbers[i] = (float)(i % 17) / 16 - 0.5f;
    return numbers;
}

static void run_on(const struct vt_plan *plan, int device, float *out) {
    const struct vt_backend *backend = tested_backend();
    struct vt_executable *e;
    struct vultus_error error = {0};
    if (backend->create(plan, NULL, device, &e, &error)) fail_msg("%s", error.text);
    for (int repetition = 0; repetition < 2; repetition++)
        if (backend->run(e, (const void *[]){inputs()}, (void *[]){out}, ITEMS, NULL, &error))
            fail_msg("%s", error.text);
    backend->destroy(e);
}

static void test_each_device(void **state) {
    (void)state;
    struct plan_builder b;
    float out[DEVICES][ITEMS * ITEM];
    build(&b);
    for (int d = 0; d < DEVICES; d++) run_on(b.plan, d, out[d]);
    for (int d = 1; d < DEVICES; d++) assert_memory_equal(out[d], out[0], sizeof out[0]);
    struct vt_executable *e;
    struct vultus_error error;
    assert_int_equal(tested_backend()->devices(), DEVICES);
    assert_int_equal(tested_backend()->create(b.plan, NULL, DEVICES, &e, &error), VULTUS_ERROR_BACKEND);
    builder_fini(&b);
}

/* What crosses the bus for a batch: its items in and out, or nothing where the memory is the host's. */
static void test_copies(void **state) {
    (void)state;
    struct plan_builder b;
    float out[ITEMS * ITEM];
    size_t before[DEVICES], after[DEVICES];
    build(&b);
    for (int d = PLAIN; d <= INTEGRATED; d += INTEGRATED) {
        const struct vt_backend *backend = tested_backend();
        struct vt_executable *e;
        struct vultus_error error = {0};
        assert_int_equal(backend->create(b.plan, NULL, d, &e, &error), VULTUS_OK);
        before[d] = emulated_gpus.copied;
        assert_int_equal(backend->run(e, (const void *[]){inputs()}, (void *[]){out}, ITEMS, NULL, &error), VULTUS_OK);
        after[d] = emulated_gpus.copied;
        backend->destroy(e);
    }
    assert_int_equal(after[PLAIN] - before[PLAIN], 2 * sizeof out);
    assert_int_equal(after[INTEGRATED] - before[INTEGRATED], 0);
    builder_fini(&b);
}

static uint32_t reference_step(struct plan_builder *b, enum vt_op op, uint32_t x, uint32_t constant, uint32_t y) {
    const uint32_t in[] = {x, constant};
    builder_step(b, VT_STEP_REFERENCE, in, constant == VT_PLAN_NONE ? 1 : 2, y)->op = op;
    return y;
}

/* relu(-(x + c)) doubled, by operators that no kernel runs, two of them next to each other, and two kernels. */
static void build_host_steps(struct plan_builder *b, const float *c) {
    const int64_t dims[] = {1, ITEM};
    uint32_t values[5];
    builder_init(b);
    uint32_t in = builder_plain(b, VT_STORAGE_INPUT, 2, dims), out = builder_plain(b, VT_STORAGE_OUTPUT, 2, dims);
    for (int i = 0; i < 5; i++) values[i] = builder_plain(b, VT_STORAGE_ARENA, 2, dims);
    uint32_t constant = builder_constant(b, c, ITEM);
    uint32_t x = reference_step(b, VT_OP_ADD, in, constant, values[0]);
    x = reference_step(b, VT_OP_NEG, x, VT_PLAN_NONE, values[1]);
    x = reference_step(b, VT_OP_IDENTITY, x, VT_PLAN_NONE, values[2]);
    x = reference_step(b, VT_OP_RELU, x, VT_PLAN_NONE, values[3]);
    x = reference_step(b, VT_OP_IDENTITY, x, VT_PLAN_NONE, values[4]);
    reference_step(b, VT_OP_ADD, x, x, out);
    builder_finish(b);
    assert_string_equal(b->plan->steps[0].choices[0].tactic, "operator:host");
    assert_string_equal(b->plan->steps[2].choices[0].tactic, "identity");
}

/* Alone, together, again, and profiled; where the device's memory is the host's, too. */
static void test_host_steps(void **state) {
    (void)state;
    struct plan_builder b;
    struct vultus_error error = {0};
    struct vt_step_profile profile[6];
    float c[ITEM];
    for (int i = 0; i < ITEM; i++) c[i] = (float)(i % 3) / 8;
    build_host_steps(&b, c);
    for (int d = PLAIN; d <= INTEGRATED; d += INTEGRATED) {
        struct vt_executable *e;
        if (tested_backend()->create(b.plan, NULL, d, &e, &error)) fail_msg("%s", error.text);
        for (int run = 0; run < 5; run++) {
            float out[ITEMS * ITEM];
            int items = run == 1 ? ITEMS : run == 3 ? 2 : 1;
            memset(out, 0xff, sizeof out);
            if (tested_backend()->run(
                    e, (const void *[]){inputs()}, (void *[]){out}, items, run == 4 ? profile : NULL, &error))
                fail_msg("%s", error.text);
            for (int i = 0; i < items * ITEM; i++) {
                float sum = inputs()[i] + c[i % ITEM];
                assert_true(out[i] == (sum < 0 ? -2 * sum : 0));
            }
        }
        tested_backend()->destroy(e);
    }
    builder_fini(&b);
}

/* What an operator makes is checked against the plan there, too. */
static void test_host_step_of_another_shape(void **state) {
    (void)state;
    struct plan_builder b;
    struct vt_executable *e;
    struct vultus_error error = {0};
    float out[ITEM + 1];
    builder_init(&b);
    uint32_t x = builder_plain(&b, VT_STORAGE_INPUT, 2, (const int64_t[]){1, ITEM});
    reference_step(
        &b, VT_OP_RELU, x, VT_PLAN_NONE, builder_plain(&b, VT_STORAGE_OUTPUT, 2, (const int64_t[]){1, ITEM + 1}));
    builder_finish(&b);
    if (tested_backend()->create(b.plan, NULL, 0, &e, &error)) fail_msg("%s", error.text);
    assert_int_equal(
        tested_backend()->run(e, (const void *[]){inputs()}, (void *[]){out}, 1, NULL, &error), VULTUS_ERROR_INVALID);
    assert_non_null(strstr(error.text, "where the plan says"));
    tested_backend()->destroy(e);
    builder_fini(&b);
}

static char logged[VULTUS_ERROR_TEXT];
static int n_logged;
static enum vt_log_level logged_level = VT_LOG_WARN;

static void take_log(enum vt_log_level level, const char *text, void *context) {
    (void)context;
    if (level != logged_level) return;
    snprintf(logged, sizeof logged, "%s", text);
    n_logged++;
}

/* A run that a device loses is made by another, which all later ones are, too; the last one's failure is the run's. */
static void test_lost_devices(void **state) {
    (void)state;
    struct plan_builder b;
    struct vt_engine *engine;
    struct vultus_error error = {0};
    float expected[ITEMS * ITEM], out[ITEMS * ITEM];
    build(&b);
    run_on(b.plan, 0, expected);
    snprintf(b.plan->key.backend, sizeof b.plan->key.backend, "cuda");
    if (vt_engine_create(b.plan, NULL, &engine, &error)) fail_msg("%s", error.text);
    b.plan = NULL;
    n_logged = 0;
    vt_log_set_sink(take_log, NULL);
    for (emulated_gpus.lost = 0; emulated_gpus.lost < DEVICES - 1; emulated_gpus.lost++) {
        for (int i = 0; i < 3; i++) {
            memset(out, 0, sizeof out);
            if (vt_engine_run(engine, (const void *[]){inputs()}, (void *[]){out}, ITEMS, NULL, &error))
                fail_msg("%s", error.text);
            assert_memory_equal(out, expected, sizeof out);
        }
        assert_int_equal(n_logged, emulated_gpus.lost + 1);
        assert_non_null(strstr(logged, "is lost"));
    }
    assert_int_equal(
        vt_engine_run(engine, (const void *[]){inputs()}, (void *[]){out}, ITEMS, NULL, &error), VULTUS_ERROR_BACKEND);
    assert_non_null(strstr(error.text, "emulated GPU 2 is lost"));
    assert_int_equal(n_logged, DEVICES - 1);
    emulated_gpus.lost = -1;
    vt_log_set_sink(NULL, NULL);
    vt_engine_destroy(engine);
    builder_fini(&b);
}

/* What batches take is there before the first one comes, and told. */
static void test_reserve(void **state) {
    (void)state;
    enum { LARGEST = 4 };
    struct plan_builder b;
    struct vt_engine *engine;
    struct vultus_error error = {0};
    float out[ITEMS * ITEM];
    build(&b);
    snprintf(b.plan->key.backend, sizeof b.plan->key.backend, "cuda");
    if (vt_engine_create(b.plan, NULL, &engine, &error)) fail_msg("%s", error.text);
    b.plan = NULL;
    logged_level = VT_LOG_INFO;
    vt_log_set_level(VT_LOG_INFO);
    vt_log_set_sink(take_log, NULL);
    if (vt_engine_share_batches(engine, LARGEST, 0, &error)) fail_msg("%s", error.text);
    vt_log_set_sink(NULL, NULL);
    vt_log_set_level(VT_LOG_WARN);
    logged_level = VT_LOG_WARN;
    assert_non_null(strstr(logged, "MiB for batches of up to 4, on each of 3 devices"));
    size_t before = emulated_gpus.allocations;
    for (int items = 1; items <= LARGEST; items++)
        if (vt_engine_run(engine, (const void *[]){inputs()}, (void *[]){out}, items, NULL, &error))
            fail_msg("%s", error.text);
    assert_int_equal(emulated_gpus.allocations, before);
    vt_engine_destroy(engine);
    builder_fini(&b);
}

/* NVIDIA's data sheets, in TFLOP/s of dense products: H100 SXM, A100 SXM, T4, Jetson AGX Orin. */
static void test_peaks(void **state) {
    (void)state;
    static const struct {
        struct vt_cuda_device_info info;
        const char *precision;
        double tflops;
    } sheets[] = {{{.major = 9, .minor = 0, .processors = 132, .clock = 1830000}, "fp16", 989.4},
        {{.major = 9, .minor = 0, .processors = 132, .clock = 1830000}, "bf16", 989.4},
        {{.major = 9, .minor = 0, .processors = 132, .clock = 1830000}, "tf32", 494.7},
        {{.major = 8, .minor = 0, .processors = 108, .clock = 1410000}, "fp16", 312},
        {{.major = 8, .minor = 0, .processors = 108, .clock = 1410000}, "fp32", 19.5},
        {{.major = 7, .minor = 5, .processors = 40, .clock = 1590000}, "fp16", 65},
        {{.major = 7, .minor = 5, .processors = 40, .clock = 1590000}, "fp32", 8.1},
        {{.major = 8, .minor = 7, .processors = 16, .clock = 1300000}, "fp32", 5.3},
        {{.major = 6, .minor = 1, .processors = 20, .clock = 1700000}, "fp32", 0}};
    for (size_t i = 0; i < sizeof sheets / sizeof *sheets; i++) {
        double tflops = vt_cuda_peak_of(&sheets[i].info, sheets[i].precision) * 1e-12;
        assert_true(tflops >= sheets[i].tflops * 0.99 && tflops <= sheets[i].tflops * 1.01);
    }
}

struct caller {
    struct vt_engine *engine;
    const float *expected;
    atomic_int *wrong;
};

static void *call(void *context) {
    struct caller *c = context;
    float out[ITEMS * ITEM];
    struct vultus_error error;
    for (int i = 0; i < 20; i++)
        if (vt_engine_run(c->engine, (const void *[]){inputs()}, (void *[]){out}, ITEMS, NULL, &error) ||
            memcmp(out, c->expected, sizeof out) != 0)
            atomic_fetch_add(c->wrong, 1);
    return NULL;
}

/* Callers of several threads share batches, which several devices run at the same time. */
static void test_shared_batches(void **state) {
    (void)state;
    enum { CALLERS = 6 };
    struct plan_builder b;
    struct vt_engine *engine;
    struct vultus_error error = {0};
    float expected[ITEMS * ITEM];
    pthread_t threads[CALLERS];
    atomic_int wrong = 0;
    build(&b);
    run_on(b.plan, 0, expected);
    snprintf(b.plan->key.backend, sizeof b.plan->key.backend, "cuda");
    if (vt_engine_create(b.plan, NULL, &engine, &error) || vt_engine_share_batches(engine, 6, 0, &error))
        fail_msg("%s", error.text);
    b.plan = NULL;
    struct caller caller = {engine, expected, &wrong};
    for (int i = 0; i < CALLERS; i++) pthread_create(&threads[i], NULL, call, &caller);
    for (int i = 0; i < CALLERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
    vt_engine_destroy(engine);
    builder_fini(&b);
}

/* Every tactic gets a time for each batch, far from the fastest or not, with its weights in the cache or not. */
static void test_clock(void **state) {
    (void)state;
    struct plan_builder b;
    struct vt_stopwatch *watch;
    struct vultus_error error = {0};
    build(&b);
    struct vt_plan one = *b.plan;
    struct vt_plan_step conv = b.plan->steps[1];
    one.steps = &conv;
    one.n_steps = 1;
    const int64_t batches[] = {1, 3};
    if (vt_cuda_clock.open(&watch, &error)) fail_msg("%s", error.text);
    for (int far = 0; far < 2; far++)
        for (uint64_t weights = 0; weights < 2; weights++) {
            const double fastest[2] = {far ? 1e-3 : 0, 0};
            const struct vt_timing timing = {.plan = &one,
                .inputs = (const void *[]){inputs()},
                .batches = batches,
                .fastest = fastest,
                .n_batches = 2,
                .network_weights = weights};
            double ns[2] = {0, 0};
            if (vt_cuda_clock.measure(watch, &timing, ns, &error)) fail_msg("%s", error.text);
            assert_true(ns[0] > 0 && ns[1] > 0);
        }
    vt_cuda_clock.close(watch);
    vt_cuda_clock.close(NULL);
    builder_fini(&b);
}

int main(void) {
    emulated_gpus.count = DEVICES;
    emulated_gpus.integrated = INTEGRATED;
    vt_cuda_set_devices((const int[]){PLAIN, LOST, INTEGRATED}, DEVICES);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_device),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_host_steps),
        cmocka_unit_test(test_host_step_of_another_shape),
        cmocka_unit_test(test_lost_devices),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_peaks),
        cmocka_unit_test(test_shared_batches),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
