/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "face/face.h"

static void push(struct vt_face_list *list, float x1, float y1, float x2, float y2, float score) {
    const struct vt_face_box face = {.box = {x1, y1, x2, y2}, .score = score};
    assert_int_equal(vt_face_list_push(list, &face, NULL), VULTUS_OK);
}

static size_t kept_of_two(const float a[4], const float b[4], float threshold) {
    struct vt_face_list list = {0};
    push(&list, a[0], a[1], a[2], a[3], 0.9f);
    push(&list, b[0], b[1], b[2], b[3], 0.8f);
    assert_int_equal(vt_nms(&list, threshold, NULL), VULTUS_OK);
    assert_true(list.faces[0].score == 0.9f);
    size_t count = list.count;
    vt_face_list_fini(&list);
    return count;
}

static void test_overlap_counts_whole_pixels(void **state) {
    (void)state;
    /* 10 x 10 and 10 x 10 pixels, 10 x 5 in common: 50 of 150. Without the +1 it would be 9 * 4 of 126 = 0.286. */
    const float upper[4] = {0, 0, 9, 9}, lower[4] = {0, 5, 9, 14};
    assert_int_equal(kept_of_two(upper, lower, 50.0f / 150), 2); /* equal is kept */
    assert_int_equal(kept_of_two(upper, lower, 0.3333f), 1);
    assert_int_equal(kept_of_two(upper, lower, 0.34f), 2);
    const float beside[4] = {10, 0, 19, 9}, touching[4] = {9, 0, 18, 9}; /* one column in common */
    assert_int_equal(kept_of_two(upper, beside, 0), 2);
    assert_int_equal(kept_of_two(upper, touching, 0), 1);
    assert_int_equal(kept_of_two(upper, touching, 10.0f / 190), 2);
    assert_int_equal(kept_of_two(upper, upper, 0.99f), 1);
    assert_int_equal(kept_of_two(upper, upper, 1), 2);
}

static void test_chain_is_greedy(void **state) {
    (void)state;
    struct vt_face_list list = {0};
    /* The middle box overlaps both others; it is gone before it could remove the third. */
    push(&list, 8, 0, 17, 9, 0.5f);
    push(&list, 0, 0, 9, 9, 0.9f);
    push(&list, 4, 0, 13, 9, 0.7f);
    assert_int_equal(vt_nms(&list, 0.3f, NULL), VULTUS_OK);
    assert_int_equal(list.count, 2);
    assert_true(list.faces[0].score == 0.9f && list.faces[1].score == 0.5f);
    vt_face_list_fini(&list);
}

static void test_order(void **state) {
    (void)state;
    struct vt_face_list list = {0};
    const float scores[] = {0.5f, 0.9f, 0.5f, -1, 0.9f, 0, -0.0f};
    for (int i = 0; i < 7; i++) push(&list, 100.0f * i, 0, 100.0f * i + 5.0f + i, 9, scores[i]);
    assert_int_equal(vt_sort_faces(&list, VT_BY_SCORE, NULL), VULTUS_OK);
    const float by_score[] = {100, 400, 0, 200, 500, 600, 300}; /* ties as they came; 0 before -0 */
    for (int i = 0; i < 7; i++) assert_true(list.faces[i].box[0] == by_score[i]);
    assert_int_equal(vt_sort_faces(&list, VT_BY_AREA, NULL), VULTUS_OK);
    for (int i = 0; i < 7; i++) assert_true(list.faces[i].box[0] == 100.0f * (6 - i));
    vt_face_list_fini(&list);
}

/* The rule, in the plainest way, on boxes sorted by score. */
static size_t plain_nms(const struct vt_face_box *boxes, size_t n, float threshold, size_t *kept) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const float *a = boxes[i].box;
        bool keep = true;
        for (size_t k = 0; k < count && keep; k++) {
            const float *b = boxes[kept[k]].box;
            float w = fmaxf(0, fminf(a[2], b[2]) - fmaxf(a[0], b[0]) + 1);
            float h = fmaxf(0, fminf(a[3], b[3]) - fmaxf(a[1], b[1]) + 1);
            float union_area = (a[2] - a[0] + 1) * (a[3] - a[1] + 1) + (b[2] - b[0] + 1) * (b[3] - b[1] + 1) - w * h;
            keep = w * h / union_area <= threshold;
        }
        if (keep) kept[count++] = i;
    }
    return count;
}

static void test_random_boxes(void **state) {
    (void)state;
    enum { BOXES = 700 };
    uint32_t random = 1;
    for (int round = 0; round < 8; round++) {
        struct vt_face_list list = {0};
        for (int i = 0; i < BOXES; i++) {
            float v[5];
            for (int k = 0; k < 5; k++) {
                random = random * 1664525 + 1013904223;
                v[k] = (float)(random >> 8) / (1 << 24);
            }
            push(&list, 300 * v[0], 300 * v[1], 300 * v[0] + 60 * v[2], 300 * v[1] + 60 * v[3], v[4]);
        }
        assert_int_equal(vt_sort_faces(&list, VT_BY_SCORE, NULL), VULTUS_OK);
        struct vt_face_box boxes[BOXES];
        memcpy(boxes, list.faces, sizeof boxes);
        size_t kept[BOXES], count = plain_nms(boxes, BOXES, 0.1f * (float)round, kept);
        assert_int_equal(vt_nms(&list, 0.1f * (float)round, NULL), VULTUS_OK);
        assert_int_equal(list.count, count);
        for (size_t i = 0; i < count; i++) assert_memory_equal(&list.faces[i], &boxes[kept[i]], sizeof boxes[0]);
        vt_face_list_fini(&list);
    }
}

static void test_candidates_are_capped(void **state) {
    (void)state;
    struct vt_face_list list = {0};
    for (int i = 0; i < VT_NMS_CANDIDATES + 500; i++) push(&list, 20.0f * i, 0, 20.0f * i + 9, 9, (float)i);
    assert_int_equal(vt_nms(&list, 0.4f, NULL), VULTUS_OK);
    assert_int_equal(list.count, VT_NMS_CANDIDATES);
    assert_true(list.faces[0].score == VT_NMS_CANDIDATES + 499);
    assert_true(list.faces[list.count - 1].score == 500);
    vt_face_list_fini(&list);
}

static void test_strange_numbers(void **state) {
    (void)state;
    struct vt_face_list list = {0};
    assert_int_equal(vt_nms(&list, 0.4f, NULL), VULTUS_OK); /* empty */
    push(&list, NAN, 0, 5, 5, 0.5f);
    push(&list, 0, 0, 5, 5, NAN);
    push(&list, -3e38f, -3e38f, 3e38f, 3e38f, 0.9f);
    push(&list, 9, 9, 2, 2, 0.7f);
    push(&list, INFINITY, 0, INFINITY, 0, INFINITY);
    assert_int_equal(vt_nms(&list, 0.4f, NULL), VULTUS_OK);
    assert_in_range(list.count, 1, 5);
    vt_face_list_fini(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlap_counts_whole_pixels),
        cmocka_unit_test(test_chain_is_greedy),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_random_boxes),
        cmocka_unit_test(test_candidates_are_capped),
        cmocka_unit_test(test_strange_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
