/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "encoder.h"
#include "onnx/protobuf.h"

static struct encoder encoder;
static struct vt_arena arena;
static struct vultus_error error;
static struct vt_pb_source source;

static int set_up(void **state) {
    (void)state;
    vt_arena_init(&arena, 1 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    vt_arena_fini(&arena);
    encoder_fini(&encoder);
    return 0;
}

static struct vt_pb message(void) {
    source = (struct vt_pb_source){encoder.bytes, encoder.size, "file", &error};
    return vt_pb_whole(&source);
}

static struct vt_pb_field only_field(void) {
    struct vt_pb whole = message();
    struct vt_pb_field field;
    assert_int_equal(vt_pb_next(&whole, &field), VULTUS_OK);
    return field;
}

static void expect_failure(const char *bytes, size_t size, const char *part) {
    struct vt_pb_field field;
    source = (struct vt_pb_source){(const uint8_t *)bytes, size, "file", &error};
    struct vt_pb whole = vt_pb_whole(&source);
    enum vultus_status status;
    while (!(status = vt_pb_next(&whole, &field)) && field.number) {}
    assert_int_equal(status, VULTUS_ERROR_FORMAT);
    if (!strstr(error.text, part) || !strstr(error.text, "file: at byte"))
        fail_msg("'%s' lacks '%s'", error.text, part);
}

static void numbers_of_all_sizes(void **state) {
    (void)state;
    static const int64_t values[] = {0, 1, 127, 128, 300, INT32_MAX, INT64_MAX, -1, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; ++i) {
        put_int(&encoder, 3, values[i]);
        struct vt_pb_field field = only_field();
        int64_t value;
        assert_int_equal(field.number, 3);
        assert_int_equal(vt_pb_int(&field, &value), VULTUS_OK);
        assert_true(value == values[i]);
        encoder_fini(&encoder);
    }
}

static void fields_come_in_order(void **state) {
    (void)state;
    int64_t number;
    float real;
    const char *text;
    struct vt_pb inner;
    struct vt_pb_field field;
    put_int(&encoder, 536870911, 5); /* the largest field number */
    put_float(&encoder, 2, 1.5F);
    put_text(&encoder, 3, "caf\xc3\xa9");
    put_tag(&encoder, 4, 1);
    put_bytes(&encoder, "12345678", 8);
    struct vt_pb whole = message();

    assert_int_equal(vt_pb_next(&whole, &field), VULTUS_OK);
    assert_int_equal(field.number, 536870911);
    assert_int_equal(vt_pb_next(&whole, &field), VULTUS_OK);
    assert_int_equal(vt_pb_float(&field, &real), VULTUS_OK);
    assert_true(real == 1.5F);
    assert_int_equal(vt_pb_next(&whole, &field), VULTUS_OK);
    assert_int_equal(vt_pb_text(&field, &arena, &text), VULTUS_OK);
    assert_string_equal(text, "caf\xc3\xa9");
    assert_int_equal(vt_pb_message(&field, &inner), VULTUS_OK);
    assert_int_equal(inner.end - inner.cursor, 5);
    assert_int_equal(vt_pb_int(&field, &number), VULTUS_ERROR_FORMAT); /* not its wire type */
    assert_non_null(strstr(error.text, "field 3 has wire type 2, not 0"));
    assert_int_equal(vt_pb_next(&whole, &field), VULTUS_OK);
    assert_int_equal(field.wire, VT_PB_FIXED64);
    assert_true(field.value == UINT64_C(0x3837363534333231));
    assert_int_equal(vt_pb_next(&whole, &field), VULTUS_OK);
    assert_int_equal(field.number, 0);
}

static void broken_messages_are_refused(void **state) {
    (void)state;
    expect_failure("\x08", 1, "at byte 1: a number is cut off");
    expect_failure("\x08\x80", 2, "cut off");
    expect_failure("\x0d\x01\x02\x03", 4, "cut off");
    expect_failure("\x09\x01\x02\x03\x04\x05\x06\x07", 8, "cut off");
    expect_failure("\x0a\x05"
                   "1234",
        6, "at byte 2: a field of 5 bytes does not fit the 4");
    expect_failure("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "does not fit");
    expect_failure("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, "more than 64 bits");
    expect_failure("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 12, "more than 64 bits");
    expect_failure("\x00\x01", 2, "out of range");
    expect_failure("\x80\x80\x80\x80\x80\x01\x01", 7, "out of range");
    expect_failure("\x0b\x0c", 2, "wire type 3");
    expect_failure("\x0f\x01", 2, "wire type 7");
}

static void the_longest_number_is_accepted(void **state) {
    (void)state;
    put_bytes(&encoder, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
    const struct vt_pb_field field = only_field();
    int64_t value;
    assert_int_equal(vt_pb_int(&field, &value), VULTUS_OK);
    assert_true(value == -1);
}

static void control_characters_are_refused(void **state) {
    (void)state;
    const char *text;
    put_block(&encoder, 1, "a\0b", 3);
    const struct vt_pb_field field = only_field();
    assert_int_equal(vt_pb_text(&field, &arena, &text), VULTUS_ERROR_FORMAT);
    assert_non_null(strstr(error.text, "control character 0"));
}

static void repeated_numbers_come_in_every_form(void **state) {
    (void)state;
    put_int(&encoder, 7, 1);
    put_packed(&encoder, 7, 3, (const int64_t[]){2, -3, 400});
    put_int(&encoder, 6, 99);
    put_packed(&encoder, 7, 0, NULL);
    put_int(&encoder, 7, 5);
    const struct vt_pb whole = message();
    struct vt_pb_numbers numbers;
    assert_int_equal(vt_pb_numbers(&whole, 7, VT_PB_VARINT, &arena, &numbers), VULTUS_OK);
    assert_int_equal(numbers.count, 5);
    const int64_t expected[5] = {1, 2, -3, 400, 5};
    assert_memory_equal(numbers.items, expected, sizeof expected);
    assert_int_equal(vt_pb_numbers(&whole, 8, VT_PB_VARINT, &arena, &numbers), VULTUS_OK);
    assert_int_equal(numbers.count, 0);
}

static void repeated_floats_come_in_every_form(void **state) {
    (void)state;
    const float values[3] = {1, -2.5F, 3};
    const double doubles[2] = {1e300, -1};
    put_float(&encoder, 4, values[0]);
    put_block(&encoder, 4, &values[1], 8);
    put_block(&encoder, 10, doubles, sizeof doubles);
    const struct vt_pb whole = message();
    struct vt_pb_numbers numbers;
    assert_int_equal(vt_pb_numbers(&whole, 4, VT_PB_FIXED32, &arena, &numbers), VULTUS_OK);
    assert_int_equal(numbers.count, 3);
    assert_memory_equal(numbers.items, values, sizeof values);
    assert_int_equal(vt_pb_numbers(&whole, 10, VT_PB_FIXED64, &arena, &numbers), VULTUS_OK);
    assert_int_equal(numbers.count, 2);
    assert_memory_equal(numbers.items, doubles, sizeof doubles);
    assert_int_equal(vt_pb_numbers(&whole, 10, VT_PB_VARINT, &arena, &numbers), VULTUS_ERROR_FORMAT);
}

static void broken_packed_numbers_are_refused(void **state) {
    (void)state;
    struct vt_pb_numbers numbers;
    put_block(&encoder, 4, "12345", 5);
    struct vt_pb whole = message();
    assert_int_equal(vt_pb_numbers(&whole, 4, VT_PB_FIXED32, &arena, &numbers), VULTUS_ERROR_FORMAT);
    encoder_fini(&encoder);
    put_block(&encoder, 4, "\x01\x80", 2);
    whole = message();
    assert_int_equal(vt_pb_numbers(&whole, 4, VT_PB_VARINT, &arena, &numbers), VULTUS_ERROR_FORMAT);
    encoder_fini(&encoder);
    put_float(&encoder, 4, 1);
    whole = message();
    assert_int_equal(vt_pb_numbers(&whole, 4, VT_PB_VARINT, &arena, &numbers), VULTUS_ERROR_FORMAT);
}

static void memory_is_bounded(void **state) {
    (void)state;
    struct vt_pb_numbers numbers;
    static char zeros[1 << 18];
    put_block(&encoder, 7, zeros, sizeof zeros); /* 2^18 numbers of one byte: 2 MiB */
    const struct vt_pb whole = message();
    assert_int_equal(vt_pb_numbers(&whole, 7, VT_PB_VARINT, &arena, &numbers), VULTUS_ERROR_MEMORY);
}

static void empty_messages_end_at_once(void **state) {
    (void)state;
    struct vt_pb_field field;
    source = (struct vt_pb_source){NULL, 0, "file", &error};
    struct vt_pb whole = vt_pb_whole(&source);
    assert_int_equal(vt_pb_next(&whole, &field), VULTUS_OK);
    assert_int_equal(field.number, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(numbers_of_all_sizes), TEST(fields_come_in_order),
        TEST(broken_messages_are_refused), TEST(the_longest_number_is_accepted), TEST(control_characters_are_refused),
        TEST(repeated_numbers_come_in_every_form), TEST(repeated_floats_come_in_every_form),
        TEST(broken_packed_numbers_are_refused), TEST(memory_is_bounded), TEST(empty_messages_end_at_once)};
    return cmocka_run_group_tests_name("protobuf", tests, NULL, NULL);
}
