/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "face/attribute.h"
#include "fake_engine.h"

/* ---------------------------------------------------------------- what models say */

static void test_masks(void **state) {
    (void)state;
    struct vt_attributes a = {0};
    const float sure[2] = {0.9f, 0.1f}, unsure[2] = {0.885f, 0.115f}, none[2] = {0.2f, 0.8f}, odd[2] = {0.9f, 0.95f};
    vt_kind_mask.decode((const float *const[]){sure}, 1, &a);
    assert_true(a.mask && a.mask_probability == 0.9f && a.no_mask_probability == 0.1f);
    vt_kind_mask.decode((const float *const[]){unsure}, 1, &a);
    assert_false(a.mask);
    vt_kind_mask.decode((const float *const[]){none}, 1, &a);
    assert_false(a.mask);
    vt_kind_mask.decode((const float *const[]){odd}, 1, &a);
    assert_false(a.mask);
}

static void test_gender_and_age(void **state) {
    (void)state;
    float numbers[202] = {0.25f, 0.75f};
    for (int year = 0; year < 100; year++) numbers[2 + 2 * year + (year < 37)] = 1;
    struct vt_attributes a = {0};
    vt_kind_gender_age.decode((const float *const[]){numbers}, 1, &a);
    assert_true(a.gender == 1 && a.age == 37);
    numbers[0] = 0.75f; /* a tie goes to the first */
    numbers[2 + 2 * 50] = numbers[2 + 2 * 50 + 1] = 1;
    vt_kind_gender_age.decode((const float *const[]){numbers}, 1, &a);
    assert_true(a.gender == 0 && a.age == 37);
}

static void test_liveness(void **state) {
    (void)state;
    /* Softmax of logarithms is their argument over the sum. */
    const float first[3] = {logf(1), logf(2), logf(5)}, second[3] = {logf(1), logf(8), logf(1)};
    struct vt_attributes a = {0};
    vt_kind_liveness.decode((const float *const[]){first}, 1, &a);
    assert_true(fabsf(a.liveness - 0.25f) < 1e-6f && !a.live);
    vt_kind_liveness.decode((const float *const[]){first, second}, 2, &a);
    assert_true(fabsf(a.liveness - (0.25f + 0.8f) / 2) < 1e-6f && a.live); /* 0.525 against 0.3625 */
    const float huge[3] = {3e38f, -3e38f, 0}, odd[3] = {NAN, 1, 2};
    vt_kind_liveness.decode((const float *const[]){huge}, 1, &a);
    assert_true(a.liveness == 0 && !a.live);
    vt_kind_liveness.decode((const float *const[]){odd}, 1, &a);
    assert_false(a.live);
}

/* ---------------------------------------------------------------- cutting out */

static void expect_box(const float box[4], double scale, int width, int height, const int wanted[4]) {
    int pixels[4];
    assert_true(vt_scaled_box(box, scale, width, height, pixels));
    for (int k = 0; k < 4; k++)
        if (pixels[k] != wanted[k])
            fail_msg("(%d %d %d %d), wanted (%d %d %d %d)", pixels[0], pixels[1], pixels[2], pixels[3], wanted[0],
                wanted[1], wanted[2], wanted[3]);
}

static void test_scaled_boxes(void **state) {
    (void)state;
    /* In the middle: 20 x 30 around (100, 95) becomes 54 x 81. */
    expect_box((const float[4]){90, 80, 110, 110}, 2.7, 400, 300, (const int[4]){73, 54, 127, 135});
    /* At the left and upper edges it is moved inside, not cut. */
    expect_box((const float[4]){0, 0, 20, 20}, 4, 400, 300, (const int[4]){0, 0, 80, 80});
    /* At the right and lower ones too. */
    expect_box((const float[4]){380, 280, 400, 300}, 4, 400, 300, (const int[4]){319, 219, 399, 299});
    /* Four times the height is more than the picture has: 299 / 100. */
    expect_box((const float[4]){150, 100, 250, 200}, 4, 400, 300, (const int[4]){50, 0, 349, 299});
    /* Beyond the picture, and larger than it: still inside. */
    expect_box((const float[4]){-500, -400, -450, -300}, 1, 40, 30, (const int[4]){0, 0, 14, 29});
    expect_box((const float[4]){-50, -50, 150, 150}, 2.7, 40, 30, (const int[4]){10, 0, 39, 29});
    expect_box((const float[4]){0, 0, 1, 1}, 2.7, 1, 1, (const int[4]){0, 0, 0, 0});
    int pixels[4];
    assert_false(vt_scaled_box((const float[4]){5, 5, 5, 9}, 2, 40, 30, pixels));
    assert_false(vt_scaled_box((const float[4]){9, 5, 5, 9}, 2, 40, 30, pixels));
    assert_false(vt_scaled_box((const float[4]){NAN, 5, 5, 9}, 2, 40, 30, pixels));
    assert_false(vt_scaled_box((const float[4]){-3e38f, 5, 3e38f, 9}, 2, 40, 30, pixels) && pixels[0] < 0);
}

static void test_scaled_boxes_stay_inside(void **state) {
    (void)state;
    uint32_t random = 1;
    for (int i = 0; i < 20000; i++) {
        float numbers[6];
        for (int k = 0; k < 6; k++) {
            random = random * 1664525u + 1013904223u;
            numbers[k] = (float)(random >> 8) / 16777216.0f;
        }
        int width = 1 + (int)(numbers[4] * 300), height = 1 + (int)(numbers[5] * 300), p[4];
        float x = numbers[0] * 900 - 300, y = numbers[1] * 900 - 300;
        const float box[4] = {x, y, x + numbers[2] * 400, y + numbers[3] * 400};
        if (!vt_scaled_box(box, i % 2 ? 2.7 : 4, width, height, p)) continue;
        assert_true(0 <= p[0] && p[0] <= p[2] && p[2] < width && 0 <= p[1] && p[1] <= p[3] && p[3] < height);
    }
}

/* ---------------------------------------------------------------- classifiers */

/* Tells the mean of the blue channel as "mask". */
static void tell_blue(struct vt_engine *engine, const float *input, float *const *outputs) {
    (void)engine;
    outputs[0][0] = input[0];
    outputs[0][1] = input[1];
}

static struct vt_engine mask_engine(int64_t max_batch) {
    struct vt_engine engine = fake_engine(VT_CROP_SIZE, VT_CROP_SIZE, max_batch);
    engine.plan.model.function = "mask";
    engine.plan.model.channels = "bgr";
    engine.input.dims[1] = VT_CROP_SIZE;
    engine.input.dims[3] = 3;
    engine.run = tell_blue;
    fake_output(&engine, 1, 2);
    return engine;
}

/* Pixels stay together: the first two numbers are a pixel's blue and green. Faces that cannot be cut out are left out.
 */
static void test_batches_and_pixels(void **state) {
    (void)state;
    struct vt_engine engine = mask_engine(2);
    struct vt_classifier *classifier;
    struct vultus_error error;
    if (vt_classifier_create(&engine, NULL, 0, &classifier, &error)) fail_msg("%s", error.text);
    assert_true(vt_classifier_kind(classifier) == &vt_kind_mask);
    struct vt_image crops[5];
    struct vt_cutting cuttings[6] = {{0}};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(vt_image_create(VT_CROP_SIZE, VT_CROP_SIZE, &crops[i], NULL), VULTUS_OK);
        crops[i].pixels[0] = (uint8_t)(51 * i);
        crops[i].pixels[1] = 255;
        cuttings[i + (i > 1)].aligned = &crops[i]; /* the third has none */
    }
    float numbers[12];
    bool done[6];
    for (int i = 0; i < 12; i++) numbers[i] = 7;
    assert_int_equal(vt_classify(classifier, cuttings, 6, numbers, done, &error), VULTUS_OK);
    assert_true(engine.runs == 3 && engine.items == 5 && engine.largest_batch == 2);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(done[i], i != 2);
        int blue = 51 * (i - (i > 2));
        assert_true(fabsf(numbers[2 * i] - (i == 2 ? 7 : ((float)blue - 127.5f) / 127.5f)) < 1e-6f);
        assert_true(fabsf(numbers[2 * i + 1] - (i == 2 ? 7 : 1)) < 1e-6f);
    }
    engine.fail_run = engine.runs + 1;
    assert_int_equal(vt_classify(classifier, cuttings, 6, numbers, done, &error), VULTUS_ERROR_BACKEND);
    for (int i = 0; i < 5; i++) vt_image_release(&crops[i]);
    vt_classifier_destroy(classifier);
    vt_classifier_destroy(NULL);
}

static void expect_refusal(struct vt_engine engine, double crop_scale, const char *words) {
    struct vt_classifier *classifier = NULL;
    struct vultus_error error;
    assert_int_equal(vt_classifier_create(&engine, NULL, crop_scale, &classifier, &error), VULTUS_ERROR_UNSUPPORTED);
    if (!strstr(error.text, words)) fail_msg("unexpected sentence: %s", error.text);
    assert_null(classifier);
}

static void test_refusals(void **state) {
    (void)state;
    struct vt_engine engine = mask_engine(1);
    engine.plan.model.function = "arcface";
    expect_refusal(engine, 0, "its function is \"arcface\"");
    engine = mask_engine(1);
    engine.outputs[0].dims[2] = 3;
    expect_refusal(engine, 0, "2 numbers are needed for mask");
    engine = mask_engine(1);
    engine.plan.model.function = "minifasnet";
    engine.outputs[0].dims[2] = 3;
    expect_refusal(engine, 0, "needs crop_scale");
}

/* ---------------------------------------------------------------- quality */

/* A rigid face of the template's proportions, turned in space and seen from afar: eyes one unit apart. */
static struct vt_face_box face_turned(double yaw, double pitch, double roll) {
    static const double points[5][3] = {
        {-0.5, 0, 0}, {0.5, 0, 0}, {0, 0.495 * 1.155, -0.4}, {-0.4, 1.155, 0}, {0.4, 1.155, 0}};
    struct vt_face_box face = {.box = {0, 0, 80, 100}};
    const double radian = 3.14159265358979 / 180;
    double a = yaw * radian, b = pitch * radian, c = roll * radian;
    for (int k = 0; k < 5; k++) {
        double x = points[k][0], y = points[k][1], z = points[k][2];
        double x1 = x * cos(a) - z * sin(a), z1 = x * sin(a) + z * cos(a);      /* about the vertical */
        double y2 = y * cos(b) - z1 * sin(b);                                   /* about the line of the eyes */
        face.landmarks[k][0] = (float)(300 + 40 * (x1 * cos(c) - y2 * sin(c))); /* in the picture's plane */
        face.landmarks[k][1] = (float)(200 + 40 * (x1 * sin(c) + y2 * cos(c)));
    }
    return face;
}

static struct vt_quality quality_of(
    const struct vt_face_box *face, const struct vt_image *crop, float norm, float typical) {
    struct vt_quality quality;
    vt_measure_quality(face, crop, norm, typical, &quality);
    return quality;
}

static void test_pose(void **state) {
    (void)state;
    struct vt_image crop;
    assert_int_equal(vt_image_create(VT_CROP_SIZE, VT_CROP_SIZE, &crop, NULL), VULTUS_OK);
    static const double angles[][3] = {
        {0, 0, 0}, {30, 0, 0}, {-45, 0, 0}, {0, 20, 0}, {0, -35, 0}, {0, 0, 90}, {25, 0, -120}, {0, 15, 60}};
    for (size_t i = 0; i < sizeof angles / sizeof *angles; i++) {
        struct vt_face_box face = face_turned(angles[i][0], angles[i][1], angles[i][2]);
        struct vt_quality q = quality_of(&face, &crop, 0, 0);
        assert_true(fabs(q.yaw - angles[i][0]) < 0.1 && fabs(q.pitch - angles[i][1]) < 0.1);
        assert_true(fabs(q.roll - angles[i][2]) < 0.1);
        double cosine = cos(angles[i][0] * 3.14159265 / 180) * cos(angles[i][1] * 3.14159265 / 180);
        assert_true(fabs(q.pose_part - cosine) < 1e-3);
    }
    struct vt_face_box odd = face_turned(0, 0, 0);
    memcpy(odd.landmarks[1], odd.landmarks[0], sizeof odd.landmarks[0]); /* eyes in one point */
    assert_true(quality_of(&odd, &crop, 0, 0).pose_part == 0);
    vt_image_release(&crop);
}

static void test_sharpness_and_parts(void **state) {
    (void)state;
    struct vt_image crop;
    assert_int_equal(vt_image_create(VT_CROP_SIZE, VT_CROP_SIZE, &crop, NULL), VULTUS_OK);
    struct vt_face_box face = face_turned(0, 0, 0); /* 80 x 100 */
    memset(crop.pixels, 90, crop.stride * VT_CROP_SIZE);
    struct vt_quality q = quality_of(&face, &crop, 12, 16);
    assert_true(q.sharpness == 0 && q.sharpness_part == 0 && q.overall == 0);
    assert_true(q.size == 80 && fabsf(q.size_part - 80 / 112.0f) < 1e-6f && q.norm == 12 && q.norm_part == 0.75f);
    /* A chessboard of 100 and 102: every Laplacian is 8 or -8, so their variance is 64. */
    for (int y = 0; y < VT_CROP_SIZE; y++)
        for (int x = 0; x < VT_CROP_SIZE; x++)
            memset(crop.pixels + (size_t)y * crop.stride + 3 * (size_t)x, 100 + 2 * ((x + y) % 2), 3);
    q = quality_of(&face, &crop, 20, 16);
    assert_true(fabsf(q.sharpness - 64) < 1e-3f && fabsf(q.sharpness_part - 64 / 164.0f) < 1e-5f && q.norm_part == 1);
    assert_true(fabs(q.overall - pow(80 / 112.0 * 64 / 164.0, 0.25)) < 1e-4);
    q = quality_of(&face, &crop, 20, 0); /* nobody measured the recogniser's norms */
    assert_true(isnan(q.norm_part) && fabs(q.overall - pow(80 / 112.0 * 64 / 164.0, 1 / 3.0)) < 1e-4);
    vt_image_release(&crop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_gender_and_age),
        cmocka_unit_test(test_liveness),
        cmocka_unit_test(test_scaled_boxes),
        cmocka_unit_test(test_scaled_boxes_stay_inside),
        cmocka_unit_test(test_batches_and_pixels),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_pose),
        cmocka_unit_test(test_sharpness_and_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
