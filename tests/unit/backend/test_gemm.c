/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "plan_builder.h"

struct product {
    const char *tactic;
    int64_t rows, depth, columns;
    bool bias, residual;
    struct vt_tail tail;
    uint32_t ids[4];
    const float *weights;
};

static struct vt_tensor expect_product(struct plan_builder *b, const struct vt_tensor *values, const void *context) {
    const struct product *p = context;
    struct vt_tensor weights = {
        .dtype = VT_DTYPE_F32, .rank = 2, .dims = {p->depth, p->columns}, .data = (void *)p->weights};
    const struct vt_tensor *inputs[5] = {&values[p->ids[0]], &weights};
    for (int i = 1; i < 4; i++) inputs[1 + i] = p->ids[i] == VT_PLAN_NONE ? NULL : &values[p->ids[i]];
    struct vt_attr attrs[] = {INT_ATTR("act1", p->tail.act1), FLOAT_ATTR("act1_alpha", p->tail.act1_alpha),
        FLOAT_ATTR("act1_beta", p->tail.act1_beta), INT_ATTR("act2", p->tail.act2),
        FLOAT_ATTR("act2_alpha", p->tail.act2_alpha), FLOAT_ATTR("act2_beta", p->tail.act2_beta)};
    return run_operator(b, VT_OP_FUSED_GEMM, (struct vt_attrs){attrs, 6}, inputs, 5);
}

static void check_product(struct product p) {
    struct plan_builder b;
    builder_init(&b);
    const int64_t x_dims[2] = {p.rows, p.depth}, y_dims[2] = {p.rows, p.columns};
    size_t columns = (size_t)p.columns;
    p.ids[0] = builder_plain(&b, VT_STORAGE_INPUT, 2, x_dims);
    p.ids[1] = p.bias ? builder_random_constant(&b, columns, -1, 1) : VT_PLAN_NONE;
    p.ids[2] = p.tail.act1 == VT_ACT_PRELU ? builder_random_constant(&b, columns, -1, 1) : VT_PLAN_NONE;
    p.ids[3] = p.residual ? builder_plain(&b, VT_STORAGE_INPUT, 2, y_dims) : VT_PLAN_NONE;
    uint32_t y = builder_plain(&b, VT_STORAGE_OUTPUT, 2, y_dims);
    p.weights = random_floats(&b.arena, &b.seed, (size_t)(p.depth * p.columns), -1, 1);
    struct vt_plan_step *step = builder_step(&b, VT_STEP_GEMM, p.ids, 4, y);
    step->params.tail = p.tail;
    builder_choose(&b, step, p.tactic, b.plan->max_batch, p.weights);
    builder_check(&b, &(struct check){.expect = expect_product, .context = &p, .tolerance = 2e-5f});
    builder_fini(&b);
}

static void test_products(void **state) {
    static const int64_t shapes[][3] = {{1, 512, 512}, {1, 1, 1}, {1, 7, 3}, {4, 33, 65}, {1, 1031, 100}, {7, 600, 16}};
    static const struct product tails[] = {
        {.bias = true},
        {.residual = true, .tail = {.act1 = VT_ACT_PRELU, .act2 = VT_ACT_RELU}},
        {.bias = true, .tail = {.act1 = VT_ACT_CLIP, .act1_alpha = -1, .act1_beta = 2}},
        {.bias = true, .residual = true, .tail = {.act1 = VT_ACT_LEAKY_RELU, .act1_alpha = 0.1f, .act2 = VT_ACT_TANH}},
    };
    size_t tactics = 0;
    const char *name, *class;
    (void)state;
    for (size_t i = 0; test_target.tactic_at(i, VT_STEP_GEMM, &name, &class); i++) {
        tactics++;
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (size_t t = 0; t < sizeof tails / sizeof *tails; t++) {
                struct product p = tails[t];
                p.tactic = name;
                p.rows = shapes[s][0];
                p.depth = shapes[s][1];
                p.columns = shapes[s][2];
                check_product(p);
            }
    }
    assert_true(tactics > 0);
}

static void test_misfits_are_refused(void **state) {
    (void)state;
    struct plan_builder b;
    builder_init(&b);
    uint32_t x = builder_plain(&b, VT_STORAGE_INPUT, 2, (const int64_t[]){1, 8});
    uint32_t y = builder_plain(&b, VT_STORAGE_OUTPUT, 2, (const int64_t[]){1, 4});
    uint32_t rows = builder_plain(&b, VT_STORAGE_OUTPUT, 2, (const int64_t[]){2, 4});
    uint32_t few = builder_random_constant(&b, 3, 0, 1);
    const struct vt_backend_builder *builder = tested_backend()->builder;
    const char *names[16], *classes[16];
    uint32_t good[4] = {x, VT_PLAN_NONE, VT_PLAN_NONE, VT_PLAN_NONE};
    assert_true(builder->tactics(b.plan, builder_step(&b, VT_STEP_GEMM, good, 4, y), names, classes, 16) > 0);
    assert_int_equal(builder->tactics(b.plan, builder_step(&b, VT_STEP_GEMM, good, 4, rows), names, classes, 16), 0);
    uint32_t short_bias[4] = {x, few, VT_PLAN_NONE, VT_PLAN_NONE};
    assert_int_equal(builder->tactics(b.plan, builder_step(&b, VT_STEP_GEMM, short_bias, 4, y), names, classes, 16), 0);
    struct vt_plan_step *prelu = builder_step(&b, VT_STEP_GEMM, good, 4, y);
    prelu->params.tail.act1 = VT_ACT_PRELU;
    assert_int_equal(builder->tactics(b.plan, prelu, names, classes, 16), 0);
    builder_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_misfits_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
