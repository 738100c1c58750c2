/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "face/catalogue.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ENTRY(name, sha)                                                                                               \
    "  - name: " name "\n    function: arcface\n    width: 112\n    height: 112\n    channels: rgb\n"                  \
    "    mean: [1, 2.5, 3]\n    std: [4, 5, 6]\n    origin: somewhere\n    licence: free\n    sha256: \"" sha "\"\n"

static void test_builtin(void **state) {
    (void)state;
    struct vt_catalogue *catalogue;
    struct vultus_error error;
    if (vt_catalogue_builtin(&catalogue, &error)) fail_msg("%s", error.text);
    assert_int_equal(vt_catalogue_count(catalogue), 12);
    const struct vt_catalogue_entry *e =
        vt_catalogue_find(catalogue, "e72a5710cce378dc46472b6b845cb90647634f2738d8c3e581735cf195b9866f", "renamed");
    assert_non_null(e);
    assert_string_equal(e->name, "mobilefacenet");
    assert_string_equal(e->function, "arcface");
    assert_string_equal(e->licence, "Apache-2.0");
    assert_string_equal(e->channels, "rgb");
    assert_true(e->mean[0] == 123.675f && e->mean[1] == 116.28f && e->mean[2] == 103.53f);
    assert_true(e->std[0] == 58.395f && e->std[1] == 57.12f && e->std[2] == 57.375f);
    e = vt_catalogue_find(catalogue, "", "scrfd_10g_gnkps");
    assert_non_null(e);
    assert_string_equal(e->function, "scrfd");
    assert_string_equal(e->sha256, "");
    assert_true(e->mean[0] == 127.5f && e->std[0] == 128 && e->width == 640 && e->height == 640);
    e = vt_catalogue_find(catalogue, NULL, "arcface_r100_v1");
    assert_true(e->mean[1] == 0 && e->std[1] == 1);
    e = vt_catalogue_find(catalogue, NULL, "w600k_r50");
    assert_true(e->mean[1] == 127.5f && e->std[1] == 127.5f);
    e = vt_catalogue_find(catalogue, NULL, "4_0_0_80x80_MiniFASNetV1SE");
    assert_string_equal(e->channels, "bgr");
    assert_null(vt_catalogue_find(catalogue, "", "unheard_of"));
    assert_null(vt_catalogue_find(catalogue, "", "")); /* an empty digest is no match for entries without one */
    vt_catalogue_destroy(catalogue);
}

static void test_digest_before_name(void **state) {
    (void)state;
    static const char text[] = "models:\n" ENTRY("first", "") ENTRY("second", SHA);
    struct vt_catalogue *catalogue;
    struct vultus_error error;
    if (vt_catalogue_parse(text, strlen(text), "test", &catalogue, &error)) fail_msg("%s", error.text);
    assert_string_equal(vt_catalogue_find(catalogue, SHA, "first")->name, "second");
    assert_string_equal(vt_catalogue_find(catalogue, "ff", "first")->name, "first");
    assert_true(vt_catalogue_at(catalogue, 1)->mean[1] == 2.5f);
    vt_catalogue_destroy(catalogue);
}

static void expect_refusal(const char *text, size_t size, const char *words) {
    struct vt_catalogue *catalogue = NULL;
    struct vultus_error error = {0};
    assert_int_equal(vt_catalogue_parse(text, size, "test.yaml", &catalogue, &error), VULTUS_ERROR_FORMAT);
    if (!strstr(error.text, words) || !strstr(error.text, "test.yaml")) fail_msg("unexpected sentence: %s", error.text);
    assert_null(catalogue);
}

/* `text` with its first `from` replaced by `to`. */
static void expect_refusal_after(const char *text, const char *from, const char *to, const char *words) {
    char changed[2048];
    const char *at = strstr(text, from);
    assert_non_null(at);
    int length = snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    expect_refusal(changed, (size_t)length, words);
}

static void test_refusals(void **state) {
    (void)state;
    static const char text[] = "models:\n" ENTRY("first", SHA);
    static const struct {
        const char *from, *to, *words;
    } changes[] = {
        {"width: 112", "width: 112.5", "line 4: width must be a whole number"},
        {"width: 112", "width: 0", "line 4: width"},
        {"width: 112", "width: [1]", "line 4: width"},
        {"height: 112", "height: 1e9", "line 5: height"},
        {"mean: [1, 2.5, 3]", "mean: [1, 2.5]", "line 7: mean must be three numbers"},
        {"mean: [1, 2.5, 3]", "mean: [1, 2.5, x]", "line 7: mean must be three numbers"},
        {"mean: [1, 2.5, 3]", "mean: [1, nan, 1]", "line 7: mean must be three numbers"},
        {"std: [4, 5, 6]", "std: [4, 0, 6]", "std must be above 0"},
        {"std: [4, 5, 6]", "std: 4", "line 8: std must be three numbers"},
        {"channels: rgb", "channels: yuv", "channels must be rgb or bgr"},
        {"function: arcface", "function: magic", "function must be"},
        {SHA, "ABC", "sha256 must be 64"},
        {"name: first", "name: ''", "name must not be empty"},
        {"name: first", "name: {a: b}", "line 2: name must be text"},
        {"name: first", "name: \"a\\0b\"", "line 2: name must be text"},
        {"    origin: somewhere\n", "", "origin is missing"},
        {"origin: somewhere", "origin: a\n    origin: b", "line 10: origin is given twice"},
        {"origin: somewhere", "colour: red", "line 9: colour is no key"},
        {"origin: somewhere", "? [a]\n    : b", "a key must be text"},
        {"models:\n", "model:\n", "must be models"},
        {"models:\n", "other: 1\nmodels:\n", "must be a mapping with the one key"},
        {"  - name: first\n", "  - plain\n  - name: first\n", "models must hold mappings"},
        {"[4, 5, 6]", "[4, 5, 6", "line"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        expect_refusal_after(text, changes[i].from, changes[i].to, changes[i].words);
    expect_refusal("", 0, "must be a mapping");
    expect_refusal("models: 5", 9, "models must be a sequence");
    expect_refusal("models: &a [*a]", 15, "must hold mappings");
    expect_refusal("\xff\xfe\xff", 3, "line");
}

/* Every beginning of a catalogue, and every one with a byte changed, is read or refused. */
static void test_mangled(void **state) {
    (void)state;
    char text[] = "models:\n" ENTRY("first", SHA) ENTRY("second", "");
    for (size_t i = 0; i < 2 * strlen(text); i++) {
        bool cut = i % 2 == 0;
        size_t at = i / 2;
        char kept = text[at];
        if (!cut) text[at] = (char)(kept ^ (1 << at % 7));
        struct vt_catalogue *catalogue;
        struct vultus_error error = {0};
        if (vt_catalogue_parse(text, cut ? at : strlen(text), "test.yaml", &catalogue, &error) == VULTUS_OK)
            vt_catalogue_destroy(catalogue);
        else
            assert_non_null(strstr(error.text, "test.yaml"));
        text[at] = kept;
    }
}

static struct vt_tensor shape(int rank, int64_t a, int64_t b, int64_t c, int64_t d) {
    return (struct vt_tensor){.dtype = VT_DTYPE_F32, .rank = rank, .dims = {a, b, c, d}};
}

static const char *recognise(struct vt_tensor input, const struct vt_tensor *outputs, size_t n_outputs) {
    static struct vt_plan_model model;
    model = (struct vt_plan_model){0};
    vt_recognise_function(&input, 1, outputs, n_outputs, &model);
    assert_string_equal(model.origin, "shapes");
    if (strcmp(model.function, "scrfd") == 0) assert_true(model.mean[0] == 127.5f && model.std[2] == 128);
    if (strcmp(model.function, "arcface") == 0) assert_true(model.mean[0] == 127.5f && model.std[2] == 127.5f);
    if (*model.function) assert_string_equal(model.channels, "rgb");
    assert_true(model.std[0] > 0);
    return model.function;
}

static void test_recognition(void **state) {
    (void)state;
    struct vt_tensor heads[9], picture = shape(4, 1, 3, 640, 640), crop = shape(4, 1, 3, 112, 112);
    for (int i = 0; i < 9; i++) {
        static const int columns[] = {1, 4, 10};
        heads[i] = shape(2, 12800 >> 2 * (i % 3), columns[i / 3], 0, 0);
    }
    assert_string_equal(recognise(picture, heads, 9), "scrfd");
    assert_string_equal(recognise(picture, heads, 6), "scrfd");
    assert_string_equal(recognise(picture, heads, 8), "");
    assert_string_equal(recognise(picture, heads, 3), "");
    heads[4] = shape(3, 1, 3200, 4, 0); /* a batch axis here and there */
    assert_string_equal(recognise(picture, heads, 9), "scrfd");
    heads[4] = shape(2, 3200, 5, 0, 0);
    assert_string_equal(recognise(picture, heads, 9), "");

    struct vt_tensor embedding = shape(2, 1, 512, 0, 0), logits = shape(2, 1, 3, 0, 0), scalar = shape(0, 0, 0, 0, 0);
    assert_string_equal(recognise(crop, &embedding, 1), "arcface");
    assert_string_equal(recognise(crop, &logits, 1), "");
    assert_string_equal(recognise(crop, &scalar, 1), "");
    assert_string_equal(recognise(picture, &embedding, 1), "");
    assert_string_equal(recognise(shape(4, 1, 112, 112, 3), &embedding, 1), "");
    assert_string_equal(recognise(shape(4, 1, 3, 80, 80), &logits, 1), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_digest_before_name),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_mangled),
        cmocka_unit_test(test_recognition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
