/* SPDX-License-Identifier: Apache-2.0 */
#include "op_test.h"

static void convolution_adds_up_its_window(void **state) {
    (void)state;
    struct vt_tensor x = ramp(DIMS(1, 1, 3, 3), 1, 1); /* 1..9 */
    struct vt_tensor weight = view(VT_DTYPE_F32, DIMS(1, 1, 2, 2), F32(1, 10, 100, 1000));
    struct vt_tensor bias = VECTOR_F32(0.5f);
    expect_f32(run_op(VT_OP_CONV, NO_ATTRS, INPUTS(&x, &weight, &bias)), DIMS(1, 1, 2, 2),
        F32(5421.5f, 6532.5f, 8754.5f, 9865.5f));
    expect_f32(run_op(VT_OP_CONV, ATTRS(ATTR_INTS("pads", 1, 0, 0, 1)), INPUTS(&x, &weight)), DIMS(1, 1, 3, 3),
        F32(2100, 3200, 300, 5421, 6532, 603, 8754, 9865, 906));
}

static void convolution_strides_and_dilations(void **state) {
    (void)state;
    struct vt_tensor x = ramp(DIMS(1, 1, 4, 5), 0, 1); /* rows 0..4, 5..9, 10..14, 15..19 */
    struct vt_tensor weight = view(VT_DTYPE_F32, DIMS(1, 1, 2, 2), F32(1, 10, 100, 1000));
    expect_f32(run_op(VT_OP_CONV, ATTRS(ATTR_INTS("strides", 2, 3)), INPUTS(&x, &weight)), DIMS(1, 1, 2, 2),
        F32(0 + 10 + 500 + 6000, 3 + 40 + 800 + 9000, 10 + 110 + 1500 + 16000, 13 + 140 + 1800 + 19000));
    expect_f32(run_op(VT_OP_CONV, ATTRS(ATTR_INTS("dilations", 3, 4)), INPUTS(&x, &weight)), DIMS(1, 1, 1, 1),
        F32(0 + 40 + 1500 + 19000));
}

static void convolution_groups_and_batches(void **state) {
    (void)state;
    /* Two images of four channels of one pixel; two groups of two inputs and one output each. */
    struct vt_tensor x = ramp(DIMS(2, 4, 1, 1), 1, 1);
    struct vt_tensor weight = view(VT_DTYPE_F32, DIMS(2, 2, 1, 1), F32(1, 10, 100, 1000));
    expect_f32(run_op(VT_OP_CONV, ATTRS(attr_int("group", 2)), INPUTS(&x, &weight)), DIMS(2, 2, 1, 1),
        F32(21, 4300, 65, 8700));
}

/* More pixels than the implementation handles at once, against a convolution written straight from the definition. */
static void convolution_of_a_large_picture(void **state) {
    (void)state;
    enum { HEIGHT = 29, WIDTH = 31, INPUTS_C = 3, OUTPUTS_C = 2 };
    struct vt_tensor x = ramp(DIMS(1, INPUTS_C, HEIGHT, WIDTH), -3, 0.125f);
    struct vt_tensor weight = ramp(DIMS(OUTPUTS_C, INPUTS_C, 3, 3), -2, 0.0625f);
    struct vt_tensor y = run_op(VT_OP_CONV, ATTRS(ATTR_INTS("pads", 1, 1, 1, 1)), INPUTS(&x, &weight));
    assert_int_equal(vt_tensor_count(&y), OUTPUTS_C * HEIGHT * WIDTH);
    const float *in = x.data, *w = weight.data, *got = y.data;
    for (int m = 0; m < OUTPUTS_C; m++)
        for (int row = 0; row < HEIGHT; row++)
            for (int column = 0; column < WIDTH; column++) {
                double sum = 0;
                for (int c = 0; c < INPUTS_C; c++)
                    for (int tap = 0; tap < 9; tap++) {
                        int i = row + tap / 3 - 1, j = column + tap % 3 - 1;
                        if (i < 0 || i >= HEIGHT || j < 0 || j >= WIDTH) continue;
                        sum += (double)w[(m * INPUTS_C + c) * 9 + tap] * in[(c * HEIGHT + i) * WIDTH + j];
                    }
                assert_float_equal(got[(m * HEIGHT + row) * WIDTH + column], (float)sum, 0);
            }
}

static void fused_convolution_fills_its_border(void **state) {
    (void)state;
    struct vt_tensor x = view(VT_DTYPE_F32, DIMS(1, 2, 1, 2), F32(1, 2, 3, 4));
    struct vt_tensor weight = view(VT_DTYPE_F32, DIMS(1, 2, 1, 3), F32(1, 10, 100, 1000, 10000, 100000));
    struct vt_tensor border = VECTOR_F32(5, 7);
    const struct vt_attrs padded = ATTRS(ATTR_INTS("pads", 0, 1, 0, 1));
    expect_f32(run_op(VT_OP_FUSED_CONV, padded, INPUTS(&x, &weight, NULL, &border)), DIMS(1, 1, 1, 2),
        F32(5 + 10 + 200 + 7000 + 30000 + 400000, 1 + 20 + 500 + 3000 + 40000 + 700000));
    expect_f32(run_op(VT_OP_FUSED_CONV, padded, INPUTS(&x, &weight)), DIMS(1, 1, 1, 2),
        F32(0 + 10 + 200 + 0 + 30000 + 400000, 1 + 20 + 0 + 3000 + 40000 + 0));
}

/* A border is what the input would be continued with: padding by hand first must give the same. */
static void a_border_equals_padding_beforehand(void **state) {
    (void)state;
    enum {
        C = 4,
        H = 5,
        W = 6,
        TOP = 2,
        LEFT = 1,
        BOTTOM = 1,
        RIGHT = 3,
        PH = TOP + H + BOTTOM,
        PW = LEFT + W + RIGHT
    };
    struct vt_tensor x = ramp(DIMS(2, C, H, W), -7, 0.25f), border = VECTOR_F32(5, -7, 0.5f, 11);
    struct vt_tensor weight = ramp(DIMS(6, C / 2, 3, 2), -2, 0.125f), padded = ramp(DIMS(2, C, PH, PW), 0, 0);
    const float *from = x.data;
    float *to = padded.data;
    for (int plane = 0; plane < 2 * C; plane++)
        for (int row = -TOP; row < H + BOTTOM; row++)
            for (int column = -LEFT; column < W + RIGHT; column++) {
                bool inside = row >= 0 && row < H && column >= 0 && column < W;
                *to++ = inside ? from[(plane * H + row) * W + column] : ((const float *)border.data)[plane % C];
            }
    const struct vt_attr strides = ATTR_INTS("strides", 2, 1), dilations = ATTR_INTS("dilations", 1, 2);
    const struct vt_attr group = attr_int("group", 2), pads = ATTR_INTS("pads", TOP, LEFT, BOTTOM, RIGHT);
    struct vt_tensor expected = run_op(VT_OP_CONV, ATTRS(strides, dilations, group), INPUTS(&padded, &weight));
    expect_f32(run_op(VT_OP_FUSED_CONV, ATTRS(strides, dilations, group, pads), INPUTS(&x, &weight, NULL, &border)),
        expected.rank, expected.dims, expected.data);
}

static void fused_convolution_runs_its_tail(void **state) {
    (void)state;
    struct vt_tensor x = view(VT_DTYPE_F32, DIMS(1, 1, 1, 3), F32(-4, 1, 2));
    struct vt_tensor weight = view(VT_DTYPE_F32, DIMS(2, 1, 1, 1), F32(1, -1));
    struct vt_tensor bias = VECTOR_F32(1, 2), slope = VECTOR_F32(0.5f, 0.25f);
    struct vt_tensor residual = view(VT_DTYPE_F32, DIMS(1, 2, 1, 3), F32(1, 1, -9, -1, 10, 0.5f));
    /* conv + bias: -3 2 3 | 6 1 0; PReLU: -1.5 2 3 | 6 1 0; + residual: -0.5 3 -6 | 5 11 0.5; ReLU. */
    expect_f32(run_op(VT_OP_FUSED_CONV, ATTRS(attr_int("act1", VT_ACT_PRELU), attr_int("act2", VT_ACT_RELU)),
                   INPUTS(&x, &weight, &bias, NULL, &slope, &residual)),
        DIMS(1, 2, 1, 3), F32(0, 3, 0, 5, 11, 0.5f));
    expect_f32(run_op(VT_OP_FUSED_CONV,
                   ATTRS(attr_int("act1", VT_ACT_CLIP), attr_float("act1_alpha", -2), attr_float("act1_beta", 2)),
                   INPUTS(&x, &weight, &bias, NULL, NULL, &residual)),
        DIMS(1, 2, 1, 3), F32(-1, 3, -7, 1, 11, 0.5f));
}

static void convolutions_that_do_not_fit(void **state) {
    (void)state;
    struct vt_tensor x = ramp(DIMS(1, 3, 4, 4), 0, 1), flat = ramp(DIMS(3, 4, 4), 0, 1);
    struct vt_tensor weight = ramp(DIMS(2, 3, 3, 3), 0, 1), narrow = ramp(DIMS(2, 2, 3, 3), 0, 1);
    struct vt_tensor bias = VECTOR_F32(1, 2, 3), slope = VECTOR_F32(1, 2), ints = VECTOR_I64(1, 2);
    struct vt_tensor residual = ramp(DIMS(1, 2, 2, 3), 0, 1);
    expect_failure(VT_OP_CONV, NO_ATTRS, INPUTS(&flat, &weight), VULTUS_ERROR_INVALID, "float32[3,4,4]");
    expect_failure(VT_OP_CONV, NO_ATTRS, INPUTS(&x, &narrow), VULTUS_ERROR_INVALID, "3 input channels in 1 groups");
    expect_failure(VT_OP_CONV, ATTRS(attr_int("group", 3)), INPUTS(&x, &weight), VULTUS_ERROR_INVALID, "3 groups");
    expect_failure(VT_OP_CONV, NO_ATTRS, INPUTS(&x, &weight, &bias), VULTUS_ERROR_INVALID, "the bias is float32[3]");
    expect_failure(VT_OP_CONV, NO_ATTRS, INPUTS(&x, &weight, &ints), VULTUS_ERROR_UNSUPPORTED, "only float32");
    expect_failure(VT_OP_CONV, ATTRS(ATTR_INTS("dilations", 2, 2)), INPUTS(&x, &weight), VULTUS_ERROR_INVALID,
        "Conv: the kernel spans 5 pixels");
    expect_failure(VT_OP_CONV, NO_ATTRS, INPUTS(&x), VULTUS_ERROR_INVALID, "1 inputs, allowed are 2 to 3");
    expect_failure(VT_OP_CONV, NO_ATTRS, INPUTS(&x, NULL), VULTUS_ERROR_INVALID, "input 1 is missing");
    expect_failure(VT_OP_FUSED_CONV, NO_ATTRS, INPUTS(&x, &weight, NULL, &slope), VULTUS_ERROR_INVALID, "the border");
    expect_failure(VT_OP_FUSED_CONV, NO_ATTRS, INPUTS(&x, &weight, NULL, NULL, &slope), VULTUS_ERROR_INVALID,
        "the activation is none but there is a slope");
    expect_failure(VT_OP_FUSED_CONV, ATTRS(attr_int("act1", VT_ACT_PRELU)), INPUTS(&x, &weight), VULTUS_ERROR_INVALID,
        "the activation is prelu but there is no slope");
    expect_failure(VT_OP_FUSED_CONV, ATTRS(attr_int("act2", VT_ACT_PRELU)), INPUTS(&x, &weight), VULTUS_ERROR_INVALID,
        "not a tail");
    expect_failure(VT_OP_FUSED_CONV, ATTRS(attr_int("act1", 99)), INPUTS(&x, &weight), VULTUS_ERROR_INVALID, "99");
    expect_failure(VT_OP_FUSED_CONV, NO_ATTRS, INPUTS(&x, &weight, NULL, NULL, NULL, &residual), VULTUS_ERROR_INVALID,
        "the residual is float32[1,2,2,3], the result float32[1,2,2,2]");
}

static void gemm_transposes_and_scales(void **state) {
    (void)state;
    struct vt_tensor a = ramp(DIMS(2, 3), 1, 1), b = ramp(DIMS(3, 2), 1, 1);
    struct vt_tensor row = VECTOR_F32(100, 200), column = view(VT_DTYPE_F32, DIMS(2, 1), F32(1, 2));
    /* [1 2 3; 4 5 6] x [1 2; 3 4; 5 6] */
    expect_f32(run_op(VT_OP_GEMM, NO_ATTRS, INPUTS(&a, &b)), DIMS(2, 2), F32(22, 28, 49, 64));
    expect_f32(run_op(VT_OP_GEMM, NO_ATTRS, INPUTS(&a, &b, &row)), DIMS(2, 2), F32(122, 228, 149, 264));
    expect_f32(run_op(VT_OP_GEMM, ATTRS(attr_float("alpha", 0.5f), attr_float("beta", 2)), INPUTS(&a, &b, &column)),
        DIMS(2, 2), F32(13, 16, 28.5f, 36));
    /* [1 4; 2 5; 3 6] x [1 3 5; 2 4 6] */
    expect_f32(run_op(VT_OP_GEMM, ATTRS(attr_int("transA", 1), attr_int("transB", 1)), INPUTS(&a, &b)), DIMS(3, 3),
        F32(9, 19, 29, 12, 26, 40, 15, 33, 51));
    expect_f32(run_op(VT_OP_GEMM, ATTRS(attr_int("transB", 1)), INPUTS(&a, &a)), DIMS(2, 2), F32(14, 32, 32, 77));
    expect_f32(run_op(VT_OP_GEMM, ATTRS(attr_int("transA", 1)), INPUTS(&b, &b)), DIMS(2, 2), F32(35, 44, 44, 56));
}

static void gemms_that_do_not_fit(void **state) {
    (void)state;
    struct vt_tensor a = ramp(DIMS(2, 3), 1, 1), b = ramp(DIMS(3, 2), 1, 1), c = ramp(DIMS(3, 2), 0, 1);
    struct vt_tensor vector = VECTOR_F32(1, 2, 3), long_row = ramp(DIMS(1, 2, 2), 0, 1);
    expect_failure(VT_OP_GEMM, NO_ATTRS, INPUTS(&a, &a), VULTUS_ERROR_INVALID, "inner dimensions");
    expect_failure(VT_OP_GEMM, NO_ATTRS, INPUTS(&a, &b, &c), VULTUS_ERROR_INVALID, "broadcast");
    expect_failure(VT_OP_GEMM, NO_ATTRS, INPUTS(&a, &b, &long_row), VULTUS_ERROR_INVALID, "float32[1,2,2]");
    expect_failure(VT_OP_GEMM, NO_ATTRS, INPUTS(&a, &vector), VULTUS_ERROR_INVALID, "float32[3]");
    struct vt_tensor single = ramp(DIMS(1, 3), 0, 1), tall = ramp(DIMS(2, 2), 0, 1);
    /* The addend must not enlarge the product. */
    expect_failure(VT_OP_GEMM, NO_ATTRS, INPUTS(&single, &b, &tall), VULTUS_ERROR_INVALID, "does not broadcast");
}

static void matmul_broadcasts_batches(void **state) {
    (void)state;
    struct vt_tensor a = ramp(DIMS(2, 1, 1, 2), 1, 1); /* [1 2] and [3 4] */
    struct vt_tensor b = ramp(DIMS(3, 2, 1), 1, 1);    /* [1;2], [3;4], [5;6] */
    expect_f32(run_op(VT_OP_MATMUL, NO_ATTRS, INPUTS(&a, &b)), DIMS(2, 3, 1, 1), F32(5, 11, 17, 11, 25, 39));
    struct vt_tensor matrix = ramp(DIMS(2, 3), 1, 1), three = VECTOR_F32(1, 10, 100), two = VECTOR_F32(1, 10);
    expect_f32(run_op(VT_OP_MATMUL, NO_ATTRS, INPUTS(&matrix, &three)), DIMS(2), F32(321, 654));
    expect_f32(run_op(VT_OP_MATMUL, NO_ATTRS, INPUTS(&two, &matrix)), DIMS(3), F32(41, 52, 63));
    expect_f32(run_op(VT_OP_MATMUL, NO_ATTRS, INPUTS(&three, &three)), SCALAR, F32(10101));
    expect_failure(VT_OP_MATMUL, NO_ATTRS, INPUTS(&matrix, &two), VULTUS_ERROR_INVALID, "inner dimensions");
    struct vt_tensor scalar = view(VT_DTYPE_F32, SCALAR, F32(1)), twos = ramp(DIMS(2, 2, 3), 0, 1);
    expect_failure(VT_OP_MATMUL, NO_ATTRS, INPUTS(&scalar, &matrix), VULTUS_ERROR_INVALID, "float32[]");
    struct vt_tensor three_columns = ramp(DIMS(3, 3, 1), 0, 1);
    expect_failure(VT_OP_MATMUL, NO_ATTRS, INPUTS(&twos, &three_columns), VULTUS_ERROR_INVALID, "broadcast");
}

static void products_without_terms_are_zero(void **state) {
    (void)state;
    struct vt_tensor a = ramp(DIMS(2, 0), 0, 0), b = ramp(DIMS(0, 2), 0, 0), c = VECTOR_F32(3, 4);
    expect_f32(run_op(VT_OP_MATMUL, NO_ATTRS, INPUTS(&a, &b)), DIMS(2, 2), F32(0, 0, 0, 0));
    expect_f32(run_op(VT_OP_GEMM, NO_ATTRS, INPUTS(&a, &b, &c)), DIMS(2, 2), F32(3, 4, 3, 4));
    expect_f32(run_op(VT_OP_MATMUL, NO_ATTRS, INPUTS(&b, &a)), DIMS(0, 0), NULL);
}

static void fused_gemm_runs_its_tail(void **state) {
    (void)state;
    struct vt_tensor x = ramp(DIMS(2, 2), 1, 1), weight = view(VT_DTYPE_F32, DIMS(2, 2), F32(1, -1, 2, -2));
    struct vt_tensor bias = VECTOR_F32(1, 1), slope = VECTOR_F32(9, 0.5f), residual = ramp(DIMS(2, 2), -10, 5);
    /* x w: 5 -5; 11 -11. + bias: 6 -4; 12 -10. PReLU: 6 -2; 12 -5. + (-10 -5; 0 5): -4 -7; 12 0. */
    expect_f32(
        run_op(VT_OP_FUSED_GEMM, ATTRS(attr_int("act1", VT_ACT_PRELU)), INPUTS(&x, &weight, &bias, &slope, &residual)),
        DIMS(2, 2), F32(-4, -7, 12, 0));
    expect_f32(run_op(VT_OP_FUSED_GEMM, NO_ATTRS, INPUTS(&x, &weight)), DIMS(2, 2), F32(5, -5, 11, -11));
    struct vt_tensor wide = ramp(DIMS(2, 3), 0, 1);
    expect_failure(VT_OP_FUSED_GEMM, NO_ATTRS, INPUTS(&x, &weight, NULL, NULL, &wide), VULTUS_ERROR_INVALID,
        "the residual is 2x3, the result 2x2");
    expect_failure(VT_OP_FUSED_GEMM, NO_ATTRS, INPUTS(&wide, &weight), VULTUS_ERROR_INVALID, "inner dimensions");
}

static void max_pool(void **state) {
    (void)state;
    struct vt_tensor x = view(VT_DTYPE_F32, DIMS(1, 1, 3, 4), F32(-1, -2, -3, -4, -5, -6, -7, -8, -9, 1, 2, -3));
    const struct vt_attr kernel = ATTR_INTS("kernel_shape", 2, 2), strides = ATTR_INTS("strides", 2, 2);
    expect_f32(run_op(VT_OP_MAX_POOL, ATTRS(kernel), INPUTS(&x)), DIMS(1, 1, 2, 3), F32(-1, -2, -3, 1, 2, 2));
    expect_f32(run_op(VT_OP_MAX_POOL, ATTRS(kernel, strides, attr_int("ceil_mode", 1)), INPUTS(&x)), DIMS(1, 1, 2, 2),
        F32(-1, -3, 1, 2));
    /* Padding never wins, although every value is below 0. */
    expect_f32(run_op(VT_OP_MAX_POOL, ATTRS(kernel, strides, ATTR_INTS("pads", 1, 1, 0, 1)), INPUTS(&x)),
        DIMS(1, 1, 2, 3), F32(-1, -2, -4, -5, 2, -3));
    expect_f32(
        run_op(VT_OP_MAX_POOL, ATTRS(kernel, ATTR_INTS("dilations", 2, 3)), INPUTS(&x)), DIMS(1, 1, 1, 1), F32(-1));
}

static void average_pool(void **state) {
    (void)state;
    struct vt_tensor x = ramp(DIMS(1, 1, 3, 3), 1, 1);
    const struct vt_attr kernel = ATTR_INTS("kernel_shape", 2, 2), strides = ATTR_INTS("strides", 2, 2);
    const struct vt_attr pads = ATTR_INTS("pads", 1, 1, 0, 0), include = attr_int("count_include_pad", 1);
    expect_f32(run_op(VT_OP_AVERAGE_POOL, ATTRS(kernel), INPUTS(&x)), DIMS(1, 1, 2, 2), F32(3, 4, 6, 7));
    expect_f32(
        run_op(VT_OP_AVERAGE_POOL, ATTRS(kernel, strides, pads), INPUTS(&x)), DIMS(1, 1, 2, 2), F32(1, 2.5f, 5.5f, 7));
    expect_f32(run_op(VT_OP_AVERAGE_POOL, ATTRS(kernel, strides, pads, include), INPUTS(&x)), DIMS(1, 1, 2, 2),
        F32(0.25f, 1.25f, 2.75f, 7));
    /* What ceil_mode adds behind the declared padding does not count. */
    expect_f32(run_op(VT_OP_AVERAGE_POOL, ATTRS(kernel, strides, include, attr_int("ceil_mode", 1)), INPUTS(&x)),
        DIMS(1, 1, 2, 2), F32(3, 4.5f, 7.5f, 9));
    expect_f32(run_op(VT_OP_GLOBAL_AVERAGE_POOL, NO_ATTRS, INPUTS(&x)), DIMS(1, 1, 1, 1), F32(5));
    struct vt_tensor pairs = ramp(DIMS(1, 2, 2), 1, 1), flat = ramp(DIMS(3, 3), 1, 1), none = ramp(DIMS(1, 2, 0), 0, 0);
    expect_f32(run_op(VT_OP_GLOBAL_AVERAGE_POOL, NO_ATTRS, INPUTS(&pairs)), DIMS(1, 2, 1), F32(1.5f, 3.5f));
    expect_failure(VT_OP_GLOBAL_AVERAGE_POOL, NO_ATTRS, INPUTS(&flat), VULTUS_ERROR_INVALID, "float32[3,3]");
    expect_failure(VT_OP_GLOBAL_AVERAGE_POOL, NO_ATTRS, INPUTS(&none), VULTUS_ERROR_INVALID, "no pixels");
    expect_failure(VT_OP_AVERAGE_POOL, NO_ATTRS, INPUTS(&x), VULTUS_ERROR_INVALID, "AveragePool: attribute kernel_sh");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        OP_TEST(convolution_adds_up_its_window),
        OP_TEST(convolution_strides_and_dilations),
        OP_TEST(convolution_groups_and_batches),
        OP_TEST(convolution_of_a_large_picture),
        OP_TEST(fused_convolution_fills_its_border),
        OP_TEST(a_border_equals_padding_beforehand),
        OP_TEST(fused_convolution_runs_its_tail),
        OP_TEST(convolutions_that_do_not_fit),
        OP_TEST(gemm_transposes_and_scales),
        OP_TEST(gemms_that_do_not_fit),
        OP_TEST(matmul_broadcasts_batches),
        OP_TEST(products_without_terms_are_zero),
        OP_TEST(fused_gemm_runs_its_tail),
        OP_TEST(max_pool),
        OP_TEST(average_pool),
    };
    return cmocka_run_group_tests_name("convolutions, products and poolings", tests, NULL, NULL);
}
