/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tensor/tensor.h"

static void test_dtypes(void **state) {
    (void)state;
    /* The order is part of plan files. */
    static const char *const names[] = {"none", "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16",
        "int8", "uint64", "uint32", "uint16", "uint8", "bool"};
    static const size_t sizes[] = {0, 4, 8, 2, 2, 8, 4, 2, 1, 8, 4, 2, 1, 1};
    assert_int_equal(VT_DTYPE_COUNT, 14);
    for (int i = 0; i < VT_DTYPE_COUNT; i++) {
        assert_string_equal(vt_dtype_name((enum vt_dtype)i), names[i]);
        assert_int_equal(vt_dtype_size((enum vt_dtype)i), sizes[i]);
        assert_int_equal(vt_dtype_from_name(names[i]), i);
    }
    assert_int_equal(vt_dtype_from_name("float8"), VT_DTYPE_NONE);
    assert_int_equal(vt_dtype_size(VT_DTYPE_COUNT), 0);
    assert_int_equal(vt_dtype_size((enum vt_dtype) - 1), 0);
    assert_string_equal(vt_dtype_name((enum vt_dtype)99), "unknown");
}

static bool valid(int rank, const int64_t *dims, enum vt_dtype dtype, int64_t wanted) {
    int64_t count = -1;
    if (!vt_dims_valid(rank, dims, dtype, &count)) return false;
    assert_int_equal(count, wanted);
    return true;
}

static void test_dims(void **state) {
    (void)state;
    const int64_t big = INT64_C(1) << 62;
    assert_true(valid(0, NULL, VT_DTYPE_F32, 1));
    assert_true(valid(3, (int64_t[]){2, 3, 4}, VT_DTYPE_F32, 24));
    assert_true(valid(3, (int64_t[]){2, 0, 4}, VT_DTYPE_F32, 0));
    assert_true(valid(1, (int64_t[]){INT64_MAX}, VT_DTYPE_U8, INT64_MAX));
    assert_false(valid(1, (int64_t[]){INT64_MAX}, VT_DTYPE_U16, 0));
    assert_false(valid(2, (int64_t[]){big, 2}, VT_DTYPE_U8, 0));
    assert_false(valid(3, (int64_t[]){0, big, big}, VT_DTYPE_U8, 0));
    assert_false(valid(3, (int64_t[]){big, big, 0}, VT_DTYPE_U8, 0));
    assert_false(valid(2, (int64_t[]){-1, -1}, VT_DTYPE_F32, 0));
    assert_false(valid(1, (int64_t[]){1}, VT_DTYPE_NONE, 0));
    assert_false(valid(1, (int64_t[]){1}, VT_DTYPE_COUNT, 0));
    assert_false(valid(-1, NULL, VT_DTYPE_F32, 0));
    assert_false(valid(VT_MAX_RANK + 1, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1}, VT_DTYPE_F32, 0));
    assert_true(vt_dims_valid(1, (int64_t[]){3}, VT_DTYPE_F32, NULL));
}

static void test_allocation(void **state) {
    (void)state;
    struct vultus_error error;
    struct vt_arena arena;
    struct vt_tensor tensor;
    vt_arena_init(&arena, 1 << 20);
    assert_int_equal(vt_tensor_alloc(&arena, VT_DTYPE_F64, 2, (int64_t[]){3, 5}, &tensor, &error), VULTUS_OK);
    assert_int_equal((uintptr_t)tensor.data % 64, 0);
    assert_int_equal(vt_tensor_count(&tensor), 15);
    assert_int_equal(vt_tensor_bytes(&tensor), 120);
    for (int i = 0; i < 15; i++) assert_true(vt_tensor_get(&tensor, i) == 0);
    assert_int_equal(vt_tensor_alloc(&arena, VT_DTYPE_F32, 0, NULL, &tensor, &error), VULTUS_OK);
    assert_int_equal(vt_tensor_count(&tensor), 1);
    assert_int_equal(vt_tensor_alloc(&arena, VT_DTYPE_F32, 1, (int64_t[]){0}, &tensor, &error), VULTUS_OK);
    assert_int_equal(vt_tensor_bytes(&tensor), 0);
    assert_int_equal(
        vt_tensor_alloc(&arena, VT_DTYPE_F32, 1, (int64_t[]){1 << 20}, &tensor, &error), VULTUS_ERROR_MEMORY);
    assert_int_equal(vt_tensor_alloc(&arena, VT_DTYPE_F32, 1, (int64_t[]){-1}, &tensor, &error), VULTUS_ERROR_INVALID);
    vt_arena_fini(&arena);
}

static void test_same_shape_and_description(void **state) {
    (void)state;
    struct vt_tensor a = {.dtype = VT_DTYPE_F32, .rank = 4, .dims = {1, 3, 112, 112}}, b = a;
    char text[64], small[12];
    assert_true(vt_tensor_same_shape(&a, &b));
    b.dims[3] = 111;
    assert_false(vt_tensor_same_shape(&a, &b));
    b.rank = 3;
    assert_false(vt_tensor_same_shape(&a, &b));
    assert_string_equal(vt_tensor_describe(&a, text, sizeof text), "float32[1,3,112,112]");
    assert_string_equal(vt_tensor_describe(&(struct vt_tensor){.dtype = VT_DTYPE_BOOL}, text, sizeof text), "bool[]");
    memset(small, '#', sizeof small);
    assert_string_equal(vt_tensor_describe(&a, small, 11), "float32[1,");
    assert_int_equal(small[11], '#');
}

#define GET(type_name, type, ...)                                                                                      \
    ((struct vt_tensor){.dtype = VT_DTYPE_##type_name, .rank = 1, .dims = {1}, .data = (type[]){__VA_ARGS__}})

static void test_elements(void **state) {
    (void)state;
    struct vt_tensor t = GET(I64, int64_t, INT64_MIN, (INT64_C(1) << 53) + 1);
    assert_true(vt_tensor_get_int(&t, 0) == INT64_MIN);
    assert_true(vt_tensor_get_int(&t, 1) == (INT64_C(1) << 53) + 1);
    t = GET(U64, uint64_t, UINT64_MAX, 7);
    assert_true(vt_tensor_get_int(&t, 0) == INT64_MAX);
    assert_true(vt_tensor_get(&t, 0) == 0x1p64);
    assert_true(vt_tensor_get(&t, 1) == 7);
    t = GET(I32, int32_t, -5);
    assert_true(vt_tensor_get(&t, 0) == -5);
    t = GET(U32, uint32_t, UINT32_MAX);
    assert_true(vt_tensor_get_int(&t, 0) == UINT32_MAX);
    t = GET(I16, int16_t, -3);
    assert_true(vt_tensor_get(&t, 0) == -3);
    t = GET(U16, uint16_t, 65535);
    assert_true(vt_tensor_get(&t, 0) == 65535);
    t = GET(I8, int8_t, -128);
    assert_true(vt_tensor_get_int(&t, 0) == -128);
    t = GET(U8, uint8_t, 255);
    assert_true(vt_tensor_get_int(&t, 0) == 255);
    t = GET(BOOL, uint8_t, 2);
    assert_true(vt_tensor_get_int(&t, 0) == 1);
    t = GET(F16, uint16_t, 0x3c00, 0xc000);
    assert_true(vt_tensor_get(&t, 0) == 1 && vt_tensor_get_int(&t, 1) == -2);
    t = GET(BF16, uint16_t, 0x3f80, 0x7f80);
    assert_true(vt_tensor_get(&t, 0) == 1 && vt_tensor_get(&t, 1) == (double)INFINITY);
    t = GET(F64, double, 1e300, -1e300, NAN, -2.9);
    assert_true(vt_tensor_get(&t, 0) == 1e300);
    assert_true(vt_tensor_get_int(&t, 0) == INT64_MAX);
    assert_true(vt_tensor_get_int(&t, 1) == INT64_MIN);
    assert_true(vt_tensor_get_int(&t, 2) == 0);
    assert_true(vt_tensor_get_int(&t, 3) == -2);
    t = GET(F32, float, 0x1p62f);
    assert_true(vt_tensor_get_int(&t, 0) == INT64_C(1) << 62);
}

/* ------------------------------------------------------------ half precision */

/* The value of a format with `mantissa` bits and the given exponent bias, by its definition. */
static double value_of(uint16_t bits, int mantissa, int bias) {
    int exponents = 1 << (15 - mantissa), exponent = (bits & 0x7fff) >> mantissa;
    double fraction = ldexp(bits & ((1 << mantissa) - 1), -mantissa), sign = bits & 0x8000 ? -1 : 1;
    if (exponent == exponents - 1) return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1 + fraction, exponent - bias) : ldexp(fraction, 1 - bias));
}

struct format {
    int mantissa, bias;
    uint16_t infinity;
    float (*widen)(uint16_t bits);
    uint16_t (*narrow)(float value);
};
static const struct format formats[] = {
    {10, 15, 0x7c00, vt_f16_to_f32, vt_f32_to_f16}, {7, 127, 0x7f80, vt_bf16_to_f32, vt_f32_to_bf16}};

static void test_widening_is_exact(void **state) {
    (void)state;
    for (int f = 0; f < 2; f++) {
        for (uint32_t bits = 0; bits <= 0xffff; bits++) {
            double wanted = value_of((uint16_t)bits, formats[f].mantissa, formats[f].bias);
            float got = formats[f].widen((uint16_t)bits);
            if (isnan(wanted)) {
                assert_true(isnan(got));
                assert_true(isnan(formats[f].widen(formats[f].narrow(got))));
                continue;
            }
            assert_true((double)got == wanted && !signbit(got) == !signbit(wanted));
            assert_int_equal(formats[f].narrow(got), bits);
        }
    }
}

/* Around every pair of neighbours: below their middle goes down, above goes up, the middle to the even one. */
static void test_narrowing_rounds_to_nearest_even(void **state) {
    (void)state;
    for (int f = 0; f < 2; f++) {
        const struct format *format = &formats[f];
        for (uint16_t low = 0; low < format->infinity; low++) {
            uint16_t high = low + 1;
            double below = value_of(low, format->mantissa, format->bias);
            double above = high == format->infinity
                               ? ldexp(1, (format->infinity >> format->mantissa) - format->bias) /* as if it went on */
                               : value_of(high, format->mantissa, format->bias);
            float middle = (float)((below + above) / 2);
            uint16_t even = low & 1 ? high : low;
            /* The smallest bfloat16 numbers have a middle that single precision holds too: 2^-134 has units of 2^-149.
             */
            assert_true((double)middle == (below + above) / 2);
            assert_int_equal(format->narrow(middle), even);
            assert_int_equal(format->narrow(nextafterf(middle, 0)), low);
            assert_int_equal(format->narrow(nextafterf(middle, INFINITY)), high);
            assert_int_equal(format->narrow(-middle), even | 0x8000);
        }
        assert_int_equal(format->narrow(INFINITY), format->infinity);
        assert_int_equal(format->narrow(-INFINITY), format->infinity | 0x8000);
        assert_int_equal(format->narrow(3.4028235e38f), format->infinity);
        assert_int_equal(format->narrow(-0.0f), 0x8000);
    }
    assert_int_equal(vt_f32_to_f16(1e30f), 0x7c00);
    assert_int_equal(vt_f32_to_f16(1e-30f), 0);
    assert_int_equal(vt_f32_to_f16(0x1p-149f), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_dims),
        cmocka_unit_test(test_allocation),
        cmocka_unit_test(test_same_shape_and_description),
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_widening_is_exact),
        cmocka_unit_test(test_narrowing_rounds_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
