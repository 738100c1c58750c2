/* SPDX-License-Identifier: Apache-2.0 */
#include "op_test.h"

#define NO_VALUES view(VT_DTYPE_I64, DIMS(0), NULL)

static void reshape(void **state) {
    (void)state;
    struct vt_tensor x = ramp(DIMS(2, 3, 4), 0, 1), none = ramp(DIMS(0, 3), 0, 0);
    struct vt_tensor keep = VECTOR_I64(0, -1), flat = VECTOR_I64(24), zero = VECTOR_I64(0, 7), bad = VECTOR_I64(5, -1);
    struct vt_tensor two_free = VECTOR_I64(-1, -1), negative = VECTOR_I64(-2, 12), beyond = VECTOR_I64(2, 12, 1, 0);
    struct vt_tensor nothing = NO_VALUES, huge = VECTOR_I64(INT64_MAX, INT64_MAX, 4), one = VECTOR_F32(5);
    struct vt_tensor y = run_op(VT_OP_RESHAPE, NO_ATTRS, INPUTS(&x, &keep));
    expect_f32(y, DIMS(2, 12), x.data);
    expect_f32(run_op(VT_OP_RESHAPE, NO_ATTRS, INPUTS(&x, &flat)), DIMS(24), x.data);
    expect_f32(run_op(VT_OP_RESHAPE, ATTRS(attr_int("allowzero", 1)), INPUTS(&none, &zero)), DIMS(0, 7), NULL);
    expect_f32(run_op(VT_OP_RESHAPE, NO_ATTRS, INPUTS(&one, &nothing)), SCALAR, F32(5));
    expect_failure(VT_OP_RESHAPE, NO_ATTRS, INPUTS(&x, &bad), VULTUS_ERROR_INVALID,
        "Reshape: float32[2,3,4] cannot become float32[5,-1]");
    expect_failure(VT_OP_RESHAPE, NO_ATTRS, INPUTS(&x, &two_free), VULTUS_ERROR_INVALID, "[-1,-1]");
    expect_failure(VT_OP_RESHAPE, NO_ATTRS, INPUTS(&x, &negative), VULTUS_ERROR_INVALID, "[-2,12]");
    expect_failure(VT_OP_RESHAPE, NO_ATTRS, INPUTS(&x, &beyond), VULTUS_ERROR_INVALID, "[2,12,1,0]");
    expect_failure(VT_OP_RESHAPE, NO_ATTRS, INPUTS(&x, &huge), VULTUS_ERROR_INVALID, "cannot become");
    expect_failure(VT_OP_RESHAPE, NO_ATTRS, INPUTS(&none, &keep), VULTUS_ERROR_INVALID, "cannot become");
    expect_failure(VT_OP_RESHAPE, NO_ATTRS, INPUTS(&x, &one), VULTUS_ERROR_INVALID, "a vector of at most 8 integers");
}

static void flatten(void **state) {
    (void)state;
    struct vt_tensor x = ramp(DIMS(2, 3, 4), 0, 1);
    expect_f32(run_op(VT_OP_FLATTEN, NO_ATTRS, INPUTS(&x)), DIMS(2, 12), x.data);
    expect_f32(run_op(VT_OP_FLATTEN, ATTRS(attr_int("axis", 0)), INPUTS(&x)), DIMS(1, 24), x.data);
    expect_f32(run_op(VT_OP_FLATTEN, ATTRS(attr_int("axis", 3)), INPUTS(&x)), DIMS(24, 1), x.data);
    expect_f32(run_op(VT_OP_FLATTEN, ATTRS(attr_int("axis", -1)), INPUTS(&x)), DIMS(6, 4), x.data);
    expect_failure(VT_OP_FLATTEN, ATTRS(attr_int("axis", 4)), INPUTS(&x), VULTUS_ERROR_INVALID, "axis 4");
}

static void squeeze_and_unsqueeze(void **state) {
    (void)state;
    struct vt_tensor x = ramp(DIMS(1, 3, 1), 0, 1);
    struct vt_tensor first = VECTOR_I64(0), last = VECTOR_I64(-1), middle = VECTOR_I64(1), ends = VECTOR_I64(0, -1);
    struct vt_tensor same = VECTOR_I64(0, -4), many = VECTOR_I64(0, 1, 2, 3, 4, 5);
    expect_f32(run_op(VT_OP_SQUEEZE, NO_ATTRS, INPUTS(&x)), DIMS(3), x.data);
    expect_f32(run_op(VT_OP_SQUEEZE, NO_ATTRS, INPUTS(&x, &last)), DIMS(1, 3), x.data);
    expect_failure(VT_OP_SQUEEZE, NO_ATTRS, INPUTS(&x, &middle), VULTUS_ERROR_INVALID, "axis 1 of size 3");
    expect_f32(run_op(VT_OP_UNSQUEEZE, NO_ATTRS, INPUTS(&x, &first)), DIMS(1, 1, 3, 1), x.data);
    expect_f32(run_op(VT_OP_UNSQUEEZE, NO_ATTRS, INPUTS(&x, &ends)), DIMS(1, 1, 3, 1, 1), x.data);
    expect_failure(VT_OP_UNSQUEEZE, NO_ATTRS, INPUTS(&x, &many), VULTUS_ERROR_UNSUPPORTED, "9 axes");
    struct vt_tensor pair = ramp(DIMS(1, 3), 0, 1);
    expect_failure(VT_OP_UNSQUEEZE, NO_ATTRS, INPUTS(&pair, &same), VULTUS_ERROR_INVALID, "axis 0 is named twice");
}

static void shapes_and_constants(void **state) {
    (void)state;
    struct vt_tensor x = ramp(DIMS(2, 3, 4), 0, 1), scalar = view(VT_DTYPE_F32, SCALAR, F32(1));
    expect_ints(run_op(VT_OP_SHAPE, NO_ATTRS, INPUTS(&x)), VT_DTYPE_I64, DIMS(3), I64(2, 3, 4));
    expect_ints(run_op(VT_OP_SHAPE, ATTRS(attr_int("start", -2)), INPUTS(&x)), VT_DTYPE_I64, DIMS(2), I64(3, 4));
    expect_ints(run_op(VT_OP_SHAPE, ATTRS(attr_int("start", 1), attr_int("end", -1)), INPUTS(&x)), VT_DTYPE_I64,
        DIMS(1), I64(3));
    expect_ints(
        run_op(VT_OP_SHAPE, ATTRS(attr_int("start", 2), attr_int("end", 1)), INPUTS(&x)), VT_DTYPE_I64, DIMS(0), NULL);
    expect_ints(run_op(VT_OP_SHAPE, NO_ATTRS, INPUTS(&scalar)), VT_DTYPE_I64, DIMS(0), NULL);

    struct vt_tensor two_three = VECTOR_I64(2, 3), seven = VECTOR_I64(7), negative = VECTOR_I64(2, -3);
    struct vt_tensor nothing = NO_VALUES;
    expect_f32(run_op(VT_OP_CONSTANT_OF_SHAPE, NO_ATTRS, INPUTS(&two_three)), DIMS(2, 3), F32(0, 0, 0, 0, 0, 0));
    expect_ints(run_op(VT_OP_CONSTANT_OF_SHAPE, ATTRS(attr_tensor("value", &seven)), INPUTS(&two_three)), VT_DTYPE_I64,
        DIMS(2, 3), I64(7, 7, 7, 7, 7, 7));
    expect_f32(run_op(VT_OP_CONSTANT_OF_SHAPE, NO_ATTRS, INPUTS(&nothing)), SCALAR, F32(0));
    expect_failure(VT_OP_CONSTANT_OF_SHAPE, ATTRS(attr_tensor("value", &two_three)), INPUTS(&two_three),
        VULTUS_ERROR_INVALID, "2 elements");
    expect_failure(VT_OP_CONSTANT_OF_SHAPE, NO_ATTRS, INPUTS(&negative), VULTUS_ERROR_INVALID, "-3");

    const struct operands no_inputs = {NULL, 0};
    expect_ints(
        run_op(VT_OP_CONSTANT, ATTRS(attr_tensor("value", &two_three)), no_inputs), VT_DTYPE_I64, DIMS(2), I64(2, 3));
    expect_ints(
        run_op(VT_OP_CONSTANT, ATTRS(ATTR_INTS("value_ints", 4, 5)), no_inputs), VT_DTYPE_I64, DIMS(2), I64(4, 5));
    expect_ints(run_op(VT_OP_CONSTANT, ATTRS(attr_int("value_int", 4)), no_inputs), VT_DTYPE_I64, SCALAR, I64(4));
    expect_f32(run_op(VT_OP_CONSTANT, ATTRS(attr_float("value_float", 4)), no_inputs), SCALAR, F32(4));
    expect_failure(VT_OP_CONSTANT, NO_ATTRS, no_inputs, VULTUS_ERROR_UNSUPPORTED, "no value");
    struct vt_tensor broken = {.dtype = VT_DTYPE_F32, .rank = 1, .dims = {3}};
    expect_failure(VT_OP_CONSTANT, ATTRS(attr_tensor("value", &broken)), no_inputs, VULTUS_ERROR_INVALID,
        "attribute value has no valid");
}

static void copies(void **state) {
    (void)state;
    struct vt_tensor x = VECTOR_I64(1, 2), ratio = view(VT_DTYPE_F32, SCALAR, F32(0.5f));
    struct vt_tensor off = view(VT_DTYPE_BOOL, SCALAR, (uint8_t[]){0}),
                     on = view(VT_DTYPE_BOOL, SCALAR, (uint8_t[]){1});
    struct vt_tensor y = run_op(VT_OP_IDENTITY, NO_ATTRS, INPUTS(&x));
    expect_ints(y, VT_DTYPE_I64, DIMS(2), I64(1, 2));
    assert_ptr_not_equal(y.data, x.data);
    expect_ints(run_op(VT_OP_DROPOUT, NO_ATTRS, INPUTS(&x, &ratio, &off)), VT_DTYPE_I64, DIMS(2), I64(1, 2));
    expect_failure(VT_OP_DROPOUT, NO_ATTRS, INPUTS(&x, NULL, &on), VULTUS_ERROR_UNSUPPORTED, "training");
}

static void transpose(void **state) {
    (void)state;
    struct vt_tensor x = ramp(DIMS(2, 1, 3), 0, 1);
    expect_f32(run_op(VT_OP_TRANSPOSE, NO_ATTRS, INPUTS(&x)), DIMS(3, 1, 2), F32(0, 3, 1, 4, 2, 5));
    expect_f32(
        run_op(VT_OP_TRANSPOSE, ATTRS(ATTR_INTS("perm", 1, 0, 2)), INPUTS(&x)), DIMS(1, 2, 3), F32(0, 1, 2, 3, 4, 5));
    struct vt_tensor bytes = view(VT_DTYPE_U8, DIMS(2, 2), (uint8_t[]){1, 2, 3, 4});
    expect_ints(run_op(VT_OP_TRANSPOSE, NO_ATTRS, INPUTS(&bytes)), VT_DTYPE_U8, DIMS(2, 2), I64(1, 3, 2, 4));
    expect_failure(VT_OP_TRANSPOSE, ATTRS(ATTR_INTS("perm", 1, 0)), INPUTS(&x), VULTUS_ERROR_INVALID, "perm has 2");
    expect_failure(VT_OP_TRANSPOSE, ATTRS(ATTR_INTS("perm", 1, 0, 1)), INPUTS(&x), VULTUS_ERROR_INVALID, "value 1");
    expect_failure(VT_OP_TRANSPOSE, ATTRS(ATTR_INTS("perm", 0, 1, 3)), INPUTS(&x), VULTUS_ERROR_INVALID, "value 3");
}

static struct vt_tensor slice(struct vt_tensor x, int64_t start, int64_t end, int64_t axis, int64_t step) {
    struct vt_tensor starts = VECTOR_I64(start), ends = VECTOR_I64(end), axes = VECTOR_I64(axis);
    struct vt_tensor steps = VECTOR_I64(step);
    return run_op(VT_OP_SLICE, NO_ATTRS, INPUTS(&x, &starts, &ends, &axes, &steps));
}

static void slices(void **state) {
    (void)state;
    struct vt_tensor v = VECTOR_F32(0, 1, 2, 3, 4), m = ramp(DIMS(2, 3), 0, 1);
    expect_f32(slice(v, 1, 3, 0, 1), DIMS(2), F32(1, 2));
    expect_f32(slice(v, -2, INT64_MAX, 0, 1), DIMS(2), F32(3, 4));
    expect_f32(slice(v, 0, -1, 0, 3), DIMS(2), F32(0, 3));
    expect_f32(slice(v, INT64_MAX, INT64_MIN, 0, -1), DIMS(5), F32(4, 3, 2, 1, 0));
    expect_f32(slice(v, 3, 0, -1, -2), DIMS(2), F32(3, 1));
    expect_f32(slice(v, 3, 1, 0, 1), DIMS(0), NULL);
    expect_f32(slice(v, 0, 5, 0, INT64_MAX), DIMS(1), F32(0));
    expect_f32(slice(v, 4, -6, 0, INT64_MIN), DIMS(1), F32(4));
    expect_f32(slice(m, 2, -4, 1, -1), DIMS(2, 3), F32(2, 1, 0, 5, 4, 3));
    struct vt_tensor starts = VECTOR_I64(1, 1), ends = VECTOR_I64(2, 3), one = VECTOR_I64(1), zeros = VECTOR_I64(0, 0);
    expect_f32(run_op(VT_OP_SLICE, NO_ATTRS, INPUTS(&m, &starts, &ends)), DIMS(1, 2), F32(4, 5));
    expect_failure(VT_OP_SLICE, NO_ATTRS, INPUTS(&m, &starts, &one), VULTUS_ERROR_INVALID, "2 starts, 1 ends");
    expect_failure(VT_OP_SLICE, NO_ATTRS, INPUTS(&v, &starts, &ends), VULTUS_ERROR_INVALID, "rank 1");
    expect_failure(VT_OP_SLICE, NO_ATTRS, INPUTS(&m, &starts, &ends, &zeros), VULTUS_ERROR_INVALID, "named twice");
    expect_failure(VT_OP_SLICE, NO_ATTRS, INPUTS(&m, &starts, &ends, NULL, &zeros), VULTUS_ERROR_INVALID, "step");
}

static void concat(void **state) {
    (void)state;
    struct vt_tensor a = ramp(DIMS(2, 1), 0, 1), b = ramp(DIMS(2, 2), 10, 1), c = ramp(DIMS(2, 0), 0, 0);
    struct vt_tensor ints = view(VT_DTYPE_I64, DIMS(2, 1), I64(1, 2));
    const struct vt_attrs rows = ATTRS(attr_int("axis", 0)), columns = ATTRS(attr_int("axis", -1));
    expect_f32(run_op(VT_OP_CONCAT, columns, INPUTS(&a, &c, &b)), DIMS(2, 3), F32(0, 10, 11, 1, 12, 13));
    expect_f32(run_op(VT_OP_CONCAT, rows, INPUTS(&a, &a)), DIMS(4, 1), F32(0, 1, 0, 1));
    expect_failure(VT_OP_CONCAT, rows, INPUTS(&a, &b), VULTUS_ERROR_INVALID, "input 1 is float32[2,2]");
    expect_failure(VT_OP_CONCAT, rows, INPUTS(&a, &ints), VULTUS_ERROR_INVALID, "input 1 is int64[2,1]");
    expect_failure(VT_OP_CONCAT, rows, INPUTS(&a, NULL), VULTUS_ERROR_INVALID, "input 1 is missing");
    expect_failure(VT_OP_CONCAT, ATTRS(attr_int("axis", 2)), INPUTS(&a, &b), VULTUS_ERROR_INVALID, "axis 2");
}

static void gather(void **state) {
    (void)state;
    struct vt_tensor m = ramp(DIMS(2, 3), 0, 1), v = VECTOR_I64(5, 6, 7), scalar = view(VT_DTYPE_I64, SCALAR, I64(2));
    struct vt_tensor picks = view(VT_DTYPE_I32, DIMS(2, 2), (int32_t[]){0, -1, 1, 0}), far = VECTOR_I64(3);
    struct vt_tensor low = VECTOR_I64(-4), floats = VECTOR_F32(0);
    expect_ints(run_op(VT_OP_GATHER, NO_ATTRS, INPUTS(&v, &scalar)), VT_DTYPE_I64, SCALAR, I64(7));
    expect_f32(run_op(VT_OP_GATHER, ATTRS(attr_int("axis", 1)), INPUTS(&m, &picks)), DIMS(2, 2, 2),
        F32(0, 2, 1, 0, 3, 5, 4, 3));
    expect_f32(
        run_op(VT_OP_GATHER, NO_ATTRS, INPUTS(&m, &picks)), DIMS(2, 2, 3), F32(0, 1, 2, 3, 4, 5, 3, 4, 5, 0, 1, 2));
    expect_failure(
        VT_OP_GATHER, NO_ATTRS, INPUTS(&v, &far), VULTUS_ERROR_INVALID, "index 3 is outside axis 0 of size 3");
    expect_failure(VT_OP_GATHER, NO_ATTRS, INPUTS(&v, &low), VULTUS_ERROR_INVALID, "index -4");
    expect_failure(VT_OP_GATHER, NO_ATTRS, INPUTS(&v, &floats), VULTUS_ERROR_UNSUPPORTED, "float32[1]");
    expect_failure(VT_OP_GATHER, NO_ATTRS, INPUTS(&scalar, &scalar), VULTUS_ERROR_INVALID, "axis 0");
}

static void pad(void **state) {
    (void)state;
    struct vt_tensor v = VECTOR_F32(1, 2, 3), m = ramp(DIMS(2, 2), 1, 1), nine = view(VT_DTYPE_F32, SCALAR, F32(9));
    struct vt_tensor two_one = VECTOR_I64(2, 1), cut = VECTOR_I64(-1, 2), columns = VECTOR_I64(1, 1),
                     last = VECTOR_I64(-1);
    const struct vt_attrs reflect = ATTRS(attr_string("mode", "reflect")), edge = ATTRS(attr_string("mode", "edge"));
    expect_f32(run_op(VT_OP_PAD, NO_ATTRS, INPUTS(&v, &two_one)), DIMS(6), F32(0, 0, 1, 2, 3, 0));
    expect_f32(run_op(VT_OP_PAD, NO_ATTRS, INPUTS(&v, &two_one, &nine)), DIMS(6), F32(9, 9, 1, 2, 3, 9));
    expect_f32(run_op(VT_OP_PAD, NO_ATTRS, INPUTS(&v, &cut, &nine)), DIMS(4), F32(2, 3, 9, 9));
    expect_f32(run_op(VT_OP_PAD, reflect, INPUTS(&v, &two_one)), DIMS(6), F32(3, 2, 1, 2, 3, 2));
    expect_f32(run_op(VT_OP_PAD, edge, INPUTS(&v, &two_one)), DIMS(6), F32(1, 1, 1, 2, 3, 3));
    expect_f32(
        run_op(VT_OP_PAD, NO_ATTRS, INPUTS(&m, &columns, &nine, &last)), DIMS(2, 4), F32(9, 1, 2, 9, 9, 3, 4, 9));
    struct vt_tensor far = VECTOR_I64(3, 0), away = VECTOR_I64(-4, 0), most = VECTOR_I64(INT64_MIN, INT64_MAX);
    struct vt_tensor none = ramp(DIMS(0), 0, 0), ints = VECTOR_I64(1);
    expect_failure(VT_OP_PAD, reflect, INPUTS(&v, &far), VULTUS_ERROR_INVALID, "size 3 cannot be padded by 3 and 0");
    expect_failure(VT_OP_PAD, NO_ATTRS, INPUTS(&v, &away), VULTUS_ERROR_INVALID, "by -4 and 0");
    expect_failure(VT_OP_PAD, NO_ATTRS, INPUTS(&v, &most), VULTUS_ERROR_INVALID, "-9223372036854775808");
    expect_failure(VT_OP_PAD, edge, INPUTS(&none, &two_one), VULTUS_ERROR_INVALID, "size 0 cannot be padded");
    expect_failure(VT_OP_PAD, NO_ATTRS, INPUTS(&m, &two_one), VULTUS_ERROR_INVALID, "2 axes need 4 integers");
    expect_failure(VT_OP_PAD, NO_ATTRS, INPUTS(&v, &two_one, &ints), VULTUS_ERROR_INVALID, "the constant is int64[1]");
    expect_failure(VT_OP_PAD, ATTRS(attr_string("mode", "odd")), INPUTS(&v, &two_one), VULTUS_ERROR_UNSUPPORTED, "odd");
}

/* A resize of 1x1x1xN to `width`. */
static struct vt_tensor resize_row(
    struct vt_tensor row, int64_t width, const char *mode, const char *coordinates, const char *nearest) {
    struct vt_tensor sizes = VECTOR_I64(width);
    return run_op(VT_OP_RESIZE,
        ATTRS(attr_string("mode", mode), attr_string("coordinate_transformation_mode", coordinates),
            attr_string("nearest_mode", nearest)),
        INPUTS(&row, NULL, NULL, &sizes));
}

static void resize_nearest(void **state) {
    (void)state;
    struct vt_tensor v = VECTOR_F32(0, 1, 2, 3), m = ramp(DIMS(1, 1, 2, 2), 0, 1);
    /* asymmetric: output i looks at i / 2 going up and at 4 i / 3 going down to three. */
    expect_f32(resize_row(v, 8, "nearest", "asymmetric", "floor"), DIMS(8), F32(0, 0, 1, 1, 2, 2, 3, 3));
    expect_f32(resize_row(v, 8, "nearest", "asymmetric", "ceil"), DIMS(8), F32(0, 1, 1, 2, 2, 3, 3, 3));
    expect_f32(resize_row(v, 8, "nearest", "asymmetric", "round_prefer_floor"), DIMS(8), F32(0, 0, 1, 1, 2, 2, 3, 3));
    expect_f32(resize_row(v, 8, "nearest", "asymmetric", "round_prefer_ceil"), DIMS(8), F32(0, 1, 1, 2, 2, 3, 3, 3));
    expect_f32(resize_row(v, 3, "nearest", "asymmetric", "floor"), DIMS(3), F32(0, 1, 2));
    /* half_pixel to two: 0.5 and 2.5; to one, 1.5; PyTorch's form takes pixel 0 for a single one. */
    expect_f32(resize_row(v, 2, "nearest", "half_pixel", "round_prefer_floor"), DIMS(2), F32(0, 2));
    expect_f32(resize_row(v, 2, "nearest", "half_pixel", "round_prefer_ceil"), DIMS(2), F32(1, 3));
    expect_f32(resize_row(v, 1, "nearest", "half_pixel", "ceil"), DIMS(1), F32(2));
    expect_f32(resize_row(v, 1, "nearest", "pytorch_half_pixel", "ceil"), DIMS(1), F32(0));
    /* align_corners to three: 0, 1.5, 3. */
    expect_f32(resize_row(v, 3, "nearest", "align_corners", "floor"), DIMS(3), F32(0, 1, 3));
    struct vt_tensor scales = VECTOR_F32(1, 1, 2, 1.5f), roi = VECTOR_F32(0), axes_scales = VECTOR_F32(2);
    expect_f32(
        run_op(VT_OP_RESIZE,
            ATTRS(attr_string("coordinate_transformation_mode", "asymmetric"), attr_string("nearest_mode", "floor")),
            INPUTS(&m, &roi, &scales)),
        DIMS(1, 1, 4, 3), F32(0, 0, 1, 0, 0, 1, 2, 2, 3, 2, 2, 3));
    expect_f32(run_op(VT_OP_RESIZE, ATTRS(ATTR_INTS("axes", -1)), INPUTS(&m, NULL, &axes_scales)), DIMS(1, 1, 2, 4),
        F32(0, 0, 1, 1, 2, 2, 3, 3));
    struct vt_tensor ints = VECTOR_I64(4, 5), four = VECTOR_I64(4);
    expect_ints(
        run_op(VT_OP_RESIZE, NO_ATTRS, INPUTS(&ints, NULL, NULL, &four)), VT_DTYPE_I64, DIMS(4), I64(4, 4, 5, 5));
}

static void resize_linear(void **state) {
    (void)state;
    struct vt_tensor v = VECTOR_F32(0, 10, 40);
    expect_f32(resize_row(v, 6, "linear", "asymmetric", "floor"), DIMS(6), F32(0, 5, 10, 25, 40, 40));
    expect_f32(resize_row(v, 6, "linear", "half_pixel", "floor"), DIMS(6), F32(0, 2.5f, 7.5f, 17.5f, 32.5f, 40));
    expect_f32(resize_row(v, 5, "linear", "align_corners", "floor"), DIMS(5), F32(0, 5, 10, 25, 40));
    expect_f32(resize_row(v, 1, "linear", "align_corners", "floor"), DIMS(1), F32(0));
    expect_f32(resize_row(v, 1, "linear", "half_pixel", "floor"), DIMS(1), F32(10));
    expect_f32(resize_row(v, 1, "linear", "pytorch_half_pixel", "floor"), DIMS(1), F32(0));
    struct vt_tensor m = view(VT_DTYPE_F32, DIMS(2, 2), F32(0, 10, 100, 110)), sizes = VECTOR_I64(3, 3);
    expect_f32(run_op(VT_OP_RESIZE,
                   ATTRS(attr_string("mode", "linear"), attr_string("coordinate_transformation_mode", "align_corners")),
                   INPUTS(&m, NULL, NULL, &sizes)),
        DIMS(3, 3), F32(0, 5, 10, 50, 55, 60, 100, 105, 110));
}

static void resizes_that_are_refused(void **state) {
    (void)state;
    struct vt_tensor v = VECTOR_F32(0, 1), two = VECTOR_I64(2), scale = VECTOR_F32(2), none = NO_VALUES;
    struct vt_tensor negative = VECTOR_I64(-1), bad = VECTOR_F32(-1), not_a_number = VECTOR_F32(0.0f / 0.0f);
    struct vt_tensor empty = ramp(DIMS(0), 0, 0), pair = VECTOR_I64(2, 2), huge = VECTOR_F32(1e30f),
                     ints = VECTOR_I64(1);
#define REFUSED(attrs, part, ...)                                                                                      \
    expect_failure(VT_OP_RESIZE, attrs, INPUTS(__VA_ARGS__), VULTUS_ERROR_UNSUPPORTED, part)
#define WRONG(attrs, part, ...) expect_failure(VT_OP_RESIZE, attrs, INPUTS(__VA_ARGS__), VULTUS_ERROR_INVALID, part)
    REFUSED(ATTRS(attr_string("mode", "cubic")), "attribute mode is \"cubic\"", &v, NULL, NULL, &two);
    REFUSED(ATTRS(attr_string("coordinate_transformation_mode", "odd")), "odd", &v, NULL, NULL, &two);
    REFUSED(ATTRS(attr_string("nearest_mode", "simple")), "simple", &v, NULL, NULL, &two);
    REFUSED(ATTRS(attr_string("keep_aspect_ratio_policy", "odd")), "odd", &v, NULL, NULL, &two);
    REFUSED(ATTRS(attr_int("antialias", 1)), "antialias", &v, NULL, NULL, &two);
    REFUSED(ATTRS(attr_string("mode", "linear")), "only float32", &ints, NULL, NULL, &two);
    WRONG(NO_ATTRS, "either float32 scales or int64 sizes", &v);
    WRONG(NO_ATTRS, "either float32 scales or int64 sizes", &v, NULL, &scale, &two);
    WRONG(NO_ATTRS, "either float32 scales or int64 sizes", &v, NULL, NULL, &none);
    WRONG(NO_ATTRS, "one for each of 1 axes", &v, NULL, NULL, &pair);
    WRONG(NO_ATTRS, "cannot become -1", &v, NULL, NULL, &negative);
    WRONG(NO_ATTRS, "cannot become -2", &v, NULL, &bad);
    WRONG(NO_ATTRS, "cannot become", &v, NULL, &not_a_number);
    WRONG(NO_ATTRS, "cannot become 2e+30", &v, NULL, &huge);
    WRONG(NO_ATTRS, "axis 0 of size 0 cannot become 2", &empty, NULL, NULL, &two);
    WRONG(ATTRS(ATTR_INTS("axes", 1)), "axis 1 is outside", &v, NULL, NULL, &two);
    WRONG(ATTRS(ATTR_INTS("axes", 0, 0)), "names 2 axes", &v, NULL, NULL, &two);
#undef REFUSED
#undef WRONG
}

int main(void) {
    const struct CMUnitTest tests[] = {
        OP_TEST(reshape),
        OP_TEST(flatten),
        OP_TEST(squeeze_and_unsqueeze),
        OP_TEST(shapes_and_constants),
        OP_TEST(copies),
        OP_TEST(transpose),
        OP_TEST(slices),
        OP_TEST(concat),
        OP_TEST(gather),
        OP_TEST(pad),
        OP_TEST(resize_nearest),
        OP_TEST(resize_linear),
        OP_TEST(resizes_that_are_refused),
    };
    return cmocka_run_group_tests_name("shape operators", tests, NULL, NULL);
}
