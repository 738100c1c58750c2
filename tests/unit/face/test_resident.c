/* SPDX-License-Identifier: Apache-2.0
 * Places on a device that is none: who gets one, who waits, and what becomes of failures.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "face/pipeline.h"
#include "fake_engine.h"

enum { SIDE = 64, THREADS = 12, ROUNDS = 50 };

/* ---------------------------------------------------------------- a device */

struct vt_photo {
    int uses; /* by threads at this moment */
};

static struct {
    int room;                   /* photos that there is memory for */
    enum vultus_status no_more; /* with what others fail */
    enum vultus_status load, find;
    int photos, looks, loads;
    bool jpeg;
} device;

static enum vultus_status create(int on, struct vt_photo **out, struct vultus_error *error) {
    assert_int_equal(on, 0);
    if (__atomic_add_fetch(&device.photos, 1, __ATOMIC_RELAXED) > device.room) {
        __atomic_sub_fetch(&device.photos, 1, __ATOMIC_RELAXED);
        return vt_fail(error, device.no_more, "there is no room for another photo");
    }
    *out = calloc(1, sizeof **out);
    assert_non_null(*out);
    return VULTUS_OK;
}

static void destroy(struct vt_photo *photo) {
    if (photo) __atomic_sub_fetch(&device.photos, 1, __ATOMIC_RELAXED);
    free(photo);
}

static enum vultus_status load_pixels(
    struct vt_photo *photo, const uint8_t *pixels, int width, int height, size_t stride, struct vultus_error *error) {
    (void)photo, (void)pixels, (void)width, (void)height, (void)stride;
    device.loads++;
    return device.load ? vt_fail(error, device.load, "the photo does not go there") : VULTUS_OK;
}

static enum vultus_status find(struct vt_photo *photo, struct vt_executable *detector, const struct vt_photo_look *look,
    const struct vt_photo_heads *heads, const struct vt_photo_face **faces, size_t *count, struct vultus_error *error) {
    static const struct vt_photo_face found = {.box = {8, 8, 24, 24}, .score = 0.9f};
    (void)photo, (void)detector, (void)heads;
    device.looks++;
    assert_int_equal(look->network_width, SIDE);
    *faces = &found;
    *count = 1;
    return device.find ? vt_fail(error, device.find, "the device is gone") : VULTUS_OK;
}

static void take_times(struct vt_photo *photo, struct vt_photo_times *out) {
    (void)photo;
    *out = (struct vt_photo_times){.network_ms = 7};
}

static void traffic(struct vt_photo_traffic *out) { *out = (struct vt_photo_traffic){0}; }

static bool decodes_jpeg(char *reason, size_t size) {
    if (size) *reason = '\0';
    return device.jpeg;
}

static const struct vt_photo_backend photos = {.create = create,
    .destroy = destroy,
    .load_pixels = load_pixels,
    .find = find,
    .take_times = take_times,
    .traffic = traffic,
    .decodes_jpeg = decodes_jpeg};

/* ---------------------------------------------------------------- a detector, which finds nothing by itself */

static void find_nothing(struct vt_engine *engine, const float *input, float *const *outputs) {
    (void)input;
    for (uint32_t i = 0; i < engine->plan.n_outputs; i++)
        memset(outputs[i], 0, (size_t)vt_tensor_count(&engine->outputs[i]) * sizeof(float));
}

struct setting {
    struct vt_engine engine;
    struct vt_detector *detector;
    struct vt_resident *resident;
    struct vt_pipeline pipeline;
};

static void open_setting(struct setting *s, int room, enum vultus_status no_more) {
    struct vultus_error error;
    memset(&device, 0, sizeof device);
    device.room = room;
    device.no_more = no_more;
    s->engine = fake_engine(SIDE, SIDE, 1);
    s->engine.run = find_nothing;
    s->engine.photos = &photos;
    for (int columns = 1; columns <= 10; columns += columns == 1 ? 3 : 6)
        for (int stride = 8; stride <= 32; stride *= 2)
            fake_output(&s->engine, 2 * (SIDE / stride) * (SIDE / stride), columns);
    if (vt_detector_create(&s->engine, NULL, &s->detector, &error)) fail_msg("%s", error.text);
    assert_int_equal(vt_resident_create(s->detector, NULL, true, &s->resident, NULL), VULTUS_OK);
    assert_non_null(s->resident);
    assert_int_equal(vt_pipeline_init(&s->pipeline, s->detector, NULL, NULL, NULL), VULTUS_OK);
    s->pipeline.resident = s->resident;
}

static void close_setting(struct setting *s) {
    vt_resident_destroy(s->resident);
    vt_detector_destroy(s->detector);
    assert_int_equal(device.photos, 0);
    assert_int_equal(s->engine.executables, 0);
}

static size_t analyze(struct setting *s, double *network_ms) {
    static uint8_t pixels[3 * SIDE * SIDE];
    const struct vt_image picture = {pixels, SIDE, SIDE, 3 * SIDE};
    const struct vt_analyze_options options = {.detect = {.threshold = 0.5f}};
    struct vt_analysis analysis;
    struct vultus_error error;
    if (vt_analyze(&s->pipeline, &picture, &options, &analysis, &error)) fail_msg("%s", error.text);
    size_t count = analysis.count;
    *network_ms = analysis.times.detect.network_ms;
    vt_analysis_release(&analysis);
    return count;
}

/* ---------------------------------------------------------------- tests */

static const struct vultus_error well = {VULTUS_OK, ""};

static void test_there_and_here(void **state) {
    (void)state;
    struct setting s;
    struct vt_resident_statistics statistics;
    double network_ms;
    open_setting(&s, 8, VULTUS_ERROR_MEMORY);
    assert_int_equal(analyze(&s, &network_ms), 1);
    assert_true(network_ms == 7 && s.engine.runs == 0);
    vt_resident_measure(s.resident, &statistics);
    assert_int_equal(statistics.pictures, 1);
    /* Too large for the device: that picture alone is looked at here. */
    device.load = VULTUS_ERROR_UNSUPPORTED;
    assert_int_equal(analyze(&s, &network_ms), 0);
    assert_true(s.engine.runs > 0);
    device.load = VULTUS_OK;
    assert_int_equal(analyze(&s, &network_ms), 1);
    close_setting(&s);
}

static void test_failures(void **state) {
    (void)state;
    static const enum vultus_status failures[] = {VULTUS_ERROR_BACKEND, VULTUS_ERROR_MEMORY};
    for (size_t i = 0; i < 2 * sizeof failures / sizeof *failures; i++) {
        struct setting s;
        double network_ms;
        open_setting(&s, 8, VULTUS_ERROR_MEMORY);
        assert_int_equal(analyze(&s, &network_ms), 1);
        *(i % 2 ? &device.load : &device.find) = failures[i / 2];
        assert_int_equal(analyze(&s, &network_ms), 0); /* the answer is this processor's */
        assert_false(vt_resident_is_usable(s.resident));
        device.load = device.find = VULTUS_OK;
        int loads = device.loads;
        assert_int_equal(analyze(&s, &network_ms), 0);
        assert_int_equal(device.loads, loads);
        close_setting(&s);
    }
}

/* A picture for which there was no memory leaves the device to those that have a place. */
static void test_too_many_places(void **state) {
    (void)state;
    struct setting s;
    const struct vultus_error short_of_memory = {VULTUS_ERROR_MEMORY, "no room for the embeddings"};
    double network_ms;
    open_setting(&s, 8, VULTUS_ERROR_MEMORY);
    struct vt_stay *first = vt_resident_take(s.resident), *second = vt_resident_take(s.resident);
    assert_true(first && second && first != second);
    vt_resident_give(s.resident, second, &short_of_memory);
    assert_true(vt_resident_is_usable(s.resident));
    assert_int_equal(device.photos, 1);
    vt_resident_give(s.resident, first, &well);
    assert_int_equal(analyze(&s, &network_ms), 1);
    assert_int_equal(device.photos, 1);
    vt_resident_give(s.resident, vt_resident_take(s.resident), &short_of_memory);
    assert_false(vt_resident_is_usable(s.resident));
    close_setting(&s);
}

static void test_no_place(void **state) {
    (void)state;
    struct setting s;
    double network_ms;
    open_setting(&s, 0, VULTUS_ERROR_MEMORY);
    assert_int_equal(analyze(&s, &network_ms), 0);
    assert_false(vt_resident_is_usable(s.resident));
    assert_null(vt_resident_take(s.resident));
    close_setting(&s);
}

static void *borrow(void *context) {
    struct setting *s = context;
    for (int i = 0; i < ROUNDS; i++) {
        struct vt_stay *stay = vt_resident_take(s->resident);
        if (!stay || __atomic_add_fetch(&stay->photo->uses, 1, __ATOMIC_SEQ_CST) != 1) return context;
        __atomic_sub_fetch(&stay->photo->uses, 1, __ATOMIC_SEQ_CST);
        vt_resident_give(s->resident, stay, &well);
    }
    return NULL;
}

/* However little memory there is, everybody gets a place in the end, alone. */
static void test_many_threads(void **state) {
    (void)state;
    static const int rooms[] = {1, 3, 100};
    for (size_t r = 0; r < sizeof rooms / sizeof *rooms; r++) {
        struct setting s;
        pthread_t threads[THREADS];
        open_setting(&s, rooms[r], VULTUS_ERROR_MEMORY);
        for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, borrow, &s), 0);
        for (int i = 0; i < THREADS; i++) {
            void *failed;
            pthread_join(threads[i], &failed);
            assert_null(failed);
        }
        assert_true(vt_resident_is_usable(s.resident));
        assert_true(device.photos <= 8);
        close_setting(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_here), cmocka_unit_test(test_failures),
        cmocka_unit_test(test_too_many_places), cmocka_unit_test(test_no_place), cmocka_unit_test(test_many_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
