/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "face/labels.h"

enum { FACES = 120, WIDTH = 900, HEIGHT = 700 };

static uint32_t next(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static struct vt_face_box make_face(float x, float y, float side) {
    struct vt_face_box face = {.box = {x, y, x + side, y + side}, .score = 0.8f};
    static const float places[VT_LANDMARKS][2] = {
        {0.3f, 0.4f}, {0.7f, 0.4f}, {0.5f, 0.6f}, {0.35f, 0.8f}, {0.65f, 0.8f}};
    for (int i = 0; i < VT_LANDMARKS; i++) {
        face.landmarks[i][0] = x + side * places[i][0];
        face.landmarks[i][1] = y + side * places[i][1];
    }
    return face;
}

static int overlap(const struct vt_area *a, double left, double top, double right, double bottom) {
    return a->left <= right && left <= a->right && a->top <= bottom && top <= a->bottom;
}

/* However dense the crowd: labels stay inside the picture and off other faces, their own face's features, and each
 * other. */
static void test_labels_hide_nothing(void **state) {
    (void)state;
    const struct vt_image picture = {.width = WIDTH, .height = HEIGHT};
    for (uint32_t seed = 1; seed < 20; seed++) {
        struct vt_face_box faces[FACES];
        struct vt_label placed[2 * FACES];
        struct vt_labels labels;
        uint32_t random = seed;
        int count = 0, n = 10 + (int)(seed * 6);
        for (int i = 0; i < n && i < FACES; i++)
            faces[i] = make_face((float)(next(&random) % WIDTH) - 20, (float)(next(&random) % HEIGHT) - 20,
                (float)(10 + next(&random) % 80));
        if (n > FACES) n = FACES;
        assert_true(vt_labels_init(&labels, &picture, faces, (size_t)n));
        for (int i = 0; i < n; i++)
            for (int edge = 0; edge < 2; edge++) {
                struct vt_label label;
                if (!vt_labels_place(&labels, (size_t)i, (enum vt_label_edge)edge, edge ? "112" : "0.87", &label))
                    continue;
                const struct vt_area *a = &label.area;
                assert_true(a->left >= 0 && a->top >= 0 && a->right < WIDTH && a->bottom < HEIGHT && label.size >= 7);
                for (int k = 0; k < n; k++) {
                    const float *b = faces[k].box, (*l)[2] = (const float(*)[2])faces[k].landmarks;
                    if (k != i)
                        assert_false(overlap(a, b[0], b[1], b[2], b[3]));
                    else
                        assert_false(overlap(a, l[0][0], l[0][1], l[4][0], l[4][1]));
                }
                for (int k = 0; k < count; k++)
                    assert_false(overlap(
                        a, placed[k].area.left, placed[k].area.top, placed[k].area.right, placed[k].area.bottom));
                placed[count++] = label;
            }
        if (seed == 1) assert_true(count >= n);
        vt_labels_fini(&labels);
    }
}

/* A face alone has its score right above its box and its width right below, larger in larger pictures. */
static void test_places_of_one_face(void **state) {
    (void)state;
    double sizes[2];
    for (int scale = 1; scale <= 2; scale++) {
        const struct vt_image picture = {.width = 600 * scale, .height = 400 * scale};
        struct vt_face_box face = make_face(200.0f * (float)scale, 100.0f * (float)scale, 90.0f * (float)scale);
        struct vt_labels labels;
        struct vt_label score, width;
        assert_true(vt_labels_init(&labels, &picture, &face, 1));
        assert_true(vt_labels_place(&labels, 0, VT_LABEL_TOP, "0.90", &score));
        assert_true(vt_labels_place(&labels, 0, VT_LABEL_BOTTOM, "90", &width));
        assert_true(score.area.bottom < face.box[1] && score.area.bottom > face.box[1] - 10 * scale);
        assert_true(width.area.top > face.box[3] && width.area.top < face.box[3] + 10 * scale);
        assert_true(score.area.left == face.box[0] && width.area.left == face.box[0]);
        sizes[scale - 1] = score.size;
        vt_labels_fini(&labels);
    }
    assert_true(sizes[1] > 1.8 * sizes[0]);
}

/* A face that fills the picture is labelled inside, off eyes and mouth. */
static void test_face_that_fills_the_picture(void **state) {
    (void)state;
    const struct vt_image picture = {.width = 200, .height = 200};
    struct vt_face_box face = make_face(-10, -10, 220);
    struct vt_labels labels;
    struct vt_label label;
    assert_true(vt_labels_init(&labels, &picture, &face, 1));
    assert_true(vt_labels_place(&labels, 0, VT_LABEL_TOP, "0.90", &label));
    assert_true(label.area.bottom < face.landmarks[0][1]);
    vt_labels_fini(&labels);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_hide_nothing),
        cmocka_unit_test(test_places_of_one_face),
        cmocka_unit_test(test_face_that_fills_the_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
