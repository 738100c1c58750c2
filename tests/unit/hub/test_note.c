/* SPDX-License-Identifier: Apache-2.0
 * The notes beside models and beside parts of downloads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hub/manifest.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MANIFEST "{\"sha256\": \"" SHA "\", \"bytes\": 7, \"trust\": \"first use\", \"origin\": \"here\"}"
#define PART "{\"url\": \"http://h/f\", \"validator\": \"\\\"1\\\"\", \"total\": 9}"

static void test_manifest_round_trip(void **state) {
    (void)state;
    char path[] = "/tmp/vultus-note-XXXXXX";
    close(mkstemp(path));
    const struct vt_manifest in = {
        .sha256 = SHA, .bytes = 5000000000u, .trust = VT_HUB_CATALOGUE, .origin = "a\xff\"b"};
    struct vt_manifest out;
    struct vt_arena arena;
    struct vultus_error error;
    vt_arena_init(&arena, 0);
    assert_int_equal(vt_manifest_write(path, &in, &error), VULTUS_OK);
    assert_int_equal(vt_manifest_read(path, &arena, &out, &error), VULTUS_OK);
    assert_string_equal(out.sha256, SHA);
    assert_true(out.bytes == in.bytes && out.trust == VT_HUB_CATALOGUE);
    assert_string_equal(out.origin, "a\xef\xbf\xbd\"b"); /* JSON holds no other bytes than UTF-8 */
    unlink(path);
    assert_int_equal(vt_manifest_read(path, &arena, &out, &error), VULTUS_ERROR_NOT_FOUND);
    vt_arena_fini(&arena);
}

static void test_part_round_trip(void **state) {
    (void)state;
    char path[] = "/tmp/vultus-note-XXXXXX";
    close(mkstemp(path));
    const struct vt_part in = {.url = "https://example.org/x?y=z", .validator = "\"e\\tag\"", .total = 5000000000u};
    struct vt_part out;
    struct vultus_error error;
    assert_int_equal(vt_part_write(path, &in, &error), VULTUS_OK);
    assert_int_equal(vt_part_read(path, &out, &error), VULTUS_OK);
    assert_string_equal(out.url, in.url);
    assert_string_equal(out.validator, in.validator);
    assert_true(out.total == in.total);
    unlink(path);
}

static void expect_manifest(const char *text, const char *words) {
    struct vt_manifest out;
    struct vt_arena arena;
    struct vultus_error error = {0};
    vt_arena_init(&arena, 0);
    enum vultus_status status = vt_manifest_parse(text, strlen(text), "note.json", &arena, &out, &error);
    assert_int_equal(status, words ? VULTUS_ERROR_FORMAT : VULTUS_OK);
    if (words && (!strstr(error.text, words) || !strstr(error.text, "note.json"))) fail_msg("%s", error.text);
    vt_arena_fini(&arena);
}

static void expect_part(const char *text, const char *words) {
    struct vt_part out;
    struct vultus_error error = {0};
    enum vultus_status status = vt_part_parse(text, strlen(text), "note.json", &out, &error);
    assert_int_equal(status, words ? VULTUS_ERROR_FORMAT : VULTUS_OK);
    if (words && !strstr(error.text, words)) fail_msg("%s", error.text);
}

static void test_refusals(void **state) {
    (void)state;
    expect_manifest(MANIFEST, NULL);
    expect_part(PART, NULL);
    expect_manifest("", "line 1");
    expect_manifest("[]", "must be a JSON object");
    expect_manifest("{\"sha256\": \"" SHA "\", \"sha256\": \"" SHA "\"}", "duplicate");
    expect_manifest("{}", "sha256 must be");
    expect_manifest("{\"sha256\": \"0123\"}", "sha256 must be");
    expect_manifest("{\"sha256\": \"" SHA "0\"}", "sha256 must be");
    expect_manifest("{\"sha256\": \"" SHA "\", \"bytes\": -1}", "bytes must be");
    expect_manifest("{\"sha256\": \"" SHA "\", \"bytes\": 1e3}", "bytes must be");
    expect_manifest("{\"sha256\": \"" SHA "\", \"bytes\": 1, \"trust\": \"unknown\"}", "trust must be");
    expect_manifest("{\"sha256\": \"" SHA "\", \"bytes\": 1, \"trust\": \"catalogue\"}", "origin must be");
    expect_part("null", "line 1"); /* jansson wants an object or an array outside */
    expect_part("{}", "url must be");
    expect_part("{\"url\": \"a\"}", "validator must be");
    expect_part("{\"url\": \"a\", \"validator\": \"x\\r\\nHost: b\"}", "validator must be");
    expect_part("{\"url\": \"a\", \"validator\": \"x\"}", "total must be");
    expect_part("{\"url\": \"a\\u0000b\", \"validator\": \"x\", \"total\": 1}", "NUL");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest_round_trip),
        cmocka_unit_test(test_part_round_trip),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
