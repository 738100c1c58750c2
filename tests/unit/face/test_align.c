/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "face/face.h"

static const float template_points[5][2] = {
    {38.2946f, 51.6963f}, {73.5318f, 51.5014f}, {56.0252f, 71.7366f}, {41.5493f, 92.3655f}, {70.7299f, 92.2041f}};

/* Landmarks and what numpy.linalg.svd in Umeyama's formula makes of them: noise, a mirrored face, a quarter turn, a
 * nose that everything but the eyes falls on, noise far away. */
static const struct {
    float landmarks[5][2];
    double matrix[6];
} by_svd[] = {
    {{{191.09f, 80.94f}, {12.29f, 4.96f}, {243.98f, 273.83f}, {181.99f, 218.85f}, {163.09f, 280.52f}},
        {0.0548426106096, -0.0360599921741, 53.5300921383, 0.0360599921741, 0.0548426106096, 56.7626468233}},
    {{{334.9f, 107.88f}, {275, 107.55f}, {304.76f, 141.95f}, {329.37f, 177.02f}, {279.76f, 176.75f}},
        {0.132544376854, 0.0015020917111, 15.4185580676, -0.0015020917111, 0.132544376854, 53.5067677078}},
    {{{-15.51f, 11.49f}, {-15.45f, 22.06f}, {-21.52f, 16.81f}, {-27.71f, 12.46f}, {-27.66f, 21.22f}},
        {-0.000285539976636, 3.33320016045, -0.0044260971295, -3.33320016045, -0.000285539976634, 0.00845227640548}},
    {{{10, 10}, {20, 10}, {15, 15}, {15, 15}, {15, 15}},
        {4.74006625, 0.02630125, -15.41675, -0.02630125, 4.74006625, 10.6744375}},
    {{{-623.3f, 41.3f}, {-2325, -218.8f}, {-1245.9f, -732.3f}, {-544.3f, -316.3f}, {411.6f, 1042.5f}},
        {0.000467440651039, -0.00721656324213, 56.1656816175, 0.00721656324213, 0.000467440651039, 78.1630139084}},
};

static void test_against_svd(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof by_svd / sizeof *by_svd; i++) {
        double matrix[6];
        assert_int_equal(vt_align_matrix(by_svd[i].landmarks, 112, 112, matrix, NULL), VULTUS_OK);
        for (int k = 0; k < 6; k++)
            assert_true(fabs(matrix[k] - by_svd[i].matrix[k]) < 1e-9 * (1 + fabs(by_svd[i].matrix[k])));
    }
}

static void test_template_stays(void **state) {
    (void)state;
    double matrix[6];
    assert_int_equal(vt_align_matrix(template_points, 112, 112, matrix, NULL), VULTUS_OK);
    static const double identity[6] = {1, 0, 0, 0, 1, 0};
    for (int k = 0; k < 6; k++) assert_true(fabs(matrix[k] - identity[k]) < 1e-5);
}

/* A similar figure is brought back exactly, whatever its size, turn and place. */
static void test_inverts_similarities(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        double scale = 0.05 * (1 + i), angle = 0.7 * i, dx = 13.0 * i, dy = 900 - 40.0 * i;
        float landmarks[5][2];
        for (int k = 0; k < 5; k++) {
            double x = template_points[k][0], y = template_points[k][1];
            landmarks[k][0] = (float)(scale * (cos(angle) * x - sin(angle) * y) + dx);
            landmarks[k][1] = (float)(scale * (sin(angle) * x + cos(angle) * y) + dy);
        }
        double m[6];
        assert_int_equal(vt_align_matrix(landmarks, 112, 112, m, NULL), VULTUS_OK);
        assert_true(fabs(hypot(m[0], m[3]) * scale - 1) < 1e-3);
        for (int k = 0; k < 5; k++) {
            double x = m[0] * landmarks[k][0] + m[1] * landmarks[k][1] + m[2];
            double y = m[3] * landmarks[k][0] + m[4] * landmarks[k][1] + m[5];
            assert_true(hypot(x - template_points[k][0], y - template_points[k][1]) < 0.02);
        }
    }
}

static void expect_refusal(const float landmarks[5][2], const char *words) {
    double matrix[6] = {7};
    struct vultus_error error;
    assert_int_equal(vt_align_matrix(landmarks, 112, 112, matrix, &error), VULTUS_ERROR_INVALID);
    assert_non_null(strstr(error.text, words));
    assert_true(matrix[0] == 7);
}

static void test_degenerate_landmarks(void **state) {
    (void)state;
    const float same[5][2] = {{40, 50}, {40, 50}, {40, 50}, {40, 50}, {40, 50}};
    expect_refusal(same, "coincide at (40, 50)");
    float broken[5][2];
    for (int i = 0; i < 10; i++) {
        memcpy(broken, template_points, sizeof broken);
        (&broken[0][0])[i] = i % 2 ? NAN : -INFINITY;
        expect_refusal(broken, "is not finite");
    }
    /* On a line, and in balance against the template's x and y: no direction is better than another. */
    const float line[5][2] = {{47.0773f, 5}, {-13.6985f, 5}, {-66.0909f, 5}, {-20.3389f, 5}, {53.051f, 5}};
    expect_refusal(line, "do not say how a face is turned");
    float huge[5][2];
    for (int k = 0; k < 10; k++) (&huge[0][0])[k] = (&template_points[0][0])[k] * 1e36f;
    struct vt_image crop, picture = {(uint8_t[3]){1, 2, 3}, 1, 1, 3};
    struct vultus_error error;
    if (!vt_align_crop(&picture, huge, &crop, &error)) vt_image_release(&crop);
}

static void test_crop_of_an_aligned_picture(void **state) {
    (void)state;
    struct vt_image picture, crop;
    struct vultus_error error;
    assert_int_equal(vt_image_create(112, 112, &picture, &error), VULTUS_OK);
    for (size_t i = 0; i < 112 * picture.stride; i++) picture.pixels[i] = (uint8_t)(i * 2654435761u >> 24);
    assert_int_equal(vt_align_crop(&picture, template_points, &crop, &error), VULTUS_OK);
    assert_int_equal(crop.width, VT_CROP_SIZE);
    assert_int_equal(crop.height, VT_CROP_SIZE);
    assert_memory_equal(crop.pixels, picture.pixels, 112 * picture.stride);
    vt_image_release(&picture);
    vt_image_release(&crop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_svd),
        cmocka_unit_test(test_template_stays),
        cmocka_unit_test(test_inverts_similarities),
        cmocka_unit_test(test_degenerate_landmarks),
        cmocka_unit_test(test_crop_of_an_aligned_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
