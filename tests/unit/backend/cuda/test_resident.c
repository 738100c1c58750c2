/* SPDX-License-Identifier: Apache-2.0
 * Photos through the starter models on a GPU, or on an emulated one: those that stay there against those whose every
 * network's input comes from processors, and against processors alone.
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

#include "base/file.h"
#include "compile/compile.h"
#include "config.h"
#include "exec/session.h"
#include "face/pipeline.h"
#include "onnx/onnx.h"
#if EMULATED
#include "backend/cuda/module/devices.h"
#include "emulated.h"
#endif

/* An emulated GPU takes its time. */
#define DETECTOR_SIDE (EMULATED ? 128 : 640)
#define PART (EMULATED ? 480 : 0) /* pixels of the photo's upper left part; 0: all */
enum { FACES_AT_ONCE = 64, FACE_BYTES = 60, HEADER_BYTES = 16, DIMENSION_BYTES = 4 };

static struct vultus_error failure;
#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        if (call) fail_msg("%s", failure.text);                                                                        \
    } while (0)

/* ---------------------------------------------------------------- networks */

static struct vt_engine *open_engine(const char *model, const char *backend, bool detects) {
    char path[4096];
    const float std = detects ? 128 : 127.5f;
    struct vt_mapped_file file;
    struct vt_graph *graph;
    struct vt_plan *plan = NULL;
    struct vt_engine *engine;
    struct vt_compile_options options = {.backend = backend,
        .width = detects ? DETECTOR_SIDE : 0,
        .height = detects ? DETECTOR_SIDE : 0,
        .max_batch = 32,
        .threads = 1,
        .model = {.name = model,
            .function = detects ? "scrfd" : "arcface",
            .channels = "rgb",
            .mean = {127.5f, 127.5f, 127.5f},
            .std = {std, std, std}}};
    snprintf(path, sizeof path, "%s/models/starter/%s", VT_SOURCE_DIR, model);
    MUST(vt_map_file(path, &file, &failure));
    MUST(vt_onnx_read(file.data, file.size, model, NULL, &graph, &failure));
    MUST(vt_compile(graph, &options, NULL, &plan, &failure));
    MUST(vt_engine_create(plan, NULL, &engine, &failure));
    vt_graph_destroy(graph);
    vt_unmap_file(&file);
    return engine;
}

struct models {
    struct vt_engine *engines[2];
    struct vt_detector *detector;
    struct vt_embedder *embedder;
    struct vt_pipeline pipeline;
};

static void open_models(const char *backend, struct models *m) {
    m->engines[0] = open_engine("starter_det.onnx", backend, true);
    m->engines[1] = open_engine("starter_rec.onnx", backend, false);
    MUST(vt_detector_create(m->engines[0], NULL, &m->detector, &failure));
    MUST(vt_embedder_create(m->engines[1], NULL, &m->embedder, &failure));
    MUST(vt_pipeline_init(&m->pipeline, m->detector, m->embedder, NULL, &failure));
}

static void close_models(struct models *m) {
    vt_resident_destroy(m->pipeline.resident);
    vt_detector_destroy(m->detector);
    vt_embedder_destroy(m->embedder);
    for (int i = 0; i < 2; i++) vt_engine_destroy(m->engines[i]);
}

/* ---------------------------------------------------------------- everything that the tests share */

static struct models gpu, processors;
static struct vt_resident *resident;
static struct vt_image photo;
static uint8_t *jpeg;
static size_t jpeg_size;

static int open_all(void **state) {
    (void)state;
    struct vt_image whole;
#if EMULATED
    static const int both[] = {0, 1};
    emulated_gpus.count = 2;
    vt_cuda_set_devices(both, 2);
#endif
    open_models("cuda", &gpu);
    open_models("cpu", &processors);
    MUST(vt_resident_create(gpu.detector, gpu.embedder, true, &resident, &failure));
    assert_non_null(resident);
    MUST(vt_image_read(VT_SOURCE_DIR "/examples/group.jpg", NULL, &whole, &failure));
    MUST(vt_image_create(PART ? PART : whole.width, PART ? PART : whole.height, &photo, &failure));
    vt_copy_image(&whole, &photo, 0, 0);
    vt_image_release(&whole);
    MUST(vt_image_encode_jpeg(&photo, 95, &jpeg, &jpeg_size, &failure));
    return 0;
}

static int close_all(void **state) {
    (void)state;
    gpu.pipeline.resident = resident;
    close_models(&gpu);
    close_models(&processors);
    vt_image_release(&photo);
    free(jpeg);
    return 0;
}

static struct vt_analyze_options options_of(void) { return (struct vt_analyze_options){.detect = {.threshold = 0.3f}}; }

static struct vt_analysis analyze(struct models *models, bool stays, const struct vt_analyze_options *options) {
    struct vt_analysis analysis;
    models->pipeline.resident = stays ? resident : NULL;
    MUST(vt_analyze(&models->pipeline, &photo, options, &analysis, &failure));
    return analysis;
}

static struct vt_analysis analyze_jpeg(struct models *models, bool stays, const uint8_t *bytes, size_t size) {
    struct vt_analysis analysis;
    struct vt_analyze_options options = options_of();
    struct vt_encoded_picture encoded = {bytes, size, "test", NULL};
    models->pipeline.resident = stays ? resident : NULL;
    MUST(vt_analyze_encoded(&models->pipeline, &encoded, &options, &analysis, &failure));
    return analysis;
}

static struct vt_resident_statistics measure(void) {
    struct vt_resident_statistics statistics;
    vt_resident_measure(resident, &statistics);
    return statistics;
}

static double cosine(const float *a, const float *b, int dimension) {
    double sum = 0;
    for (int i = 0; i < dimension; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

struct tolerance {
    double pixels, score, cosine;
};
/* The same kernels on the same numbers; embeddings are scaled by sums in another order. */
static const struct tolerance same = {0, 0, 1 - 1e-6};
static const struct tolerance alike = {1, 0.02, 0.9999};
/* Another decoder's pixels differ by some grey levels. */
static const struct tolerance decoded = {2, 0.05, 0.98};

static void compare(struct vt_analysis *got, struct vt_analysis *wanted, struct tolerance t) {
    assert_int_equal(got->count, wanted->count);
    assert_int_equal(got->width, wanted->width);
    assert_int_equal(got->height, wanted->height);
    assert_true(got->scale == wanted->scale);
    double pixels = 0, score = 0, least = 1;
    for (size_t i = 0; i < wanted->count; i++) {
        const struct vt_analyzed_face *a = &got->faces[i], *b = &wanted->faces[i];
        for (int k = 0; k < 4; k++) pixels = fmax(pixels, fabs((double)a->found.box[k] - (double)b->found.box[k]));
        for (int k = 0; k < 2 * VT_LANDMARKS; k++)
            pixels =
                fmax(pixels, fabs((double)a->found.landmarks[k / 2][k % 2] - (double)b->found.landmarks[k / 2][k % 2]));
        score = fmax(score, fabs((double)a->found.score - (double)b->found.score));
        assert_int_equal(a->found.pass, b->found.pass);
        assert_int_equal(a->found.turn, b->found.turn);
        assert_int_equal(!a->failure, !b->failure);
        assert_int_equal(!a->embedding, !b->embedding);
        if (!a->embedding) continue;
        least = fmin(least, cosine(a->embedding, b->embedding, wanted->dimension));
        assert_true(fabs((double)a->norm / (double)b->norm - 1) < 0.02);
    }
    if (pixels > t.pixels || score > t.score || least < t.cosine)
        fail_msg("faces are up to %g pixels apart, scores %g, the least cosine is %.7f", pixels, score, least);
    vt_analysis_release(got);
    vt_analysis_release(wanted);
}

/* ---------------------------------------------------------------- pixels */

static void test_same_faces(void **state) {
    (void)state;
    struct vt_analyze_options options = options_of();
    struct vt_analysis there = analyze(&gpu, true, &options), to_and_fro = analyze(&gpu, false, &options);
    assert_true(there.count >= 2);
    print_message("%zu faces\n", there.count);
    compare(&there, &to_and_fro, same);
    struct vt_analysis again = analyze(&gpu, true, &options), here = analyze(&processors, false, &options);
    compare(&again, &here, alike);
}

/* While one place is taken there is another, on the next device where there are several. */
static void test_next_place(void **state) {
    (void)state;
    struct vt_analyze_options options = options_of();
    const struct vultus_error well = {VULTUS_OK, ""};
    struct vt_stay *taken = vt_resident_take(resident);
    assert_non_null(taken);
    struct vt_analysis there = analyze(&gpu, true, &options), to_and_fro = analyze(&gpu, false, &options);
    compare(&there, &to_and_fro, same);
    vt_resident_give(resident, taken, &well);
}

/* Looks with a margin, turned, at tiles; what is chosen of the faces. */
static void test_looks(void **state) {
    (void)state;
    struct vt_analyze_options robust = options_of(), chosen = options_of(), nothing = options_of();
    robust.detect.robust = VT_ROBUST_FULL;
    robust.detect.tile = !EMULATED;
    robust.without_embeddings = true;
    chosen.detect.limit_faces = 1;
    chosen.detect.min_face_size = 5;
    nothing.detect.threshold = 0.9999f;
    nothing.detect.robust = VT_ROBUST_OFF;
    const struct vt_analyze_options *all[] = {&robust, &chosen, &nothing};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct vt_analysis there = analyze(&gpu, true, all[i]), to_and_fro = analyze(&gpu, false, all[i]);
        compare(&there, &to_and_fro, same);
    }
}

/* That the emulated GPU was asked for so far. */
static long count_allocations(void) {
#if EMULATED
    return (long)emulated_gpus.allocations;
#else
    return 0;
#endif
}

/* The picture goes there, faces and embeddings come back, and nothing else; and no memory is taken once it was there.
 */
static void test_traffic(void **state) {
    (void)state;
    struct vt_analyze_options options = options_of();
    struct vt_analysis warm = analyze(&gpu, true, &options);
    struct vt_resident_statistics before = measure();
    long allocations = count_allocations();
    struct vt_analysis analysis = analyze(&gpu, true, &options);
    struct vt_resident_statistics after = measure();
    uint64_t numbers = analysis.count * (uint64_t)(analysis.dimension + 1);
    assert_int_equal(after.pictures - before.pictures, 1);
    assert_int_equal(after.to_device - before.to_device, 3 * photo.width * photo.height);
    assert_int_equal(
        after.from_device - before.from_device, HEADER_BYTES + FACES_AT_ONCE * FACE_BYTES + DIMENSION_BYTES * numbers);
    assert_int_equal(count_allocations(), allocations);
    assert_true(analysis.times.detect.network_ms > 0 && analysis.times.embed_ms > 0);
    compare(&analysis, &warm, same);
}

/* Crops are made by processors: such pictures do not stay. */
static void test_crops(void **state) {
    (void)state;
    struct vt_analyze_options options = options_of();
    options.with_crops = true;
    struct vt_resident_statistics before = measure();
    struct vt_analysis analysis = analyze(&gpu, true, &options);
    assert_int_equal(measure().pictures, before.pictures);
    assert_non_null(analysis.faces[0].crop.pixels);
    vt_analysis_release(&analysis);
}

/* ---------------------------------------------------------------- JPEG */

static bool jpeg_is_decoded_there(void) {
    char reason[160];
    if (vt_engine_photos(gpu.engines[0])->decodes_jpeg(reason, sizeof reason)) return true;
    fprintf(stderr, "JPEG is not decoded on the device: %s\n", reason);
    assert_false(EMULATED);
    return false;
}

static void check_jpeg(const uint8_t *bytes, size_t size, uint64_t to_device) {
    struct vt_resident_statistics before = measure();
    struct vt_analysis there = analyze_jpeg(&gpu, true, bytes, size);
    assert_int_equal(measure().to_device - before.to_device, to_device);
    struct vt_analysis here = analyze_jpeg(&gpu, false, bytes, size);
    assert_true(there.count >= 2);
    compare(&there, &here, EMULATED ? same : decoded);
}

static void test_jpeg(void **state) {
    (void)state;
    if (jpeg_is_decoded_there()) check_jpeg(jpeg, jpeg_size, jpeg_size);
}

/* An orientation that leaves it upright only once it is turned: processors decode it, and its pixels go there. */
static void test_turned_jpeg(void **state) {
    (void)state;
    static const uint8_t exif[] = {0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01,
        0x12, 0, 3, 0, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0};
    uint8_t *turned = malloc(jpeg_size + sizeof exif);
    assert_non_null(turned);
    memcpy(turned, jpeg, 2);
    memcpy(turned + 2, exif, sizeof exif);
    memcpy(turned + 2 + sizeof exif, jpeg + 2, jpeg_size - 2);
    struct vt_resident_statistics before = measure();
    struct vt_analysis there = analyze_jpeg(&gpu, true, turned, jpeg_size + sizeof exif);
    assert_true(measure().to_device - before.to_device >= (uint64_t)3 * (uint64_t)photo.width * (uint64_t)photo.height);
    struct vt_analysis here = analyze_jpeg(&gpu, false, turned, jpeg_size + sizeof exif);
    compare(&there, &here, same);
    free(turned);
}

/* Only the fake decoder does what it is told. */
static void test_refusals(void **state) {
    (void)state;
    static const char *const ways[] = {"refuse", "lie"};
    uint64_t pixels = (uint64_t)3 * (uint64_t)photo.width * (uint64_t)photo.height;
    for (size_t i = 0; EMULATED && i < sizeof ways / sizeof *ways; i++) {
        setenv("FAKE_NVJPEG", ways[i], 1);
        check_jpeg(jpeg, jpeg_size, pixels);
        unsetenv("FAKE_NVJPEG");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_faces), cmocka_unit_test(test_next_place),
        cmocka_unit_test(test_looks), cmocka_unit_test(test_traffic), cmocka_unit_test(test_crops),
        cmocka_unit_test(test_jpeg), cmocka_unit_test(test_turned_jpeg), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
