/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "evaluate.h"
#include "graph/dim.h"

static struct vt_arena arena;

static int set_up(void **state) {
    (void)state;
    vt_arena_init(&arena, (size_t)64 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    vt_arena_fini(&arena);
    return 0;
}

static const struct vt_dim *number(int64_t value) { return vt_dim_constant(&arena, value); }
static const struct vt_dim *symbol(const char *name) { return vt_dim_symbol(&arena, name); }
static const struct vt_dim *add(const struct vt_dim *a, const struct vt_dim *b) { return vt_dim_add(&arena, a, b); }
static const struct vt_dim *sub(const struct vt_dim *a, const struct vt_dim *b) { return vt_dim_sub(&arena, a, b); }
static const struct vt_dim *mul(const struct vt_dim *a, const struct vt_dim *b) { return vt_dim_mul(&arena, a, b); }
static const struct vt_dim *quotient(const struct vt_dim *a, const struct vt_dim *b) {
    return vt_dim_floor_div(&arena, a, b);
}

static void expect_text(const struct vt_dim *dim, const char *expected) {
    char text[256];
    assert_string_equal(vt_dim_format(dim, text, sizeof text), expected);
}

static void equal_expressions_compare_equal(void **state) {
    (void)state;
    const struct vt_dim *h = symbol("h"), *w = symbol("w");
    assert_true(vt_dim_equal(h, symbol("h")));
    assert_false(vt_dim_equal(h, w));
    assert_true(vt_dim_equal(add(h, w), add(w, h)));
    assert_true(vt_dim_equal(mul(add(h, w), sub(h, w)), sub(mul(h, h), mul(w, w))));
    assert_true(vt_dim_equal(sub(add(h, number(3)), h), number(3)));
    assert_true(vt_dim_equal(sub(h, h), number(0)));
    assert_false(vt_dim_equal(h, add(h, number(1))));
    assert_true(vt_dim_equal(quotient(mul(h, number(6)), number(4)), add(h, quotient(h, number(2)))));
}

/* Three convolutions with stride 2 and padding 1, one after the other, are one division by 8. */
static void chains_of_strides_collapse(void **state) {
    (void)state;
    const struct vt_dim *size = symbol("height");
    for (int i = 0; i < 3; ++i) size = add(quotient(sub(size, number(1)), number(2)), number(1));
    expect_text(size, "floor((height + 7)/8)");
    assert_true(vt_dim_equal(size, quotient(add(symbol("height"), number(7)), number(8))));
}

static void division_is_exact_where_it_can_be(void **state) {
    (void)state;
    const struct vt_dim *b = symbol("b"), *h = symbol("h"), *w = symbol("w");
    const struct vt_dim *rows = quotient(add(h, number(7)), number(8));
    assert_true(vt_dim_equal(
        quotient(mul(mul(b, rows), mul(w, number(80))), mul(b, number(16))), mul(mul(rows, w), number(5))));
    assert_true(vt_dim_equal(quotient(sub(mul(h, h), mul(w, w)), add(h, w)), sub(h, w)));
    assert_true(vt_dim_equal(quotient(add(mul(h, number(4)), number(9)), number(4)), add(h, number(2))));
    expect_text(quotient(mul(h, w), add(h, number(1))), "floor(h*w/(h + 1))");
    assert_true(vt_dim_equal(quotient(number(0), h), number(0)));
    assert_null(quotient(h, number(0)));
    assert_true(vt_dim_equal(quotient(number(-7), number(2)), number(-4)));
    assert_true(vt_dim_equal(quotient(number(7), number(-2)), number(-4)));
}

static void text_reads_as_arithmetic(void **state) {
    (void)state;
    const struct vt_dim *h = symbol("height"), *w = symbol("w");
    expect_text(number(640), "640");
    expect_text(number(0), "0");
    expect_text(number(-3), "-3");
    expect_text(symbol("batch"), "batch");
    expect_text(quotient(add(h, number(1)), number(2)), "floor((height + 1)/2)");
    expect_text(sub(mul(mul(number(2), h), w), number(5)), "2*height*w - 5");
    expect_text(sub(number(1), h), "-height + 1");
    expect_text(NULL, "?");
    char small[6];
    assert_string_equal(vt_dim_format(h, small, sizeof small), "heigh");
    assert_string_equal(vt_dim_format(mul(h, w), small, sizeof small), "heigh");
    assert_string_equal(vt_dim_format(h, small, 1), "");
}

static void unknown_spreads(void **state) {
    (void)state;
    const struct vt_dim *h = symbol("h");
    int64_t bound;
    assert_null(add(NULL, h));
    assert_null(sub(h, NULL));
    assert_null(mul(NULL, NULL));
    assert_null(quotient(h, NULL));
    assert_false(vt_dim_equal(NULL, NULL));
    assert_false(vt_dim_equal(h, NULL));
    assert_false(vt_dim_is_constant(NULL, NULL));
    assert_false(vt_dim_lower_bound(NULL, &bound));
    assert_null(vt_dim_symbol_name(NULL));
}

static void overflow_is_unknown(void **state) {
    (void)state;
    const struct vt_dim *largest = number(INT64_MAX), *smallest = number(INT64_MIN), *h = symbol("h");
    assert_null(add(largest, number(1)));
    assert_null(sub(smallest, number(1)));
    assert_null(mul(largest, number(2)));
    assert_null(mul(mul(h, largest), number(2)));
    assert_null(quotient(smallest, number(-1)));
    assert_true(vt_dim_equal(quotient(smallest, number(1)), smallest));
    assert_true(vt_dim_equal(quotient(smallest, largest), number(-2)));
    assert_null(quotient(quotient(h, largest), largest));
}

static void size_is_bounded(void **state) {
    (void)state;
    const struct vt_dim *product = symbol("h"), *sum = number(0), *nested = symbol("h");
    for (int i = 0; i < 64; ++i) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        product = mul(product, symbol(name));
        sum = add(sum, symbol(name));
        nested = quotient(number(1000), add(nested, symbol(name)));
    }
    assert_null(product);
    assert_null(sum);
    assert_null(nested);
}

static void lower_bounds_hold(void **state) {
    (void)state;
    const struct vt_dim *h = symbol("h"), *w = symbol("w");
    int64_t bound;
    assert_true(vt_dim_lower_bound(add(mul(h, number(3)), number(-1)), &bound));
    assert_int_equal(bound, 2);
    assert_true(vt_dim_lower_bound(quotient(add(h, number(15)), number(8)), &bound));
    assert_int_equal(bound, 2);
    assert_true(vt_dim_lower_bound(quotient(h, w), &bound));
    assert_int_equal(bound, 0);
    assert_false(vt_dim_lower_bound(sub(h, w), &bound));
    assert_false(vt_dim_lower_bound(quotient(sub(h, number(9)), w), &bound));
}

static void bare_symbols_have_names(void **state) {
    (void)state;
    assert_string_equal(vt_dim_symbol_name(symbol("batch")), "batch");
    assert_null(vt_dim_symbol_name(number(1)));
    assert_null(vt_dim_symbol_name(add(symbol("batch"), number(1))));
    assert_null(vt_dim_symbol_name(mul(symbol("batch"), number(2))));
    assert_null(vt_dim_symbol_name(quotient(symbol("batch"), number(2))));
}

static uint32_t random_state;
static uint32_t next_random(uint32_t below) {
    random_state = random_state * 1664525U + 1013904223U; /* Numerical Recipes' generator */
    return (random_state >> 8) % below;
}

#define SYMBOLS 3
#define ASSIGNMENTS 4
static const char *const names[SYMBOLS] = {"alpha", "beta", "gamma"};

/* An expression beside its values under some assignments, worked out with plain integers. */
struct pair {
    const struct vt_dim *dim;
    int64_t values[ASSIGNMENTS];
};

static struct pair random_leaf(struct binding assignments[ASSIGNMENTS][SYMBOLS]) {
    struct pair leaf;
    uint32_t pick = next_random(SYMBOLS + 2);
    int64_t constant = (int64_t)next_random(19) - 9;
    leaf.dim = pick < SYMBOLS ? symbol(names[pick]) : number(constant);
    for (int i = 0; i < ASSIGNMENTS; ++i) leaf.values[i] = pick < SYMBOLS ? assignments[i][pick].value : constant;
    return leaf;
}

static int64_t floor_division(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

static struct pair random_expression(struct binding assignments[ASSIGNMENTS][SYMBOLS], int depth) {
    if (!depth || !next_random(6)) return random_leaf(assignments);
    struct pair a = random_expression(assignments, depth - 1), b = random_expression(assignments, depth - 1), result;
    uint32_t operation = next_random(5);
    if (operation >= 3) { /* divide by a positive number */
        int64_t divisor = 1 + next_random(12);
        result.dim = quotient(a.dim, number(divisor));
        for (int i = 0; i < ASSIGNMENTS; ++i) result.values[i] = floor_division(a.values[i], divisor);
        return result;
    }
    result.dim = operation == 0 ? add(a.dim, b.dim) : operation == 1 ? sub(a.dim, b.dim) : mul(a.dim, b.dim);
    for (int i = 0; i < ASSIGNMENTS; ++i)
        result.values[i] = operation == 0   ? a.values[i] + b.values[i]
                           : operation == 1 ? a.values[i] - b.values[i]
                                            : a.values[i] * b.values[i];
    return result;
}

/* Whatever the normal form does to an expression, its value stays, and its lower bound is one. */
static void normal_form_keeps_values(void **state) {
    (void)state;
    int decided = 0;
    random_state = 7;
    for (int round = 0; round < 4000; ++round) {
        struct binding assignments[ASSIGNMENTS][SYMBOLS];
        for (int i = 0; i < ASSIGNMENTS; ++i)
            for (int k = 0; k < SYMBOLS; ++k)
                assignments[i][k] = (struct binding){names[k], 1 + next_random(i ? 50 : 3)};
        struct pair pair = random_expression(assignments, 4);
        int64_t bound;
        bool bounded = vt_dim_lower_bound(pair.dim, &bound);
        if (!pair.dim) continue;
        ++decided;
        for (int i = 0; i < ASSIGNMENTS; ++i) {
            assert_int_equal(evaluate_dim(pair.dim, assignments[i], SYMBOLS), pair.values[i]);
            if (bounded) assert_true(bound <= pair.values[i]);
        }
        vt_arena_fini(&arena);
    }
    assert_true(decided > 3000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_expressions_compare_equal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(chains_of_strides_collapse, set_up, tear_down),
        cmocka_unit_test_setup_teardown(division_is_exact_where_it_can_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(text_reads_as_arithmetic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_spreads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(overflow_is_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(size_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lower_bounds_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bare_symbols_have_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(normal_form_keeps_values, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("dim", tests, NULL, NULL);
}
