/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "face/detector_internal.h"
#include "fake_engine.h"

enum { SIDE = 64 };

/* Heads in a muddled order: the detector has to find them by their shapes. */
static const struct {
    int stride, columns;
} heads[9] = {{32, 10}, {8, 4}, {16, 1}, {8, 1}, {32, 4}, {16, 10}, {32, 1}, {8, 10}, {16, 4}};

static int anchors(int stride) { return 2 * (SIDE / stride) * (SIDE / stride); }

/* A face that the fake network finds when it sees a white pixel at (x, y): in pixels of the network's input. */
struct planted {
    int x, y;
    float size, score;
};
static struct planted planted[8];
static int n_planted;

static void plant(int x, int y, float size, float score) { planted[n_planted++] = (struct planted){x, y, size, score}; }

/* Where the white pixel is seen, the anchor of stride 8 over it reports a square around its centre. */
static void find_planted(struct vt_engine *engine, const float *input, float *const *outputs) {
    float *by_columns[11] = {0};
    for (uint32_t i = 0; i < engine->plan.n_outputs; i++) {
        memset(outputs[i], 0, (size_t)vt_tensor_count(&engine->outputs[i]) * sizeof(float));
        if (heads[i].stride == 8) by_columns[heads[i].columns] = outputs[i];
    }
    for (int i = 0; i < n_planted; i++) {
        const struct planted *p = &planted[i];
        if (input[p->y * SIDE + p->x] < 0.9f) continue;
        int anchor = 2 * (p->y / 8 * (SIDE / 8) + p->x / 8);
        while (by_columns[1][anchor] > 0) anchor++;
        by_columns[1][anchor] = p->score;
        for (int k = 0; k < 4; k++) by_columns[4][4 * anchor + k] = p->size / 2 / 8;
        for (int k = 0; by_columns[10] && k < 10; k++) by_columns[10][10 * anchor + k] = 0.125f * (float)k;
    }
}

static struct vt_engine scrfd_engine(bool batch_axis) {
    struct vt_engine engine = fake_engine(SIDE, SIDE, 4);
    engine.batch_axis = batch_axis;
    engine.run = find_planted;
    for (int i = 0; i < 9; i++) fake_output(&engine, anchors(heads[i].stride), heads[i].columns);
    return engine;
}

static struct vt_detector *detector_of(struct vt_engine *engine) {
    struct vt_detector *detector;
    struct vultus_error error;
    if (vt_detector_create(engine, NULL, &detector, &error)) fail_msg("%s", error.text);
    return detector;
}

static struct vt_image white_picture(int width, int height) {
    struct vt_image picture;
    assert_int_equal(vt_image_create(width, height, &picture, NULL), VULTUS_OK);
    memset(picture.pixels, 255, picture.stride * (size_t)height);
    return picture;
}

static struct vt_face_list detect(
    struct vt_detector *detector, const struct vt_image *picture, struct vt_detect_options options, double *scale) {
    struct vt_face_list list = {0};
    struct vultus_error error;
    if (options.threshold == 0) options.threshold = 0.5f;
    if (vt_detect(detector, picture, NULL, &options, &list, scale, NULL, &error)) fail_msg("%s", error.text);
    return list;
}

static int forget_planted(void **state) {
    (void)state;
    n_planted = 0;
    return 0;
}

static void test_reprojection(void **state) {
    (void)state;
    plant(24, 16, 12, 0.75f);
    for (int batch_axis = 0; batch_axis < 2; batch_axis++) {
        struct vt_engine engine = scrfd_engine(batch_axis);
        struct vt_detector *detector = detector_of(&engine);
        struct vt_image picture = white_picture(256, 128); /* scale 1/4 */
        double scale;
        struct vt_face_list list = detect(detector, &picture, (struct vt_detect_options){0}, &scale);
        assert_true(scale == 0.25);
        assert_int_equal(list.count, 1);
        assert_int_equal(list.faces[0].pass, VT_PASS_PLAIN);
        const float box[4] = {4 * (24 - 6), 4 * (16 - 6), 4 * (24 + 6), 4 * (16 + 6)};
        assert_memory_equal(list.faces[0].box, box, sizeof box);
        for (int k = 0; k < 5; k++) {
            assert_true(list.faces[0].landmarks[k][0] == 4 * (24 + 8 * 0.25f * (float)k));
            assert_true(list.faces[0].landmarks[k][1] == 4 * (16 + 8 * (0.25f * (float)k + 0.125f)));
        }
        vt_face_list_fini(&list);
        vt_image_release(&picture);
        vt_detector_destroy(detector);
    }
}

static void test_nms_across_anchors(void **state) {
    (void)state;
    plant(24, 16, 24, 0.6f);
    plant(24, 16, 24, 0.9f);
    plant(56, 16, 8, 0.7f);
    struct vt_engine engine = scrfd_engine(true);
    struct vt_detector *detector = detector_of(&engine);
    struct vt_image picture = white_picture(SIDE, SIDE);
    struct vt_face_list list = detect(detector, &picture, (struct vt_detect_options){0}, NULL);
    assert_int_equal(list.count, 2);
    assert_true(list.faces[0].score == 0.9f && list.faces[1].score == 0.7f);
    vt_face_list_fini(&list);
    list = detect(detector, &picture, (struct vt_detect_options){.nms_threshold = 1}, NULL);
    assert_int_equal(list.count, 3);
    vt_face_list_fini(&list);
    vt_image_release(&picture);
    vt_detector_destroy(detector);
}

static void test_limit_and_size(void **state) {
    (void)state;
    plant(8, 8, 10, 0.9f);
    plant(40, 8, 20, 0.8f);
    plant(8, 40, 14, 0.7f);
    struct vt_engine engine = scrfd_engine(true);
    struct vt_detector *detector = detector_of(&engine);
    struct vt_image picture = white_picture(2 * SIDE, 2 * SIDE);
    /* Three faces, limit three: nothing is cut, so the order stays that of the scores. */
    struct vt_face_list list = detect(detector, &picture, (struct vt_detect_options){.limit_faces = 3}, NULL);
    assert_int_equal(list.count, 3);
    assert_true(list.faces[0].score == 0.9f && list.faces[2].score == 0.7f);
    vt_face_list_fini(&list);
    list = detect(detector, &picture, (struct vt_detect_options){.limit_faces = 2}, NULL);
    assert_int_equal(list.count, 2); /* the largest first */
    assert_true(list.faces[0].score == 0.8f && list.faces[1].score == 0.7f);
    vt_face_list_fini(&list);
    /* Widths in the picture are 20, 40, 28: the smallest allowed is kept. */
    list = detect(detector, &picture, (struct vt_detect_options){.min_face_size = 28}, NULL);
    assert_int_equal(list.count, 2);
    assert_true(list.faces[0].score == 0.8f && list.faces[1].score == 0.7f);
    vt_face_list_fini(&list);
    list = detect(detector, &picture, (struct vt_detect_options){.min_face_size = 29}, NULL);
    assert_int_equal(list.count, 1);
    vt_face_list_fini(&list);
    /* The limit comes first: of the largest two, those that are large enough. */
    list = detect(detector, &picture, (struct vt_detect_options){.limit_faces = 2, .min_face_size = 29}, NULL);
    assert_int_equal(list.count, 1);
    vt_face_list_fini(&list);
    vt_image_release(&picture);
    vt_detector_destroy(detector);
}

/* Seen with its margin, the picture of 64 x 48 spans (32, 24) to (96, 72) of 128 x 96, at half size. */
static void test_margin_pass(void **state) {
    (void)state;
    plant(31, 30, 8, 0.9f);
    struct vt_engine engine = scrfd_engine(true);
    struct vt_detector *detector = detector_of(&engine);
    struct vt_image picture = white_picture(64, 48);
    memset(picture.pixels + 30 * picture.stride, 0, picture.stride); /* the plain pass sees black there */
    struct vt_face_list list = detect(detector, &picture, (struct vt_detect_options){.robust = VT_ROBUST_OFF}, NULL);
    assert_int_equal(list.count, 0);
    assert_int_equal(engine.runs, 1);
    vt_face_list_fini(&list);
    double scale;
    list = detect(detector, &picture, (struct vt_detect_options){.robust = VT_ROBUST_AUTO}, &scale);
    assert_int_equal(list.count, 1);
    assert_int_equal(engine.runs, 3);
    assert_true(scale == 0.5);
    assert_int_equal(list.faces[0].pass, VT_PASS_MARGIN);
    const float box[4] = {2 * (24 - 4) - 32, 2 * (24 - 4) - 24, 2 * (24 + 4) - 32, 2 * (24 + 4) - 24};
    assert_memory_equal(list.faces[0].box, box, sizeof box);
    assert_true(list.faces[0].landmarks[0][0] == 2 * 24 - 32 && list.faces[0].landmarks[0][1] == 2 * 25 - 24);
    vt_face_list_fini(&list);

    n_planted = 0; /* nothing in any of the eight looks: the plain scale is told */
    list = detect(detector, &picture, (struct vt_detect_options){.robust = VT_ROBUST_AUTO}, &scale);
    assert_int_equal(list.count, 0);
    assert_int_equal(engine.runs, 3 + 8);
    assert_true(scale == 1);
    vt_face_list_fini(&list);
    vt_image_release(&picture);
    vt_detector_destroy(detector);
}

/* A black picture with one white pixel, seen in each turn at another place: a face is planted where one turn sees it.
 */
static void test_turned_passes(void **state) {
    (void)state;
    enum { WIDTH = 64, HEIGHT = 48, X = 10, Y = 40, LAST = SIDE - 1 };
    struct vt_engine engine = scrfd_engine(true);
    struct vt_detector *detector = detector_of(&engine);
    struct vt_image picture = white_picture(WIDTH, HEIGHT);
    memset(picture.pixels, 0, picture.stride * HEIGHT);
    memset(picture.pixels + Y * picture.stride + 3 * X, 255, 3);
    static const int seen_at[4][2] = {{X, Y}, {LAST - Y, X}, {LAST - X, LAST - Y}, {Y, LAST - X}};
    for (int turn = 1; turn < 4; turn++) {
        n_planted = 0;
        plant(seen_at[turn][0], seen_at[turn][1], 12, 0.8f);
        double scale;
        struct vt_face_list list =
            detect(detector, &picture, (struct vt_detect_options){.robust = VT_ROBUST_AUTO}, &scale);
        assert_int_equal(list.count, 1);
        const struct vt_face_box *face = &list.faces[0];
        assert_true(face->pass == VT_PASS_PLAIN && face->turn == 90 * turn && scale == 1);
        /* The anchor's centre, and the first landmark 1 pixel below it, turned back by hand. */
        float u = (float)(seen_at[turn][0] / 8 * 8), v = (float)(seen_at[turn][1] / 8 * 8);
        float x = turn == 1 ? v : turn == 2 ? LAST - u : LAST - v, y = turn == 1 ? LAST - u : turn == 2 ? LAST - v : u;
        const float box[4] = {x - 6, y - 6, x + 6, y + 6};
        assert_memory_equal(face->box, box, sizeof box);
        float dx = turn == 1 ? 1 : turn == 3 ? -1 : 0, dy = turn == 2 ? -1 : 0;
        assert_true(face->landmarks[0][0] == x + dx && face->landmarks[0][1] == y + dy);
        vt_face_list_fini(&list);
        list = detect(detector, &picture, (struct vt_detect_options){.robust = VT_ROBUST_OFF}, NULL);
        assert_int_equal(list.count, 0);
        vt_face_list_fini(&list);
    }
    vt_image_release(&picture);
    vt_detector_destroy(detector);
}

/* Found plainly and with the margin: FULL takes all looks and keeps the better of what overlaps. */
static void test_looks_are_merged(void **state) {
    (void)state;
    plant(24, 24, 20, 0.7f);
    struct vt_engine engine = scrfd_engine(true);
    struct vt_detector *detector = detector_of(&engine);
    struct vt_image picture = white_picture(SIDE, SIDE);
    struct vt_face_list list = detect(detector, &picture, (struct vt_detect_options){.robust = VT_ROBUST_FULL}, NULL);
    assert_int_equal(engine.runs, 8);
    /* In a white picture every look finds it: plain and turned 20 pixels around four centres, with margins 40 around
     * others. */
    assert_true(list.count > 1);
    for (size_t i = 0; i < list.count; i++)
        for (size_t k = 0; k < i; k++) {
            struct vt_face_list two = {.faces = (struct vt_face_box[]){list.faces[k], list.faces[i]}, .count = 2};
            assert_int_equal(vt_nms(&two, 0.4f, NULL), VULTUS_OK);
            assert_int_equal(two.count, 2);
        }
    vt_face_list_fini(&list);
    vt_image_release(&picture);
    vt_detector_destroy(detector);
}

static void test_plan_of_tiles(void **state) {
    (void)state;
    static const int sizes[][2] = {
        {64, 64}, {65, 64}, {64, 200}, {300, 40}, {500, 400}, {3000, 2000}, {32768, 1}, {1, 9999}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int width = sizes[s][0], height = sizes[s][1];
        struct vt_look tiles[VT_MOST_TILES];
        size_t count = vt_plan_tiles(width, height, 64, 64, tiles);
        if (width <= 64 && height <= 64) assert_int_equal(count, 0);
        if (width <= 64 && height <= 64) continue;
        assert_true(count >= 2 && count <= VT_MOST_TILES);
        uint8_t *covered = calloc((size_t)width, (size_t)height);
        assert_non_null(covered);
        for (size_t i = 0; i < count; i++) {
            const struct vt_look *t = &tiles[i];
            assert_true(t->x >= 0 && t->y >= 0 && t->x + t->width <= width && t->y + t->height <= height);
            for (int y = t->y; y < t->y + t->height; y++)
                memset(covered + (size_t)y * (size_t)width + t->x, 1, (size_t)t->width);
            /* Neighbours share a quarter. */
            bool last = t->x + t->width == width;
            if (!last) assert_true(tiles[i + 1].x - t->x <= t->width - t->width / 4);
        }
        for (size_t i = 0; i < (size_t)width * (size_t)height; i++) assert_true(covered[i]);
        free(covered);
    }
}

/* A white pixel that the plain look averages away, and what a tile's inner edge cuts. */
static void test_tiles(void **state) {
    (void)state;
    enum { WIDTH = 150, X = 90, Y = 20 };
    struct vt_engine engine = scrfd_engine(true);
    struct vt_detector *detector = detector_of(&engine);
    struct vt_image picture = white_picture(WIDTH, SIDE);
    memset(picture.pixels, 0, picture.stride * SIDE);
    memset(picture.pixels + Y * picture.stride + 3 * X, 255, 3);
    struct vt_look tiles[VT_MOST_TILES];
    assert_int_equal(vt_plan_tiles(WIDTH, SIDE, SIDE, SIDE, tiles), 3); /* from 0, 43 and 86 */
    assert_true(tiles[1].x == 43 && tiles[2].x == 86);
    plant(X - 43, Y, 10, 0.8f);
    struct vt_detect_options options = {.robust = VT_ROBUST_OFF};
    struct vt_face_list list = detect(detector, &picture, options, NULL);
    assert_int_equal(list.count, 0);
    vt_face_list_fini(&list);
    options.tile = true;
    double scale;
    list = detect(detector, &picture, options, &scale);
    assert_int_equal(list.count, 1);
    assert_true(list.faces[0].pass == VT_PASS_TILE && scale == 1);
    const float box[4] = {43 + 40 - 5, 16 - 5, 43 + 40 + 5, 16 + 5};
    assert_memory_equal(list.faces[0].box, box, sizeof box);
    vt_face_list_fini(&list);
    n_planted = 0;
    plant(X - 43, Y, 48, 0.8f); /* reaches beyond x = 43 + 64 - 2 */
    list = detect(detector, &picture, options, &scale);
    assert_int_equal(list.count, 0);
    vt_face_list_fini(&list);
    vt_image_release(&picture);
    vt_detector_destroy(detector);
}

/* A face dropped for its size was found all the same: no second look. */
static void test_small_face_is_no_reason_for_a_margin(void **state) {
    (void)state;
    plant(24, 16, 12, 0.75f);
    struct vt_engine engine = scrfd_engine(true);
    struct vt_detector *detector = detector_of(&engine);
    struct vt_image picture = white_picture(SIDE, SIDE);
    struct vt_face_list list =
        detect(detector, &picture, (struct vt_detect_options){.robust = VT_ROBUST_AUTO, .min_face_size = 50}, NULL);
    assert_int_equal(list.count, 0);
    assert_int_equal(engine.runs, 1);
    vt_face_list_fini(&list);
    vt_image_release(&picture);
    vt_detector_destroy(detector);
}

static void test_without_key_points(void **state) {
    (void)state;
    struct vt_engine engine = fake_engine(SIDE, SIDE, 1);
    static const int strides[] = {8, 16, 32};
    for (int i = 0; i < 3; i++) fake_output(&engine, anchors(strides[i]), 1);
    for (int i = 0; i < 3; i++) fake_output(&engine, anchors(strides[i]), 4);
    struct vt_detector *detector = detector_of(&engine);
    assert_false(vt_detector_has_landmarks(detector));
    int width, height;
    vt_detector_input_size(detector, &width, &height);
    assert_true(width == SIDE && height == SIDE);
    vt_detector_destroy(detector);
}

static void expect_refusal(struct vt_engine engine, const char *words) {
    struct vt_detector *detector = NULL;
    struct vultus_error error = {0};
    assert_true(vt_detector_create(&engine, NULL, &detector, &error) < 0);
    if (!strstr(error.text, words)) fail_msg("unexpected sentence: %s", error.text);
    assert_null(detector);
}

static void test_refusals(void **state) {
    (void)state;
    struct vt_engine engine = scrfd_engine(true);
    engine.outputs[1].dims[1] -= 1;
    expect_refusal(engine, "no output has 128 rows of 4 numbers for stride 8 at 64x64");
    engine = scrfd_engine(true);
    engine.outputs[0].dims[2] = 8;
    expect_refusal(engine, "key points for some strides only");
    engine = scrfd_engine(true);
    engine.outputs[2].dtype = VT_DTYPE_F16;
    expect_refusal(engine, "float32 is needed");
    engine = scrfd_engine(true);
    engine.input.dims[1] = 1;
    expect_refusal(engine, "pictures need float32[1,3,height,width]");
    engine = scrfd_engine(true);
    engine.plan.n_inputs = 2;
    expect_refusal(engine, "2 inputs");
    engine = scrfd_engine(true);
    engine.plan.model.std[1] = 0;
    expect_refusal(engine, "normalises channel 1");
    engine = scrfd_engine(true);
    engine.plan.model.channels = "yuv";
    expect_refusal(engine, "yuv");
    engine = scrfd_engine(true);
    engine.plan.model.channels = NULL;
    expect_refusal(engine, "rgb or bgr is needed");
}

static void test_failures_append_nothing(void **state) {
    (void)state;
    plant(24, 16, 12, 0.75f);
    struct vt_engine engine = scrfd_engine(true);
    struct vt_detector *detector = detector_of(&engine);
    struct vt_image picture = white_picture(SIDE, SIDE), sliver = white_picture(1, 1000);
    struct vt_detect_options options = {.threshold = 0.5f};
    struct vt_face_list list = {0};
    struct vultus_error error;
    assert_int_equal(vt_detect(detector, &picture, NULL, &options, &list, NULL, NULL, &error), VULTUS_OK);
    assert_int_equal(vt_detect(detector, &sliver, NULL, &options, &list, NULL, NULL, &error), VULTUS_ERROR_INVALID);
    assert_non_null(strstr(error.text, "1 x 1000"));
    engine.fail_run = engine.runs + 1;
    assert_int_equal(vt_detect(detector, &picture, NULL, &options, &list, NULL, NULL, &error), VULTUS_ERROR_BACKEND);
    assert_int_equal(list.count, 1);
    struct vt_detect_times times = {-1, -1, -1};
    assert_int_equal(vt_detect(detector, &picture, NULL, &options, &list, NULL, &times, &error), VULTUS_OK);
    assert_int_equal(list.count, 2); /* appended */
    assert_true(times.letterbox_ms >= 0 && times.network_ms >= 0 && times.decode_ms >= 0);
    vt_face_list_fini(&list);
    vt_image_release(&picture);
    vt_image_release(&sliver);
    vt_detector_destroy(detector);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reprojection, forget_planted),
        cmocka_unit_test_setup(test_nms_across_anchors, forget_planted),
        cmocka_unit_test_setup(test_limit_and_size, forget_planted),
        cmocka_unit_test_setup(test_margin_pass, forget_planted),
        cmocka_unit_test_setup(test_turned_passes, forget_planted),
        cmocka_unit_test_setup(test_looks_are_merged, forget_planted),
        cmocka_unit_test_setup(test_plan_of_tiles, forget_planted),
        cmocka_unit_test_setup(test_tiles, forget_planted),
        cmocka_unit_test_setup(test_small_face_is_no_reason_for_a_margin, forget_planted),
        cmocka_unit_test_setup(test_without_key_points, forget_planted),
        cmocka_unit_test_setup(test_refusals, forget_planted),
        cmocka_unit_test_setup(test_failures_append_nothing, forget_planted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
