/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "face/recognise.h"

static struct vt_tensor shape(int rank, int64_t a, int64_t b, int64_t c, int64_t d) {
    return (struct vt_tensor){.dtype = VT_DTYPE_F32, .rank = rank, .dims = {a, b, c, d}};
}

static const char *recognise(struct vt_tensor input, const struct vt_tensor *outputs, size_t n_outputs) {
    static struct vt_plan_model model;
    model = (struct vt_plan_model){0};
    vt_recognise_function(&input, 1, outputs, n_outputs, &model);
    assert_string_equal(model.origin, "shapes");
    if (strcmp(model.function, "scrfd") == 0) assert_true(model.mean[0] == 127.5f && model.std[2] == 128);
    if (strcmp(model.function, "arcface") == 0) assert_true(model.mean[0] == 127.5f && model.std[2] == 127.5f);
    if (*model.function) assert_string_equal(model.channels, "rgb");
    assert_true(model.std[0] > 0);
    return model.function;
}

static void test_recognition(void **state) {
    (void)state;
    struct vt_tensor heads[9], picture = shape(4, 1, 3, 640, 640), crop = shape(4, 1, 3, 112, 112);
    for (int i = 0; i < 9; i++) {
        static const int columns[] = {1, 4, 10};
        heads[i] = shape(2, 12800 >> 2 * (i % 3), columns[i / 3], 0, 0);
    }
    assert_string_equal(recognise(picture, heads, 9), "scrfd");
    assert_string_equal(recognise(picture, heads, 6), "scrfd");
    assert_string_equal(recognise(picture, heads, 8), "");
    assert_string_equal(recognise(picture, heads, 3), "");
    heads[4] = shape(3, 1, 3200, 4, 0); /* a batch axis here and there */
    assert_string_equal(recognise(picture, heads, 9), "scrfd");
    heads[4] = shape(2, 3200, 5, 0, 0);
    assert_string_equal(recognise(picture, heads, 9), "");

    struct vt_tensor embedding = shape(2, 1, 512, 0, 0), logits = shape(2, 1, 3, 0, 0), scalar = shape(0, 0, 0, 0, 0);
    assert_string_equal(recognise(crop, &embedding, 1), "arcface");
    assert_string_equal(recognise(crop, &logits, 1), "");
    assert_string_equal(recognise(crop, &scalar, 1), "");
    assert_string_equal(recognise(picture, &embedding, 1), "");
    assert_string_equal(recognise(shape(4, 1, 112, 112, 3), &embedding, 1), "");
    assert_string_equal(recognise(shape(4, 1, 3, 80, 80), &logits, 1), "");
}

static void expect_recognised(
    struct vt_tensor input, const struct vt_tensor *outputs, size_t n, struct vt_plan_model wanted) {
    struct vt_plan_model model = {0};
    vt_recognise_function(&input, 1, outputs, n, &model);
    assert_string_equal(model.function, wanted.function);
    assert_string_equal(model.channels, wanted.channels);
    assert_true(model.mean[1] == wanted.mean[1] && model.std[1] == wanted.std[1]);
}

static void test_other_families(void **state) {
    (void)state;
    struct vt_tensor picture = shape(4, 1, 3, 480, 640), crop = shape(4, 1, 3, 112, 112), maps[15];
    for (int i = 0; i < 12; i++) {
        static const int channels[] = {4, 8, 20, 6};
        maps[i] = shape(4, 1, channels[i / 3], 60 >> i % 3, 80 >> i % 3);
    }
    expect_recognised(
        picture, maps, 9, (struct vt_plan_model){.function = "retinaface", .channels = "rgb", .std = {1, 1}});
    expect_recognised(
        picture, maps, 12, (struct vt_plan_model){.function = "retinaface_l", .channels = "rgb", .std = {1, 1}});
    for (int i = 0; i < 4; i++) {
        static const int channels[] = {1, 2, 2, 10};
        maps[i] = shape(4, 1, channels[i], 120, 160);
    }
    expect_recognised(
        picture, maps, 4, (struct vt_plan_model){.function = "centerface", .channels = "rgb", .std = {1, 1}});
    struct vt_tensor priors[] = {shape(3, 1, 12600, 4, 0), shape(3, 1, 12600, 2, 0), shape(3, 1, 12600, 10, 0)};
    expect_recognised(picture, priors, 3,
        (struct vt_plan_model){
            .function = "retinaface_torch", .channels = "bgr", .mean = {104, 117, 123}, .std = {1, 1, 1}});
    struct vt_tensor rows = shape(3, 1, 18900, 16, 0);
    expect_recognised(
        picture, &rows, 1, (struct vt_plan_model){.function = "yolov5face", .channels = "rgb", .std = {1, 255}});
    for (int i = 0; i < 15; i++) maps[i] = shape(3, 1, 9, i < 5 ? 1 : i < 10 ? 4 : 10, 0);
    assert_string_equal(recognise(picture, maps, 15), "scrfd");
    assert_string_equal(recognise(picture, maps, 10), "scrfd");

    struct vt_tensor embedding[2] = {shape(2, 1, 512, 0, 0), shape(2, 1, 1, 0, 0)}, ages = shape(2, 1, 202, 0, 0);
    expect_recognised(crop, embedding, 2,
        (struct vt_plan_model){.function = "adaface", .channels = "bgr", .mean = {0, 127.5f}, .std = {1, 127.5f}});
    expect_recognised(
        crop, &ages, 1, (struct vt_plan_model){.function = "genderage", .channels = "rgb", .std = {1, 1}});
    struct vt_tensor masks = shape(2, 1, 2, 0, 0);
    expect_recognised(shape(4, 1, 224, 224, 3), &masks, 1,
        (struct vt_plan_model){.function = "mask", .channels = "bgr", .mean = {0, 127.5f}, .std = {1, 127.5f}});
    expect_recognised(
        shape(4, 1, 100, 100, 3), &masks, 1, (struct vt_plan_model){.function = "", .channels = "rgb", .std = {1, 1}});
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recognition), cmocka_unit_test(test_other_families)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
