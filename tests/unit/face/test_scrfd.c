/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "face/family.h"

enum { STRIDE = 8, WIDTH = 32, HEIGHT = 16, ANCHORS = 2 * (WIDTH / STRIDE) * (HEIGHT / STRIDE) };

static float scores[ANCHORS], boxes[ANCHORS][4], landmarks[ANCHORS][10];

static int clear_heads(void **state) {
    (void)state;
    memset(scores, 0, sizeof scores);
    memset(boxes, 0, sizeof boxes);
    memset(landmarks, 0, sizeof landmarks);
    return 0;
}

static void decode_into(struct vt_face_list *list, float threshold, bool with_landmarks) {
    const struct vt_detector_layout layout = {.width = WIDTH,
        .height = HEIGHT,
        .anchors = 2,
        .n_levels = 1,
        .levels = {{STRIDE, 0, 1, VT_NO_OUTPUT, with_landmarks ? 2 : VT_NO_OUTPUT}}};
    float *const outputs[3] = {scores, boxes[0], landmarks[0]};
    assert_int_equal(vt_family_scrfd.decode(&layout, outputs, threshold, list, NULL), VULTUS_OK);
}

static struct vt_face_list decode(float threshold, bool with_landmarks) {
    struct vt_face_list list = {0};
    decode_into(&list, threshold, with_landmarks);
    return list;
}

/* Anchor 13: cell 6, column 2 of row 1, so its centre is (16, 8), the cell's corner. */
static void test_one_anchor(void **state) {
    (void)state;
    scores[13] = 0.75f;
    const float distances[4] = {1.5f, 0.25f, 2, 3};
    memcpy(boxes[13], distances, sizeof distances);
    for (int k = 0; k < 10; k++) landmarks[13][k] = 0.125f * (float)k - 0.5f;
    struct vt_face_list list = decode(0.6f, true);
    assert_int_equal(list.count, 1);
    const float expected[4] = {16 - 12, 8 - 2, 16 + 16, 8 + 24};
    assert_memory_equal(list.faces[0].box, expected, sizeof expected);
    assert_true(list.faces[0].score == 0.75f);
    for (int k = 0; k < 5; k++) {
        assert_true(list.faces[0].landmarks[k][0] == 16 + 8 * (0.25f * (float)k - 0.5f));
        assert_true(list.faces[0].landmarks[k][1] == 8 + 8 * (0.25f * (float)k - 0.375f));
    }
    vt_face_list_fini(&list);
}

static void test_both_anchors_share_the_centre(void **state) {
    (void)state;
    scores[2] = scores[3] = 0.9f;
    boxes[2][2] = boxes[3][2] = 1;
    struct vt_face_list list = decode(0.5f, false);
    assert_int_equal(list.count, 2);
    assert_memory_equal(list.faces[0].box, list.faces[1].box, sizeof list.faces[0].box);
    assert_true(list.faces[0].box[0] == 8 && list.faces[0].box[2] == 16);
    assert_true(list.faces[0].landmarks[0][0] == 0); /* without key points: zeros */
    vt_face_list_fini(&list);
}

static void test_threshold_is_strict(void **state) {
    (void)state;
    scores[0] = 0.6f;
    scores[1] = nextafterf(0.6f, 1);
    scores[5] = NAN;
    scores[6] = nextafterf(0.6f, 0);
    struct vt_face_list list = decode(0.6f, true);
    assert_int_equal(list.count, 1);
    assert_true(list.faces[0].score == scores[1]);
    vt_face_list_fini(&list);
    list = decode(-1, true); /* everything but the NaN */
    assert_int_equal(list.count, ANCHORS - 1);
    vt_face_list_fini(&list);
}

static void test_boxes_without_numbers_are_dropped(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) scores[i] = 0.9f;
    boxes[0][0] = NAN;
    boxes[1][3] = INFINITY;
    boxes[2][1] = 3e38f;   /* times the stride: infinite */
    landmarks[3][7] = NAN; /* the box is fine: aligning it will say what is wrong */
    struct vt_face_list list = decode(0.5f, true);
    assert_int_equal(list.count, 2);
    vt_face_list_fini(&list);
}

static void test_appends(void **state) {
    (void)state;
    scores[4] = 1;
    struct vt_face_list list = decode(0.5f, true);
    decode_into(&list, 0.5f, false);
    assert_int_equal(list.count, 2);
    vt_face_list_fini(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_anchor, clear_heads),
        cmocka_unit_test_setup(test_both_anchors_share_the_centre, clear_heads),
        cmocka_unit_test_setup(test_threshold_is_strict, clear_heads),
        cmocka_unit_test_setup(test_boxes_without_numbers_are_dropped, clear_heads),
        cmocka_unit_test_setup(test_appends, clear_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
