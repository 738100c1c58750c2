/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "expected_opencv.h"
#include "image/ops.h"
#include "noise.h"

static struct vt_image warp(
    const struct vt_image *source, const double matrix[6], enum vt_warp_method method, int width, int height) {
    struct vt_image out;
    struct vultus_error error;
    if (vt_image_create(width, height, &out, &error) || vt_warp_affine(source, matrix, method, &out, &error))
        fail_msg("%s", error.text);
    return out;
}

static const enum vt_warp_method methods[] = {VT_WARP_EXACT, VT_WARP_FIXED};

static void test_identity_and_shift(void **state) {
    (void)state;
    struct vt_image source = noise_picture(50, 40), expected = noise_picture(50, 40);
    memset(expected.pixels, 0, expected.stride * 40);
    vt_copy_image(&source, &expected, 7, -3);
    for (int i = 0; i < 2; i++) {
        struct vt_image same = warp(&source, (const double[6]){1, 0, 0, 0, 1, 0}, methods[i], 50, 40);
        assert_same_picture(&source, &same);
        struct vt_image shifted = warp(&source, (const double[6]){1, 0, 7, 0, 1, -3}, methods[i], 50, 40);
        assert_same_picture(&expected, &shifted);
        vt_image_release(&same);
        vt_image_release(&shifted);
    }
    vt_image_release(&source);
    vt_image_release(&expected);
}

/* Half a pixel to the left: the mean of two neighbours; black beyond the right end. Halves go up, or to the even
 * number. */
static void test_half_pixel(void **state) {
    (void)state;
    uint8_t pixels[] = {10, 20, 30, 13, 20, 255, 0, 0, 100};
    struct vt_image source = {pixels, 3, 1, sizeof pixels};
    static const uint8_t expected[2][9] = {{12, 20, 142, 6, 10, 178, 0, 0, 50}, {12, 20, 143, 7, 10, 178, 0, 0, 50}};
    for (int i = 0; i < 2; i++) {
        struct vt_image out = warp(&source, (const double[6]){1, 0, -0.5, 0, 1, 0}, methods[i], 3, 1);
        assert_memory_equal(out.pixels, expected[i], sizeof expected[i]);
        vt_image_release(&out);
    }
}

static void test_opencv(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof expected_warps / sizeof *expected_warps; i++) {
        struct vt_image source = noise_picture(expected_warps[i].width, expected_warps[i].height);
        struct vt_image out = warp(&source, expected_warps[i].matrix, VT_WARP_FIXED, 112, 112);
        if (picture_checksum(&out) != expected_warps[i].checksum) fail_msg("warp %zu differs from OpenCV's", i);
        vt_image_release(&source);
        vt_image_release(&out);
    }
}

/* Bilinear interpolation in double precision, not rounded. */
static double plain_pixel(const struct vt_image *source, const double inverse[6], int x, int y, int channel) {
    double at[2], sum = 0;
    for (int k = 0; k < 2; k++) at[k] = inverse[3 * k] * x + inverse[3 * k + 1] * y + inverse[3 * k + 2];
    int left = (int)floor(at[0]), top = (int)floor(at[1]);
    for (int sy = top; sy < top + 2; sy++)
        for (int sx = left; sx < left + 2; sx++) {
            if (sx < 0 || sy < 0 || sx >= source->width || sy >= source->height) continue;
            sum += (1 - fabs(at[0] - sx)) * (1 - fabs(at[1] - sy)) *
                   source->pixels[(size_t)sy * source->stride + 3 * (size_t)sx + (size_t)channel];
        }
    return sum;
}

static void test_formula(void **state) {
    (void)state;
    static const double inverses[][6] = {{0, -1, 30.25, 1, 0, -2.5}, {0.53, 0.27, -3.1, -0.27, 0.53, 17.7},
        {2.1, 0, -9.5, 0.1, 4, 0.03}, {0.125, 0.001, 1, 0, 0.125, 36}, {0.7, 0.1, 10, -0.1, 0.7, 12}};
    for (size_t i = 0; i < sizeof inverses / sizeof *inverses; i++) {
        const double *v = inverses[i];
        double d = v[0] * v[4] - v[1] * v[3];
        double m[6] = {v[4] / d, -v[1] / d, 0, -v[3] / d, v[0] / d, 0};
        m[2] = -m[0] * v[2] - m[1] * v[5];
        m[5] = -m[3] * v[2] - m[4] * v[5];
        struct vt_image source = noise_picture(87, 61);
        struct vt_image exact = warp(&source, m, VT_WARP_EXACT, 53, 29);
        struct vt_image fixed = warp(&source, m, VT_WARP_FIXED, 53, 29);
        for (int y = 0; y < 29; y++)
            for (int x = 0; x < 53; x++)
                for (int k = 0; k < 3; k++) {
                    size_t at = (size_t)y * exact.stride + 3 * (size_t)x + (size_t)k;
                    double wanted = plain_pixel(&source, v, x, y, k);
                    assert_true(fabs(exact.pixels[at] - wanted) <= 0.501);
                    assert_true(fabs(fixed.pixels[at] - wanted) <= 255.0 / 32 + 1); /* half a 1/32 each way */
                }
        vt_image_release(&source);
        vt_image_release(&exact);
        vt_image_release(&fixed);
    }
}

static void test_tiny_sources(void **state) {
    (void)state;
    for (int width = 1; width <= 4; width++)
        for (int height = 1; height <= 3; height++) {
            struct vt_image source = noise_picture(width, height);
            for (int i = 0; i < 2; i++) {
                struct vt_image out = warp(&source, (const double[6]){20, 3, 1, -3, 20, 9}, methods[i], 112, 112);
                assert_true(out.pixels[3 * 20 + 20 * out.stride] > 0);
                vt_image_release(&out);
            }
            vt_image_release(&source);
        }
}

static void test_far_away_is_black(void **state) {
    (void)state;
    struct vt_image source = noise_picture(20, 20);
    static const double shifts[] = {1e3, 1e3, -1e3, -1e3, 1e9, 1e9, -1e9, -1e9, 1e30, 1e30, -1e30, -1e30};
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        struct vt_image out =
            warp(&source, (const double[6]){1, 0, shifts[i], 0, 1, -shifts[i]}, methods[i % 2], 30, 30);
        for (size_t k = 0; k < 30 * out.stride; k++) assert_int_equal(out.pixels[k], 0);
        vt_image_release(&out);
    }
    vt_image_release(&source);
}

static void test_singular(void **state) {
    (void)state;
    static const double matrices[][6] = {{0, 0, 0, 0, 0, 0}, {1, 2, 0, 2, 4, 0}, {NAN, 0, 0, 0, 1, 0},
        {1, 0, INFINITY, 0, 1, 0}, {1e-320, 0, 0, 0, 1e-320, 0}, {1e200, 0, 0, 0, 1e200, 0}};
    struct vt_image source = noise_picture(20, 20), out = noise_picture(20, 20), untouched = noise_picture(20, 20);
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) {
        struct vultus_error error;
        assert_int_equal(vt_warp_affine(&source, matrices[i], VT_WARP_EXACT, &out, &error), VULTUS_ERROR_INVALID);
        assert_non_null(strstr(error.text, "cannot be inverted"));
    }
    assert_same_picture(&out, &untouched);
    vt_image_release(&source);
    vt_image_release(&out);
    vt_image_release(&untouched);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity_and_shift),
        cmocka_unit_test(test_half_pixel),
        cmocka_unit_test(test_opencv),
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_tiny_sources),
        cmocka_unit_test(test_far_away_is_black),
        cmocka_unit_test(test_singular),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
