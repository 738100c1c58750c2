/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
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

enum { SIDE = 64, DIMENSION = 8, CROP = VT_CROP_SIZE * VT_CROP_SIZE };

/* Three vectors a crop can give: told by its first pixel's red. */
static void embed_fake(struct vt_engine *engine, const float *input, float *const *outputs) {
    (void)engine;
    float red = input[0] * 127.5f + 127.5f;
    for (int i = 0; i < DIMENSION; i++) {
        outputs[0][i] = (float)(i + 1) * (red + 1);
        if (red == 200) outputs[0][i] = 0;
        if (red == 201) outputs[0][i] = i == 3 ? NAN : 1;
    }
}

static struct vt_engine arcface_engine(int64_t max_batch) {
    struct vt_engine engine = fake_engine(VT_CROP_SIZE, VT_CROP_SIZE, max_batch);
    engine.run = embed_fake;
    fake_output(&engine, 1, DIMENSION);
    return engine;
}

static struct vt_embedder *embedder_of(struct vt_engine *engine, struct vt_pool *pool) {
    struct vt_embedder *embedder;
    struct vultus_error error;
    if (vt_embedder_create(engine, pool, &embedder, &error)) fail_msg("%s", error.text);
    return embedder;
}

static struct vt_image crop_of(int red) {
    struct vt_image crop;
    assert_int_equal(vt_image_create(VT_CROP_SIZE, VT_CROP_SIZE, &crop, NULL), VULTUS_OK);
    for (int i = 0; i < CROP; i++) crop.pixels[3 * i + 2] = (uint8_t)red;
    return crop;
}

static void test_batches(void **state) {
    (void)state;
    enum { COUNT = 11 };
    struct vt_pool *pool;
    assert_int_equal(vt_pool_create(2, &pool, NULL), VULTUS_OK);
    struct vt_engine engine = arcface_engine(4);
    struct vt_embedder *embedder = embedder_of(&engine, pool);
    assert_int_equal(vt_embedder_dimension(embedder), DIMENSION);
    struct vt_image crops[COUNT];
    for (int i = 0; i < COUNT; i++) crops[i] = crop_of(10 * i);
    float embeddings[COUNT * DIMENSION], norms[COUNT];
    assert_int_equal(vt_embed(embedder, crops, COUNT, embeddings, norms, NULL), VULTUS_OK);
    assert_true(engine.runs == 3 && engine.items == COUNT && engine.largest_batch == 4);
    for (int i = 0; i < COUNT; i++) {
        assert_true(fabsf(norms[i] / (sqrtf(204) * (float)(10 * i + 1)) - 1) < 1e-6f);
        for (int k = 0; k < DIMENSION; k++)
            assert_true(fabsf(embeddings[i * DIMENSION + k] - (float)(k + 1) / sqrtf(204)) < 1e-6f);
    }
    assert_int_equal(vt_embed(embedder, crops, 0, embeddings, norms, NULL), VULTUS_OK);
    assert_int_equal(engine.runs, 3);
    for (int i = 0; i < COUNT; i++) vt_image_release(&crops[i]);
    vt_embedder_destroy(embedder);
    vt_pool_destroy(pool);
}

static void test_strange_embeddings(void **state) {
    (void)state;
    struct vt_engine engine = arcface_engine(8);
    struct vt_embedder *embedder = embedder_of(&engine, NULL);
    struct vt_image crops[3] = {crop_of(200), crop_of(201), crop_of(0)};
    float embeddings[3 * DIMENSION], norms[3];
    assert_int_equal(vt_embed(embedder, crops, 3, embeddings, norms, NULL), VULTUS_OK);
    assert_true(norms[0] == 0 && isnan(norms[1]) && norms[2] > 0);
    for (int i = 0; i < 2 * DIMENSION; i++) assert_true(embeddings[i] == 0);
    assert_int_equal(vt_embed(embedder, crops, 3, embeddings, NULL, NULL), VULTUS_OK);
    struct vultus_error error;
    crops[1].width--;
    assert_int_equal(vt_embed(embedder, crops, 3, embeddings, norms, &error), VULTUS_ERROR_INVALID);
    assert_non_null(strstr(error.text, "crop 1 is 111 x 112"));
    crops[1].width++;
    engine.fail_run = engine.runs + 1;
    assert_int_equal(vt_embed(embedder, crops, 3, embeddings, norms, &error), VULTUS_ERROR_BACKEND);
    for (int i = 0; i < 3; i++) vt_image_release(&crops[i]);
    vt_embedder_destroy(embedder);
}

/* ArcFace's template around the centre of a face, one network pixel for four of the crop's. */
static const float template_offsets[5][2] = {
    {-17.7f, -20.2f}, {17.5f, -20.4f}, {0, -0.2f}, {-14.5f, 20.4f}, {14.7f, 20.3f}};

/* Finds four faces at fixed places; the third has its key points in one spot. */
static void find_four(struct vt_engine *engine, const float *input, float *const *outputs) {
    (void)input;
    for (uint32_t i = 0; i < engine->plan.n_outputs; i++)
        memset(outputs[i], 0, (size_t)vt_tensor_count(&engine->outputs[i]) * sizeof(float));
    for (int face = 0; face < 4; face++) {
        int anchor = 2 * ((face / 2 * 4 + 2) * (SIDE / 8) + face % 2 * 4 + 2);
        outputs[0][anchor] = 0.9f - 0.1f * (float)face;
        for (int k = 0; k < 4; k++) outputs[1][4 * anchor + k] = 1;
        for (int k = 0; k < 10 && face != 2; k++) outputs[2][10 * anchor + k] = template_offsets[k / 2][k % 2] / 4 / 8;
    }
}

static struct vt_engine four_faces_engine(void) {
    struct vt_engine engine = fake_engine(SIDE, SIDE, 1);
    engine.run = find_four;
    static const int strides[] = {8, 16, 32}, columns[] = {1, 4, 10};
    for (int s = 0; s < 3; s++)
        for (int c = 0; c < 3; c++) fake_output(&engine, 2 * (SIDE / strides[s]) * (SIDE / strides[s]), columns[c]);
    return engine;
}

struct fixture {
    struct vt_engine detector_engine, embedder_engine;
    struct vt_detector *detector;
    struct vt_embedder *embedder;
    struct vt_pool *pool;
    struct vt_pipeline pipeline;
    struct vt_image picture;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct vultus_error error;
    f->detector_engine = four_faces_engine();
    f->embedder_engine = arcface_engine(2);
    if (vt_pool_create(3, &f->pool, &error) || vt_detector_create(&f->detector_engine, f->pool, &f->detector, &error) ||
        vt_embedder_create(&f->embedder_engine, f->pool, &f->embedder, &error) ||
        vt_pipeline_init(&f->pipeline, f->detector, f->embedder, f->pool, &error) ||
        vt_image_create(SIDE, SIDE, &f->picture, &error))
        fail_msg("%s", error.text);
    for (int i = 0; i < SIDE * SIDE; i++) f->picture.pixels[3 * i + 2] = (uint8_t)(100 + i % 3);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    vt_image_release(&f->picture);
    vt_detector_destroy(f->detector);
    vt_embedder_destroy(f->embedder);
    vt_pool_destroy(f->pool);
    free(f);
    return 0;
}

static struct vt_analysis analyze(struct fixture *f, bool without_embeddings, bool with_crops) {
    const struct vt_analyze_options options = {
        .detect = {.threshold = 0.5f}, .without_embeddings = without_embeddings, .with_crops = with_crops};
    struct vt_analysis analysis;
    struct vultus_error error;
    if (vt_analyze(&f->pipeline, &f->picture, &options, &analysis, &error)) fail_msg("%s", error.text);
    return analysis;
}

static void test_one_bad_face(void **state) {
    struct fixture *f = *state;
    struct vt_analysis a = analyze(f, false, true);
    assert_int_equal(a.count, 4);
    assert_int_equal(a.dimension, DIMENSION);
    assert_true(a.scale == 1);
    assert_int_equal(f->embedder_engine.items, 3);
    assert_int_equal(f->embedder_engine.runs, 2);
    for (size_t i = 0; i < 4; i++) {
        const struct vt_analyzed_face *face = &a.faces[i];
        assert_true(face->found.score == 0.9f - 0.1f * (float)i);
        if (i == 2) {
            assert_non_null(strstr(face->failure, "coincide"));
            assert_true(!face->embedding && !face->crop.pixels && face->norm == 0);
            continue;
        }
        assert_null(face->failure);
        struct vt_image expected;
        assert_int_equal(vt_align_crop(&f->picture, face->found.landmarks, &expected, NULL), VULTUS_OK);
        assert_int_equal(face->crop.width, VT_CROP_SIZE);
        assert_int_equal(face->crop.stride, expected.stride);
        assert_memory_equal(face->crop.pixels, expected.pixels, 3 * CROP);
        vt_image_release(&expected);
        assert_true(face->norm > 0);
        assert_true(fabsf(face->embedding[7] - 8 / sqrtf(204)) < 1e-6f);
    }
    assert_true(a.times.total_ms >= a.times.align_ms && a.times.total_ms >= a.times.embed_ms);
    vt_analysis_release(&a);
    assert_null(a.faces);
    vt_analysis_release(&a);
}

static void test_options(void **state) {
    struct fixture *f = *state;
    struct vt_analysis a = analyze(f, true, false);
    assert_int_equal(a.count, 4);
    assert_int_equal(a.dimension, 0);
    for (size_t i = 0; i < 4; i++) assert_true(!a.faces[i].embedding && !a.faces[i].crop.pixels && !a.faces[i].failure);
    assert_int_equal(f->embedder_engine.runs, 0);
    vt_analysis_release(&a);
    a = analyze(f, true, true);
    assert_true(a.faces[0].crop.pixels && !a.faces[0].embedding && a.faces[2].failure);
    vt_analysis_release(&a);
    a = analyze(f, false, false);
    assert_true(!a.faces[0].crop.pixels && a.faces[0].embedding);
    vt_analysis_release(&a);
}

static void test_no_faces_and_failures(void **state) {
    struct fixture *f = *state;
    struct vt_analyze_options options = {.detect = {.threshold = 0.95f}};
    struct vt_analysis a;
    struct vultus_error error;
    assert_int_equal(vt_analyze(&f->pipeline, &f->picture, &options, &a, &error), VULTUS_OK);
    assert_int_equal(a.count, 0);
    vt_analysis_release(&a);
    options.detect.threshold = 0.5f;
    f->embedder_engine.fail_run = 2;
    assert_int_equal(vt_analyze(&f->pipeline, &f->picture, &options, &a, &error), VULTUS_ERROR_BACKEND);
    f->detector_engine.fail_run = f->detector_engine.runs + 1;
    assert_int_equal(vt_analyze(&f->pipeline, &f->picture, &options, &a, &error), VULTUS_ERROR_BACKEND);
}

static void test_unfit_parts(void **state) {
    struct fixture *f = *state;
    struct vt_engine small = fake_engine(80, 80, 1);
    fake_output(&small, 1, DIMENSION);
    struct vt_embedder *embedder = embedder_of(&small, NULL);
    struct vt_pipeline pipeline;
    struct vultus_error error;
    /* Another size than ArcFace's is aligned for. */
    assert_int_equal(vt_pipeline_init(&pipeline, f->detector, embedder, NULL, &error), VULTUS_OK);
    assert_true(pipeline.crop_width == 80 && pipeline.crop_height == 80);
    vt_embedder_destroy(embedder);

    struct vt_engine blind = fake_engine(SIDE, SIDE, 1);
    static const int strides[] = {8, 16, 32};
    for (int i = 0; i < 6; i++)
        fake_output(&blind, 2 * (SIDE / strides[i % 3]) * (SIDE / strides[i % 3]), i < 3 ? 1 : 4);
    struct vt_detector *detector;
    assert_int_equal(vt_detector_create(&blind, NULL, &detector, &error), VULTUS_OK);
    assert_int_equal(vt_pipeline_init(&pipeline, detector, f->embedder, NULL, &error), VULTUS_ERROR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "no key points"));
    assert_int_equal(vt_pipeline_init(&pipeline, detector, NULL, NULL, &error), VULTUS_OK);
    vt_detector_destroy(detector);
}

static void test_attributes(void **state) {
    struct fixture *f = *state;
    struct vt_analyze_options options = {.detect = {.threshold = 0.5f}, .attributes = VT_ATTRIBUTE_QUALITY};
    struct vt_analysis a;
    struct vultus_error error;
    assert_int_equal(vt_analyze(&f->pipeline, &f->picture, &options, &a, &error), VULTUS_OK);
    for (size_t i = 0; i < 4; i++) /* the third cannot be aligned */
        assert_int_equal(a.faces[i].attributes.present, i == 2 ? 0 : VT_ATTRIBUTE_QUALITY);
    assert_true(a.faces[0].attributes.quality.norm == a.faces[0].norm && !a.faces[0].crop.pixels);
    vt_analysis_release(&a);
    options.attributes |= VT_ATTRIBUTE_LIVENESS;
    assert_int_equal(vt_analyze(&f->pipeline, &f->picture, &options, &a, &error), VULTUS_ERROR_INVALID);
    assert_non_null(strstr(error.text, "liveness was asked for"));
    options.attributes = 64;
    assert_int_equal(vt_analyze(&f->pipeline, &f->picture, &options, &a, &error), VULTUS_ERROR_INVALID);
}

static void *analyze_often(void *context) {
    struct fixture *f = context;
    for (int i = 0; i < 20; i++) {
        struct vt_analysis a = analyze(f, false, true);
        assert_int_equal(a.count, 4);
        assert_true(fabsf(a.faces[3].embedding[0] - 1 / sqrtf(204)) < 1e-6f);
        vt_analysis_release(&a);
    }
    return NULL;
}

static void test_many_threads(void **state) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, analyze_often, *state), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_strange_embeddings),
        cmocka_unit_test_setup_teardown(test_one_bad_face, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_options, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_faces_and_failures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_attributes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unfit_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_threads, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
