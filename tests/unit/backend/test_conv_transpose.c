/* SPDX-License-Identifier: Apache-2.0
 *
 * Transposed convolutions by every tactic that fits, against the reference operator: kernels and strides of every
 * relation, remainders of channels and columns, tails.
 */
#include <math.h>

#include "plan_builder.h"
#include "sparse.h"

struct transposed {
    int64_t in[3], out_channels;
    int64_t kernel[2], stride[2], dilation[2], pad[4], more[2]; /* more: output_padding */
    bool no_bias, residual;
    struct vt_tail tail;
    int block;
    uint32_t ids[4]; /* x, bias, slope, residual */
    const float *weights;
};

static struct vt_attrs attributes(struct vt_attr *attrs, const struct transposed *c) {
    attrs[0] = INTS_ATTR("strides", 2, c->stride);
    attrs[1] = INTS_ATTR("dilations", 2, c->dilation);
    attrs[2] = INTS_ATTR("pads", 4, c->pad);
    attrs[3] = INTS_ATTR("output_padding", 2, c->more);
    attrs[4] = INT_ATTR("act1", c->tail.act1);
    attrs[5] = FLOAT_ATTR("act1_alpha", c->tail.act1_alpha);
    attrs[6] = FLOAT_ATTR("act1_beta", c->tail.act1_beta);
    attrs[7] = INT_ATTR("act2", c->tail.act2);
    attrs[8] = FLOAT_ATTR("act2_alpha", c->tail.act2_alpha);
    attrs[9] = FLOAT_ATTR("act2_beta", c->tail.act2_beta);
    return (struct vt_attrs){attrs, 10};
}

static struct vt_tensor expected(struct plan_builder *b, const struct vt_tensor *values, const void *context) {
    const struct transposed *c = context;
    struct vt_tensor weights = {.dtype = VT_DTYPE_F32,
        .rank = 4,
        .dims = {c->in[0], c->out_channels, c->kernel[0], c->kernel[1]},
        .data = (void *)c->weights};
    const struct vt_tensor *inputs[6] = {&values[c->ids[0]], &weights};
    inputs[2] = c->no_bias ? NULL : &values[c->ids[1]];
    inputs[4] = c->tail.act1 == VT_ACT_PRELU ? &values[c->ids[2]] : NULL;
    inputs[5] = c->residual ? &values[c->ids[3]] : NULL;
    struct vt_attr attrs[10];
    return run_operator(b, VT_OP_FUSED_CONV_TRANSPOSE, attributes(attrs, c), inputs, 6);
}

static struct vt_plan_step *build(struct plan_builder *b, struct transposed *c) {
    struct vt_attr attrs[10];
    struct vt_attrs list = attributes(attrs, c);
    struct vt_window window;
    const int64_t w_dims[4] = {c->in[0], c->out_channels, c->kernel[0], c->kernel[1]};
    const int32_t out_pad[4] = {1, 2, 0, 1};
    int64_t out[3] = {c->out_channels}, reach[2];
    int32_t in_pad[4];
    assert_int_equal(vt_window_resolve_transposed(&list, w_dims, c->in + 1, &window, out + 1, NULL), VULTUS_OK);
    for (int axis = 0; axis < 2; axis++) {
        vt_plan_transposed_reach(&window, axis, c->in[1 + axis], out[1 + axis], reach);
        in_pad[axis] = (int32_t)reach[0];
        in_pad[axis + 2] = (int32_t)reach[1];
    }
    size_t channels = (size_t)c->out_channels, count = (size_t)(c->in[0] * c->kernel[0] * c->kernel[1]) * channels;
    c->ids[0] = builder_blocked(b, VT_STORAGE_INPUT, c->in, c->block, in_pad, NULL);
    c->ids[1] = c->no_bias ? VT_PLAN_NONE : builder_random_constant(b, channels, -1, 1);
    c->ids[2] = c->tail.act1 == VT_ACT_PRELU ? builder_random_constant(b, channels, -1, 1) : VT_PLAN_NONE;
    c->ids[3] = c->residual ? builder_blocked(b, VT_STORAGE_INPUT, out, c->block, in_pad, NULL) : VT_PLAN_NONE;
    uint32_t y = builder_blocked(b, VT_STORAGE_OUTPUT, out, c->block, out_pad, NULL);
    float *weights = random_floats(&b->arena, &b->seed, count, -0.5f, 0.5f);
    for (size_t i = 0; i < count; i++) weights[i] = rounded_weight(c->block, weights[i]);
    c->weights = weights;
    struct vt_plan_step *step = builder_step(b, VT_STEP_CONV_TRANSPOSE, c->ids, 4, y);
    step->params.window = window;
    step->params.tail = c->tail;
    return step;
}

/* Every tactic that this machine (or what its mask leaves) has for the case; at least one in each size of blocks. */
static void check(const struct transposed *wanted) {
    static const int blocks[] = {4, 8, 16, SHORT_BLOCK};
    if (left_out()) return;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        if (!test_target.runs_blocks(blocks[i])) continue;
        const char *name, *class;
        int ran = 0;
        for (size_t t = 0; test_target.tactic_at(t, VT_STEP_CONV_TRANSPOSE, &name, &class); t++) {
            struct transposed c = *wanted;
            struct plan_builder b;
            builder_init(&b);
            c.block = blocks[i];
            struct vt_plan_step *step = build(&b, &c);
            if (test_target.tactic_fits(b.plan, step, name)) {
                builder_choose(&b, step, name, b.plan->max_batch, c.weights);
                builder_check(
                    &b, &(struct check){.expect = expected, .context = &c, .tolerance = 1e-5f, .zero_border = true});
                ran++;
            }
            builder_fini(&b);
        }
        assert_true(ran > 0);
    }
}

static struct transposed square(int64_t channels, int64_t size, int64_t outputs, int64_t kernel, int64_t stride) {
    return (struct transposed){.in = {channels, size, size},
        .out_channels = outputs,
        .kernel = {kernel, kernel},
        .stride = {stride, stride},
        .dilation = {1, 1}};
}

/* Kernels below, at, above and at multiples of the stride; cut and lengthened results. */
static void test_windows(void **state) {
    (void)state;
    for (int64_t kernel = 1; kernel <= 5; kernel++)
        for (int64_t stride = 1; stride <= 4; stride++)
            for (int64_t dilation = 1; dilation <= 3; dilation++) {
                struct transposed c = square(5, 6, 7, kernel, stride);
                c.dilation[0] = dilation;
                c.dilation[1] = 1 + dilation % 2;
                for (int i = 0; i < 4; i++) c.pad[i] = i < kernel ? (kernel + i) % 3 : 0;
                c.more[0] = stride / 2;
                c.more[1] = stride - 1;
                check(&c);
            }
}

static void test_uneven_windows(void **state) {
    (void)state;
    struct transposed c = square(20, 4, 18, 2, 2);
    c.kernel[1] = 5;
    c.stride[0] = 1;
    c.stride[1] = 3;
    check(&c);
    c = square(3, 1, 2, 4, 16);
    check(&c);
    c = square(2, 1, 40, 1, 5);
    c.no_bias = true;
    check(&c);
}

static void test_remainders(void **state) {
    (void)state;
    static const int64_t counts[] = {1, 15, 16, 17, 33, 72};
    for (size_t i = 0; i < 6; i++)
        for (size_t o = 0; o < 6; o++) {
            struct transposed c = square(counts[i], 3, counts[o], 2, 2);
            check(&c);
        }
    for (int64_t width = 1; width <= 33; width++) {
        struct transposed c = square(3, 2, 9, 2 + width % 2, 2);
        c.in[2] = width;
        check(&c);
    }
}

static void test_tails(void **state) {
    (void)state;
    for (int act1 = 0; act1 < VT_ACT_COUNT; act1++)
        for (int act2 = 0; act2 < VT_ACT_COUNT; act2++) {
            if (act2 == VT_ACT_PRELU) continue;
            struct transposed c = square(4, 5, 35, 2 + act1 % 2, 2);
            c.tail = (struct vt_tail){(enum vt_activation)act1, (enum vt_activation)act2, 0.25f, 0.75f, 0.1f, 1.5f};
            c.residual = act2 != VT_ACT_NONE;
            check(&c);
        }
}

/* More than one unit of rows, of slices and of batches. */
static void test_large(void **state) {
    (void)state;
    struct transposed c = square(96, 20, 144, 2, 2);
    check(&c);
    c = square(40, 31, 24, 3, 2);
    for (int i = 0; i < 4; i++) c.pad[i] = 1;
    check(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_windows), cmocka_unit_test(test_uneven_windows),
        cmocka_unit_test(test_remainders), cmocka_unit_test(test_tails), cmocka_unit_test(test_large)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
