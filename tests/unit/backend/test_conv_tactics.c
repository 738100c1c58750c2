/* SPDX-License-Identifier: Apache-2.0
 *
 * Every tactic of convolutions that fits a step, against the reference operator.
 */
#include <math.h>
#include <stdlib.h>

#include "plan_builder.h"

struct conv {
    int64_t in[3], out_channels, group;
    int64_t kernel[2], stride[2], dilation[2], pad[4];
    bool bias, residual, border, plain;
    int extra_pad; /* columns of the input's border over the window's: one to the left, then one to the right */
    struct vt_tail tail;
    const char *tactic;
    int block;
    uint32_t ids[4]; /* x, bias, slope, residual */
    uint32_t border_id;
    const float *weights, *border_values;
};

static struct vt_attrs window_attrs(struct vt_attr *attrs, const struct conv *c) {
    attrs[0] = INTS_ATTR("kernel_shape", 2, c->kernel);
    attrs[1] = INTS_ATTR("strides", 2, c->stride);
    attrs[2] = INTS_ATTR("dilations", 2, c->dilation);
    attrs[3] = INTS_ATTR("pads", 4, c->pad);
    attrs[4] = INT_ATTR("group", c->group);
    attrs[5] = INT_ATTR("act1", c->tail.act1);
    attrs[6] = FLOAT_ATTR("act1_alpha", c->tail.act1_alpha);
    attrs[7] = FLOAT_ATTR("act1_beta", c->tail.act1_beta);
    attrs[8] = INT_ATTR("act2", c->tail.act2);
    attrs[9] = FLOAT_ATTR("act2_alpha", c->tail.act2_alpha);
    attrs[10] = FLOAT_ATTR("act2_beta", c->tail.act2_beta);
    return (struct vt_attrs){attrs, 11};
}

static void weight_dims(const struct conv *c, int64_t dims[4]) {
    dims[0] = c->out_channels;
    dims[1] = c->in[0] / c->group;
    dims[2] = c->kernel[0];
    dims[3] = c->kernel[1];
}

static struct vt_tensor expect_conv(struct plan_builder *b, const struct vt_tensor *values, const void *context) {
    const struct conv *c = context;
    struct vt_tensor weights = {.dtype = VT_DTYPE_F32, .rank = 4, .data = (void *)c->weights};
    struct vt_tensor border = {.dtype = VT_DTYPE_F32, .rank = 1, .dims = {c->in[0]}, .data = (void *)c->border_values};
    weight_dims(c, weights.dims);
    const struct vt_tensor *inputs[6] = {&values[c->ids[0]], &weights};
    inputs[2] = c->bias ? &values[c->ids[1]] : NULL;
    inputs[3] = c->border ? &border : NULL;
    inputs[4] = c->ids[2] == VT_PLAN_NONE ? NULL : &values[c->ids[2]];
    inputs[5] = c->residual ? &values[c->ids[3]] : NULL;
    struct vt_attr attrs[11];
    return run_operator(b, VT_OP_FUSED_CONV, window_attrs(attrs, c), inputs, 6);
}

/* Random numbers, such that planes in such blocks hold them. */
static float *numbers(struct plan_builder *b, size_t count, float most, int block) {
    float *values = random_floats(&b->arena, &b->seed, count, -most, most);
    for (size_t i = 0; i < count; i++) values[i] = rounded_weight(block, values[i]);
    return values;
}

static struct vt_plan_step *build_conv(struct plan_builder *b, struct conv *c) {
    struct vt_attr attrs[11];
    struct vt_attrs list = window_attrs(attrs, c);
    struct vt_window window;
    int64_t w_dims[4], out[3] = {c->out_channels}, x_dims[4] = {1, c->in[0], c->in[1], c->in[2]};
    weight_dims(c, w_dims);
    assert_int_equal(vt_window_resolve(&list, w_dims, c->in + 1, &window, out + 1, NULL), VULTUS_OK);
    const int32_t out_pad[4] = {1, 2, 0, 1};
    int32_t in_pad[4];
    for (int i = 0; i < 4; i++) in_pad[i] = (int32_t)c->pad[i];
    in_pad[1] += c->extra_pad > 0;
    in_pad[3] += c->extra_pad > 1;
    size_t channels = (size_t)c->out_channels;
    int kept = c->plain ? 0 : c->block;
    c->border_values = numbers(b, (size_t)c->in[0], 1, kept);
    c->ids[0] =
        c->plain ? builder_plain(b, VT_STORAGE_INPUT, 4, x_dims)
                 : builder_blocked(b, VT_STORAGE_INPUT, c->in, c->block, in_pad, c->border ? c->border_values : NULL);
    c->ids[1] = c->bias ? builder_random_constant(b, channels, -1, 1) : VT_PLAN_NONE;
    c->ids[2] = c->tail.act1 == VT_ACT_PRELU ? builder_random_constant(b, channels, -1, 1) : VT_PLAN_NONE;
    c->ids[3] = c->residual ? builder_blocked(b, VT_STORAGE_INPUT, out, c->block, out_pad, NULL) : VT_PLAN_NONE;
    uint32_t y = builder_blocked(b, VT_STORAGE_OUTPUT, out, c->block, out_pad,
        c->residual ? random_floats(&b->arena, &b->seed, channels, -1, 1) : NULL);
    c->weights = numbers(b, (size_t)(w_dims[0] * w_dims[1] * w_dims[2] * w_dims[3]), 0.5f, c->group == 1 ? kept : 0);
    struct vt_plan_step *step = builder_step(b, VT_STEP_CONV, c->ids, 4, y);
    step->params.window = window;
    step->params.tail = c->tail;
    return step;
}

/* The output of the first tactic of a class for a case, that the others of the class must equal. */
struct class_output {
    const char *class;
    uint8_t *bytes;
};
enum { MAX_CLASSES = 8 };

static void expect_bytes_of_class(struct class_output *outputs, const char *class, const struct plan_builder *b) {
    size_t i = 0;
    while (outputs[i].class && strcmp(outputs[i].class, class) != 0) i++;
    assert_true(i < MAX_CLASSES);
    if (outputs[i].class) {
        assert_memory_equal(b->checked_output, outputs[i].bytes, b->checked_output_bytes);
        return;
    }
    outputs[i].class = class;
    outputs[i].bytes = malloc(b->checked_output_bytes);
    assert_non_null(outputs[i].bytes);
    memcpy(outputs[i].bytes, b->checked_output, b->checked_output_bytes);
}

/* Runs the case by one tactic; false when that does not fit it. */
static bool check_conv(struct conv c, const char *tactic, const char *class, struct class_output *outputs) {
    struct plan_builder b;
    builder_init(&b);
    struct vt_plan_step *step = build_conv(&b, &c);
    bool fits = test_target.tactic_fits(b.plan, step, tactic);
    if (fits) {
        builder_choose(&b, step, tactic, b.plan->max_batch, c.weights);
        /* Tensor cores round a plain picture and its weights to 11 bits: half a unit of each number's last place. */
        float tolerance = c.plain && c.block == SHORT_BLOCK ? 1e-3f : 1e-4f;
        builder_check(
            &b, &(struct check){.expect = expect_conv, .context = &c, .tolerance = tolerance, .zero_border = true});
        expect_bytes_of_class(outputs, class, &b);
    }
    builder_fini(&b);
    return fits;
}

static const struct conv cases[] = {
    {.in = {16, 14, 14}, .out_channels = 32, .kernel = {3, 3}, .pad = {1, 1, 1, 1}, .bias = true},
    {.in = {20, 9, 7},
        .out_channels = 17,
        .kernel = {3, 3},
        .stride = {2, 2},
        .pad = {1, 1, 1, 1},
        .tail = {.act1 = VT_ACT_PRELU}},
    {.in = {32, 8, 8}, .out_channels = 16, .kernel = {1, 1}, .bias = true, .residual = true},
    {.in = {24, 11, 13},
        .out_channels = 40,
        .kernel = {3, 3},
        .pad = {1, 1, 1, 1},
        .bias = true,
        .border = true,
        .residual = true,
        .tail = {.act1 = VT_ACT_PRELU, .act2 = VT_ACT_RELU}},
    {.in = {3, 16, 18},
        .out_channels = 16,
        .kernel = {3, 3},
        .stride = {2, 2},
        .pad = {1, 1, 1, 1},
        .plain = true,
        .bias = true,
        .tail = {.act1 = VT_ACT_RELU}},
    {.in = {33, 10, 10},
        .out_channels = 33,
        .group = 33,
        .kernel = {3, 3},
        .pad = {1, 1, 1, 1},
        .bias = true,
        .tail = {.act1 = VT_ACT_LEAKY_RELU, .act1_alpha = 0.2f}},
    {.in = {16, 7, 7}, .out_channels = 16, .group = 16, .kernel = {7, 7}, .bias = true},
    {.in = {32, 10, 10},
        .out_channels = 32,
        .group = 32,
        .kernel = {3, 3},
        .stride = {2, 2},
        .pad = {1, 1, 1, 1},
        .tail = {.act1 = VT_ACT_CLIP, .act1_alpha = 0, .act1_beta = 0.5f}},
    {.in = {12, 12, 12}, .out_channels = 18, .group = 3, .kernel = {3, 3}, .pad = {0, 1, 2, 0}, .bias = true},
    {.in = {16, 12, 9},
        .out_channels = 16,
        .kernel = {3, 2},
        .dilation = {2, 3},
        .pad = {2, 0, 1, 3},
        .bias = true,
        .tail = {.act1 = VT_ACT_SIGMOID}},
    {.in = {40, 17, 15}, .out_channels = 48, .kernel = {3, 3}, .pad = {1, 1, 1, 1}, .bias = true, .border = true},
    {.in = {16, 12, 13},
        .out_channels = 48,
        .kernel = {5, 5},
        .stride = {1, 2},
        .pad = {2, 2, 2, 2},
        .bias = true,
        .tail = {.act1 = VT_ACT_TANH}},
    /* Whole tiles of matrix units, and shares of the depth. */
    {.in = {128, 14, 14},
        .out_channels = 136,
        .kernel = {3, 3},
        .pad = {1, 1, 1, 1},
        .bias = true,
        .border = true,
        .residual = true,
        .tail = {.act1 = VT_ACT_PRELU}},
    {.in = {88, 9, 9}, .out_channels = 64, .kernel = {1, 1}, .stride = {2, 2}, .bias = true},
    {.in = {64, 7, 7}, .out_channels = 40, .kernel = {7, 7}, .bias = true},
};

static struct conv with_defaults(struct conv c) {
    if (c.group == 0) c.group = 1;
    for (int i = 0; i < 2; i++) {
        if (c.stride[i] == 0) c.stride[i] = 1;
        if (c.dilation[i] == 0) c.dilation[i] = 1;
    }
    return c;
}

/* How many tactics fit; each is checked. */
static size_t check_all(const struct conv *c) {
    size_t fitting = 0;
    const char *tactic, *class;
    struct class_output outputs[MAX_CLASSES + 1] = {{0}};
    for (size_t t = 0; test_target.tactic_at(t, VT_STEP_CONV, &tactic, &class); t++)
        fitting += check_conv(*c, tactic, class, outputs);
    for (size_t i = 0; i < MAX_CLASSES; i++) free(outputs[i].bytes);
    return fitting;
}

static void test_every_tactic(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int block = 4; block <= SHORT_BLOCK; block *= 2) {
            if (!test_target.runs_blocks(block)) continue;
            for (int extra_pad = 0; extra_pad < (cases[i].plain || leave_out_repetitions() ? 1 : 3); extra_pad++) {
                struct conv c = with_defaults(cases[i]);
                c.block = block;
                c.extra_pad = extra_pad;
                assert_true(check_all(&c) > 0);
            }
        }
}

/* A border narrower than the window would be read past its end. */
static void test_misfits_are_refused(void **state) {
    (void)state;
    const char *tactic, *class;
    for (size_t t = 0; test_target.tactic_at(t, VT_STEP_CONV, &tactic, &class); t++)
        for (int spoil = 0; spoil < 4; spoil++) {
            struct plan_builder b;
            builder_init(&b);
            struct conv c = with_defaults(cases[3]);
            c.block = tested_backend()->builder->block(VT_DTYPE_F32);
            struct vt_plan_step *step = build_conv(&b, &c);
            struct vt_plan_value *x = &b.plan->values[c.ids[0]], *y = &b.plan->values[step->outputs[0]];
            if (spoil == 0) x->pad[0] = 0;
            if (spoil == 1) x->pad[3] = 0;
            if (spoil == 2) y->dims[2]++;
            if (spoil == 3) b.plan->values[c.ids[3]].dims[3]--;
            if (test_target.tactic_fits(b.plan, step, tactic)) fail_msg("%s accepts misfit %d", tactic, spoil);
            builder_fini(&b);
        }
}

/* Weights that oneDNN packed for another CPU would be misread. */
static void test_foreign_packed_weights(void **state) {
    (void)state;
    static const char tactic[] = "conv:onednn";
    struct plan_builder b;
    struct vt_executable *executable = NULL;
    struct vultus_error error = {0};
    builder_init(&b);
    struct conv c = with_defaults(cases[0]);
    c.block = tested_backend()->builder->block(VT_DTYPE_F32);
    struct vt_plan_step *step = build_conv(&b, &c);
    bool offered = test_target.tactic_fits(b.plan, step, tactic);
    if (offered) {
        builder_choose(&b, step, tactic, b.plan->max_batch, c.weights);
        builder_finish(&b);
        b.plan->owned_weights[b.plan->values[step->choices[0].packed].offset] ^= 1;
        assert_int_equal(tested_backend()->create(b.plan, NULL, 0, &executable, &error), VULTUS_ERROR_MISMATCH);
        assert_non_null(strstr(error.text, "packed for another CPU"));
    }
    builder_fini(&b);
    if (!offered) {
        print_message("skipped: this build or CPU has no oneDNN convolutions\n");
        skip();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_tactic),
        cmocka_unit_test(test_misfits_are_refused),
        cmocka_unit_test(test_foreign_packed_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
