/* SPDX-License-Identifier: Apache-2.0 */
#include "op_test.h"

static void every_operator_is_found_by_its_name(void **state) {
    (void)state;
    for (int op = VT_OP_NONE + 1; op < VT_OP_COUNT; op++) {
        const struct vt_op_info *info = vt_op_info((enum vt_op)op);
        assert_int_equal(vt_op_from_name(info->name), op);
        assert_true(info->least_inputs <= info->most_inputs);
        assert_true(info->most_outputs >= 1);
    }
    assert_int_equal(vt_op_from_name("conv"), VT_OP_NONE);
    assert_int_equal(vt_op_from_name("none"), VT_OP_NONE);
    assert_int_equal(vt_op_from_name(""), VT_OP_NONE);
    assert_string_equal(vt_op_info((enum vt_op)VT_OP_COUNT)->name, "none");
    assert_string_equal(vt_op_info((enum vt_op) - 1)->name, "none");
}

static void attributes_are_found_by_name_and_kind(void **state) {
    (void)state;
    const struct vt_attrs attrs = ATTRS(attr_int("axis", 3), attr_float("epsilon", 0.5f), attr_string("mode", "edge"));
    assert_int_equal(vt_attr_int(&attrs, "axis", 7), 3);
    assert_int_equal(vt_attr_int(&attrs, "epsilon", 7), 7);
    assert_int_equal(vt_attr_int(&attrs, "axes", 7), 7);
    assert_float_equal(vt_attr_float(&attrs, "epsilon", 1), 0.5f, 0);
    assert_string_equal(vt_attr_string(&attrs, "mode", "constant"), "edge");
    assert_string_equal(vt_attr_string(&attrs, "axis", "constant"), "constant");
    assert_null(vt_attr_find(&attrs, "axis", VT_ATTR_INTS));
}

static void onnx_type_numbers(void **state) {
    (void)state;
    assert_int_equal(vt_dtype_from_onnx(1), VT_DTYPE_F32);
    assert_int_equal(vt_dtype_from_onnx(7), VT_DTYPE_I64);
    assert_int_equal(vt_dtype_from_onnx(9), VT_DTYPE_BOOL);
    assert_int_equal(vt_dtype_from_onnx(10), VT_DTYPE_F16);
    assert_int_equal(vt_dtype_from_onnx(11), VT_DTYPE_F64);
    assert_int_equal(vt_dtype_from_onnx(16), VT_DTYPE_BF16);
    assert_int_equal(vt_dtype_from_onnx(0), VT_DTYPE_NONE);
    assert_int_equal(vt_dtype_from_onnx(8), VT_DTYPE_NONE);
    assert_int_equal(vt_dtype_from_onnx(17), VT_DTYPE_NONE);
    assert_int_equal(vt_dtype_from_onnx(-1), VT_DTYPE_NONE);
}

static void activations(void **state) {
    (void)state;
    assert_float_equal(vt_activate(VT_ACT_NONE, -2, 0, 0, 0), -2, 0);
    assert_float_equal(vt_activate(VT_ACT_RELU, -2, 0, 0, 0), 0, 0);
    assert_float_equal(vt_activate(VT_ACT_RELU, 2, 0, 0, 0), 2, 0);
    assert_float_equal(vt_activate(VT_ACT_LEAKY_RELU, -2, 0.25f, 0, 0), -0.5f, 0);
    assert_float_equal(vt_activate(VT_ACT_PRELU, -2, 0, 0, 0.5f), -1, 0);
    assert_float_equal(vt_activate(VT_ACT_PRELU, 2, 0, 0, 0.5f), 2, 0);
    assert_float_equal(vt_activate(VT_ACT_CLIP, -2, -1, 6, 0), -1, 0);
    assert_float_equal(vt_activate(VT_ACT_CLIP, 7, -1, 6, 0), 6, 0);
    assert_float_equal(vt_activate(VT_ACT_CLIP, 3, -1, 6, 0), 3, 0);
    assert_float_equal(vt_activate(VT_ACT_SIGMOID, 0, 0, 0, 0), 0.5f, 0);
    assert_float_equal(vt_activate(VT_ACT_SIGMOID, -1000, 0, 0, 0), 0, 0);
    assert_float_equal(vt_activate(VT_ACT_TANH, 0.5f, 0, 0, 0), 0.46211716f, 1e-7f);
    assert_float_equal(vt_activate(VT_ACT_ELU, -1, 2, 0, 0), -1.2642411f, 1e-7f);
    assert_float_equal(vt_activate(VT_ACT_ELU, 3, 2, 0, 0), 3, 0);
    assert_float_equal(vt_activate(VT_ACT_HARD_SIGMOID, 1, 0.25f, 0.5f, 0), 0.75f, 0);
    assert_float_equal(vt_activate(VT_ACT_HARD_SIGMOID, -9, 0.25f, 0.5f, 0), 0, 0);
    assert_float_equal(vt_activate(VT_ACT_HARD_SIGMOID, 9, 0.25f, 0.5f, 0), 1, 0);
    assert_float_equal(vt_activate(VT_ACT_HARD_SWISH, -1.5f, 0, 0, 0), -0.375f, 1e-7f);
    assert_float_equal(vt_activate(VT_ACT_HARD_SWISH, -4, 0, 0, 0), 0, 0);
    assert_float_equal(vt_activate(VT_ACT_HARD_SWISH, 4, 0, 0, 0), 4, 0);
    assert_string_equal(vt_activation_name(VT_ACT_PRELU), "prelu");
    assert_string_equal(vt_activation_name(VT_ACT_COUNT), "unknown");
}

static void a_tail_is_read_from_attributes(void **state) {
    (void)state;
    const struct vt_attrs attrs = ATTRS(attr_int("act1", VT_ACT_CLIP), attr_float("act1_alpha", -1),
        attr_float("act1_beta", 6), attr_int("act2", VT_ACT_LEAKY_RELU), attr_float("act2_alpha", 0.1f));
    struct vt_tail tail = vt_tail_from_attrs(&attrs);
    assert_int_equal(tail.act1, VT_ACT_CLIP);
    assert_int_equal(tail.act2, VT_ACT_LEAKY_RELU);
    assert_float_equal(tail.act1_alpha, -1, 0);
    assert_float_equal(tail.act1_beta, 6, 0);
    assert_float_equal(tail.act2_alpha, 0.1f, 0);
    assert_int_equal(vt_tail_from_attrs(&NO_ATTRS).act1, VT_ACT_NONE);
    const struct vt_attrs wrong = ATTRS(attr_int("act1", -1), attr_int("act2", INT64_MAX));
    assert_int_equal(vt_tail_from_attrs(&wrong).act1, VT_ACT_COUNT);
    assert_int_equal(vt_tail_from_attrs(&wrong).act2, VT_ACT_COUNT);
}

static void expect_window(struct vt_attrs attrs, const int64_t *weight, int64_t height, int64_t width,
    const int64_t out[2], const int64_t pad[4]) {
    struct vt_window window;
    int64_t got[2];
    struct vultus_error error = {0};
    if (vt_window_resolve(&attrs, weight, (int64_t[2]){height, width}, &window, got, &error))
        fail_msg("%s", error.text);
    assert_int_equal(got[0], out[0]);
    assert_int_equal(got[1], out[1]);
    for (int side = 0; side < 4; side++) assert_int_equal(window.pad[side], pad[side]);
}

static void windows_of_convolutions(void **state) {
    (void)state;
    const int64_t weight[4] = {8, 4, 3, 3};
    const int64_t none[4] = {0, 0, 0, 0};
    expect_window(NO_ATTRS, weight, 5, 7, I64(3, 5), none);
    expect_window(ATTRS(ATTR_INTS("kernel_shape", 3, 3), ATTR_INTS("pads", 1, 1, 1, 1), ATTR_INTS("strides", 2, 2)),
        weight, 112, 111, I64(56, 56), I64(1, 1, 1, 1));
    expect_window(ATTRS(ATTR_INTS("dilations", 2, 3)), weight, 9, 9, I64(5, 3), none);
    expect_window(ATTRS(ATTR_INTS("pads", 0, 1, 2, 3)), weight, 4, 4, I64(4, 6), I64(0, 1, 2, 3));
    expect_window(ATTRS(attr_string("auto_pad", "SAME_UPPER"), ATTR_INTS("strides", 2, 2)), weight, 6, 7, I64(3, 4),
        I64(0, 1, 1, 1));
    expect_window(ATTRS(attr_string("auto_pad", "SAME_LOWER"), ATTR_INTS("strides", 2, 2)), weight, 6, 7, I64(3, 4),
        I64(1, 1, 0, 1));
    expect_window(ATTRS(attr_string("auto_pad", "SAME_UPPER"), ATTR_INTS("dilations", 2, 2)), weight, 8, 8, I64(8, 8),
        I64(2, 2, 2, 2));
    expect_window(
        ATTRS(attr_string("auto_pad", "SAME_UPPER"), ATTR_INTS("strides", 5, 5)), weight, 8, 10, I64(2, 2), none);
    expect_window(ATTRS(attr_string("auto_pad", "VALID"), ATTR_INTS("strides", 2, 1)), weight, 6, 6, I64(2, 4), none);
    /* ceil_mode belongs to poolings. */
    expect_window(ATTRS(attr_int("ceil_mode", 1), ATTR_INTS("strides", 2, 2)), weight, 6, 6, I64(2, 2), none);
}

static void windows_of_poolings_in_ceil_mode(void **state) {
    (void)state;
    const int64_t none[4] = {0, 0, 0, 0};
#define POOL(k, s) ATTR_INTS("kernel_shape", k, k), ATTR_INTS("strides", s, s), attr_int("ceil_mode", 1)
    expect_window(ATTRS(POOL(2, 2)), NULL, 5, 6, I64(3, 3), none);
    /* A third window would start at row 6, behind the 5 rows. */
    expect_window(ATTRS(POOL(1, 3)), NULL, 5, 7, I64(2, 3), none);
    /* With padding, a window that starts inside input + left padding stays: 4 rows + 1, windows at 0, 2, 4. */
    expect_window(ATTRS(POOL(2, 2), ATTR_INTS("pads", 1, 1, 1, 1)), NULL, 4, 5, I64(3, 3), I64(1, 1, 1, 1));
    /* One window, although it reaches over the end. */
    expect_window(ATTRS(POOL(4, 2)), NULL, 3, 4, I64(1, 1), none);
    expect_window(ATTRS(POOL(2, 3), ATTR_INTS("pads", 1, 1, 1, 1)), NULL, 5, 4, I64(2, 2), I64(1, 1, 1, 1));
#undef POOL
}

static void expect_bad_window(struct vt_attrs attrs, const int64_t *weight, int64_t height, const char *part) {
    struct vt_window window;
    int64_t out[2];
    struct vultus_error error = {0};
    enum vultus_status status = vt_window_resolve(&attrs, weight, (int64_t[2]){height, 8}, &window, out, &error);
    assert_int_equal(status, VULTUS_ERROR_INVALID);
    if (!strstr(error.text, part)) fail_msg("\"%s\" does not contain \"%s\"", error.text, part);
}

static void impossible_windows_are_refused(void **state) {
    (void)state;
    const int64_t weight[4] = {8, 4, 3, 3}, empty[4] = {8, 4, 0, 3};
    const struct vt_attr kernel = ATTR_INTS("kernel_shape", 2, 2);
    expect_bad_window(NO_ATTRS, NULL, 8, "kernel_shape is missing");
    expect_bad_window(NO_ATTRS, empty, 8, "height is 0");
    expect_bad_window(NO_ATTRS, weight, 2, "spans 3 pixels of height, the padded input has only 2");
    expect_bad_window(ATTRS(ATTR_INTS("kernel_shape", 4, 4), ATTR_INTS("strides", 2, 2), attr_int("ceil_mode", 1)),
        NULL, 2, "spans 4 pixels");
    expect_bad_window(NO_ATTRS, weight, -1, "height is -1");
    expect_bad_window(NO_ATTRS, weight, INT64_MAX, "height is 9223372036854775807");
    expect_bad_window(ATTRS(kernel), weight, 8, "kernel_shape is 2x2 but the weight's kernel is 3x3");
    expect_bad_window(ATTRS(ATTR_INTS("kernel_shape", 2)), NULL, 8, "kernel_shape has 1 values");
    expect_bad_window(ATTRS(ATTR_INTS("strides", 1, 0)), weight, 8, "strides holds 0");
    expect_bad_window(ATTRS(ATTR_INTS("dilations", INT64_MIN, 1)), weight, 8, "dilations holds -9223372036854775808");
    expect_bad_window(ATTRS(ATTR_INTS("pads", 1, 1, 1, -1)), weight, 8, "pads holds -1");
    expect_bad_window(ATTRS(ATTR_INTS("pads", 1, 1)), weight, 8, "pads has 2 values");
    expect_bad_window(ATTRS(kernel, ATTR_INTS("pads", 1, 1, 2, 1)), NULL, 8, "must be smaller than its kernel");
    expect_bad_window(ATTRS(kernel, attr_int("ceil_mode", 2)), NULL, 8, "ceil_mode 2");
    expect_bad_window(ATTRS(attr_string("auto_pad", "SAME")), weight, 8, "auto_pad is \"SAME\"");
    expect_bad_window(ATTRS(attr_int("group", 0)), weight, 8, "group is 0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_is_found_by_its_name),
        cmocka_unit_test(attributes_are_found_by_name_and_kind),
        cmocka_unit_test(onnx_type_numbers),
        cmocka_unit_test(activations),
        cmocka_unit_test(a_tail_is_read_from_attributes),
        cmocka_unit_test(windows_of_convolutions),
        cmocka_unit_test(windows_of_poolings_in_ceil_mode),
        cmocka_unit_test(impossible_windows_are_refused),
    };
    return cmocka_run_group_tests_name("operator registry", tests, NULL, NULL);
}
