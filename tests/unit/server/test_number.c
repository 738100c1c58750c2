/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/random.h"
#include "server/number.h"

static void is_written(double value, const char *wanted) {
    char text[VT_NUMBER_SIZE + 1];
    text[vt_write_number(text, value)] = '\0';
    assert_string_equal(text, wanted);
}

/* What Python's repr says of the same doubles, but for the form of exponents. */
static void known_numbers(void **state) {
    (void)state;
    is_written(0, "0.0");
    is_written(-0.0, "-0.0");
    is_written(1, "1.0");
    is_written(0.1, "0.1");
    is_written(0.1f, "0.10000000149011612");
    is_written(0.91f, "0.9100000262260437");
    is_written(-1.0 / 3, "-0.3333333333333333");
    is_written(0.3 + 0.6, "0.8999999999999999");
    is_written(17.618728637695312, "17.618728637695312");
    is_written(9.999999999999998, "9.999999999999998");
    is_written(4294967295.5, "4294967295.5");
    is_written(12345678901234567.0, "12345678901234568.0");
    is_written(5e-324, "5e-324");
    is_written(1.7976931348623157e308, "1.7976931348623157e+308");
    is_written(NAN, "NaN");
    is_written(INFINITY, "Infinity");
    is_written(-INFINITY, "-Infinity");
}

/* The least digits with which printf writes a text that reads back as the value. */
static int least_digits(double value) {
    char text[40];
    for (int digits = 1; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, value);
        if (strtod(text, NULL) == value) return digits;
    }
    return 17;
}

static int digits_of(const char *text) {
    int digits = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (digits == 0 && *text == '0')) continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        digits++;
    }
    return digits - zeros;
}

static void random_numbers_are_shortest_and_read_back(void **state) {
    (void)state;
    uint64_t seed = 7;
    for (int i = 0; i < 300000; i++) {
        double value = (vt_random_uniform(&seed) - 0.5) * ldexp(1, (int)(vt_random_bits(&seed) % 60) - 25);
        if (i % 2) value = (float)value;
        char text[VT_NUMBER_SIZE + 1];
        text[vt_write_number(text, value)] = '\0';
        assert_true(strtod(text, NULL) == value);
        if (i % 8 == 0) assert_int_equal(digits_of(text), least_digits(value));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_numbers), cmocka_unit_test(random_numbers_are_shortest_and_read_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
