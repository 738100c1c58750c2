/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "backend/cpu/cpu.h"
#include "base/cpu.h"
#include "plan_builder.h"

/* x [1,8,4,4] blocked by 4 -> affine -> y. */
static struct vt_plan_step *build_affine(struct plan_builder *b) {
    const int64_t size[3] = {8, 4, 4};
    const int32_t pad[4] = {1, 1, 1, 1};
    builder_init(b);
    uint32_t inputs[4] = {builder_blocked(b, VT_STORAGE_INPUT, size, 4, NULL, NULL),
        builder_random_constant(b, 8, 1, 2), builder_random_constant(b, 8, 1, 2), VT_PLAN_NONE};
    float border[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint32_t middle = builder_blocked(b, VT_STORAGE_ARENA, size, 4, pad, border);
    struct vt_plan_step *step = builder_step(b, VT_STEP_AFFINE, inputs, 4, middle);
    inputs[0] = middle;
    builder_step(b, VT_STEP_AFFINE, inputs, 4, builder_blocked(b, VT_STORAGE_OUTPUT, size, 4, NULL, NULL));
    return step;
}

static void expect_refusal(struct plan_builder *b, enum vultus_status status, const char *part) {
    struct vt_executable *executable = NULL;
    struct vultus_error error = {0};
    assert_int_equal(vt_backend_find("cpu")->create(b->plan, NULL, 0, &executable, &error), status);
    assert_int_equal(error.status, status);
    if (!strstr(error.text, part)) fail_msg("\"%s\" does not say \"%s\"", error.text, part);
    builder_fini(b);
}

static void test_unknown_tactic(void **state) {
    (void)state;
    struct plan_builder b;
    struct vt_plan_step *step = build_affine(&b);
    builder_finish(&b);
    step->choices[0].tactic = "affine:from the future";
    expect_refusal(&b, VULTUS_ERROR_MISMATCH, "affine:from the future");
}

static void test_tactic_of_another_kind(void **state) {
    (void)state;
    struct plan_builder b;
    struct vt_plan_step *step = build_affine(&b);
    builder_finish(&b);
    step->choices[0].tactic = "group_norm";
    expect_refusal(&b, VULTUS_ERROR_MISMATCH, "group_norm");
}

static void test_tactic_that_does_not_fit(void **state) {
    (void)state;
    struct plan_builder b;
    struct vt_plan_step *step = build_affine(&b);
    builder_finish(&b);
    b.plan->values[step->inputs[0]].dims[2] = 5;
    expect_refusal(&b, VULTUS_ERROR_MISMATCH, "step1");
}

static void test_no_tactic(void **state) {
    (void)state;
    struct plan_builder b;
    struct vt_plan_step *step = build_affine(&b);
    builder_finish(&b);
    step->n_choices = 0;
    expect_refusal(&b, VULTUS_ERROR_FORMAT, "0 tactics");
}

static void test_missing_cpu_features(void **state) {
    (void)state;
    struct plan_builder b;
    build_affine(&b);
    builder_finish(&b);
    b.plan->required_features |= VT_CPU_NEON | VT_CPU_SSE2; /* no machine has both */
    expect_refusal(&b, VULTUS_ERROR_MISMATCH, "CPU features");
}

static void test_short_border(void **state) {
    (void)state;
    struct plan_builder b;
    struct vt_plan_step *step = build_affine(&b);
    builder_finish(&b);
    b.plan->values[b.plan->values[step->outputs[0]].border].bytes = 7 * sizeof(float);
    expect_refusal(&b, VULTUS_ERROR_FORMAT, "border");
}

static void test_packed_weights_of_another_size(void **state) {
    (void)state;
    struct plan_builder b;
    builder_init(&b);
    uint32_t inputs[4] = {
        builder_plain(&b, VT_STORAGE_INPUT, 2, (const int64_t[]){1, 8}), VT_PLAN_NONE, VT_PLAN_NONE, VT_PLAN_NONE};
    uint32_t y = builder_plain(&b, VT_STORAGE_OUTPUT, 2, (const int64_t[]){1, 4});
    struct vt_plan_step *step = builder_step(&b, VT_STEP_GEMM, inputs, 4, y);
    builder_choose(&b, step, "gemm:reference", 8, random_floats(&b.arena, &b.seed, 32, -1, 1));
    builder_finish(&b);
    b.plan->values[step->choices[0].packed].bytes -= 4;
    expect_refusal(&b, VULTUS_ERROR_MISMATCH, "packs weights into 128 bytes, the plan has 124");
}

/* ------------------------------------------------------------ running */

static void run_affine(struct vt_executable *executable, const struct plan_builder *b, int64_t batch) {
    struct vultus_error error = {0};
    size_t bytes = b->plan->values[b->plan->outputs[0]].bytes * (size_t)batch;
    void *in = calloc(1, bytes), *out = calloc(1, bytes);
    assert_true(in && out);
    assert_int_equal(
        vt_backend_find("cpu")->run(executable, (const void *const[]){in}, (void *const[]){out}, batch, NULL, &error),
        VULTUS_OK);
    free(in);
    free(out);
}

static void test_workspace_grows_with_the_group_only(void **state) {
    (void)state;
    const struct vt_backend *backend = vt_backend_find("cpu");
    struct plan_builder b;
    struct vt_executable *executable = NULL;
    struct vultus_error error;
    build_affine(&b);
    builder_finish(&b);
    assert_int_equal(backend->create(b.plan, NULL, 0, &executable, &error), VULTUS_OK);
    assert_int_equal(backend->workspace_bytes(executable), 0);
    run_affine(executable, &b, 3);
    size_t three = backend->workspace_bytes(executable);
    assert_true(three >= b.plan->arena_bytes);
    run_affine(executable, &b, 1);
    assert_int_equal(backend->workspace_bytes(executable), three);
    run_affine(executable, &b, 7);
    assert_int_equal(backend->workspace_bytes(executable), three); /* a thread takes one item after the other */
    struct vt_step_profile profile[2];
    float in[7 * 128] = {0}, out[7 * 128];
    assert_true(b.plan->values[b.plan->inputs[0]].bytes * 7 <= sizeof in);
    assert_int_equal(
        backend->run(executable, (const void *const[]){in}, (void *const[]){out}, 7, profile, &error), VULTUS_OK);
    assert_true(backend->workspace_bytes(executable) >= 7 * b.plan->arena_bytes); /* profiled: all items step by step */
    assert_int_equal(backend->run(executable, NULL, NULL, 0, NULL, &error), VULTUS_ERROR_INVALID);
    assert_int_equal(backend->run(executable, NULL, NULL, INT64_MAX, NULL, &error), VULTUS_ERROR_LIMIT);
    run_affine(executable, &b, 7);
    backend->destroy(executable);
    builder_fini(&b);
}

static void test_profile(void **state) {
    (void)state;
    const struct vt_backend *backend = vt_backend_find("cpu");
    struct plan_builder b;
    struct vt_executable *executable = NULL;
    struct vultus_error error;
    struct vt_step_profile profile[2] = {{0}};
    build_affine(&b);
    builder_finish(&b);
    assert_int_equal(backend->create(b.plan, NULL, 0, &executable, &error), VULTUS_OK);
    float in[128] = {0}, out[128];
    for (int run = 0; run < 100; run++) /* a step may take less than the clock's tick */
        assert_int_equal(
            backend->run(executable, (const void *const[]){in}, (void *const[]){out}, 1, profile, &error), VULTUS_OK);
    assert_true(profile[0].nanoseconds + profile[1].nanoseconds > 0);
    backend->destroy(executable);
    builder_fini(&b);
}

/* Groups up to the first choice's use it, larger ones the last; a profiled run takes its whole batch as one group. */
static void test_choice_by_batch(void **state) {
    (void)state;
    const struct vt_backend *backend = vt_backend_find("cpu");
    struct plan_builder b;
    struct vultus_error error;
    struct vt_executable *executable = NULL;
    builder_init(&b);
    uint32_t inputs[4] = {
        builder_plain(&b, VT_STORAGE_INPUT, 2, (const int64_t[]){1, 2}), VT_PLAN_NONE, VT_PLAN_NONE, VT_PLAN_NONE};
    uint32_t y = builder_plain(&b, VT_STORAGE_OUTPUT, 2, (const int64_t[]){1, 1});
    struct vt_plan_step *step = builder_step(&b, VT_STEP_GEMM, inputs, 4, y);
    /* Weights tell which choice ran. */
    builder_choose(&b, step, "gemm:reference", 2, (const float[]){1, 1});
    builder_choose(&b, step, "gemm:reference", 8, (const float[]){10, 10});
    builder_finish(&b);
    assert_int_equal(backend->create(b.plan, NULL, 0, &executable, &error), VULTUS_OK);
    const float ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    for (int batch = 1; batch <= 8; batch++) {
        float out[8];
        struct vt_step_profile profile[1];
        assert_int_equal(
            backend->run(executable, (const void *const[]){ones}, (void *const[]){out}, batch, profile, &error),
            VULTUS_OK);
        assert_true(out[batch - 1] == (batch <= 2 ? 2 : 20));
        assert_int_equal(
            backend->run(executable, (const void *const[]){ones}, (void *const[]){out}, batch, NULL, &error),
            VULTUS_OK);
        assert_true(out[batch - 1] == 2);
    }
    backend->destroy(executable);
    builder_fini(&b);
}

/* ------------------------------------------------------------ any operator */

static struct vt_tensor expect_concat(struct plan_builder *b, const struct vt_tensor *values, const void *context) {
    const struct vt_tensor *inputs[] = {&values[0], &values[1], &values[2]};
    return run_operator(b, VT_OP_CONCAT, *(const struct vt_attrs *)context, inputs, 3);
}

static void test_reference_step(void **state) {
    (void)state;
    struct plan_builder b;
    builder_init(&b);
    struct vt_attr axis = INT_ATTR("axis", 1);
    struct vt_attrs attrs = {&axis, 1};
    uint32_t inputs[3] = {builder_plain(&b, VT_STORAGE_INPUT, 2, (const int64_t[]){2, 3}),
        builder_plain(&b, VT_STORAGE_INPUT, 2, (const int64_t[]){2, 4}),
        builder_plain(&b, VT_STORAGE_INPUT, 2, (const int64_t[]){2, 1})};
    uint32_t y = builder_plain(&b, VT_STORAGE_OUTPUT, 2, (const int64_t[]){2, 8});
    struct vt_plan_step *step = builder_step(&b, VT_STEP_REFERENCE, inputs, 3, y);
    step->op = VT_OP_CONCAT;
    step->attrs = attrs;
    builder_check(&b, &(struct check){.expect = expect_concat, .context = &attrs, .tolerance = 0});
    builder_fini(&b);
}

static void test_reference_step_of_another_shape(void **state) {
    (void)state;
    const struct vt_backend *backend = vt_backend_find("cpu");
    struct plan_builder b;
    struct vultus_error error = {0};
    struct vt_executable *executable = NULL;
    builder_init(&b);
    uint32_t x = builder_plain(&b, VT_STORAGE_INPUT, 2, (const int64_t[]){2, 3});
    uint32_t y = builder_plain(&b, VT_STORAGE_OUTPUT, 2, (const int64_t[]){2, 4});
    builder_step(&b, VT_STEP_REFERENCE, &x, 1, y)->op = VT_OP_RELU;
    builder_finish(&b);
    assert_int_equal(backend->create(b.plan, NULL, 0, &executable, &error), VULTUS_OK);
    float in[6] = {0}, out[8];
    assert_int_equal(backend->run(executable, (const void *const[]){in}, (void *const[]){out}, 1, NULL, &error),
        VULTUS_ERROR_INVALID);
    assert_non_null(strstr(error.text, "float32[2,3]"));
    backend->destroy(executable);
    builder_fini(&b);
}

/* Outputs below the smallest normal number are zero, and the caller's rounding of them is left as it was. */
static void test_denormals_are_flushed(void **state) {
    (void)state;
    const struct vt_backend *backend = vt_backend_find("cpu");
    struct plan_builder b;
    struct vultus_error error;
    struct vt_executable *executable = NULL;
    const int64_t size[3] = {4, 1, 1};
    builder_init(&b);
    const float tiny[4] = {1e-30f, 1e-30f, 1e-30f, 1e-30f}, zeros[4] = {0};
    uint32_t inputs[3] = {builder_blocked(&b, VT_STORAGE_INPUT, size, 4, NULL, NULL), builder_constant(&b, tiny, 4),
        builder_constant(&b, zeros, 4)};
    builder_step(&b, VT_STEP_AFFINE, inputs, 3, builder_blocked(&b, VT_STORAGE_OUTPUT, size, 4, NULL, NULL));
    builder_finish(&b);
    assert_int_equal(backend->create(b.plan, NULL, 0, &executable, &error), VULTUS_OK);
    float out[4];
    assert_int_equal(backend->run(executable, (const void *const[]){(float[4]){1e-10f, 1, 0, 0}}, (void *const[]){out},
                         1, NULL, &error),
        VULTUS_OK);
    assert_true(out[0] == 0);
    assert_true(out[1] == 1e-30f);
    volatile float small = 1e-30f;
    assert_true(small * 1e-10f != 0);
    backend->destroy(executable);
    builder_fini(&b);
}

static void test_report(void **state) {
    (void)state;
    struct vt_backend_report report;
    vt_backend_find("cpu")->probe(&report);
    assert_true(report.usable);
    assert_string_equal(report.arch, vt_cpu_arch_name());
    assert_true(report.device[0] != '\0');
    assert_null(vt_backend_find("abacus"));
}

/* Names are what plans hold: unique, and found again. */
static void test_tactic_names(void **state) {
    (void)state;
    const struct vt_cpu_tactic *tactic;
    size_t n = 0;
    for (; (tactic = vt_cpu_tactic_at(n)); n++) {
        assert_ptr_equal(vt_cpu_tactic_find(tactic->name), tactic);
        assert_true(tactic->class && tactic->supports && tactic->run);
        assert_true((tactic->packed_bytes == NULL) == (tactic->pack == NULL));
        assert_true((tactic->prepare == NULL) == (tactic->release == NULL));
    }
    assert_true(n > 10);
    assert_null(vt_cpu_tactic_find("conv:wishful"));
}

static void test_tactic_descriptions(void **state) {
    (void)state;
    struct vt_tactic_info info;
    const struct vt_backend *cpu = vt_backend_find("cpu");
    assert_true(cpu->describe_tactic("conv:reference", &info));
    assert_string_equal(info.class, "reference");
    assert_string_equal(info.provider, "reference");
    assert_true(cpu->describe_tactic("gemm:generic", &info));
    assert_string_equal(info.provider, "own");
    assert_int_equal(cpu->describe_tactic("conv:onednn", &info), *vt_cpu_onednn_version() != '\0');
    if (*vt_cpu_onednn_version()) assert_string_equal(info.provider, "oneDNN");
    assert_false(cpu->describe_tactic("conv:wishful", &info));
}

/* A peak is measured once for a number of threads, and then it is a fact. */
static void test_peak(void **state) {
    (void)state;
    const struct vt_backend *cpu = vt_backend_find("cpu");
    double peak = cpu->peak_flops(NULL, "fp32");
    assert_true(peak > 0 && peak < 1e15);
    assert_true(cpu->peak_flops(NULL, "fp32") == peak);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_tactic),
        cmocka_unit_test(test_tactic_of_another_kind),
        cmocka_unit_test(test_tactic_that_does_not_fit),
        cmocka_unit_test(test_no_tactic),
        cmocka_unit_test(test_missing_cpu_features),
        cmocka_unit_test(test_short_border),
        cmocka_unit_test(test_packed_weights_of_another_size),
        cmocka_unit_test(test_workspace_grows_with_the_group_only),
        cmocka_unit_test(test_profile),
        cmocka_unit_test(test_choice_by_batch),
        cmocka_unit_test(test_reference_step),
        cmocka_unit_test(test_reference_step_of_another_shape),
        cmocka_unit_test(test_denormals_are_flushed),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_tactic_names),
        cmocka_unit_test(test_tactic_descriptions),
        cmocka_unit_test(test_peak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
