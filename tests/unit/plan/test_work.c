/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plan_fixture.h"

static void test_choice(void **state) {
    (void)state;
    const struct vt_plan_step step = {
        .choices = {{.max_batch = 1}, {.max_batch = 8}, {.max_batch = 32}}, .n_choices = 3};
    const int64_t batches[] = {1, 2, 8, 9, 32, 1000};
    const uint32_t wanted[] = {0, 1, 1, 2, 2, 2};
    for (int i = 0; i < 6; i++) assert_int_equal(vt_plan_step_choice(&step, batches[i]), wanted[i]);
}

/* Products counted by hand, two operations each; other steps have none. */
static void test_flops(void **state) {
    (void)state;
    struct vt_plan *plan = sample_plan();
    for (int i = 0; i < SAMPLE_STEPS; i++) {
        double wanted = 0;
        if (i == SAMPLE_STEP_CONV) wanted = 2.0 * (20 * 8 * 8) * (3 * 3 * 3);
        if (i == SAMPLE_STEP_CONV_TRANSPOSE) wanted = 2.0 * (20 * 4 * 4) * (20 * 2 * 2);
        if (i == SAMPLE_STEP_GEMM) wanted = 2.0 * (8 * 5) * 160;
        assert_true(vt_plan_step_flops(plan, &plan->steps[i]) == wanted);
    }
    vt_plan_destroy(plan);
}

/* y = op(a, b) on plain tensors, by the reference operators. */
static double reference_flops(enum vt_op op, struct vt_plan_value a, struct vt_plan_value b, struct vt_plan_value y,
    const struct vt_attr *attribute) {
    struct vt_plan_value values[] = {a, b, y};
    uint32_t inputs[] = {0, 1}, output = 2;
    struct vt_plan_step step = {
        .kind = VT_STEP_REFERENCE, .op = op, .inputs = inputs, .n_inputs = 2, .outputs = &output, .n_outputs = 1};
    if (attribute) step.attrs = (struct vt_attrs){attribute, 1};
    struct vt_plan plan = {.values = values, .n_values = 3, .steps = &step, .n_steps = 1};
    return vt_plan_step_flops(&plan, &step);
}

#define VALUE(n, ...) ((struct vt_plan_value){.rank = n, .dims = {__VA_ARGS__}})

static void test_flops_of_reference_steps(void **state) {
    (void)state;
    const struct vt_attr transposed = {.name = "transA", .kind = VT_ATTR_INT, .i = 1};
    /* A grouped convolution: each output is a sum over 2 of 4 channels and 3x5 taps. */
    assert_true(reference_flops(VT_OP_CONV, VALUE(4, 1, 4, 9, 9), VALUE(4, 6, 2, 3, 5), VALUE(4, 1, 6, 7, 5), NULL) ==
                2.0 * (6 * 7 * 5) * (2 * 3 * 5));
    /* A transposed one: each of its inputs goes into 2 channels of its group at 3x5 places. */
    assert_true(reference_flops(VT_OP_CONV_TRANSPOSE, VALUE(4, 1, 4, 9, 9), VALUE(4, 4, 2, 3, 5),
                    VALUE(4, 1, 4, 11, 13), NULL) == 2.0 * (4 * 9 * 9) * (2 * 3 * 5));
    assert_true(reference_flops(VT_OP_MATMUL, VALUE(3, 7, 2, 3), VALUE(2, 3, 4), VALUE(3, 7, 2, 4), NULL) ==
                2.0 * (7 * 2 * 4) * 3);
    assert_true(reference_flops(VT_OP_GEMM, VALUE(2, 2, 3), VALUE(2, 3, 4), VALUE(2, 2, 4), NULL) == 2.0 * (2 * 4) * 3);
    assert_true(
        reference_flops(VT_OP_GEMM, VALUE(2, 3, 2), VALUE(2, 3, 4), VALUE(2, 2, 4), &transposed) == 2.0 * (2 * 4) * 3);
    assert_true(reference_flops(VT_OP_ADD, VALUE(2, 3, 4), VALUE(2, 3, 4), VALUE(2, 3, 4), NULL) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_flops),
        cmocka_unit_test(test_flops_of_reference_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
