/* SPDX-License-Identifier: Apache-2.0 */
#include "op_test.h"

#include <float.h>
#include <math.h>

static void unary_functions(void **state) {
    (void)state;
    struct vt_tensor x = VECTOR_F32(-2, 0, 0.25f, 4);
    expect_f32(run_op(VT_OP_RELU, NO_ATTRS, INPUTS(&x)), DIMS(4), F32(0, 0, 0.25f, 4));
    expect_f32(run_op(VT_OP_LEAKY_RELU, NO_ATTRS, INPUTS(&x)), DIMS(4), F32(-0.02f, 0, 0.25f, 4));
    expect_f32(run_op(VT_OP_LEAKY_RELU, ATTRS(attr_float("alpha", 0.5f)), INPUTS(&x)), DIMS(4), F32(-1, 0, 0.25f, 4));
    expect_f32(run_op(VT_OP_SIGMOID, NO_ATTRS, INPUTS(&x)), DIMS(4), F32(0.1192029f, 0.5f, 0.5621765f, 0.9820138f));
    expect_f32(run_op(VT_OP_TANH, NO_ATTRS, INPUTS(&x)), DIMS(4), F32(-0.9640276f, 0, 0.2449187f, 0.9993293f));
    expect_f32(run_op(VT_OP_EXP, NO_ATTRS, INPUTS(&x)), DIMS(4), F32(0.1353353f, 1, 1.2840254f, 54.5981500f));
    struct vt_tensor positive = view(VT_DTYPE_F32, SCALAR, F32(6.25f));
    expect_f32(run_op(VT_OP_SQRT, NO_ATTRS, INPUTS(&positive)), SCALAR, F32(2.5f));
    struct vt_tensor ints = VECTOR_I64(-3, 5), flags = view(VT_DTYPE_BOOL, DIMS(2), (uint8_t[]){0, 1});
    expect_ints(run_op(VT_OP_RELU, NO_ATTRS, INPUTS(&ints)), VT_DTYPE_I64, DIMS(2), I64(0, 5));
    expect_failure(VT_OP_RELU, NO_ATTRS, INPUTS(&flags), VULTUS_ERROR_UNSUPPORTED, "bool");
    expect_failure(VT_OP_EXP, NO_ATTRS, INPUTS(&ints), VULTUS_ERROR_UNSUPPORTED, "int64");
    struct vt_tensor doubles = view(VT_DTYPE_F64, DIMS(2), (double[]){1e-300, -1});
    struct vt_tensor roots = run_op(VT_OP_SQRT, NO_ATTRS, INPUTS(&doubles));
    assert_true(((double *)roots.data)[0] == 1e-150);
    assert_true(isnan(((double *)roots.data)[1]));
}

static void clip(void **state) {
    (void)state;
    struct vt_tensor x = VECTOR_F32(-9, -1, 3, 7), ints = VECTOR_I64(-9, 3, 7);
    struct vt_tensor low = view(VT_DTYPE_F32, SCALAR, F32(-2)), high = view(VT_DTYPE_F32, DIMS(1), F32(6));
    struct vt_tensor bound = view(VT_DTYPE_I64, SCALAR, I64(3)), pair = VECTOR_F32(1, 2);
    expect_f32(run_op(VT_OP_CLIP, NO_ATTRS, INPUTS(&x, &low, &high)), DIMS(4), F32(-2, -1, 3, 6));
    expect_f32(run_op(VT_OP_CLIP, NO_ATTRS, INPUTS(&x, NULL, &high)), DIMS(4), F32(-9, -1, 3, 6));
    expect_f32(run_op(VT_OP_CLIP, NO_ATTRS, INPUTS(&x, &low)), DIMS(4), F32(-2, -1, 3, 7));
    expect_f32(run_op(VT_OP_CLIP, NO_ATTRS, INPUTS(&x)), DIMS(4), F32(-9, -1, 3, 7));
    /* With the bounds the wrong way round the upper one wins, as ONNX says. */
    expect_f32(run_op(VT_OP_CLIP, NO_ATTRS, INPUTS(&x, &high, &low)), DIMS(4), F32(-2, -2, -2, -2));
    expect_ints(run_op(VT_OP_CLIP, NO_ATTRS, INPUTS(&ints, &bound)), VT_DTYPE_I64, DIMS(3), I64(3, 3, 7));
    expect_failure(VT_OP_CLIP, NO_ATTRS, INPUTS(&x, &bound), VULTUS_ERROR_INVALID, "bound 1 is int64[]");
    expect_failure(VT_OP_CLIP, NO_ATTRS, INPUTS(&x, NULL, &pair), VULTUS_ERROR_INVALID, "bound 2 is float32[2]");
}

static void softmax(void **state) {
    (void)state;
    /* Differences of ln 3 give weights 1:3. */
    const float ln3 = 1.0986123f;
    struct vt_tensor x = view(VT_DTYPE_F32, DIMS(2, 2), F32(0, ln3, 1000, 1000));
    expect_f32(run_op(VT_OP_SOFTMAX, NO_ATTRS, INPUTS(&x)), DIMS(2, 2), F32(0.25f, 0.75f, 0.5f, 0.5f));
    struct vt_tensor y = view(VT_DTYPE_F32, DIMS(2, 1, 2), F32(0, 5, ln3, 5));
    expect_f32(
        run_op(VT_OP_SOFTMAX, ATTRS(attr_int("axis", 0)), INPUTS(&y)), DIMS(2, 1, 2), F32(0.25f, 0.5f, 0.75f, 0.5f));
    expect_f32(run_op(VT_OP_SOFTMAX, ATTRS(attr_int("axis", -2)), INPUTS(&y)), DIMS(2, 1, 2), F32(1, 1, 1, 1));
    expect_failure(VT_OP_SOFTMAX, ATTRS(attr_int("axis", 3)), INPUTS(&y), VULTUS_ERROR_INVALID, "axis 3");
}

static void arithmetic_broadcasts(void **state) {
    (void)state;
    struct vt_tensor matrix = ramp(DIMS(2, 3), 1, 1), row = VECTOR_F32(10, 20, 30);
    struct vt_tensor column = view(VT_DTYPE_F32, DIMS(2, 1), F32(100, 200)), two = view(VT_DTYPE_F32, SCALAR, F32(2));
    expect_f32(run_op(VT_OP_ADD, NO_ATTRS, INPUTS(&matrix, &row)), DIMS(2, 3), F32(11, 22, 33, 14, 25, 36));
    expect_f32(run_op(VT_OP_SUB, NO_ATTRS, INPUTS(&row, &matrix)), DIMS(2, 3), F32(9, 18, 27, 6, 15, 24));
    expect_f32(run_op(VT_OP_MUL, NO_ATTRS, INPUTS(&column, &row)), DIMS(2, 3), F32(1000, 2000, 3000, 2000, 4000, 6000));
    expect_f32(run_op(VT_OP_DIV, NO_ATTRS, INPUTS(&row, &two)), DIMS(3), F32(5, 10, 15));
    expect_f32(run_op(VT_OP_POW, NO_ATTRS, INPUTS(&two, &matrix)), DIMS(2, 3), F32(2, 4, 8, 16, 32, 64));
    struct vt_tensor none = ramp(DIMS(0, 3), 0, 0), wrong = VECTOR_F32(1, 2), ints = VECTOR_I64(1, 2, 3);
    expect_f32(run_op(VT_OP_ADD, NO_ATTRS, INPUTS(&none, &row)), DIMS(0, 3), NULL);
    expect_failure(VT_OP_ADD, NO_ATTRS, INPUTS(&matrix, &wrong), VULTUS_ERROR_INVALID,
        "float32[2,3] and float32[2] cannot be broadcast");
    expect_failure(VT_OP_ADD, NO_ATTRS, INPUTS(&row, &ints), VULTUS_ERROR_INVALID, "float32 and int64");
}

static void integer_arithmetic_is_defined_everywhere(void **state) {
    (void)state;
    struct vt_tensor a = VECTOR_I64(7, -7, INT64_MIN), b = VECTOR_I64(2, 2, -1), zero = VECTOR_I64(1, 0, 1);
    expect_ints(run_op(VT_OP_DIV, NO_ATTRS, INPUTS(&a, &b)), VT_DTYPE_I64, DIMS(3), I64(3, -3, INT64_MIN));
    expect_ints(run_op(VT_OP_ADD, NO_ATTRS, INPUTS(&a, &b)), VT_DTYPE_I64, DIMS(3), I64(9, -5, INT64_MAX));
    expect_ints(run_op(VT_OP_MUL, NO_ATTRS, INPUTS(&a, &b)), VT_DTYPE_I64, DIMS(3), I64(14, -14, INT64_MIN));
    expect_ints(run_op(VT_OP_POW, NO_ATTRS, INPUTS(&a, &b)), VT_DTYPE_I64, DIMS(3), I64(49, 49, 0));
    expect_failure(
        VT_OP_DIV, NO_ATTRS, INPUTS(&a, &zero), VULTUS_ERROR_INVALID, "element 1 of the integer divisor is 0");
    struct vt_tensor c = view(VT_DTYPE_I32, DIMS(3), (int32_t[]){INT32_MAX, INT32_MIN, -1});
    struct vt_tensor d = view(VT_DTYPE_I32, DIMS(3), (int32_t[]){1, -1, -3});
    expect_ints(run_op(VT_OP_ADD, NO_ATTRS, INPUTS(&c, &d)), VT_DTYPE_I32, DIMS(3), I64(INT32_MIN, INT32_MAX, -4));
    expect_ints(run_op(VT_OP_DIV, NO_ATTRS, INPUTS(&c, &d)), VT_DTYPE_I32, DIMS(3), I64(INT32_MAX, INT32_MIN, 0));
    expect_ints(run_op(VT_OP_POW, NO_ATTRS, INPUTS(&c, &d)), VT_DTYPE_I32, DIMS(3), I64(INT32_MAX, 0, -1));
}

static void powers_of_mixed_types(void **state) {
    (void)state;
    struct vt_tensor x = VECTOR_F32(2, -3), exponents = VECTOR_I64(3, 2),
                     i32 = view(VT_DTYPE_I32, DIMS(1), (int32_t[]){2});
    expect_f32(run_op(VT_OP_POW, NO_ATTRS, INPUTS(&x, &exponents)), DIMS(2), F32(8, 9));
    expect_f32(run_op(VT_OP_POW, NO_ATTRS, INPUTS(&x, &i32)), DIMS(2), F32(4, 9));
    expect_ints(run_op(VT_OP_POW, NO_ATTRS, INPUTS(&exponents, &x)), VT_DTYPE_I64, DIMS(2), I64(9, 0));
}

static void prelu_slopes(void **state) {
    (void)state;
    struct vt_tensor x = view(VT_DTYPE_F32, DIMS(1, 2, 1, 2), F32(-1, 2, -3, -4));
    struct vt_tensor channels = view(VT_DTYPE_F32, DIMS(2, 1, 1), F32(0.5f, 2)),
                     one = view(VT_DTYPE_F32, SCALAR, F32(3));
    expect_f32(run_op(VT_OP_PRELU, NO_ATTRS, INPUTS(&x, &channels)), DIMS(1, 2, 1, 2), F32(-0.5f, 2, -6, -8));
    expect_f32(run_op(VT_OP_PRELU, NO_ATTRS, INPUTS(&x, &one)), DIMS(1, 2, 1, 2), F32(-3, 2, -9, -12));
    struct vt_tensor larger = ramp(DIMS(3, 2, 1, 2), 0, 1), deeper = ramp(DIMS(1, 1, 1, 1, 2), 0, 1);
    expect_failure(VT_OP_PRELU, NO_ATTRS, INPUTS(&x, &larger), VULTUS_ERROR_INVALID, "does not fit");
    expect_failure(VT_OP_PRELU, NO_ATTRS, INPUTS(&x, &deeper), VULTUS_ERROR_INVALID, "does not fit");
}

static void normalisations(void **state) {
    (void)state;
    struct vt_tensor x = view(VT_DTYPE_F32, DIMS(1, 2, 2), F32(1, 3, 10, 30));
    struct vt_tensor scale = VECTOR_F32(2, 1), shift = VECTOR_F32(100, 0), mean = VECTOR_F32(1, 20);
    struct vt_tensor variance = VECTOR_F32(3, 24);
    expect_f32(run_op(VT_OP_BATCH_NORM, ATTRS(attr_float("epsilon", 1)), INPUTS(&x, &scale, &shift, &mean, &variance)),
        DIMS(1, 2, 2), F32(100, 102, -2, 2));
    /* Mean 2 and 20, variance 1 and 100. */
    expect_f32(run_op(VT_OP_INSTANCE_NORM, ATTRS(attr_float("epsilon", 0)), INPUTS(&x, &scale, &shift)), DIMS(1, 2, 2),
        F32(98, 102, -1, 1));
    expect_f32(run_op(VT_OP_INSTANCE_NORM, ATTRS(attr_float("epsilon", 3)), INPUTS(&x, &scale, &shift)), DIMS(1, 2, 2),
        F32(99, 101, -10 / sqrtf(103), 10 / sqrtf(103)));
    expect_failure(VT_OP_BATCH_NORM, ATTRS(attr_int("training_mode", 1)), INPUTS(&x, &scale, &shift, &mean, &variance),
        VULTUS_ERROR_UNSUPPORTED, "training_mode");
    struct vt_tensor three = VECTOR_F32(1, 2, 3);
    expect_failure(VT_OP_BATCH_NORM, NO_ATTRS, INPUTS(&x, &scale, &shift, &three, &variance), VULTUS_ERROR_INVALID,
        "input 3 is float32[3], it needs 2 values");
}

static void group_norm(void **state) {
    (void)state;
    /* Two groups of two channels; each group holds a mean of 2 and a variance of 1, then 20 and 100. */
    struct vt_tensor x = view(VT_DTYPE_F32, DIMS(1, 4, 1), F32(1, 3, 10, 30));
    struct vt_tensor scale = VECTOR_F32(1, 2, 3, 4), shift = VECTOR_F32(0, 0.5f, 0, -5);
    const struct vt_attr groups = attr_int("num_groups", 2), epsilon = attr_float("epsilon", 0);
    expect_f32(run_op(VT_OP_GROUP_NORM, ATTRS(groups, epsilon), INPUTS(&x, &scale, &shift)), DIMS(1, 4, 1),
        F32(-1, 2.5f, -3, -1));
    expect_f32(
        run_op(VT_OP_GROUP_NORM, ATTRS(groups, epsilon, attr_int("act1", VT_ACT_RELU)), INPUTS(&x, &scale, &shift)),
        DIMS(1, 4, 1), F32(0, 2.5f, 0, 0));
    expect_failure(VT_OP_GROUP_NORM, ATTRS(attr_int("num_groups", 3)), INPUTS(&x, &scale, &shift), VULTUS_ERROR_INVALID,
        "4 channels cannot form 3 groups");
    expect_failure(VT_OP_GROUP_NORM, NO_ATTRS, INPUTS(&x, &scale, &shift), VULTUS_ERROR_INVALID, "0 groups");
    expect_failure(VT_OP_GROUP_NORM, ATTRS(groups, attr_int("act1", VT_ACT_PRELU)), INPUTS(&x, &scale, &shift),
        VULTUS_ERROR_INVALID, "there is no slope");
}

static void affine(void **state) {
    (void)state;
    struct vt_tensor x = view(VT_DTYPE_F32, DIMS(2, 2, 1), F32(1, 2, -3, -4));
    struct vt_tensor scale = VECTOR_F32(2, 3), shift = VECTOR_F32(1, -1), slope = VECTOR_F32(0.5f, 0.1f);
    expect_f32(run_op(VT_OP_AFFINE, NO_ATTRS, INPUTS(&x, &scale, &shift)), DIMS(2, 2, 1), F32(3, 5, -5, -13));
    expect_f32(run_op(VT_OP_AFFINE, ATTRS(attr_int("act1", VT_ACT_PRELU)), INPUTS(&x, &scale, &shift, &slope)),
        DIMS(2, 2, 1), F32(3, 5, -2.5f, -1.3f));
    struct vt_tensor flat = VECTOR_F32(1, 2);
    expect_failure(VT_OP_AFFINE, NO_ATTRS, INPUTS(&flat, &scale, &shift), VULTUS_ERROR_INVALID, "float32[2]");
}

static void reductions(void **state) {
    (void)state;
    struct vt_tensor x = ramp(DIMS(2, 1, 3), 1, 1); /* 1 2 3 | 4 5 6 */
    struct vt_tensor last = VECTOR_I64(-1), outer = VECTOR_I64(0, 1);
    struct vt_tensor nothing = view(VT_DTYPE_I64, DIMS(0), NULL);
    const struct vt_attr drop = attr_int("keepdims", 0), noop = attr_int("noop_with_empty_axes", 1);
    expect_f32(run_op(VT_OP_REDUCE_SUM, NO_ATTRS, INPUTS(&x)), DIMS(1, 1, 1), F32(21));
    expect_f32(run_op(VT_OP_REDUCE_SUM, ATTRS(drop), INPUTS(&x)), SCALAR, F32(21));
    expect_f32(run_op(VT_OP_REDUCE_MEAN, NO_ATTRS, INPUTS(&x, &last)), DIMS(2, 1, 1), F32(2, 5));
    expect_f32(run_op(VT_OP_REDUCE_MEAN, ATTRS(drop), INPUTS(&x, &outer)), DIMS(3), F32(2.5f, 3.5f, 4.5f));
    expect_f32(run_op(VT_OP_REDUCE_L2, ATTRS(drop), INPUTS(&x, &last)), DIMS(2, 1), F32(sqrtf(14), sqrtf(77)));
    expect_f32(run_op(VT_OP_REDUCE_SUM, NO_ATTRS, INPUTS(&x, &nothing)), DIMS(1, 1, 1), F32(21));
    expect_f32(run_op(VT_OP_REDUCE_SUM, ATTRS(noop), INPUTS(&x, &nothing)), DIMS(2, 1, 3), F32(1, 2, 3, 4, 5, 6));
    struct vt_tensor ints = VECTOR_I64(-5, 2, INT64_C(1) << 60), far = VECTOR_I64(3), twice = VECTOR_I64(0, -3);
    expect_ints(
        run_op(VT_OP_REDUCE_SUM, ATTRS(drop), INPUTS(&ints)), VT_DTYPE_I64, SCALAR, I64((INT64_C(1) << 60) - 3));
    struct vt_tensor pair = view(VT_DTYPE_I32, DIMS(2), (int32_t[]){-5, 2});
    expect_ints(run_op(VT_OP_REDUCE_MEAN, NO_ATTRS, INPUTS(&pair)), VT_DTYPE_I32, DIMS(1), I64(-1));
    expect_failure(VT_OP_REDUCE_L2, NO_ATTRS, INPUTS(&ints), VULTUS_ERROR_UNSUPPORTED, "int64");
    expect_failure(VT_OP_REDUCE_SUM, NO_ATTRS, INPUTS(&x, &far), VULTUS_ERROR_INVALID, "axis 3 is outside");
    expect_failure(VT_OP_REDUCE_SUM, NO_ATTRS, INPUTS(&x, &twice), VULTUS_ERROR_INVALID, "axis 0 is named twice");
    struct vt_tensor none = ramp(DIMS(0, 2), 0, 0), first = VECTOR_I64(0);
    expect_f32(run_op(VT_OP_REDUCE_SUM, NO_ATTRS, INPUTS(&none, &first)), DIMS(1, 2), F32(0, 0));
    expect_failure(VT_OP_REDUCE_MEAN, NO_ATTRS, INPUTS(&none, &first), VULTUS_ERROR_INVALID, "no elements");
}

static void casts(void **state) {
    (void)state;
#define TO(number) ATTRS(attr_int("to", number))
    struct vt_tensor x = VECTOR_F32(-1.75f, 2.9f, 1e30f, NAN);
    expect_ints(run_op(VT_OP_CAST, TO(7), INPUTS(&x)), VT_DTYPE_I64, DIMS(4), I64(-1, 2, INT64_MAX, 0));
    expect_ints(run_op(VT_OP_CAST, TO(6), INPUTS(&x)), VT_DTYPE_I32, DIMS(4), I64(-1, 2, INT32_MAX, 0));
    expect_ints(run_op(VT_OP_CAST, TO(2), INPUTS(&x)), VT_DTYPE_U8, DIMS(4), I64(0, 2, 255, 0));
    expect_ints(run_op(VT_OP_CAST, TO(9), INPUTS(&x)), VT_DTYPE_BOOL, DIMS(4), I64(1, 1, 1, 1));
    struct vt_tensor ints = VECTOR_I64(0, -1, 300, (INT64_C(1) << 24) + 1);
    expect_f32(run_op(VT_OP_CAST, TO(1), INPUTS(&ints)), DIMS(4), F32(0, -1, 300, 16777216));
    expect_ints(run_op(VT_OP_CAST, TO(3), INPUTS(&ints)), VT_DTYPE_I8, DIMS(4), I64(0, -1, 44, 1));
    expect_ints(run_op(VT_OP_CAST, TO(4), INPUTS(&ints)), VT_DTYPE_U16, DIMS(4), I64(0, 65535, 300, 1));
    expect_ints(run_op(VT_OP_CAST, TO(9), INPUTS(&ints)), VT_DTYPE_BOOL, DIMS(4), I64(0, 1, 1, 1));
    struct vt_tensor large = view(VT_DTYPE_U64, DIMS(1), (uint64_t[]){UINT64_MAX});
    expect_f32(run_op(VT_OP_CAST, TO(1), INPUTS(&large)), DIMS(1), F32(18446744073709551615.0f));
    struct vt_tensor half = run_op(VT_OP_CAST, TO(10), INPUTS(&x));
    assert_int_equal(half.dtype, VT_DTYPE_F16);
    assert_int_equal(((uint16_t *)half.data)[0], 0xbf00);
    assert_int_equal(((uint16_t *)half.data)[2], 0x7c00);
    struct vt_tensor back = run_op(VT_OP_CAST, TO(11), INPUTS(&half));
    assert_true(((double *)back.data)[0] == -1.75);
    struct vt_tensor brain = run_op(VT_OP_CAST, TO(16), INPUTS(&x));
    assert_int_equal(((uint16_t *)brain.data)[0], 0xbfe0);
    expect_failure(VT_OP_CAST, TO(8), INPUTS(&x), VULTUS_ERROR_UNSUPPORTED, "attribute to is 8");
    expect_failure(VT_OP_CAST, NO_ATTRS, INPUTS(&x), VULTUS_ERROR_UNSUPPORTED, "attribute to is 0");
#undef TO
}

int main(void) {
    const struct CMUnitTest tests[] = {
        OP_TEST(unary_functions),
        OP_TEST(clip),
        OP_TEST(softmax),
        OP_TEST(arithmetic_broadcasts),
        OP_TEST(integer_arithmetic_is_defined_everywhere),
        OP_TEST(powers_of_mixed_types),
        OP_TEST(prelu_slopes),
        OP_TEST(normalisations),
        OP_TEST(group_norm),
        OP_TEST(affine),
        OP_TEST(reductions),
        OP_TEST(casts),
    };
    return cmocka_run_group_tests_name("elementwise operators, normalisations, reductions", tests, NULL, NULL);
}
