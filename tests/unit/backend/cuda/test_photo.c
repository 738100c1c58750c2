/* SPDX-License-Identifier: Apache-2.0
 * What is done to pictures on a GPU, or on an emulated one, against what processors do: the letterbox and the warp byte
 * for byte, heads and suppression number for number, embeddings up to the order of their sums.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cuda/module/device.h"
#include "backend/cuda/module/kernels/photo.h"
#include "base/memory.h"
#include "face/detector_internal.h"
#include "image/ops.h"

static struct vultus_error failure;
#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        if (call) fail_msg("%s", failure.text);                                                                        \
    } while (0)

static uint32_t seed = 5;
static uint32_t next_number(void) { return (seed = seed * 1664525u + 1013904223u) >> 8; }
static float next_float(void) { return (float)next_number() * 0x1p-24f; }

/* ---------------------------------------------------------------- the device */

static struct vt_cuda_stream *stream;

static int open_stream(void **state) {
    (void)state;
    return vt_cuda_stream_create(&stream, &failure);
}

static int close_stream(void **state) {
    (void)state;
    vt_cuda_stream_destroy(stream);
    return 0;
}

static void *on_device(size_t bytes) {
    void *memory;
    MUST(vt_cuda_allocate(bytes, &memory, &failure));
    return memory;
}

static void *to_device(const void *from, size_t bytes) {
    void *memory = on_device(bytes);
    MUST(vt_cuda_copy(stream, memory, from, bytes, VT_CUDA_TO_DEVICE, &failure));
    MUST(vt_cuda_stream_wait(stream, &failure));
    return memory;
}

static void from_device(void *to, const void *memory, size_t bytes) {
    MUST(vt_cuda_copy(stream, to, memory, bytes, VT_CUDA_TO_HOST, &failure));
    MUST(vt_cuda_stream_wait(stream, &failure));
}

static void launched(int code) { MUST(vt_cuda_check(code, "a launch", &failure)); }
static void *native(void) { return vt_cuda_stream_native(stream); }

/* Of noise, dense. */
static struct vt_image make_picture(int width, int height) {
    struct vt_image picture;
    MUST(vt_image_create(width, height, &picture, &failure));
    assert_int_equal(picture.stride, 3 * (size_t)width);
    for (size_t i = 0; i < picture.stride * (size_t)height; i++) picture.pixels[i] = (uint8_t)next_number();
    return picture;
}

static struct vt_cuda_picture upload(const struct vt_image *picture) {
    return (struct vt_cuda_picture){
        to_device(picture->pixels, picture->stride * (size_t)picture->height), picture->width, picture->height};
}

/* ---------------------------------------------------------------- letterbox */

static const struct vt_normalisation normalisation = {
    .mean = {127.5f, 117, 104}, .inverse_std = {1 / 128.f, 1 / 127.5f, 0.017f}, .rgb = true};

/* Planes as the device makes them. */
static void letterbox_there(const struct vt_image *picture, const struct vt_look *look,
    const struct vt_letterbox *letterbox, int width, int height, float *planes) {
    struct vt_network network = {.width = width, .height = height, .normalisation = normalisation};
    size_t bytes = 3 * (size_t)width * (size_t)height * sizeof *planes;
    struct vt_cuda_letterbox told = {upload(picture), vt_photo_look_of(&network, look, letterbox), on_device(bytes)};
    launched(vt_cuda_launch_letterbox(&told, native()));
    from_device(planes, told.planes, bytes);
    vt_cuda_release((void *)told.picture.pixels);
    vt_cuda_release(told.planes);
}

/* Input (u, v) of a turned canvas: the rule as src/face/look.c states it. */
static float turned(const float *canvas, int width, int height, int turn, int u, int v) {
    switch (turn) {
    case 90: return canvas[(height - 1 - u) * width + v];
    case 180: return canvas[(height - 1 - v) * width + width - 1 - u];
    case 270: return canvas[u * width + width - 1 - v];
    default: return canvas[v * width + u];
    }
}

static void check_look(const struct vt_image *picture, const struct vt_look *look, int width, int height) {
    bool swapped = look->turn == 90 || look->turn == 270;
    int canvas_width = swapped ? height : width, canvas_height = swapped ? width : height;
    size_t plane = (size_t)width * (size_t)height;
    float *wanted = malloc(3 * plane * sizeof *wanted), *got = malloc(3 * plane * sizeof *got);
    struct vt_letterbox letterbox;
    const struct vt_image part = {picture->pixels + (size_t)look->y * picture->stride + 3 * (size_t)look->x,
        look->width, look->height, picture->stride};
    assert_true(wanted && got);
    MUST(vt_letterbox_to_planes(
        &part, look->margin, canvas_width, canvas_height, &normalisation, NULL, wanted, &letterbox, &failure));
    letterbox_there(picture, look, &letterbox, width, height, got);
    for (size_t k = 0; k < 3; k++)
        for (int v = 0; v < height; v++)
            for (int u = 0; u < width; u++) {
                float there = got[k * plane + (size_t)(v * width + u)];
                float here = turned(wanted + k * plane, canvas_width, canvas_height, look->turn, u, v);
                if (there != here)
                    fail_msg(
                        "a look of %d x %d at %d,%d (margin %g, turn %d) into %d x %d: %g instead of %g at %d,%d,%zu",
                        look->width, look->height, look->x, look->y, look->margin, look->turn, width, height,
                        (double)there, (double)here, u, v, k);
            }
    free(wanted);
    free(got);
}

static void test_letterbox(void **state) {
    (void)state;
    /* By whole factors, cut boxes among them; by others; enlarged, once beyond twice; as it is; very narrow. */
    static const int sizes[][2] = {{128, 96}, {127, 95}, {192, 61}, {193, 100}, {150, 150}, {77, 201}, {64, 40},
        {33, 64}, {31, 17}, {20, 9}, {1100, 700}, {1089, 64}, {4, 400}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct vt_image picture = make_picture(sizes[i][0], sizes[i][1]);
        for (int turn = 0; turn < 360; turn += 90)
            for (int margin = 0; margin < 2; margin++) {
                struct vt_look look = {
                    .turn = turn, .margin = margin * 0.5, .width = picture.width, .height = picture.height};
                if (i > 7 && turn) continue;
                if (i == 12 && margin) continue;
                check_look(&picture, &look, 64, i % 2 ? 96 : 64);
            }
        vt_image_release(&picture);
    }
}

static void test_tiles(void **state) {
    (void)state;
    struct vt_image picture = make_picture(300, 200);
    for (int i = 0; i < 8; i++) {
        struct vt_look look = {
            .pass = VT_PASS_TILE, .x = 13 * i, .y = 7 * i, .width = 64 + 20 * i, .height = 64 + 11 * i};
        check_look(&picture, &look, 64, 64);
    }
    vt_image_release(&picture);
}

/* ---------------------------------------------------------------- heads */

enum { MOST_OUTPUTS = 3 * VT_MOST_LEVELS };

struct heads {
    struct vt_detector_layout layout;
    float *outputs[MOST_OUTPUTS], *there[MOST_OUTPUTS];
    int64_t total;
};

/* Scores between 0 and 1, a part of them on a grid of a hundredth so that there are equal ones; boxes that overlap. */
static struct heads make_heads(int width, int height, int levels, bool landmarks) {
    struct heads h = {.layout = {.width = width,
                          .height = height,
                          .anchors = levels == 5 ? 1 : 2,
                          .landmarks = landmarks,
                          .n_levels = levels}};
    for (int i = 0; i < levels; i++) {
        int stride = 8 << i;
        int64_t rows = (int64_t)h.layout.anchors * (width / stride) * (height / stride);
        const int64_t columns[3] = {1, 4, landmarks ? 10 : 0};
        h.layout.levels[i] =
            (struct vt_detector_level){stride, 3 * i, 3 * i + 1, VT_NO_OUTPUT, landmarks ? 3 * i + 2 : VT_NO_OUTPUT};
        for (int k = 0; k < 3; k++) {
            size_t count = (size_t)(rows * columns[k]);
            float *numbers = h.outputs[3 * i + k] = malloc((count + 1) * sizeof *numbers);
            assert_non_null(numbers);
            for (size_t n = 0; n < count; n++) numbers[n] = k ? 3 * next_float() : next_float();
            for (size_t n = 0; k == 0 && n < count; n += 3) numbers[n] = rintf(numbers[n] * 100) / 100;
        }
        h.total += rows;
    }
    h.outputs[0][1] = NAN;
    h.outputs[1][4 * 2] = INFINITY;
    h.outputs[0][2] = 0.99f;
    return h;
}

static void upload_heads(struct heads *h) {
    for (int i = 0; i < h->layout.n_levels; i++) {
        int stride = 8 << i;
        size_t rows = (size_t)(h->layout.anchors * (h->layout.width / stride) * (h->layout.height / stride));
        const size_t columns[3] = {1, 4, h->layout.landmarks ? 10 : 0};
        for (int k = 0; k < 3; k++)
            h->there[3 * i + k] =
                columns[k] ? to_device(h->outputs[3 * i + k], rows * columns[k] * sizeof(float)) : NULL;
    }
}

static void release_heads(struct heads *h) {
    for (int i = 0; i < 3 * h->layout.n_levels; i++) {
        free(h->outputs[i]);
        vt_cuda_release(h->there[i]);
    }
}

struct scratch {
    struct vt_cuda_heads heads;
    struct vt_cuda_found *found;
    size_t bytes;
};

static struct scratch make_scratch(const struct heads *h, float threshold, float nms) {
    static const uint32_t zero = 0;
    size_t keys = 1, most = h->total < VT_PHOTO_MOST_CANDIDATES ? (size_t)h->total : VT_PHOTO_MOST_CANDIDATES;
    while (keys < (size_t)h->total) keys *= 2;
    struct scratch s = {.bytes = sizeof(struct vt_cuda_found) + most * sizeof(struct vt_photo_face)};
    s.heads = (struct vt_cuda_heads){.n_levels = h->layout.n_levels,
        .anchors = h->layout.anchors,
        .total = (int32_t)h->total,
        .threshold = threshold,
        .nms_threshold = nms,
        .count = to_device(&zero, sizeof zero),
        .keys = on_device(keys * sizeof(uint64_t)),
        .boxes = on_device(4 * sizeof(float) * (size_t)h->total),
        .found = on_device(s.bytes)};
    int32_t first = 0;
    for (int i = 0; i < h->layout.n_levels; i++) {
        int stride = 8 << i, columns = h->layout.width / stride;
        s.heads.levels[i] =
            (struct vt_cuda_level){h->there[3 * i], h->there[3 * i + 1], h->there[3 * i + 2], columns, stride, first};
        first += h->layout.anchors * columns * (h->layout.height / stride);
    }
    s.found = malloc(s.bytes);
    assert_non_null(s.found);
    return s;
}

static void release_scratch(struct scratch *s) {
    vt_cuda_release(s->heads.count);
    vt_cuda_release(s->heads.keys);
    vt_cuda_release(s->heads.boxes);
    vt_cuda_release(s->heads.found);
    free(s->found);
}

static void check_heads(struct heads *h, float threshold, float nms) {
    struct vt_face_list wanted = {0};
    MUST(vt_family_scrfd.decode(&h->layout, h->outputs, threshold, &wanted, &failure));
    MUST(vt_nms(&wanted, nms, &failure));
    struct scratch s = make_scratch(h, threshold, nms);
    for (int time = 0; time < (wanted.count < 20 ? 2 : 1);
         time++) { /* what it leaves behind does not disturb the next one */
        launched(vt_cuda_launch_heads(&s.heads, native()));
        from_device(&s.found->count, &s.heads.found->count, sizeof s.found->count);
        assert_int_equal(s.found->count, wanted.count);
        if (wanted.count > 0) from_device(s.found->faces, s.heads.found->faces, wanted.count * sizeof *s.found->faces);
        for (size_t i = 0; i < wanted.count; i++) {
            const struct vt_photo_face *got = &s.found->faces[i];
            assert_true(got->score == wanted.faces[i].score);
            assert_memory_equal(got->box, wanted.faces[i].box, sizeof got->box);
            assert_memory_equal(got->landmarks, wanted.faces[i].landmarks, sizeof got->landmarks);
        }
    }
    release_scratch(&s);
    vt_face_list_fini(&wanted);
}

static void test_heads(void **state) {
    (void)state;
    static const float thresholds[] = {2, 0.995f, 0.9f, 0.5f, 0};
    for (int levels = 3; levels <= 5; levels += 2)
        for (size_t t = 0; t < sizeof thresholds / sizeof *thresholds; t++) {
            struct heads h = make_heads(128, 128, levels, levels == 3);
            upload_heads(&h);
            check_heads(&h, thresholds[t], t % 2 ? 0.4f : 0.05f);
            release_heads(&h);
        }
}

/* More candidates than are sorted in shared memory, and, where it is fast enough, more than suppression takes. */
static void test_crowd(void **state) {
    (void)state;
    struct heads h = EMULATED ? make_heads(256, 256, 3, true) : make_heads(1024, 640, 3, true);
    upload_heads(&h);
    if (!EMULATED) check_heads(&h, 0.05f, 0.3f);
    check_heads(&h, 0, 0.02f);
    release_heads(&h);
}

/* ---------------------------------------------------------------- warp */

static void test_warp(void **state) {
    (void)state;
    enum { FACES = 67, SIDE = 112 };
    struct vt_image picture = make_picture(211, 157), crop;
    size_t item = 3 * SIDE * SIDE;
    float *got = malloc(FACES * item * sizeof *got), *wanted = malloc(item * sizeof *wanted);
    double matrices[FACES][6];
    MUST(vt_image_create(SIDE, SIDE, &crop, &failure));
    assert_true(got && wanted);
    struct vt_cuda_warp warp = {.picture = upload(&picture),
        .width = SIDE,
        .height = SIDE,
        .normalisation = vt_photo_normalisation_of(&normalisation)};
    float *planes = on_device(FACES * item * sizeof *planes);
    for (int first = 0; first < FACES; first += VT_CUDA_WARPS) {
        warp.planes = planes + (size_t)first * item;
        warp.count = FACES - first < VT_CUDA_WARPS ? FACES - first : VT_CUDA_WARPS;
        for (int i = 0; i < warp.count; i++) {
            double turn = 6.3 * (double)next_float(), scale = i == 3   ? 1e-9
                                                              : i == 4 ? 1e9
                                                                       : 0.2 + 3 * (double)next_float();
            double *m = matrices[first + i];
            m[0] = m[4] = scale * cos(turn);
            m[3] = scale * sin(turn);
            m[1] = -m[3];
            m[2] = 300 * (double)next_float() - 150;
            m[5] = 300 * (double)next_float() - 150;
            MUST(vt_warp_inverse(m, warp.inverses[i], &failure));
        }
        launched(vt_cuda_launch_warp(&warp, native()));
    }
    from_device(got, planes, FACES * item * sizeof *planes);
    for (int i = 0; i < FACES; i++) {
        MUST(vt_warp_affine(&picture, matrices[i], VT_WARP_EXACT, &crop, &failure));
        vt_image_to_planes(&crop, &normalisation, wanted);
        if (memcmp(got + (size_t)i * item, wanted, item * sizeof *wanted) != 0) fail_msg("crop %d differs", i);
    }
    vt_cuda_release((void *)warp.picture.pixels);
    vt_cuda_release(planes);
    vt_image_release(&crop);
    vt_image_release(&picture);
    free(got);
    free(wanted);
}

/* ---------------------------------------------------------------- embeddings */

static void test_normalise(void **state) {
    (void)state;
    enum { COUNT = 5, D = 500 };
    float raw[COUNT][D], divisors[COUNT], got[COUNT * (D + 1)];
    for (int i = 0; i < COUNT; i++) {
        divisors[i] = 1 + next_float();
        for (int k = 0; k < D; k++) raw[i][k] = i == 3 ? 0 : next_float() - 0.5f;
    }
    raw[4][7] = NAN;
    for (int divided = 0; divided < 2; divided++) {
        struct vt_cuda_normalise n = {.raw = to_device(raw, sizeof raw),
            .divisors = divided ? to_device(divisors, sizeof divisors) : NULL,
            .units = on_device(sizeof got),
            .dimension = D,
            .count = COUNT};
        launched(vt_cuda_launch_normalise(&n, native()));
        from_device(got, n.units, sizeof got);
        for (int i = 0; i < 3; i++) {
            double sum = 0;
            for (int k = 0; k < D; k++) sum += (double)raw[i][k] * (double)raw[i][k];
            for (int k = 0; k < D; k++)
                assert_true(fabs((double)got[i * D + k] - (double)raw[i][k] / sqrt(sum)) < 1e-7);
            double norm = sqrt(sum) * (divided ? (double)divisors[i] : 1);
            assert_true(fabs((double)got[COUNT * D + i] - norm) < 1e-5);
        }
        for (int k = 0; k < 2 * D; k++) assert_true(got[3 * D + k] == 0);
        assert_true(got[COUNT * D + 3] == 0 && isnan(got[COUNT * D + 4]));
        vt_cuda_release((void *)n.raw);
        vt_cuda_release((void *)n.divisors);
        vt_cuda_release(n.units);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_letterbox), cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_heads), cmocka_unit_test(test_crowd), cmocka_unit_test(test_warp),
        cmocka_unit_test(test_normalise)};
    return cmocka_run_group_tests(tests, open_stream, close_stream);
}
