/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "catalogue/catalogue.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ENTRY(name, sha)                                                                                               \
    "  - name: " name "\n    function: arcface\n    width: 112\n    height: 112\n    channels: rgb\n"                  \
    "    mean: [1, 2.5, 3]\n    std: [4, 5, 6]\n    origin: somewhere\n    licence: free\n    sha256: \"" sha "\"\n"

static void test_builtin(void **state) {
    (void)state;
    struct vt_catalogue *catalogue;
    struct vultus_error error;
    if (vt_catalogue_open(NULL, &catalogue, &error)) fail_msg("%s", error.text);
    assert_int_equal(vt_catalogue_count(catalogue), 27);
    assert_int_equal(vt_catalogue_pack_count(catalogue), 5);
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
    assert_true(e->crop_scale == 4 && e->typical_norm == 0);
    assert_true(vt_catalogue_find(catalogue, NULL, "2.7_80x80_MiniFASNetV2")->crop_scale == 2.7);
    e = vt_catalogue_find(catalogue, NULL, "mnet_cov2");
    assert_string_equal(e->function, "retinaface_l");
    assert_true(e->mean[0] == 0 && e->std[0] == 1);
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

static void test_match_threshold(void **state) {
    (void)state;
    static const char text[] = "models:\n" ENTRY("first", "") "    match_threshold: 0.25\n" ENTRY("second", "");
    struct vt_catalogue *catalogue;
    struct vultus_error error;
    if (vt_catalogue_parse(text, strlen(text), "test", &catalogue, &error)) fail_msg("%s", error.text);
    assert_true(vt_catalogue_at(catalogue, 0)->match_threshold == 0.25f);
    assert_true(vt_catalogue_at(catalogue, 1)->match_threshold == 0);
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
        {"name: first", "name: ''", "name must be 1 to 64"},
        {"name: first", "name: {a: b}", "line 2: name must be text"},
        {"name: first", "name: \"a\\0b\"", "line 2: name must be text"},
        {"    origin: somewhere\n", "", "origin is missing"},
        {"origin: somewhere", "origin: a\n    origin: b", "line 10: origin is given twice"},
        {"origin: somewhere", "colour: red", "line 9: colour is no key"},
        {"origin: somewhere", "origin: a\n    match_threshold: 1.5", "line 10: match_threshold must be a cosine"},
        {"origin: somewhere", "origin: a\n    match_threshold: []", "line 10: match_threshold must be a cosine"},
        {"origin: somewhere", "? [a]\n    : b", "a key must be text"},
        {"name: first", "name: ../first", "name must be 1 to 64"},
        {"name: first", "name: .first", "name must be 1 to 64"},
        {"models:\n", "model:\n", "must be licences, packs or models"},
        {"models:\n", "other: 1\nmodels:\n", "must be licences, packs or models"},
        {"  - name: first\n", "  - plain\n  - name: first\n", "line 2: models must be a mapping"},
        {"licence: free", "licence: free\n    bytes: 0", "line 11: bytes must be a whole number"},
        {"licence: free", "licence: free\n    bytes: 1e3", "bytes must be a whole number"},
        {"licence: free", "licence: free\n    bytes: 99999999999999999999", "bytes must be a whole number"},
        {"licence: free", "licence: free\n    urls: [\"file:///etc/passwd\"]", "urls must begin with https"},
        {"licence: free", "licence: free\n    urls: there", "urls must be a sequence"},
        {"licence: free", "licence: free\n    aliases: [a/b]", "name must be 1 to 64"},
        {"licence: free", "licence: free\n    packs: [none]", "names the pack none, which is not listed"},
        {"models:\n", "packs:\n  - {name: first, licence: free, sha256: ''}\nmodels:\n", "names a model and a pack"},
        {"models:\n", "licences:\n  - {id: a, text: b, accept: maybe}\nmodels:\n", "accept must be yes or no"},
        {"models:\n", "licences:\n  - {id: 'a,b', text: b, accept: no}\nmodels:\n", "id must be text without commas"},
        {"models:\n", "packs:\n  - {name: p, licence: free}\nmodels:\n", "sha256 is missing"},
        {"[4, 5, 6]", "[4, 5, 6", "line"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        expect_refusal_after(text, changes[i].from, changes[i].to, changes[i].words);
    expect_refusal("", 0, "must be a mapping");
    expect_refusal("models: 5", 9, "models must be a sequence");
    expect_refusal("models: &a [*a]", 15, "models must be a mapping");
    expect_refusal("\xff\xfe\xff", 3, "line");
}

/* What the built-in catalogue promises a downloader. */
static void test_builtin_is_complete(void **state) {
    (void)state;
    struct vt_catalogue *c;
    struct vultus_error error;
    if (vt_catalogue_open(NULL, &c, &error)) fail_msg("%s", error.text);
    for (size_t i = 0; i < vt_catalogue_count(c); i++) {
        const struct vt_catalogue_entry *e = vt_catalogue_at(c, i);
        assert_ptr_equal(vt_catalogue_model(c, e->name), e);
        for (size_t k = 0; k < e->aliases.count; k++) assert_ptr_equal(vt_catalogue_model(c, e->aliases.items[k]), e);
        assert_true(e->source.count > 0 && vt_catalogue_licence(c, e->licence));
    }
    for (size_t i = 0; i < vt_catalogue_pack_count(c); i++) {
        const struct vt_catalogue_pack *p = vt_catalogue_pack_at(c, i);
        bool detects = false, recognises = false;
        for (size_t k = 0; k < vt_catalogue_count(c); k++) {
            const struct vt_catalogue_entry *e = vt_catalogue_at(c, k);
            if (!vt_texts_contain(&e->packs, p->name)) continue;
            assert_string_equal(e->licence, p->licence);
            assert_true(e->bytes > 0 && e->bytes < p->bytes * 2);
            detects |= strcmp(e->function, "scrfd") == 0;
            recognises |= strcmp(e->function, "arcface") == 0;
        }
        assert_true(detects && recognises && p->urls.count > 0 && p->source.count > 0);
        assert_int_equal(strlen(p->sha256), 64);
        for (size_t k = 0; k < p->urls.count; k++) assert_int_equal(strncmp(p->urls.items[k], "https://", 8), 0);
    }
    assert_true(vt_catalogue_licence(c, "insightface-noncommercial")->accept);
    assert_string_equal(vt_catalogue_model(c, "scrfd_500m")->name, "det_500m");
    assert_null(vt_catalogue_model(c, "nobody"));
    assert_null(vt_catalogue_pack(c, "det_500m"));
    vt_catalogue_destroy(c);
}

/* A user's file adds to the built-in catalogue, and replaces what has the same name. */
static void test_file_over_builtin(void **state) {
    (void)state;
    static const char text[] =
        "licences:\n  - {id: free, text: Do what you like., accept: no}\n"
        "packs:\n  - {name: bundle, licence: free, sha256: '', urls: [https://example.org/b.zip]}\n"
        "models:\n" ENTRY("mobilefacenet", "") "    packs: [bundle, buffalo_l]\n" ENTRY("mine", SHA);
    char path[] = "/tmp/vultus-catalogue-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0 && write(descriptor, text, strlen(text)) == (ssize_t)strlen(text));
    struct vt_catalogue *builtin = NULL, *c = NULL;
    struct vultus_error error;
    if (vt_catalogue_open(NULL, &builtin, &error) || vt_catalogue_open(path, &c, &error)) fail_msg("%s", error.text);
    assert_int_equal(vt_catalogue_count(c), vt_catalogue_count(builtin) + 1);
    assert_int_equal(vt_catalogue_pack_count(c), vt_catalogue_pack_count(builtin) + 1);
    const struct vt_catalogue_entry *e = vt_catalogue_model(c, "mobilefacenet");
    assert_string_equal(e->origin, "somewhere");
    assert_int_equal(e->packs.count, 2);
    assert_string_equal(vt_catalogue_find(c, SHA, NULL)->name, "mine");
    assert_false(vt_catalogue_licence(c, "free")->accept);
    assert_non_null(vt_catalogue_model(c, "w600k_r50"));
    vt_catalogue_destroy(builtin);
    vt_catalogue_destroy(c);
    assert_int_equal(ftruncate(descriptor, 3), 0);
    assert_int_equal(vt_catalogue_open(path, &c, &error), VULTUS_ERROR_FORMAT);
    assert_non_null(strstr(error.text, path));
    close(descriptor);
    unlink(path);
    assert_int_equal(vt_catalogue_open(path, &c, &error), VULTUS_ERROR_NOT_FOUND);
}

/* Twice in one document is a mistake. */
static void test_duplicates(void **state) {
    (void)state;
    static const char text[] = "models:\n" ENTRY("first", SHA) ENTRY("first", "");
    expect_refusal(text, strlen(text), "first is listed twice");
}

/* YAML's aliases let few bytes name many: memory is bounded all the same. */
static void test_alias_bomb(void **state) {
    (void)state;
    static char text[600000];
    size_t used = (size_t)snprintf(text, sizeof text, "models:\n");
    for (int i = 0; i < 1000; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, ENTRY("m%d", "") "    source: ", i);
        if (i) {
            used += (size_t)snprintf(text + used, sizeof text - used, "*a\n");
            continue;
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "&a [");
        for (int k = 0; k < 64; k++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%04000d", k ? "," : "", k);
        used += (size_t)snprintf(text + used, sizeof text - used, "]\n");
    }
    struct vt_catalogue *catalogue = NULL;
    struct vultus_error error;
    assert_int_equal(vt_catalogue_parse(text, used, "test.yaml", &catalogue, &error), VULTUS_ERROR_MEMORY);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_builtin_is_complete),
        cmocka_unit_test(test_file_over_builtin),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_alias_bomb),
        cmocka_unit_test(test_digest_before_name),
        cmocka_unit_test(test_match_threshold),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_mangled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
