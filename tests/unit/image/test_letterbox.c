/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "expected_opencv.h"
#include "image/kernels.h"
#include "image/ops.h"
#include "noise.h"

static struct vt_letterbox plan(int width, int height, double margin, int canvas_width, int canvas_height) {
    struct vt_letterbox letterbox;
    struct vultus_error error;
    if (vt_letterbox_plan(width, height, margin, canvas_width, canvas_height, &letterbox, &error))
        fail_msg("%s", error.text);
    return letterbox;
}

static void test_scale_rule(void **state) {
    (void)state;
    struct vt_letterbox l = plan(1280, 720, 0, 640, 640);
    assert_true(l.scale == 0.5 && l.width == 640 && l.height == 360);
    l = plan(640, 480, 0, 640, 640); /* untouched */
    assert_true(l.scale == 1 && l.width == 640 && l.height == 480);
    l = plan(320, 240, 0, 640, 640); /* exactly twice stays twice */
    assert_true(l.scale == 2 && l.width == 640 && l.height == 480);
    l = plan(319, 240, 0, 640, 640); /* above twice: 0.7 of it */
    assert_true(l.scale == 0.7 * (640.0 / 319) && l.width == 448 && l.height == 337);
    l = plan(112, 112, 0, 640, 640);
    assert_true(fabs(l.scale - 4) < 1e-12 && l.width == 448 && l.height == 448);
    l = plan(961, 1280, 0, 640, 640); /* 480.5 goes to the even side */
    assert_int_equal(l.width, 480);
    l = plan(963, 1280, 0, 640, 640); /* 481.5 too */
    assert_int_equal(l.width, 482);
}

static void test_margin_rule(void **state) {
    (void)state;
    struct vt_letterbox l = plan(151, 101, 0.5, 640, 640); /* 75 and 50 on every side: 301 x 201 */
    assert_true(l.scale == 0.7 * (640.0 / 301));
    assert_int_equal(l.width, lrint(301 * l.scale));
    assert_int_equal(l.height, lrint(201 * l.scale));
}

static void test_vanishing_side(void **state) {
    (void)state;
    struct vt_letterbox letterbox;
    struct vultus_error error;
    assert_int_equal(vt_letterbox_plan(1, 4000, 0, 640, 640, &letterbox, &error), VULTUS_ERROR_INVALID);
    assert_non_null(strstr(error.text, "1 x 4000"));
    assert_int_equal(vt_letterbox_plan(4000, 1, 0.5, 640, 640, &letterbox, &error), VULTUS_ERROR_INVALID);
    assert_int_equal(vt_letterbox_plan(4, 4000, 0, 640, 640, &letterbox, &error), VULTUS_OK);
    assert_int_equal(letterbox.width, 1);
}

static void test_opencv(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof expected_letterboxes / sizeof *expected_letterboxes; i++) {
        int width = expected_letterboxes[i].width, height = expected_letterboxes[i].height;
        struct vt_image picture = noise_picture(width, height), out;
        struct vultus_error error;
        if (vt_letterbox_image(&picture, expected_letterboxes[i].margin, expected_letterboxes[i].canvas_width,
                expected_letterboxes[i].canvas_height, &out, NULL, &error))
            fail_msg("%s", error.text);
        if (picture_checksum(&out) != expected_letterboxes[i].checksum)
            fail_msg("%d x %d with margin %g differs from OpenCV's", width, height, expected_letterboxes[i].margin);
        vt_image_release(&picture);
        vt_image_release(&out);
    }
}

/* The same picture with real black pixels around it. */
static struct vt_image with_border(const struct vt_image *picture) {
    int left = picture->width / 2, top = picture->height / 2;
    struct vt_image out;
    struct vultus_error error;
    if (vt_image_create(picture->width + 2 * left, picture->height + 2 * top, &out, &error)) fail_msg("%s", error.text);
    vt_copy_image(picture, &out, left, top);
    return out;
}

static void test_margin_is_a_border(void **state) {
    (void)state;
    uint32_t random = 7;
    for (int round = 0; round < 60; round++) {
        int width = 1 + (int)(next_random(&random) % 150), height = 1 + (int)(next_random(&random) % 150);
        if (round % 6 == 0) width = 80, height = 64; /* s = 1 and whole factors */
        int canvas = round % 6 == 0 ? 160 >> (round / 6 % 3) : 32 + (int)(next_random(&random) % 8) * 32;
        struct vt_image picture = noise_picture(width, height), bordered = with_border(&picture), a, b;
        struct vultus_error error;
        enum vultus_status status = vt_letterbox_image(&picture, 0.5, canvas, canvas, &a, NULL, &error);
        assert_int_equal(vt_letterbox_image(&bordered, 0, canvas, canvas, &b, NULL, &error), status);
        if (!status) {
            assert_same_picture(&a, &b);
            vt_image_release(&a);
            vt_image_release(&b);
        }
        vt_image_release(&picture);
        vt_image_release(&bordered);
    }
}

static void check_planes(int width, int height, bool rgb, struct vt_pool *pool) {
    enum { CANVAS_WIDTH = 96, CANVAS_HEIGHT = 64, PLANE = CANVAS_WIDTH * CANVAS_HEIGHT };
    const struct vt_normalisation normalisation = {
        {123.675f, 116.28f, 103.53f}, {1 / 58.395f, 1 / 57.12f, 1 / 57.375f}, rgb};
    struct vt_image picture = noise_picture(width, height), boxed;
    struct vultus_error error;
    struct vt_letterbox a, b;
    float *planes = malloc(3 * PLANE * sizeof *planes);
    assert_non_null(planes);
    if (vt_letterbox_to_planes(&picture, 0, CANVAS_WIDTH, CANVAS_HEIGHT, &normalisation, pool, planes, &a, &error) ||
        vt_letterbox_image(&picture, 0, CANVAS_WIDTH, CANVAS_HEIGHT, &boxed, &b, &error))
        fail_msg("%s", error.text);
    assert_memory_equal(&a, &b, sizeof a);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < PLANE; i++) {
            float pixel = boxed.pixels[3 * i + (rgb ? 2 - k : k)];
            assert_true(planes[k * PLANE + i] == (pixel - normalisation.mean[k]) * normalisation.inverse_std[k]);
        }
    free(planes);
    vt_image_release(&picture);
    vt_image_release(&boxed);
}

static void test_planes(void **state) {
    (void)state;
    struct vt_pool *pool;
    struct vultus_error error;
    if (vt_pool_create(3, &pool, &error)) fail_msg("%s", error.text);
    static const int sizes[][2] = {{300, 217}, {192, 128}, {96, 64}, {48, 32}, {20, 31}, {1, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_planes(sizes[i][0], sizes[i][1], true, pool);
        check_planes(sizes[i][0], sizes[i][1], false, NULL);
    }
    vt_pool_destroy(pool);
}

static void test_crop_to_planes(void **state) {
    (void)state;
    const struct vt_normalisation normalisation = {
        {127.5f, 127.5f, 127.5f}, {1 / 128.0f, 1 / 128.0f, 1 / 128.0f}, true};
    struct vt_image crop = noise_picture(300, 5);
    float planes[3 * 300 * 5];
    vt_image_to_planes(&crop, &normalisation, planes);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 1500; i++)
            assert_true(planes[1500 * k + i] == ((float)crop.pixels[3 * i + 2 - k] - 127.5f) / 128);
    vt_image_release(&crop);
}

/* Rows whose bytes go on behind the pixels must not leak into the result. */
static void test_stride(void **state) {
    (void)state;
    static const int canvases[] = {24, 70, 140, 128};
    struct vt_image wide = noise_picture(90, 70), narrow;
    struct vt_image view = {wide.pixels + 3, 70, 70, wide.stride};
    struct vultus_error error;
    if (vt_image_create(70, 70, &narrow, &error)) fail_msg("%s", error.text);
    vt_copy_image(&view, &narrow, 0, 0);
    for (size_t i = 0; i < sizeof canvases / sizeof *canvases; i++) {
        struct vt_image a, b;
        if (vt_letterbox_image(&view, 0, canvases[i], canvases[i], &a, NULL, &error) ||
            vt_letterbox_image(&narrow, 0, canvases[i], canvases[i], &b, NULL, &error))
            fail_msg("%s", error.text);
        assert_same_picture(&a, &b);
        vt_image_release(&a);
        vt_image_release(&b);
    }
    vt_image_release(&wide);
    vt_image_release(&narrow);
}

#ifdef __x86_64__
/* Runs one kernel of both tables on copies of the same random numbers and compares what it wrote. */
#define BOTH(kernel, type, out_count, ...)                                                                             \
    do {                                                                                                               \
        type baseline[out_count], other[out_count];                                                                    \
        memset(baseline, 0x5a, sizeof baseline);                                                                       \
        memset(other, 0x5a, sizeof other);                                                                             \
        type *out = baseline;                                                                                          \
        vt_image_kernels_baseline.kernel(__VA_ARGS__);                                                                 \
        out = other;                                                                                                   \
        vt_image_kernels_avx2.kernel(__VA_ARGS__);                                                                     \
        assert_memory_equal(baseline, other, sizeof other);                                                            \
    } while (0)

static void test_kernels_agree(void **state) {
    (void)state;
    if (!vt_cpu_has(VT_CPU_AVX2)) skip();
    enum { WIDTH = 157, SOURCE = 211 };
    uint8_t bytes[4 * SOURCE];
    float floats[4 * SOURCE + 4], other_floats[4 * WIDTH];
    uint16_t shorts[4 * SOURCE];
    int16_t lines[2][4 * WIDTH], weights[2] = {1234, 814};
    uint32_t random = 3;
    for (int i = 0; i < 4 * SOURCE; i++) {
        bytes[i] = (uint8_t)next_random(&random);
        shorts[i] = (uint16_t)(next_random(&random) % 4080);
        floats[i] = (float)(next_random(&random) % 25500) / 100;
    }
    for (int i = 0; i < 4 * WIDTH; i++) {
        other_floats[i] = (float)(next_random(&random) % 25500) / 100;
        lines[0][i] = (int16_t)(next_random(&random) % 32641), lines[1][i] = (int16_t)(next_random(&random) % 32641);
    }
    struct vt_resample_axis area = {0}, linear = {0}, box = {0};
    struct vultus_error error;
    if (vt_area_axis_init(&area, SOURCE, 0, WIDTH, (double)SOURCE / WIDTH, false, &error) ||
        vt_linear_axis_init(&linear, SOURCE, 10, WIDTH, 0.7, true, &error) ||
        vt_area_axis_init(&box, SOURCE, 0, SOURCE / 2, 2, true, &error))
        fail_msg("%s", error.text);
    struct vt_normalisation normalisation = {{123.675f, 116.28f, 103.53f}, {0.017f, 0.018f, 0.019f}, true};
    BOTH(bytes_to_floats, float, 4 * SOURCE, bytes, out, 4 * SOURCE - 1);
    BOTH(area_columns, float, 4 * WIDTH, floats, &area, WIDTH, out);
    BOTH(add_line, float, 4 * WIDTH, out, other_floats, 0.377f, 4 * WIDTH - 3);
    BOTH(add_bytes, uint16_t, 4 * SOURCE, out, bytes, 4 * SOURCE - 1);
    BOTH(box_columns, float, 4 * WIDTH, shorts, &box, SOURCE / 2, out);
    BOTH(round_sums, uint8_t, 4 * WIDTH, other_floats, out, 4 * WIDTH - 1);
    BOTH(linear_columns, int16_t, 4 * WIDTH, bytes, &linear, WIDTH, out);
    BOTH(blend_lines, uint8_t, 4 * WIDTH, lines[0], lines[1], weights, out, 4 * WIDTH - 1);
    BOTH(expand_row, uint8_t, 4 * WIDTH, bytes, out, WIDTH);
    BOTH(row_to_planes, float, 3 * WIDTH, bytes, WIDTH, &normalisation, out, WIDTH);
    int32_t whole[2 * SOURCE];
    float fractions[2 * SOURCE];
    const int64_t one = INT64_C(1) << 32;
    BOTH(place_points, int32_t, SOURCE, -3 * one - 12345, one / 3, SOURCE - 1, out, fractions);
    BOTH(place_points, float, SOURCE, 7 * one, -one / 7, SOURCE, whole, out);
    struct vt_sample_row row = {whole, whole + SOURCE, fractions, fractions + SOURCE};
    vt_image_kernels_baseline.place_points(one / 2, one / 3, 95, row.x, row.fx); /* 35 pixels a row, rows 0 and 1 */
    vt_image_kernels_baseline.place_points(one / 4, one / 300, 95, row.y, row.fy);
    BOTH(sample_points, uint8_t, 4 * WIDTH, bytes, 3 * 35, &row, 3, 95, out);
    vt_resample_axis_fini(&area);
    vt_resample_axis_fini(&linear);
    vt_resample_axis_fini(&box);
}
#else
static void test_kernels_agree(void **state) {
    (void)state;
    skip();
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scale_rule),
        cmocka_unit_test(test_margin_rule),
        cmocka_unit_test(test_vanishing_side),
        cmocka_unit_test(test_opencv),
        cmocka_unit_test(test_margin_is_a_border),
        cmocka_unit_test(test_planes),
        cmocka_unit_test(test_crop_to_planes),
        cmocka_unit_test(test_stride),
        cmocka_unit_test(test_kernels_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
