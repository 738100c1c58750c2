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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recognition)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
