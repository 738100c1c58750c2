/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps that join and split channels: numbers are copied, so results are equal to the last bit.
 */
#include <math.h>

#include "plan_builder.h"

enum { MOST_PARTS = 4 };

struct parts {
    int64_t channels[MOST_PARTS];
    uint32_t n;
};

/* Counts that fill blocks, and counts that end and begin within them. */
static const struct parts cases[] = {{{16, 16}, 2}, {{32, 64}, 2}, {{3, 5}, 2}, {{1, 1, 1, 1}, 4}, {{20, 12, 33}, 3},
    {{58, 58}, 2}, {{7}, 1}, {{4, 60, 2, 31}, 4}, {{24, 8, 40}, 3}};
static const int32_t pads[][4] = {{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 0, 1, 3}};

static int64_t total(const struct parts *parts) {
    int64_t channels = 0;
    for (uint32_t i = 0; i < parts->n; i++) channels += parts->channels[i];
    return channels;
}

/* The plan's inputs come first among its values. */
static struct vt_tensor joined(struct plan_builder *b, const struct vt_tensor *values, const void *context) {
    const struct parts *parts = context;
    const struct vt_tensor *inputs[MOST_PARTS];
    struct vt_attr axis = INT_ATTR("axis", 1);
    for (uint32_t i = 0; i < parts->n; i++) inputs[i] = &values[i];
    return run_operator(b, VT_OP_CONCAT, (struct vt_attrs){&axis, 1}, inputs, parts->n);
}

static void check_concat(const struct parts *parts, int block, size_t turn) {
    struct plan_builder b;
    uint32_t inputs[MOST_PARTS];
    builder_init(&b);
    for (uint32_t i = 0; i < parts->n; i++)
        inputs[i] = builder_blocked(
            &b, VT_STORAGE_INPUT, (int64_t[]){parts->channels[i], 5, 9}, block, pads[(turn + i) % 3], NULL);
    uint32_t y =
        builder_blocked(&b, VT_STORAGE_OUTPUT, (int64_t[]){total(parts), 5, 9}, block, pads[turn / 3 % 3], NULL);
    builder_step(&b, VT_STEP_CONCAT, inputs, parts->n, y);
    builder_check(&b, &(struct check){.expect = joined, .context = parts, .input_border = NAN});
    builder_fini(&b);
}

/* The parts, in the opposite order. */
static struct vt_tensor reversed(struct plan_builder *b, const struct vt_tensor *values, const void *context) {
    const struct parts *parts = context;
    const float *x = values[0].data;
    int64_t pixels = values[0].dims[2] * values[0].dims[3], at = total(parts);
    struct vt_tensor y;
    assert_int_equal(vt_tensor_alloc(&b->arena, VT_DTYPE_F32, 4, values[0].dims, &y, NULL), VULTUS_OK);
    for (uint32_t i = 0; i < parts->n; i++) {
        at -= parts->channels[i];
        memcpy((float *)y.data + at * pixels, x, (size_t)(parts->channels[i] * pixels) * sizeof *x);
        x += parts->channels[i] * pixels;
    }
    return y;
}

static void check_split(const struct parts *parts, int block, size_t turn) {
    struct plan_builder b;
    uint32_t made[MOST_PARTS], inputs[MOST_PARTS], outputs[MOST_PARTS];
    builder_init(&b);
    uint32_t x = builder_blocked(&b, VT_STORAGE_INPUT, (int64_t[]){total(parts), 40, 11}, block, pads[turn % 3], NULL);
    for (uint32_t i = 0; i < parts->n; i++) {
        made[i] = builder_blocked(
            &b, VT_STORAGE_ARENA, (int64_t[]){parts->channels[i], 40, 11}, block, pads[(turn + i) % 3], NULL);
        outputs[i] = made[i];
        inputs[parts->n - 1 - i] = made[i];
    }
    uint32_t y = builder_blocked(&b, VT_STORAGE_OUTPUT, (int64_t[]){total(parts), 40, 11}, block, NULL, NULL);
    struct vt_plan_step *split = builder_step(&b, VT_STEP_SPLIT, &x, 1, outputs[0]);
    split->outputs = outputs;
    split->n_outputs = parts->n;
    builder_step(&b, VT_STEP_CONCAT, inputs, parts->n, y);
    builder_check(&b, &(struct check){.expect = reversed, .context = parts, .input_border = NAN});
    builder_fini(&b);
}

static void each(void (*check)(const struct parts *parts, int block, size_t turn)) {
    static const int blocks[] = {4, 8, 16, SHORT_BLOCK};
    size_t turn = 0;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        if (!test_target.runs_blocks(blocks[i])) continue;
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) check(&cases[c], blocks[i], turn++);
    }
    assert_true(turn > 0);
}

static void test_concat(void **state) {
    (void)state;
    each(check_concat);
}

static void test_split(void **state) {
    (void)state;
    each(check_split);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_concat), cmocka_unit_test(test_split)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
