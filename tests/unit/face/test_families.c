/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "expected_families.h"
#include "face/family.h"

/* Those of expected_families.py. */
enum { WIDTH = 256, HEIGHT = 128, MOST_OUTPUTS = 16 };
static const float threshold = 0.992f;

/* The outputs of a network that was not run. */
struct outputs {
    struct vt_tensor shapes[MOST_OUTPUTS];
    float *data[MOST_OUTPUTS];
    uint32_t count;
};

static double noise(int seed, size_t i) {
    uint32_t v = (uint32_t)(i + (size_t)seed * 1000003) * 2654435761u;
    v ^= v >> 15;
    v *= 2246822519u;
    return (v >> 8) / 16777216.0;
}

/* Appends an output of noise in [least, least + range). */
static void add(struct outputs *o, int seed, double least, double range, int rank, const int64_t *dims) {
    struct vt_tensor *shape = &o->shapes[o->count];
    *shape = (struct vt_tensor){.dtype = VT_DTYPE_F32, .rank = rank};
    memcpy(shape->dims, dims, (size_t)rank * sizeof *dims);
    size_t count = (size_t)vt_tensor_count(shape);
    float *data = malloc(count * sizeof *data);
    assert_non_null(data);
    for (size_t i = 0; i < count; i++) data[i] = (float)(least + range * noise(seed, i));
    o->data[o->count++] = data;
}

static void add_maps(struct outputs *o, int seed, double least, double range, int64_t channels, int stride) {
    add(o, seed, least, range, 4, (int64_t[]){1, channels, HEIGHT / stride, WIDTH / stride});
}

static void release(struct outputs *o) {
    for (uint32_t i = 0; i < o->count; i++) free(o->data[i]);
    *o = (struct outputs){0};
}

static void reverse(struct outputs *o) {
    for (uint32_t i = 0, j = o->count - 1; i < j; i++, j--) {
        struct vt_tensor shape = o->shapes[i];
        float *data = o->data[i];
        o->shapes[i] = o->shapes[j];
        o->data[i] = o->data[j];
        o->shapes[j] = shape;
        o->data[j] = data;
    }
}

static enum vultus_status bind(const struct vt_detector_family *family, const struct outputs *o,
    struct vt_detector_layout *layout, struct vultus_error *error) {
    struct vt_detector_shape shape = {"noise", WIDTH, HEIGHT, o->shapes, o->count};
    return family->bind(&shape, layout, error);
}

static void expect(const struct vt_detector_family *family, const struct outputs *o, const double (*faces)[15],
    size_t count, bool landmarks) {
    struct vt_detector_layout layout;
    struct vultus_error error;
    struct vt_face_list list = {0};
    if (bind(family, o, &layout, &error)) fail_msg("%s", error.text);
    assert_int_equal(layout.landmarks, landmarks);
    assert_int_equal(family->decode(&layout, o->data, threshold, &list, NULL), VULTUS_OK);
    assert_int_equal(list.count, count);
    for (size_t i = 0; i < count; i++) {
        const struct vt_face_box *face = &list.faces[i];
        assert_true(fabs(face->score - faces[i][0]) < 1e-6);
        for (int k = 0; k < 4; k++) assert_true(fabs(face->box[k] - faces[i][1 + k]) < 2e-3);
        for (int k = 0; k < 10; k++)
            assert_true(fabs(face->landmarks[k / 2][k % 2] - (landmarks ? faces[i][5 + k] : 0)) < 2e-3);
    }
    vt_face_list_fini(&list);
}
#define EXPECT(family, outputs, faces, landmarks)                                                                      \
    expect(family, outputs, faces, sizeof(faces) / sizeof *(faces), landmarks)

/* SCRFD's heads as exporters write them. */
enum axes { BATCH_AXIS = 1, FLAT_SCORES = 2, NO_KEY_POINTS = 4, GROUPED = 8 };

static void add_head(struct outputs *o, int level, int kind, int anchors, unsigned axes) {
    static const int columns[] = {1, 4, 10};
    int stride = 8 << level;
    int64_t rows = (int64_t)anchors * (HEIGHT / stride) * (WIDTH / stride);
    bool batch = axes & BATCH_AXIS;
    int rank = 2 + batch - (kind == 0 && axes & FLAT_SCORES);
    const int64_t dims[] = {batch ? 1 : rows, batch ? rows : columns[kind], columns[kind]};
    add(o, 3 * level + kind, kind == 2 ? -1 : 0, kind == 2 ? 2 : 1, rank, dims);
}

static struct outputs scrfd_outputs(int levels, int anchors, unsigned axes) {
    struct outputs o = {0};
    int kinds = axes & NO_KEY_POINTS ? 2 : 3;
    for (int i = 0; i < levels * kinds; i++)
        add_head(&o, axes & GROUPED ? i / kinds : i % levels, axes & GROUPED ? i % kinds : i / levels, anchors, axes);
    return o;
}

static void test_scrfd_layouts(void **state) {
    (void)state;
    for (unsigned axes = 0; axes < 16; axes++)
        for (int turned = 0; turned < 2; turned++) {
            struct outputs three = scrfd_outputs(3, 2, axes), five = scrfd_outputs(5, 1, axes);
            if (turned) reverse(&three), reverse(&five);
            EXPECT(&vt_family_scrfd, &three, expected_scrfd, !(axes & NO_KEY_POINTS));
            EXPECT(&vt_family_scrfd, &five, expected_scrfd_five, !(axes & NO_KEY_POINTS));
            release(&three);
            release(&five);
        }
}

static struct outputs retinaface_outputs(bool masks) {
    struct outputs o = {0};
    for (int level = 0; level < 3; level++) {
        add_maps(&o, 3 * level, 0, 1, 4, 32 >> level);
        add_maps(&o, 3 * level + 1, -1, 2, 8, 32 >> level);
        add_maps(&o, 3 * level + 2, -1, 2, 20, 32 >> level);
        if (masks) add_maps(&o, 99, 0, 1, 6, 32 >> level);
    }
    return o;
}

static void test_retinaface(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct outputs o = retinaface_outputs(i & 1);
        if (i & 2) reverse(&o);
        EXPECT(&vt_family_retinaface, &o, expected_retinaface, true);
        EXPECT(&vt_family_retinaface_l, &o, expected_retinaface_l, true);
        release(&o);
    }
}

static void test_retinaface_torch(void **state) {
    (void)state;
    int64_t rows = 2 * (HEIGHT / 8 * (WIDTH / 8) + HEIGHT / 16 * (WIDTH / 16) + HEIGHT / 32 * (WIDTH / 32));
    for (int i = 0; i < 4; i++) {
        static const int columns[] = {4, 2, 10};
        struct outputs o = {0};
        for (int k = 0; k < 3; k++)
            add(&o, k, k == 1 ? 0 : -1, k == 1 ? 1 : 2, i & 1 ? 2 : 3,
                i & 1 ? (int64_t[]){rows, columns[k]} : (int64_t[]){1, rows, columns[k]});
        if (i & 2) reverse(&o);
        EXPECT(&vt_family_retinaface_torch, &o, expected_retinaface_torch, true);
        release(&o);
    }
}

static struct outputs centerface_outputs(void) {
    struct outputs o = {0};
    add_maps(&o, 0, 0, 1, 1, 4);
    add_maps(&o, 1, 0, 2, 2, 4);
    add_maps(&o, 2, -1, 2, 2, 4);
    add_maps(&o, 3, 0, 1, 10, 4);
    return o;
}

static void test_centerface(void **state) {
    (void)state;
    struct outputs o = centerface_outputs();
    EXPECT(&vt_family_centerface, &o, expected_centerface, true);
    release(&o);
}

static struct outputs yolo_outputs(void) {
    struct outputs o = {0};
    int64_t rows = 3 * (HEIGHT / 8 * (WIDTH / 8) + HEIGHT / 16 * (WIDTH / 16) + HEIGHT / 32 * (WIDTH / 32));
    add(&o, 0, 0, 1, 3, (int64_t[]){1, rows, 16});
    /* Fractions of the picture become pixels: x, y, width, height, and after objectness x, y of each landmark. */
    for (int64_t i = 0; i < rows; i++)
        for (int k = 0; k < 15; k++)
            if (k != 4) o.data[0][16 * i + k] *= (k < 4 ? k % 2 : (k + 1) % 2) ? HEIGHT : WIDTH;
    return o;
}

static void test_yolov5face(void **state) {
    (void)state;
    struct outputs o = yolo_outputs();
    EXPECT(&vt_family_yolov5face, &o, expected_yolov5face, true);
    release(&o);
}

/* By hand: the anchor (-24, -24, 39, 39) of stride 16 in the cell of column 2 and row 1, moved by a quarter of its side
 * to the right and made twice as wide. */
static void test_retinaface_by_hand(void **state) {
    (void)state;
    struct outputs o = retinaface_outputs(false);
    for (uint32_t i = 0; i < o.count; i++) memset(o.data[i], 0, (size_t)vt_tensor_count(&o.shapes[i]) * sizeof(float));
    size_t plane = HEIGHT / 16 * (WIDTH / 16), cell = 1 * (WIDTH / 16) + 2;
    o.data[3][3 * plane + cell] = threshold; /* a face of the second anchor; equal to the threshold is enough */
    o.data[4][4 * plane + cell] = 0.25f;
    o.data[4][6 * plane + cell] = logf(2);
    o.data[5][(10 + 9) * plane + cell] = 0.5f; /* y of the right corner of the mouth */
    struct vt_detector_layout layout;
    struct vt_face_list list = {0};
    assert_int_equal(bind(&vt_family_retinaface_l, &o, &layout, NULL), VULTUS_OK);
    assert_int_equal(vt_family_retinaface_l.decode(&layout, o.data, threshold, &list, NULL), VULTUS_OK);
    assert_int_equal(list.count, 1);
    /* side 64, centre (7.5 + 32, 7.5 + 16) */
    const double box[4] = {39.5 + 16 - 63.5, 23.5 - 31.5, 39.5 + 16 + 63.5, 23.5 + 31.5};
    for (int k = 0; k < 4; k++) assert_true(fabs(list.faces[0].box[k] - box[k]) < 1e-3);
    assert_true(list.faces[0].landmarks[4][0] == 39.5f);
    assert_true(fabs(list.faces[0].landmarks[4][1] - (23.5 + 0.1 * 64)) < 1e-4);
    vt_face_list_fini(&list);
    release(&o);
}

/* By hand: a box of 8 x 16 around (2, 126), which the picture's corner cuts to (0, 118) - (8, 128). */
static void test_centerface_by_hand(void **state) {
    (void)state;
    struct outputs o = centerface_outputs();
    for (uint32_t i = 0; i < o.count; i++) memset(o.data[i], 0, (size_t)vt_tensor_count(&o.shapes[i]) * sizeof(float));
    size_t plane = HEIGHT / 4 * (WIDTH / 4), cell = 31 * (WIDTH / 4);
    o.data[0][cell] = 1;
    o.data[0][cell + 1] = threshold; /* equal to the threshold is not enough */
    o.data[1][cell] = logf(4);
    o.data[1][plane + cell] = logf(2);
    o.data[3][cell] = 0.5f;            /* y of the left eye: half of the height below the corner */
    o.data[3][3 * plane + cell] = 0.5; /* x of the right eye */
    struct vt_detector_layout layout;
    struct vt_face_list list = {0};
    assert_int_equal(bind(&vt_family_centerface, &o, &layout, NULL), VULTUS_OK);
    assert_int_equal(vt_family_centerface.decode(&layout, o.data, threshold, &list, NULL), VULTUS_OK);
    assert_int_equal(list.count, 1);
    const double box[4] = {0, 118, 8, 128};
    for (int k = 0; k < 4; k++) assert_true(fabs(list.faces[0].box[k] - box[k]) < 1e-4);
    assert_true(fabs(list.faces[0].landmarks[0][1] - 126) < 1e-4 && list.faces[0].landmarks[0][0] == 0);
    assert_true(fabs(list.faces[0].landmarks[1][0] - 4) < 1e-4);
    vt_face_list_fini(&list);
    release(&o);
}

/* Whatever a network says, every box that is let through is finite. */
static void test_numbers_that_are_none(void **state) {
    (void)state;
    static const struct vt_detector_family *const families[] = {
        &vt_family_scrfd, &vt_family_retinaface, &vt_family_centerface, &vt_family_yolov5face};
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 100, 1, 0};
    for (int f = 0; f < 4; f++) {
        struct outputs o = f == 0   ? scrfd_outputs(3, 2, 0)
                           : f == 1 ? retinaface_outputs(true)
                           : f == 2 ? centerface_outputs()
                                    : yolo_outputs();
        for (uint32_t i = 0; i < o.count; i++)
            for (int64_t k = 0; k < vt_tensor_count(&o.shapes[i]); k++)
                o.data[i][k] = odd[(size_t)(noise(7 + (int)i, (size_t)k) * 8)];
        struct vt_detector_layout layout;
        struct vt_face_list list = {0};
        assert_int_equal(bind(families[f], &o, &layout, NULL), VULTUS_OK);
        assert_int_equal(families[f]->decode(&layout, o.data, 0.5f, &list, NULL), VULTUS_OK);
        assert_true(list.count > 0);
        for (size_t i = 0; i < list.count; i++)
            for (int k = 0; k < 4; k++) assert_true(isfinite(list.faces[i].box[k]));
        vt_face_list_fini(&list);
        release(&o);
    }
}

static void expect_refusal(const struct vt_detector_family *family, struct outputs *o, const char *words) {
    struct vt_detector_layout layout;
    struct vultus_error error;
    assert_int_equal(bind(family, o, &layout, &error), VULTUS_ERROR_UNSUPPORTED);
    if (!strstr(error.text, words)) fail_msg("unexpected sentence: %s", error.text);
    release(o);
}

static void test_refusals(void **state) {
    (void)state;
    struct outputs o = retinaface_outputs(true);
    o.shapes[5].dims[1] = 5;
    expect_refusal(&vt_family_retinaface, &o, "no output has 8 maps of 16 x 8 for stride 16 at 256x128");
    o = centerface_outputs();
    o.shapes[2].dims[1] = 3;
    expect_refusal(&vt_family_centerface, &o, "a quarter of 256x128");
    o = yolo_outputs();
    o.shapes[0].dims[2] = 15;
    expect_refusal(&vt_family_yolov5face, &o, "rows of 16 numbers");
    o = scrfd_outputs(5, 1, 0);
    struct vt_detector_shape odd = {"noise", 250, 128, o.shapes, o.count};
    struct vt_detector_layout layout;
    struct vultus_error error;
    assert_int_equal(vt_family_scrfd.bind(&odd, &layout, &error), VULTUS_ERROR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "multiples of 128"));
    release(&o);
}

static void test_names(void **state) {
    (void)state;
    assert_true(
        vt_family_find("scrfd") == &vt_family_scrfd && vt_family_find("retinaface_l") == &vt_family_retinaface_l);
    assert_null(vt_family_find("arcface"));
    assert_null(vt_family_find(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scrfd_layouts),
        cmocka_unit_test(test_retinaface),
        cmocka_unit_test(test_retinaface_torch),
        cmocka_unit_test(test_centerface),
        cmocka_unit_test(test_yolov5face),
        cmocka_unit_test(test_retinaface_by_hand),
        cmocka_unit_test(test_centerface_by_hand),
        cmocka_unit_test(test_numbers_that_are_none),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
