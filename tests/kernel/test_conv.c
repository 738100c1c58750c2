/* SPDX-License-Identifier: Apache-2.0
 *
 * The own convolutions against sums in double, over shapes with every kind of remainder.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/conv.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "kernel/conv_case.h"
#include "sparse.h"

/* Kernels of tile registers, emulated: the tactics that run them on any machine of the architecture that has them. */
#if defined(__x86_64__)
extern const struct vt_conv_kernels vt_conv_kernels_emulated_amx;

static bool emulated_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return vt_conv_step_fits(plan, step, &vt_conv_kernels_emulated_amx) && vt_conv_amx_supports(plan, step);
}
static enum vultus_status run_emulated(const struct vt_cpu_call *call, struct vultus_error *error) {
    return vt_conv_amx_run(&vt_conv_kernels_emulated_amx, call, error);
}
static enum vultus_status run_emulated_tall(const struct vt_cpu_call *call, struct vultus_error *error) {
    return vt_conv_amx_tall_run(&vt_conv_kernels_emulated_amx, call, error);
}
#define EMULATED(tactic_name, run_function)                                                                            \
    {                                                                                                                  \
        .name = tactic_name, .class = "emulated amx", .kind = VT_STEP_CONV, .supports = emulated_supports,             \
        .packed_bytes = vt_conv_amx_packed_bytes, .pack = vt_conv_amx_pack, .run = run_function,                       \
    }
static const struct vt_cpu_tactic emulated = EMULATED("emulated amx", run_emulated),
                                  emulated_tall = EMULATED("emulated amx_tall", run_emulated_tall);
static const struct vt_cpu_tactic *const emulated_tactics[] = {&emulated, &emulated_tall, NULL};
#else
static const struct vt_cpu_tactic *const emulated_tactics[] = {NULL};
#endif

static const struct vt_cpu_tactic *tactic_at(size_t i) {
    size_t own = 0;
    while (own < i && vt_cpu_conv_tactics[own]) own++;
    return vt_cpu_conv_tactics[own] ? vt_cpu_conv_tactics[own] : emulated_tactics[i - own];
}

static struct vt_pool *pools[2]; /* of 1 and of 3 threads */

static int open_pools(void **state) {
    (void)state;
    if (vt_pool_create(1, &pools[0], NULL) != VULTUS_OK) return -1;
    return vt_pool_create(3, &pools[1], NULL) == VULTUS_OK ? 0 : -1;
}
static int close_pools(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) vt_pool_destroy(pools[i]);
    return 0;
}

/*
 * The error that an output may have; `size` is bias + sum of |products|. Direct: (n + 1) * 2^-24 * size for n products
 * with FMA, twice that without; the activations add a few roundings. Winograd's worst case is far above what happens
 * (its errors come from a whole tile's inputs): noise in [-1, 1] gives errors up to 3e-6 * sqrt(n); three times that is
 * allowed.
 */
static double tolerance(const struct conv_case *c, const struct vt_cpu_tactic *tactic, double size) {
    const struct conv_spec *s = &c->spec;
    double products = (double)(s->channels / s->group * s->kernel[0] * s->kernel[1]);
    double direct = (2 * products + 16) * 0x1p-24 * size;
    return strcmp(tactic->class, "winograd4") == 0 ? 1e-5 * sqrt(products) : direct;
}

static bool exponential(enum vt_activation a) { return a == VT_ACT_SIGMOID || a == VT_ACT_TANH || a == VT_ACT_ELU; }

/* What every tactic should give, by item, channel, row and column, and the sizes of what it was summed from. */
struct expectation {
    double *values, *sizes;
};

static struct expectation expect(const struct conv_case *c) {
    const struct vt_plan_value *v = &c->values[4];
    size_t count = (size_t)(c->spec.batch * c->spec.outputs * v->dims[2] * v->dims[3]), i = 0;
    struct expectation e = {malloc(count * sizeof(double)), malloc(count * sizeof(double))};
    assert_non_null(e.values);
    assert_non_null(e.sizes);
    for (int64_t item = 0; item < c->spec.batch; item++)
        for (int64_t o = 0; o < c->spec.outputs; o++)
            for (int64_t row = 0; row < v->dims[2]; row++)
                for (int64_t x = 0; x < v->dims[3]; x++, i++)
                    e.values[i] = conv_case_expected(c, item, (int64_t[]){o, row, x}, &e.sizes[i]);
    return e;
}

static void check_values(
    const struct conv_case *c, const struct vt_cpu_tactic *tactic, const struct expectation *e, const float *y) {
    const struct vt_plan_value *v = &c->values[4];
    bool bf16 = v->dtype == VT_DTYPE_BF16;
    double rounding = bf16 ? 0x1p-8 : 0; /* half of the last of 8 bits */
    float untouched = bf16 ? vt_bf16_to_f32(vt_f32_to_bf16(CONV_CASE_UNTOUCHED)) : CONV_CASE_UNTOUCHED;
    double floor = exponential(c->spec.tail.act1) || exponential(c->spec.tail.act2) ? 4 * 0x1p-23 : 1e-30;
    for (int64_t item = 0; item < c->spec.batch; item++) {
        const uint8_t *base = (const uint8_t *)y + item * (int64_t)v->bytes;
        for (int64_t o = 0; o < vt_cpu_blocks(v) * v->block; o++) {
            for (int64_t row = -v->pad[0]; row < v->dims[2] + v->pad[2]; row++) {
                for (int64_t x = -v->pad[1]; x < v->dims[3] + v->pad[3]; x++) {
                    float got = vt_cpu_get(v->dtype, vt_cpu_at(v, base, o / v->block, row, x), o % v->block);
                    bool inside = row >= 0 && row < v->dims[2] && x >= 0 && x < v->dims[3];
                    if (!inside) {
                        assert_true(got == untouched);
                    } else if (o >= c->spec.outputs) {
                        assert_true(isfinite(got) && got != untouched);
                    } else {
                        int64_t i = ((item * c->spec.outputs + o) * v->dims[2] + row) * v->dims[3] + x;
                        double expected = e->values[i];
                        double limit = tolerance(c, tactic, e->sizes[i]) + floor + rounding * fabs(expected);
                        if (!(fabs(got - expected) <= limit)) {
                            fail_msg("%s: item %d channel %d row %d column %d: %.9g, expected %.9g +- %.2g",
                                tactic->name, (int)item, (int)o, (int)row, (int)x, got, expected, limit);
                        }
                    }
                }
            }
        }
    }
}

/* Runs a tactic in several ways that must give the same bytes; returns whether it supports the step. */
static bool check_tactic(
    const struct conv_case *c, const struct vt_cpu_tactic *tactic, struct expectation *e, float **first) {
    void *packed = conv_case_pack(c, tactic);
    if (packed == NULL) return false;
    if (e->values == NULL) *e = expect(c);
    size_t bytes = (size_t)c->spec.batch * c->values[4].bytes;
    float *y = vt_alloc_aligned(bytes), *one = vt_alloc_aligned(bytes);
    assert_non_null(y);
    assert_non_null(one);
    memcpy(y, c->data[4], bytes);
    assert_int_equal(conv_case_run(c, tactic, packed, pools[0], c->spec.batch, y), VULTUS_OK);
    check_values(c, tactic, e, y);
    memcpy(one, c->data[4], bytes);
    assert_int_equal(conv_case_run(c, tactic, packed, pools[1], c->spec.batch, one), VULTUS_OK);
    assert_memory_equal(y, one, bytes);
    memcpy(one, c->data[4], bytes);
    assert_int_equal(conv_case_run(c, tactic, packed, pools[1], 1, one), VULTUS_OK);
    assert_memory_equal(y, one, c->values[4].bytes);
    vt_free_aligned(one);
    vt_free_aligned(packed);
    *first = y;
    return true;
}

/* Every tactic of this machine that supports the step; equal classes must give equal bytes. Returns how many ran. */
static int check(const struct conv_spec *spec) {
    struct conv_case c;
    conv_case_open(spec, &c);
    struct expectation expectation = {NULL, NULL};
    const char *classes[32];
    float *results[32];
    const struct vt_cpu_tactic *tactic;
    int ran = 0;
    for (size_t i = 0; (tactic = tactic_at(i)) != NULL; i++) {
        assert_true(ran < 32);
        if (!vt_cpu_has(tactic->features) || !check_tactic(&c, tactic, &expectation, &results[ran])) continue;
        classes[ran] = tactic->class;
        for (int i = 0; i < ran; i++) {
            if (strcmp(classes[i], classes[ran]) != 0) continue;
            assert_memory_equal(results[i], results[ran], (size_t)spec->batch * c.values[4].bytes);
        }
        ran++;
    }
    for (int i = 0; i < ran; i++) vt_free_aligned(results[i]);
    free(expectation.values);
    free(expectation.sizes);
    conv_case_close(&c);
    return ran;
}

/* The spec in every block size that this machine runs; at least `least` tactics must support it in each, one for
 * bfloat16. */
static void check_blocks(struct conv_spec spec, int least) {
    static const struct {
        int32_t block;
        unsigned features;
    } sizes[] = {{16, VT_CPU_AVX512}, {8, VT_CPU_AVX2}, {4, 0}, {VT_CPU_BF16_BLOCK, 0}};
    if (left_out()) return;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (!vt_cpu_has(sizes[i].features)) continue;
        spec.block = sizes[i].block;
        spec.y_float32 = false;
        assert_true(check(&spec) >= (spec.block == VT_CPU_BF16_BLOCK ? 1 : least));
        spec.y_float32 = true;
        assert_true(spec.block != VT_CPU_BF16_BLOCK || check(&spec) >= 1);
    }
}

static struct conv_spec square(int64_t channels, int64_t size, int64_t outputs, int64_t kernel, int64_t stride) {
    int64_t pad = kernel / 2;
    return (struct conv_spec){.channels = channels,
        .height = size,
        .width = size,
        .outputs = outputs,
        .kernel = {kernel, kernel},
        .stride = {stride, stride},
        .dilation = {1, 1},
        .pad = {pad, pad, pad, pad},
        .group = 1,
        .bias = true,
        .batch = 2,
        .y_pad = 1,
        .seed = (unsigned)(channels * 31 + size * 7 + outputs)};
}

static void test_tile_remainders(void **state) {
    (void)state;
    for (int64_t width = 1; width <= 35; width++) {
        struct conv_spec s = square(5, 3, 20, 3, 1);
        s.width = width;
        check_blocks(s, 1);
        s = square(17, 2, 16, 1, 1);
        s.width = width;
        check_blocks(s, 1);
        s = square(3, 5, 9, 3, 2);
        s.width = width;
        check_blocks(s, 1);
        s.plain = true;
        check_blocks(s, 1);
    }
}

static void test_channel_remainders(void **state) {
    (void)state;
    static const int64_t counts[] = {1, 2, 4, 12, 15, 16, 17, 24, 28, 33, 40, 56, 72, 88};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (size_t o = 0; o < sizeof counts / sizeof *counts; o++) {
            check_blocks(square(counts[i], 7, counts[o], 1, 1), 1);
            if ((i + o) % 3 == 0) check_blocks(square(counts[i], 6, counts[o], 3, 1 + (int64_t)(o % 2)), 1);
        }
    }
}

static void test_windows(void **state) {
    (void)state;
    for (int64_t kernel = 1; kernel <= 5; kernel++) {
        for (int64_t stride = 1; stride <= 3; stride++) {
            for (int64_t dilation = 1; dilation <= 2; dilation++) {
                struct conv_spec s = square(18, 13, 21, kernel, stride);
                s.dilation[0] = s.dilation[1] = dilation;
                s.width = 15;
                s.border = true;
                s.x_extra_pad = (int32_t)(stride - 1);
                check_blocks(s, 1);
                s.group = s.outputs = s.channels;
                check_blocks(s, 1);
                s.group = 1;
                s.outputs = 5;
                s.channels = 3;
                s.plain = true;
                s.border = false;
                check_blocks(s, 1);
            }
        }
    }
    struct conv_spec s = square(9, 11, 10, 3, 2);
    memcpy(s.pad, (int64_t[]){0, 2, 1, 0}, sizeof s.pad);
    s.kernel[1] = 5;
    s.stride[0] = 1;
    check_blocks(s, 1);
    s.channels = 2;
    s.plain = true;
    check_blocks(s, 1);
}

static void test_depthwise(void **state) {
    (void)state;
    for (int64_t width = 1; width <= 20; width++) {
        for (int64_t stride = 1; stride <= 2; stride++) {
            struct conv_spec s = square(24, 9, 24, 3, stride);
            s.width = width;
            s.group = s.channels;
            s.border = width % 2 == 0;
            s.tail.act1 = VT_ACT_PRELU;
            s.residual = width % 3 == 0;
            check_blocks(s, 1);
        }
    }
    struct conv_spec s = square(40, 7, 40, 7, 1);
    memset(s.pad, 0, sizeof s.pad);
    s.group = s.channels;
    check_blocks(s, 1);
}

static void test_tails(void **state) {
    (void)state;
    for (int act1 = 0; act1 < VT_ACT_COUNT; act1++) {
        for (int act2 = 0; act2 < VT_ACT_COUNT; act2++) {
            if (act2 == VT_ACT_PRELU) continue;
            for (int variant = (act1 + act2) % 2; variant < 4; variant += 2) {
                struct conv_spec s = square(6, 6, 37, variant % 2 == 0 ? 1 : 3, 1);
                s.width = 17;
                s.bias = variant != 3;
                s.residual = variant >= 1;
                s.residual_pad = variant;
                s.y_pad = 2 - variant / 2;
                s.tail = (struct vt_tail){(enum vt_activation)act1, (enum vt_activation)act2, 0.25f, 0.75f, 0.1f, 1.5f};
                check_blocks(s, 1);
            }
        }
    }
}

/* Tiles that stick out to the right and below, pads of every kind, planes smaller than a tile. */
static void test_winograd(void **state) {
    (void)state;
    for (int64_t width = 1; width <= 14; width++) {
        struct conv_spec s = square(9, 8, 24, 3, 1);
        s.width = width;
        s.height = 15 - width;
        s.border = true;
        s.residual = width % 2 == 0;
        s.tail.act1 = width % 3 == 0 ? VT_ACT_PRELU : VT_ACT_RELU;
        check_blocks(s, 3);
        memcpy(s.pad, (int64_t[]){2, 1, 1, 2}, sizeof s.pad);
        s.x_extra_pad = (int32_t)(width % 3);
        check_blocks(s, 3);
    }
    struct conv_spec s = square(40, 21, 56, 3, 1);
    memset(s.pad, 0, sizeof s.pad);
    check_blocks(s, 3);
    s = square(96, 14, 80, 3, 1);
    s.batch = 7;
    s.tail.act1 = VT_ACT_SIGMOID;
    check_blocks(s, 3);
    s = square(33, 60, 18, 3, 1);
    check_blocks(s, 3);
    s = square(256, 7, 272, 3, 1);
    check_blocks(s, 2); /* too many weights for transforming them beforehand */
}

/* Sizes where units, chunks of output blocks and bands are more than one. */
static void test_large(void **state) {
    (void)state;
    struct conv_spec s = square(64, 14, 80, 3, 1);
    s.batch = 3;
    check_blocks(s, 1);
    s = square(256, 7, 272, 3, 2);
    check_blocks(s, 1);
    s = square(512, 1, 130, 1, 1);
    s.batch = 5;
    check_blocks(s, 1);
    s = square(3, 70, 24, 3, 2);
    s.plain = true;
    check_blocks(s, 1);
    s = square(144, 33, 144, 3, 1);
    s.group = s.channels;
    check_blocks(s, 1);
}

/* Grouped convolutions that are not depthwise, borders that are too narrow and foreign layouts are left to others. */
static void test_refusals(void **state) {
    (void)state;
    struct conv_spec s = square(32, 8, 32, 3, 1);
    s.block = 4;
    s.group = 2;
    assert_int_equal(check(&s), 0);
    s.group = 1;
    s.x_extra_pad = -1;
    assert_int_equal(check(&s), 0);
    s.x_extra_pad = 0;
    s.block = 64;
    assert_int_equal(check(&s), 0);
    s.block = 4;
    s.plain = true;
    assert_int_equal(check(&s), 0); /* more taps than a plain input may have */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tile_remainders),
        cmocka_unit_test(test_channel_remainders),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_tails),
        cmocka_unit_test(test_winograd),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, open_pools, close_pools);
}
