/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "plan_builder.h"

#define EXACT 0.0f
#define CLOSE 2e-6f

static const int blocks[] = {4, 8, 16, SHORT_BLOCK};
static const int64_t sizes[][3] = {{1, 1, 1}, {3, 5, 7}, {16, 6, 4}, {20, 9, 8}, {80, 13, 20}, {33, 40, 40}};
static const int32_t pads[][4] = {{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 0, 1, 3}};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool runs_here(int block) { return test_target.runs_blocks(block); }

/* Calls `one` for every block that this CPU handles and size, with pads that take turns. */
static void sweep(void (*one)(int block, const int64_t *size, const int32_t *in_pad, const int32_t *out_pad)) {
    size_t turn = 0;
    for (size_t b = 0; b < COUNT(blocks); b++) {
        if (!runs_here(blocks[b])) continue;
        for (size_t s = 0; s < COUNT(sizes) - leave_out_repetitions(); s++, turn++)
            one(blocks[b], sizes[s], pads[turn % COUNT(pads)], pads[turn / 2 % COUNT(pads)]);
    }
    assert_true(turn > 0);
}

static struct vt_attrs tail_attrs(struct vt_attr attrs[3], const struct vt_tail *tail) {
    attrs[0] = INT_ATTR("act1", tail->act1);
    attrs[1] = FLOAT_ATTR("act1_alpha", tail->act1_alpha);
    attrs[2] = FLOAT_ATTR("act1_beta", tail->act1_beta);
    return (struct vt_attrs){attrs, 3};
}

/* ------------------------------------------------------------ affine */

struct values_used {
    uint32_t ids[4];
    size_t n;
    struct vt_tail tail;
};

static struct vt_tensor expect_affine(struct plan_builder *b, const struct vt_tensor *values, const void *context) {
    const struct values_used *used = context;
    const struct vt_tensor *inputs[4];
    struct vt_attr attrs[3];
    for (size_t i = 0; i < used->n; i++) inputs[i] = used->ids[i] == VT_PLAN_NONE ? NULL : &values[used->ids[i]];
    return run_operator(b, VT_OP_AFFINE, tail_attrs(attrs, &used->tail), inputs, used->n);
}

static void affine_one(int block, const int64_t *size, const int32_t *in_pad, const int32_t *out_pad) {
    for (int act = VT_ACT_NONE; act < VT_ACT_COUNT; act++) {
        struct plan_builder b;
        builder_init(&b);
        float *border = random_floats(&b.arena, &b.seed, (size_t)size[0], -1, 1);
        uint32_t x = builder_blocked(&b, VT_STORAGE_INPUT, size, block, in_pad, NULL);
        struct values_used used = {
            .n = 4, .tail = {.act1 = (enum vt_activation)act, .act1_alpha = -0.3f, .act1_beta = 0.4f}};
        used.ids[0] = x;
        for (int i = 1; i < 3; i++) used.ids[i] = builder_random_constant(&b, (size_t)size[0], -2, 2);
        used.ids[3] = act == VT_ACT_PRELU ? builder_random_constant(&b, (size_t)size[0], -1, 1) : VT_PLAN_NONE;
        uint32_t y = builder_blocked(&b, VT_STORAGE_OUTPUT, size, block, out_pad, border);
        builder_step(&b, VT_STEP_AFFINE, used.ids, 4, y)->params.tail = used.tail;
        builder_check(
            &b, &(struct check){.expect = expect_affine, .context = &used, .tolerance = CLOSE, .input_border = NAN});
        builder_fini(&b);
    }
}

static void test_affine(void **state) {
    (void)state;
    sweep(affine_one);
}

/* ------------------------------------------------------------ binary */

static struct vt_tensor activate_all(struct plan_builder *b, struct vt_tensor t, const struct vt_tail *tail) {
    float *values = t.data;
    (void)b;
    for (int64_t i = 0; i < vt_tensor_count(&t); i++)
        values[i] = vt_activate(tail->act1, values[i], tail->act1_alpha, tail->act1_beta, 0);
    return t;
}

struct binary_case {
    int mode;
    struct vt_tail tail;
};

static struct vt_tensor expect_binary(struct plan_builder *b, const struct vt_tensor *values, const void *context) {
    static const enum vt_op ops[] = {VT_OP_ADD, VT_OP_MUL, VT_OP_SUB, VT_OP_DIV};
    const struct binary_case *c = context;
    const struct vt_tensor *inputs[] = {&values[0], &values[1]};
    return activate_all(b, run_operator(b, ops[c->mode], (struct vt_attrs){NULL, 0}, inputs, 2), &c->tail);
}

static void binary_one(int block, const int64_t *size, const int32_t *in_pad, const int32_t *out_pad) {
    for (int mode = VT_BINARY_ADD; mode <= VT_BINARY_DIV; mode++)
        for (int broadcast = 0; broadcast < 2; broadcast++) {
            struct plan_builder b;
            builder_init(&b);
            const int64_t b_size[3] = {size[0], broadcast ? 1 : size[1], broadcast ? 1 : size[2]};
            uint32_t inputs[2] = {builder_blocked(&b, VT_STORAGE_INPUT, size, block, in_pad, NULL),
                builder_blocked(&b, VT_STORAGE_INPUT, b_size, block, out_pad, NULL)};
            uint32_t y = builder_blocked(&b, VT_STORAGE_OUTPUT, size, block, out_pad, NULL);
            struct binary_case c = {.mode = mode, .tail = {.act1 = mode % 2 ? VT_ACT_RELU : VT_ACT_NONE}};
            struct vt_plan_step *step = builder_step(&b, VT_STEP_BINARY, inputs, 2, y);
            step->params.mode = mode;
            step->params.tail = c.tail;
            builder_check(&b, &(struct check){.expect = expect_binary,
                                  .context = &c,
                                  .tolerance = CLOSE,
                                  .low = 0.25f,
                                  .high = 2,
                                  .input_border = NAN});
            builder_fini(&b);
        }
}

static void test_binary(void **state) {
    (void)state;
    sweep(binary_one);
}

/* ------------------------------------------------------------ upsample */

static struct vt_tensor expect_upsample(struct plan_builder *b, const struct vt_tensor *values, const void *context) {
    const bool *has_residual = context;
    uint32_t out = b->plan->outputs[0];
    struct vt_tensor y;
    struct vultus_error error;
    assert_int_equal(vt_tensor_alloc(&b->arena, VT_DTYPE_F32, 4, values[out].dims, &y, &error), VULTUS_OK);
    const int64_t *in = values[0].dims, *dims = y.dims;
    float *at = y.data;
    for (int64_t c = 0; c < dims[1]; c++)
        for (int64_t row = 0; row < dims[2]; row++)
            for (int64_t column = 0; column < dims[3]; column++, at++) {
                int64_t source_row = row * in[2] / dims[2], source_column = column * in[3] / dims[3];
                *at = ((const float *)values[0].data)[(c * in[2] + source_row) * in[3] + source_column];
                if (*has_residual) *at += ((const float *)values[1].data)[at - (float *)y.data];
            }
    return y;
}

static void upsample_one(int block, const int64_t *size, const int32_t *in_pad, const int32_t *out_pad) {
    static const double scales[] = {2, 1, 1.5, 3, 0.5};
    for (size_t s = 0; s < COUNT(scales); s++)
        for (int residual = 0; residual < 2; residual++) {
            struct plan_builder b;
            builder_init(&b);
            const int64_t out[3] = {
                size[0], (int64_t)ceil(scales[s] * (double)size[1]), (int64_t)ceil(scales[s] * (double)size[2])};
            uint32_t inputs[2] = {builder_blocked(&b, VT_STORAGE_INPUT, size, block, in_pad, NULL), VT_PLAN_NONE};
            if (residual) inputs[1] = builder_blocked(&b, VT_STORAGE_INPUT, out, block, out_pad, NULL);
            uint32_t y = builder_blocked(&b, VT_STORAGE_OUTPUT, out, block, out_pad, NULL);
            builder_step(&b, VT_STEP_UPSAMPLE, inputs, 2, y);
            bool has_residual = residual;
            builder_check(
                &b, &(struct check){
                        .expect = expect_upsample, .context = &has_residual, .tolerance = EXACT, .input_border = NAN});
            builder_fini(&b);
        }
}

static void test_upsample(void **state) {
    (void)state;
    sweep(upsample_one);
}

/* The same source index as ONNX's Resize (nearest, asymmetric, floor). */
static void test_upsample_is_resize(void **state) {
    (void)state;
    struct plan_builder b;
    builder_init(&b);
    float scales[4] = {1, 1, 2, 2};
    struct vt_tensor x = {.dtype = VT_DTYPE_F32, .rank = 4, .dims = {1, 3, 5, 4}};
    x.data = random_floats(&b.arena, &b.seed, 60, -1, 1);
    struct vt_tensor s = {.dtype = VT_DTYPE_F32, .rank = 1, .dims = {4}, .data = scales};
    struct vt_attr attrs[] = {{.name = "mode", .kind = VT_ATTR_STRING, .s = "nearest"},
        {.name = "coordinate_transformation_mode", .kind = VT_ATTR_STRING, .s = "asymmetric"},
        {.name = "nearest_mode", .kind = VT_ATTR_STRING, .s = "floor"}};
    const struct vt_tensor *inputs[] = {&x, NULL, &s};
    struct vt_tensor resized = run_operator(&b, VT_OP_RESIZE, (struct vt_attrs){attrs, 3}, inputs, 3);
    const int64_t out[3] = {3, 10, 8};
    builder_blocked(&b, VT_STORAGE_INPUT, (const int64_t[]){3, 5, 4}, 4, NULL, NULL);
    builder_blocked(&b, VT_STORAGE_OUTPUT, out, 4, NULL, NULL);
    struct vt_tensor values[2] = {x, resized};
    bool has_residual = false;
    struct vt_tensor expected = expect_upsample(&b, values, &has_residual);
    assert_memory_equal(expected.data, resized.data, vt_tensor_bytes(&resized));
    builder_fini(&b);
}

/* ------------------------------------------------------------ pool */

struct pool_case {
    enum vt_op op;
    int64_t kernel[2], stride[2], dilation[2], pad[4];
    int ceil_mode, count_include_pad;
};

static struct vt_attrs pool_attrs(struct vt_attr attrs[6], const struct pool_case *c) {
    attrs[0] = INTS_ATTR("kernel_shape", 2, c->kernel);
    attrs[1] = INTS_ATTR("strides", 2, c->stride);
    attrs[2] = INTS_ATTR("dilations", 2, c->dilation);
    attrs[3] = INTS_ATTR("pads", 4, c->pad);
    attrs[4] = INT_ATTR("ceil_mode", c->ceil_mode);
    attrs[5] = INT_ATTR("count_include_pad", c->count_include_pad);
    return (struct vt_attrs){attrs, 6};
}

static struct vt_tensor expect_pool(struct plan_builder *b, const struct vt_tensor *values, const void *context) {
    const struct pool_case *c = context;
    struct vt_attr attrs[6];
    const struct vt_tensor *inputs[] = {&values[0]};
    bool global = c->op == VT_OP_GLOBAL_AVERAGE_POOL;
    return run_operator(b, c->op, global ? (struct vt_attrs){NULL, 0} : pool_attrs(attrs, c), inputs, 1);
}

static void pool_check(
    int block, const int64_t *size, const int32_t *in_pad, const int32_t *out_pad, struct pool_case c) {
    struct plan_builder b;
    builder_init(&b);
    struct vt_window window = {{0}};
    struct vt_attr attrs[6];
    struct vt_attrs list = pool_attrs(attrs, &c);
    int64_t out[3] = {size[0], 1, 1};
    bool global = c.op == VT_OP_GLOBAL_AVERAGE_POOL;
    if (!global && vt_window_resolve(&list, NULL, size + 1, &window, out + 1, NULL)) {
        builder_fini(&b);
        return; /* a picture smaller than the kernel */
    }
    uint32_t x = builder_blocked(&b, VT_STORAGE_INPUT, size, block, in_pad, NULL);
    uint32_t y = builder_blocked(&b, VT_STORAGE_OUTPUT, out, block, out_pad, NULL);
    struct vt_plan_step *step = builder_step(&b, VT_STEP_POOL, &x, 1, y);
    step->params.window = window;
    step->params.mode = c.op == VT_OP_MAX_POOL ? VT_POOL_MAX : global ? VT_POOL_GLOBAL_AVERAGE : VT_POOL_AVERAGE;
    builder_check(&b, &(struct check){.expect = expect_pool,
                          .context = &c,
                          .tolerance = c.op == VT_OP_MAX_POOL ? EXACT : CLOSE,
                          .input_border = NAN});
    builder_fini(&b);
}

static void pool_one(int block, const int64_t *size, const int32_t *in_pad, const int32_t *out_pad) {
    static const struct pool_case cases[] = {
        {VT_OP_MAX_POOL, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 0, 0},
        {VT_OP_MAX_POOL, {2, 2}, {2, 2}, {1, 1}, {0, 0, 0, 0}, 1, 0},
        {VT_OP_MAX_POOL, {3, 2}, {1, 3}, {2, 1}, {2, 1, 0, 0}, 1, 0},
        {VT_OP_AVERAGE_POOL, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 0, 0},
        {VT_OP_AVERAGE_POOL, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 1, 1},
        {VT_OP_AVERAGE_POOL, {2, 2}, {2, 2}, {1, 1}, {0, 0, 0, 0}, 1, 0},
        {VT_OP_AVERAGE_POOL, {2, 3}, {1, 2}, {1, 1}, {1, 2, 0, 1}, 0, 1},
        {VT_OP_GLOBAL_AVERAGE_POOL, {0}, {0}, {0}, {0}, 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) pool_check(block, size, in_pad, out_pad, cases[i]);
}

static void test_pool(void **state) {
    (void)state;
    sweep(pool_one);
}

/* ------------------------------------------------------------ group norm */

struct norm_case {
    uint32_t ids[3];
    int groups;
    struct vt_tail tail;
};

static struct vt_tensor expect_norm(struct plan_builder *b, const struct vt_tensor *values, const void *context) {
    const struct norm_case *c = context;
    const struct vt_tensor *inputs[] = {&values[c->ids[0]], &values[c->ids[1]], &values[c->ids[2]]};
    struct vt_attr attrs[] = {INT_ATTR("num_groups", c->groups), FLOAT_ATTR("epsilon", 1e-3f)};
    struct vt_tensor y = run_operator(b, VT_OP_GROUP_NORM, (struct vt_attrs){attrs, 2}, inputs, 3);
    return activate_all(b, y, &c->tail);
}

static void norm_check(int block, const int64_t *size, const int32_t *in_pad, const int32_t *out_pad, int groups,
    float low, float high, float tolerance) {
    struct plan_builder b;
    builder_init(&b);
    struct norm_case c = {.groups = groups, .tail = {.act1 = groups % 2 ? VT_ACT_RELU : VT_ACT_NONE}};
    c.ids[0] = builder_blocked(&b, VT_STORAGE_INPUT, size, block, in_pad, NULL);
    c.ids[1] = builder_random_constant(&b, (size_t)size[0], -2, 2);
    c.ids[2] = builder_random_constant(&b, (size_t)size[0], -2, 2);
    uint32_t y = builder_blocked(&b, VT_STORAGE_OUTPUT, size, block, out_pad, NULL);
    struct vt_plan_step *step = builder_step(&b, VT_STEP_GROUP_NORM, c.ids, 3, y);
    step->params.groups = groups;
    step->params.epsilon = 1e-3f;
    step->params.tail = c.tail;
    builder_check(&b, &(struct check){.expect = expect_norm,
                          .context = &c,
                          .tolerance = tolerance,
                          .low = low,
                          .high = high,
                          .input_border = NAN});
    builder_fini(&b);
}

static void norm_one(int block, const int64_t *size, const int32_t *in_pad, const int32_t *out_pad) {
    static const int groups[] = {1, 3, 5, 16};
    for (size_t g = 0; g < COUNT(groups); g++)
        if (size[0] % groups[g] == 0) norm_check(block, size, in_pad, out_pad, groups[g], -1, 1, 1e-5f);
}

static void test_group_norm(void **state) {
    (void)state;
    sweep(norm_one);
}

/* A mean 1000 times the spread: a plain sum of squares in single precision would lose every digit of the variance. */
static void test_group_norm_far_from_zero(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(blocks); i++)
        if (runs_here(blocks[i])) norm_check(blocks[i], sizes[5], pads[1], pads[2], 3, 999, 1001, 1e-3f);
}

/* ------------------------------------------------------------ convert */

struct perm_case {
    int rank;
    int32_t perm[VT_MAX_RANK];
};

static struct vt_tensor expect_convert(struct plan_builder *b, const struct vt_tensor *values, const void *context) {
    const struct perm_case *c = context;
    if (c->rank == 0) return values[0];
    const struct vt_tensor *inputs[] = {&values[0]};
    int64_t perm[VT_MAX_RANK];
    for (int i = 0; i < c->rank; i++) perm[i] = c->perm[i];
    struct vt_attr attrs[] = {INTS_ATTR("perm", (size_t)c->rank, perm)};
    return run_operator(b, VT_OP_TRANSPOSE, (struct vt_attrs){attrs, 1}, inputs, 1);
}

static void convert_check(struct plan_builder *b, uint32_t x, uint32_t y, const struct perm_case *c) {
    struct vt_plan_step *step = builder_step(b, VT_STEP_CONVERT, &x, 1, y);
    step->params.perm_rank = c->rank;
    memcpy(step->params.perm, c->perm, sizeof step->params.perm);
    builder_check(b, &(struct check){.expect = expect_convert, .context = c, .tolerance = EXACT, .input_border = NAN});
    builder_fini(b);
}

static void convert_one(int block, const int64_t *size, const int32_t *in_pad, const int32_t *out_pad) {
    const int64_t plain[4] = {1, size[0], size[1], size[2]};
    struct plan_builder b;
    builder_init(&b);
    uint32_t x = builder_plain(&b, VT_STORAGE_INPUT, 4, plain);
    convert_check(&b, x, builder_blocked(&b, VT_STORAGE_OUTPUT, size, block, out_pad, NULL), &(struct perm_case){0});
    builder_init(&b);
    x = builder_blocked(&b, VT_STORAGE_INPUT, size, block, in_pad, NULL);
    convert_check(&b, x, builder_plain(&b, VT_STORAGE_OUTPUT, 4, plain), &(struct perm_case){0});
    builder_init(&b);
    x = builder_blocked(&b, VT_STORAGE_INPUT, size, block, in_pad, NULL);
    convert_check(&b, x, builder_blocked(&b, VT_STORAGE_OUTPUT, size, block, out_pad, NULL), &(struct perm_case){0});
}

static void test_convert(void **state) {
    (void)state;
    sweep(convert_one);
}

static void convert_perm_one(int block, const int64_t *size, const int32_t *in_pad, const int32_t *out_pad) {
    static const struct perm_case perms[] = {
        {4, {2, 3, 0, 1}}, {4, {0, 2, 3, 1}}, {4, {0, 1, 3, 2}}, {4, {3, 1, 2, 0}}, {4, {0, 1, 2, 3}}};
    const int64_t dims[4] = {1, size[0], size[1], size[2]};
    (void)out_pad;
    for (size_t i = 0; i < COUNT(perms); i++)
        for (int plain = 0; plain < 2; plain++) {
            struct plan_builder b;
            builder_init(&b);
            uint32_t x = plain ? builder_plain(&b, VT_STORAGE_INPUT, 4, dims)
                               : builder_blocked(&b, VT_STORAGE_INPUT, size, block, in_pad, NULL);
            int64_t out[4];
            for (int axis = 0; axis < 4; axis++) out[axis] = dims[perms[i].perm[axis]];
            convert_check(&b, x, builder_plain(&b, VT_STORAGE_OUTPUT, 4, out), &perms[i]);
        }
}

static void test_convert_perm(void **state) {
    (void)state;
    sweep(convert_perm_one);
}

/* A detector's head: [1,C,H,W] -> transposed -> [H*W*C,1], in one step. */
static void test_convert_flattened(void **state) {
    (void)state;
    const struct perm_case perm = {4, {2, 3, 0, 1}};
    for (size_t i = 0; i < COUNT(blocks); i++) {
        if (!runs_here(blocks[i])) continue;
        struct plan_builder b;
        builder_init(&b);
        uint32_t x = builder_blocked(&b, VT_STORAGE_INPUT, (const int64_t[]){2, 20, 20}, blocks[i], NULL, NULL);
        convert_check(&b, x, builder_plain(&b, VT_STORAGE_OUTPUT, 2, (const int64_t[]){800, 1}), &perm);
    }
}

/* ------------------------------------------------------------ what is refused */

static bool any_tactic(struct plan_builder *b, const struct vt_plan_step *step) {
    const char *names[16], *classes[16];
    return tested_backend()->builder->tactics(b->plan, step, names, classes, 16) > 0;
}

/* Steps that kernels would read out of bounds have no tactic. */
static void test_misfits_are_refused(void **state) {
    (void)state;
    struct plan_builder b;
    builder_init(&b);
    int block = tested_backend()->builder->block(VT_DTYPE_F32);
    const int64_t small[3] = {8, 4, 4}, large[3] = {8, 5, 4};
    uint32_t x = builder_blocked(&b, VT_STORAGE_INPUT, small, block, NULL, NULL);
    uint32_t y = builder_blocked(&b, VT_STORAGE_OUTPUT, large, block, NULL, NULL);
    uint32_t z = builder_blocked(&b, VT_STORAGE_OUTPUT, small, block, NULL, NULL);
    uint32_t few = builder_random_constant(&b, 7, 0, 1), enough = builder_random_constant(&b, 8, 0, 1);
    uint32_t affine[3] = {x, enough, enough}, short_scale[3] = {x, few, enough}, pair[2] = {x, y};
    assert_true(any_tactic(&b, builder_step(&b, VT_STEP_AFFINE, affine, 3, z)));
    assert_false(any_tactic(&b, builder_step(&b, VT_STEP_AFFINE, affine, 3, y)));
    assert_false(any_tactic(&b, builder_step(&b, VT_STEP_AFFINE, short_scale, 3, z)));
    assert_false(any_tactic(&b, builder_step(&b, VT_STEP_BINARY, pair, 2, z)));
    assert_false(any_tactic(&b, builder_step(&b, VT_STEP_CONVERT, &x, 1, y)));
    struct vt_plan_step *norm = builder_step(&b, VT_STEP_GROUP_NORM, affine, 3, z);
    norm->params.groups = 3;
    assert_false(any_tactic(&b, norm));
    norm->params.groups = 0;
    assert_false(any_tactic(&b, norm));
    norm->params.groups = 2;
    assert_true(any_tactic(&b, norm));
    struct vt_plan_step *pool = builder_step(&b, VT_STEP_POOL, &x, 1, z);
    assert_false(any_tactic(&b, pool)); /* a kernel of nothing */
    pool->params.window =
        (struct vt_window){.kernel = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}}; /* the third window starts behind */
    assert_false(any_tactic(&b, pool));
    builder_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_affine),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_upsample),
        cmocka_unit_test(test_upsample_is_resize),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_group_norm),
        cmocka_unit_test(test_group_norm_far_from_zero),
        cmocka_unit_test(test_convert),
        cmocka_unit_test(test_convert_perm),
        cmocka_unit_test(test_convert_flattened),
        cmocka_unit_test(test_misfits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
