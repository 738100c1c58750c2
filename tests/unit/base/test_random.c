/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"

/* The first numbers of xorshift64* from state 1, by hand: x ^= x >> 12, x ^= x << 25, x ^= x >> 27, times the factor.
 */
static void test_bits(void **state) {
    (void)state;
    uint64_t seed = 1, x = 1;
    for (int i = 0; i < 3; i++) {
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        assert_true(vt_random_bits(&seed) == x * UINT64_C(2685821657736338717));
    }
    seed = 1;
    assert_true(vt_random_bits(&seed) == UINT64_C(0x47E4CE4B896CDD1D));
}

/* Bounds of four standard errors at 100,000 numbers; the sequence is fixed, so this holds always or never. */
static void test_distributions(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    static float values[COUNT];
    uint64_t seed = 7;
    double sum = 0, squares = 0, uniform = 0;
    vt_random_normal(&seed, values, COUNT);
    for (int i = 0; i < COUNT; i++) {
        sum += values[i];
        squares += (double)values[i] * values[i];
        double u = vt_random_uniform(&seed);
        assert_true(u > 0 && u < 1);
        uniform += u;
    }
    assert_true(fabs(sum / COUNT) < 4 / sqrt(COUNT));
    assert_true(fabs(squares / COUNT - 1) < 4 * sqrt(2.0 / COUNT));
    assert_true(fabs(uniform / COUNT - 0.5) < 4 * sqrt(1.0 / 12 / COUNT));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits), cmocka_unit_test(test_distributions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
