/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/ops.h"
#include "noise.h"

static const struct vt_colour green = {0, 255, 0}, red = {0, 0, 255};

static struct vt_image black_picture(int width, int height) {
    struct vt_image picture;
    struct vultus_error error;
    if (vt_image_create(width, height, &picture, &error)) fail_msg("%s", error.text);
    return picture;
}

static const uint8_t *at(const struct vt_image *p, int x, int y) {
    return p->pixels + (size_t)y * p->stride + 3 * (size_t)x;
}

static int painted(const struct vt_image *p) {
    int count = 0;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) count += at(p, x, y)[0] || at(p, x, y)[1] || at(p, x, y)[2];
    return count;
}

static void test_rectangles(void **state) {
    (void)state;
    struct vt_image p = black_picture(40, 30);
    vt_draw_rectangle(&p, 5, 6, 14, 12, 1, green);
    assert_int_equal(painted(&p), 2 * 10 + 2 * 5);
    assert_int_equal(at(&p, 5, 6)[1], 255);
    assert_int_equal(at(&p, 14, 12)[1], 255);
    assert_int_equal(at(&p, 6, 7)[1], 0);
    vt_fill_rectangle(&p, 20, 20, 22, 21, red);
    assert_int_equal(painted(&p), 30 + 6);
    assert_int_equal(at(&p, 22, 21)[2], 255);
    vt_image_release(&p);

    p = black_picture(40, 30);
    vt_draw_rectangle(&p, 10, 10, 20, 20, 3, green); /* one pixel outside, one inside */
    assert_int_equal(painted(&p), 13 * 13 - 7 * 7);
    assert_int_equal(at(&p, 9, 9)[1], 255);
    assert_int_equal(at(&p, 12, 12)[1], 0);
    vt_image_release(&p);
}

static void test_clipping(void **state) {
    (void)state;
    struct vt_image p = black_picture(16, 16);
    vt_draw_rectangle(&p, INT_MIN, INT_MIN, INT_MAX, INT_MAX, INT_MAX, green);
    vt_draw_rectangle(&p, INT_MAX, INT_MAX, INT_MIN, INT_MIN, 1, green);
    vt_fill_rectangle(&p, INT_MIN, INT_MIN, INT_MAX, INT_MAX, red);
    assert_int_equal(painted(&p), 256);
    vt_draw_text(&p, INT_MIN, INT_MIN, 10, green, "far");
    vt_draw_text(&p, INT_MAX, INT_MAX, 10, green, "far");
    vt_draw_text(&p, -20, 8, 1e6, green, "large");
    vt_draw_text(&p, 0, 8, NAN, green, "nan");
    vt_draw_text(&p, 0, 8, -5, green, "negative");
    vt_draw_disc(&p, 1e300, -1e300, 1e300, green);
    vt_draw_disc(&p, NAN, 0, 3, green);
    vt_image_release(&p);

    p = black_picture(16, 16);
    vt_fill_rectangle(&p, 20, 0, 30, 5, red);
    vt_fill_rectangle(&p, 5, 0, 2, 5, red);
    vt_draw_rectangle(&p, 3, -4, 6, 40, 1, green); /* only the two upright sides are inside */
    assert_int_equal(painted(&p), 32);
    vt_image_release(&p);
}

static void test_disc(void **state) {
    (void)state;
    struct vt_image p = black_picture(41, 41);
    vt_draw_disc(&p, 20, 20, 10, red);
    double area = 0;
    for (int y = 0; y < 41; y++)
        for (int x = 0; x < 41; x++) {
            double distance = hypot(x - 20, y - 20);
            if (distance < 9) assert_int_equal(at(&p, x, y)[2], 255);
            if (distance > 11) assert_int_equal(at(&p, x, y)[2], 0);
            area += at(&p, x, y)[2] / 255.0;
        }
    assert_true(fabs(area - 314.16) < 3);
    vt_image_release(&p);
}

/* Every character differs from every other, has ink (the space apart) and stays inside its box. */
static void test_font(void **state) {
    (void)state;
    enum { SIZE = 24, WIDTH = 60, HEIGHT = 60, BASE = 40, LEFT = 10 };
    uint64_t checksums[128] = {0};
    for (char c = ' '; c <= '~'; c++) {
        const char text[2] = {c, '\0'};
        struct vt_image p = black_picture(WIDTH, HEIGHT);
        vt_draw_text(&p, LEFT, BASE, SIZE, green, text);
        assert_true(c == ' ' ? painted(&p) == 0 : painted(&p) >= 8);
        int right = LEFT + vt_text_width(SIZE, text) + 2;
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++)
                if (x < LEFT - 2 || x > right || y < BASE - SIZE - 2 || y > BASE + SIZE / 3 + 2)
                    assert_int_equal(at(&p, x, y)[1], 0);
        checksums[(int)c] = picture_checksum(&p);
        for (char other = ' '; other < c; other++) assert_true(checksums[(int)other] != checksums[(int)c]);
        vt_image_release(&p);
    }
    assert_int_equal(vt_text_width(12, ""), 0);
    assert_true(vt_text_width(12, "MM") > 2 * vt_text_width(12, "M"));
}

static void test_unprintable_is_a_question_mark(void **state) {
    (void)state;
    struct vt_image a = black_picture(40, 30), b = black_picture(40, 30);
    vt_draw_text(&a, 2, 20, 12, red, "\xc3\x07");
    vt_draw_text(&b, 2, 20, 12, red, "\?\?");
    assert_same_picture(&a, &b);
    vt_image_release(&a);
    vt_image_release(&b);
}

static void test_outline(void **state) {
    (void)state;
    struct vt_image plain = black_picture(80, 30), outlined = black_picture(80, 30);
    vt_draw_text(&plain, 4, 22, 14, green, "w:58");
    vt_draw_outlined_text(&outlined, 4, 22, 14, green, red, "w:58");
    assert_true(painted(&outlined) > painted(&plain));
    for (int y = 0; y < 30; y++)
        for (int x = 0; x < 80; x++)
            if (at(&plain, x, y)[1] == 255) assert_int_equal(at(&outlined, x, y)[1], 255);
    vt_image_release(&plain);
    vt_image_release(&outlined);
}

static void test_paste(void **state) {
    (void)state;
    struct vt_image source = noise_picture(5, 4), target = black_picture(10, 10);
    static const int places[][2] = {{3, 3}, {-2, -1}, {8, 8}, {50, 0}, {0, -50}, {INT_MAX, INT_MIN}, {-5, 0}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        memset(target.pixels, 0, 10 * target.stride);
        vt_copy_image(&source, &target, places[i][0], places[i][1]);
        for (int y = 0; y < 10; y++)
            for (int x = 0; x < 10; x++) {
                long long sx = (long long)x - places[i][0], sy = (long long)y - places[i][1];
                bool covered = sx >= 0 && sx < 5 && sy >= 0 && sy < 4;
                static const uint8_t none[3];
                assert_memory_equal(at(&target, x, y), covered ? at(&source, (int)sx, (int)sy) : none, 3);
            }
    }
    vt_image_release(&source);
    vt_image_release(&target);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rectangles),
        cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_disc),
        cmocka_unit_test(test_font),
        cmocka_unit_test(test_unprintable_is_a_question_mark),
        cmocka_unit_test(test_outline),
        cmocka_unit_test(test_paste),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
