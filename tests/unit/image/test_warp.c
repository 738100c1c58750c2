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

static struct vt_image warp(const struct vt_image *source, const double matrix[6], int width, int height) {
    struct vt_image out;
    struct vultus_error error;
    if (vt_image_create(width, height, &out, &error) || vt_warp_affine(source, matrix, &out, &error))
        fail_msg("%s", error.text);
    return out;
}

static void test_identity_and_shift(void **state) {
    (void)state;
    struct vt_image source = noise_picture(50, 40), shifted, expected;
    struct vt_image same = warp(&source, (const double[6]){1, 0, 0, 0, 1, 0}, 50, 40);
    assert_same_picture(&source, &same);
    shifted = warp(&source, (const double[6]){1, 0, 7, 0, 1, -3}, 50, 40);
    expected = noise_picture(50, 40);
    memset(expected.pixels, 0, expected.stride * 40);
    vt_copy_image(&source, &expected, 7, -3);
    assert_same_picture(&expected, &shifted);
    vt_image_release(&source);
    vt_image_release(&same);
    vt_image_release(&shifted);
    vt_image_release(&expected);
}

/* Half a pixel to the left: the mean of two neighbours, rounded half up; black beyond the right end. */
static void test_half_pixel(void **state) {
    (void)state;
    uint8_t pixels[] = {10, 20, 30, 13, 20, 255, 0, 0, 100};
    struct vt_image source = {pixels, 3, 1, sizeof pixels};
    struct vt_image out = warp(&source, (const double[6]){1, 0, -0.5, 0, 1, 0}, 3, 1);
    const uint8_t expected[] = {12, 20, 143, 7, 10, 178, 0, 0, 50};
    assert_memory_equal(out.pixels, expected, sizeof expected);
    vt_image_release(&out);
}

static void test_opencv(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof expected_warps / sizeof *expected_warps; i++) {
        struct vt_image source = noise_picture(expected_warps[i].width, expected_warps[i].height);
        struct vt_image out = warp(&source, expected_warps[i].matrix, 112, 112);
        if (picture_checksum(&out) != expected_warps[i].checksum) fail_msg("warp %zu differs from OpenCV's", i);
        vt_image_release(&source);
        vt_image_release(&out);
    }
}

/* The formula of one pixel, in the plainest way. */
static uint8_t plain_pixel(const struct vt_image *source, const double inverse[6], int x, int y, int channel) {
    int at[2];
    for (int k = 0; k < 2; k++) {
        const double *m = inverse + 3 * k;
        at[k] = (int)(lrint((m[1] * y + m[2]) * 1024) + 16 + lrint(m[0] * x * 1024)) >> 5;
    }
    int fx = at[0] & 31, fy = at[1] & 31, sum = 0;
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 2; i++) {
            int sx = (at[0] >> 5) + i, sy = (at[1] >> 5) + j;
            if (sx < 0 || sy < 0 || sx >= source->width || sy >= source->height) continue;
            int weight = (i ? fx : 32 - fx) * (j ? fy : 32 - fy) * 32;
            sum += weight * source->pixels[(size_t)sy * source->stride + 3 * (size_t)sx + (size_t)channel];
        }
    return (uint8_t)((sum + 16384) >> 15);
}

/* Rotations about the origin with whole inverses, so that no rounding of the inversion blurs the comparison. */
static void test_formula(void **state) {
    (void)state;
    static const double inverses[][6] = {{0, -1, 30.25, 1, 0, -2.5}, {0.5, 0.25, -3.125, -0.25, 0.5, 17.75},
        {2, 0, -9.5, 0, 4, 0.03125}, {0.125, 0, 1, 0, 0.125, 36}};
    for (size_t i = 0; i < sizeof inverses / sizeof *inverses; i++) {
        const double *v = inverses[i];
        double d = v[0] * v[4] - v[1] * v[3];
        double m[6] = {v[4] / d, -v[1] / d, 0, -v[3] / d, v[0] / d, 0};
        m[2] = -m[0] * v[2] - m[1] * v[5];
        m[5] = -m[3] * v[2] - m[4] * v[5];
        struct vt_image source = noise_picture(37, 41);
        struct vt_image out = warp(&source, m, 53, 29);
        for (int y = 0; y < out.height; y++)
            for (int x = 0; x < out.width; x++)
                for (int k = 0; k < 3; k++)
                    assert_int_equal(out.pixels[(size_t)y * out.stride + 3 * (size_t)x + (size_t)k],
                        plain_pixel(&source, v, x, y, k));
        vt_image_release(&source);
        vt_image_release(&out);
    }
}

static void test_tiny_sources(void **state) {
    (void)state;
    for (int width = 1; width <= 4; width++)
        for (int height = 1; height <= 3; height++) {
            struct vt_image source = noise_picture(width, height);
            struct vt_image out = warp(&source, (const double[6]){20, 3, 1, -3, 20, 9}, 112, 112);
            vt_image_release(&source);
            vt_image_release(&out);
        }
}

static void test_far_away_is_black(void **state) {
    (void)state;
    struct vt_image source = noise_picture(20, 20);
    static const double shifts[] = {1e3, -1e3, 1e9, -1e9, 1e30, -1e30};
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        struct vt_image out = warp(&source, (const double[6]){1, 0, shifts[i], 0, 1, -shifts[i]}, 30, 30);
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
        assert_int_equal(vt_warp_affine(&source, matrices[i], &out, &error), VULTUS_ERROR_INVALID);
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
