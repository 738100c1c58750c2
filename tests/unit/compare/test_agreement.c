/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "compare/agreement.h"

static struct vt_tensor vector(const float *values, int64_t count) {
    return (struct vt_tensor){.dtype = VT_DTYPE_F32, .rank = 1, .dims = {count}, .data = (void *)values};
}

static void add(struct vt_agreement *agreement, const float *ours, const float *reference, int64_t count) {
    struct vt_tensor a = vector(ours, count), b = vector(reference, count);
    vt_agreement_add(agreement, &a, &b);
}

static void assert_value(const struct vt_agreement *agreement, enum vt_metric metric, double wanted) {
    double value = vt_agreement_value(agreement, metric);
    if (!(fabs(value - wanted) <= 1e-12)) fail_msg("%s is %.17g, not %.17g", vt_metric_name(metric), value, wanted);
}

/* Lengths do not count: (3,4) and (6,8) point the same way; (1,0) and (0,2) are a right angle, sqrt 2 apart. */
static void test_embeddings(void **state) {
    (void)state;
    struct vt_agreement agreement = {0};
    add(&agreement, (float[]){3, 4}, (float[]){6, 8}, 2);
    assert_value(&agreement, VT_METRIC_COSINE_MEAN, 1);
    assert_value(&agreement, VT_METRIC_L2_MEAN, 0);
    add(&agreement, (float[]){1, 0}, (float[]){0, 2}, 2);
    assert_value(&agreement, VT_METRIC_COSINE_MEAN, 0.5);
    assert_value(&agreement, VT_METRIC_COSINE_MIN, 0);
    assert_value(&agreement, VT_METRIC_L2_MEAN, sqrt(2) / 2);
    add(&agreement, (float[]){2, 0}, (float[]){-1, 0}, 2);
    assert_value(&agreement, VT_METRIC_COSINE_MIN, -1);
    assert_value(&agreement, VT_METRIC_L2_MEAN, (sqrt(2) + 2) / 3);
}

/* Differences (0,1) of (3,4) and (0,-2) of (0,10). */
static void test_other_outputs(void **state) {
    (void)state;
    struct vt_agreement agreement = {0};
    add(&agreement, (float[]){3, 5}, (float[]){3, 4}, 2);
    assert_value(&agreement, VT_METRIC_RELATIVE_L2, 0.2);
    assert_value(&agreement, VT_METRIC_MAX_ABS, 0.25);
    add(&agreement, (float[]){0, 8}, (float[]){0, 10}, 2);
    assert_value(&agreement, VT_METRIC_RELATIVE_L2, 0.2);
    assert_value(&agreement, VT_METRIC_MAX_ABS, 0.2);
}

static void test_vectors_without_length(void **state) {
    (void)state;
    struct vt_agreement agreement = {0};
    add(&agreement, (float[]){0, 0}, (float[]){0, 0}, 2);
    assert_value(&agreement, VT_METRIC_COSINE_MIN, 1);
    assert_value(&agreement, VT_METRIC_L2_MEAN, 0);
    assert_value(&agreement, VT_METRIC_RELATIVE_L2, 0);
    assert_value(&agreement, VT_METRIC_MAX_ABS, 0);
    add(&agreement, (float[]){1, 0}, (float[]){0, 0}, 2);
    assert_value(&agreement, VT_METRIC_COSINE_MIN, 0);
    assert_value(&agreement, VT_METRIC_L2_MEAN, 0.5);
    assert_true(isinf(vt_agreement_value(&agreement, VT_METRIC_RELATIVE_L2)));
}

static void test_what_is_no_number(void **state) {
    (void)state;
    const float odd[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++)
        for (int side = 0; side < 2; side++) {
            struct vt_agreement agreement = {0};
            float strange[] = {1, odd[i]}, fine[] = {1, 1};
            add(&agreement, side ? strange : fine, side ? fine : strange, 2);
            add(&agreement, fine, fine, 2);
            for (int m = 0; m < VT_METRIC_COUNT; m++)
                assert_true(isnan(vt_agreement_value(&agreement, (enum vt_metric)m)));
        }
    struct vt_agreement empty = {0};
    assert_true(isnan(vt_agreement_value(&empty, VT_METRIC_COSINE_MEAN)));
}

static void test_whole_numbers(void **state) {
    (void)state;
    struct vt_agreement agreement = {0};
    int64_t ours[] = {1, 2}, reference[] = {1, 4};
    struct vt_tensor a = {.dtype = VT_DTYPE_I64, .rank = 1, .dims = {2}, .data = ours}, b = a;
    b.data = reference;
    vt_agreement_add(&agreement, &a, &b);
    assert_value(&agreement, VT_METRIC_MAX_ABS, 0.5);
}

/* The table of docs/cli.md, at its edges. */
static void test_verdicts(void **state) {
    (void)state;
    static const struct {
        enum vt_metric metric;
        double value;
        enum vt_verdict wanted;
    } cases[] = {
        {VT_METRIC_COSINE_MEAN, 1, VT_VERDICT_PASS},
        {VT_METRIC_COSINE_MEAN, 0.995, VT_VERDICT_PASS},
        {VT_METRIC_COSINE_MEAN, 0.99499, VT_VERDICT_WARN},
        {VT_METRIC_COSINE_MEAN, 0.990, VT_VERDICT_WARN},
        {VT_METRIC_COSINE_MEAN, 0.98999, VT_VERDICT_FAIL},
        {VT_METRIC_COSINE_MIN, 0.990, VT_VERDICT_PASS},
        {VT_METRIC_COSINE_MIN, 0.98, VT_VERDICT_WARN},
        {VT_METRIC_COSINE_MIN, 0.97999, VT_VERDICT_FAIL},
        {VT_METRIC_L2_MEAN, 0.04999, VT_VERDICT_PASS},
        {VT_METRIC_L2_MEAN, 0.05, VT_VERDICT_WARN},
        {VT_METRIC_L2_MEAN, 0.10, VT_VERDICT_WARN},
        {VT_METRIC_L2_MEAN, 0.10001, VT_VERDICT_FAIL},
        {VT_METRIC_RELATIVE_L2, 0.0009, VT_VERDICT_PASS},
        {VT_METRIC_RELATIVE_L2, 0.005, VT_VERDICT_WARN},
        {VT_METRIC_MAX_ABS, 0.02, VT_VERDICT_FAIL},
        {VT_METRIC_MAX_ABS, INFINITY, VT_VERDICT_FAIL},
        {VT_METRIC_COSINE_MEAN, NAN, VT_VERDICT_FAIL},
        {VT_METRIC_L2_MEAN, NAN, VT_VERDICT_FAIL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(vt_metric_judge(cases[i].metric, cases[i].value, vt_metric_threshold(cases[i].metric, "fp32")),
            cases[i].wanted);
    assert_int_equal(vt_metric_judge(VT_METRIC_RELATIVE_L2, 0.005, vt_metric_threshold(VT_METRIC_RELATIVE_L2, "bf16")),
        VT_VERDICT_PASS);
}

static void test_names_and_rules(void **state) {
    (void)state;
    for (int m = 0; m < VT_METRIC_COUNT; m++) {
        enum vt_metric metric = (enum vt_metric)m;
        assert_int_equal(vt_metric_from_name(vt_metric_name(metric)), m);
        assert_null(vt_threshold_rule_broken(metric, vt_metric_threshold(metric, "fp32")));
        assert_null(vt_threshold_rule_broken(metric, vt_metric_threshold(metric, "bf16")));
        assert_null(vt_threshold_rule_broken(metric, (struct vt_threshold){0.5, 0.5}));
        struct vt_threshold crossed =
            vt_metric_more_is_better(metric) ? (struct vt_threshold){0.5, 0.6} : (struct vt_threshold){0.6, 0.5};
        assert_non_null(vt_threshold_rule_broken(metric, crossed));
        assert_non_null(vt_threshold_rule_broken(metric, (struct vt_threshold){NAN, 0.5}));
        assert_non_null(vt_threshold_rule_broken(metric, (struct vt_threshold){0.5, INFINITY}));
    }
    assert_int_equal(vt_metric_from_name("charm"), VT_METRIC_COUNT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_other_outputs),
        cmocka_unit_test(test_vectors_without_length),
        cmocka_unit_test(test_what_is_no_number),
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_names_and_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
