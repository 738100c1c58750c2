/* SPDX-License-Identifier: Apache-2.0
 * The models folder without a network: importing, checking, removing, finding by name.
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

#include "base/file.h"
#include "hub/hub_internal.h"

/* "first" has a digest that no file has; "second" has none; "third" is told by that of the bytes 08 07 33. */
#define THIRD "\x08\x07\x33"
#define MODEL(name, sha)                                                                                               \
    "  - {name: " name ", function: arcface, width: 112, height: 112, channels: rgb, mean: [0, 0, 0], std: [1, 1, 1]," \
    " origin: o, licence: strict, sha256: '" sha "', aliases: [" name "-too], packs: [bundle]}\n"
#define NOBODY "0000000000000000000000000000000000000000000000000000000000000000"

static char folder[64], work[96];
static struct vt_hub *hub;
static struct vt_hub_list list;
static struct vultus_error error;
static int asked;

static const char *in_folder(const char *name) {
    static char paths[4][160];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(paths[turn], sizeof paths[turn], "%s/%s", work, name);
    return paths[turn];
}

static void write_text(const char *path, const char *text) {
    if (vt_write_file_atomically(path, text, strlen(text), &error)) fail_msg("%s", error.text);
}

static bool refuse(void *context, const char *name, const struct vt_licence *licence) {
    (void)context;
    assert_string_equal(name, "second");
    assert_string_equal(licence->id, "strict");
    assert_string_equal(licence->text, "Ask first.");
    asked++;
    return false;
}

static int setup(void **state) {
    (void)state;
    char digest[VT_SHA256_HEX], text[4096], path[96];
    strcpy(folder, "/tmp/vultus-hub-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(work, sizeof work, "%s/models", folder);
    vt_sha256_hex(THIRD, 3, digest, NULL);
    snprintf(text, sizeof text,
        "licences:\n  - {id: strict, text: Ask first., accept: yes}\n"
        "packs:\n  - {name: bundle, licence: strict, sha256: ''}\n"
        "models:\n" MODEL("first", NOBODY) MODEL("second",
            "") "  - {name: third, function: scrfd, width: 64, height: 64, channels: rgb, mean: [0, 0, 0], std: [1, 1, "
                "1],"
                " origin: o, licence: strict, sha256: %s, packs: [bundle], urls: ['http://127.0.0.1:1/third.onnx']}\n",
        digest);
    snprintf(path, sizeof path, "%s/catalogue.yaml", folder);
    write_text(path, text);
    setenv("VULTUS_CATALOGUE", path, 1);
    unsetenv("VULTUS_ACCEPT_LICENCE");
    unsetenv("VULTUS_MODELS_MIRROR");
    asked = 0;
    const struct vt_hub_options options = {.folder = work, .events = {.accept = refuse}};
    if (vt_hub_open(&options, &hub, &error)) fail_msg("%s", error.text);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    char command[128];
    vt_hub_list_fini(&list);
    vt_hub_close(hub);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static enum vultus_status import(const char *name, const char *text) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_text(path, text);
    vt_hub_list_fini(&list);
    return vt_hub_import(hub, path, &list, &error);
}

static void test_import_by_digest_and_by_name(void **state) {
    (void)state;
    assert_int_equal(import("any-name", THIRD), VULTUS_OK);
    assert_string_equal(list.models[0].name, "third");
    assert_int_equal(list.models[0].trust, VT_HUB_CATALOGUE);
    assert_true(vt_path_exists(in_folder("third.onnx")) && vt_path_exists(in_folder("third.json")));

    assert_int_equal(import("second-too.onnx", "\x08\x07xyz"), VULTUS_OK);
    assert_string_equal(list.models[0].name, "second");
    assert_int_equal(list.models[0].trust, VT_HUB_FIRST_USE);
    assert_int_equal(import("second.onnx", "\x08\x07 abc"), VULTUS_ERROR_MISMATCH);
    assert_non_null(strstr(error.text, "the first time"));

    assert_int_equal(import("first.onnx", "\x08\x07xyz"), VULTUS_ERROR_MISMATCH);
    assert_int_equal(import("second.onnx", "plain text"), VULTUS_ERROR_FORMAT);
    assert_int_equal(import("second.onnx", ""), VULTUS_ERROR_FORMAT);
    assert_int_equal(import("fourth.onnx", "\x08\x07xyz"), VULTUS_ERROR_NOT_FOUND);
    assert_false(vt_path_exists(in_folder("first.onnx")));
}

static void test_verify(void **state) {
    (void)state;
    import("third", THIRD);
    import("second.onnx", "\x08\x07xyz");
    write_text(in_folder("stray.onnx"), "\x08\x07 whatever");
    write_text(in_folder("third.onnx"), "\x08\x07 changed");
    write_text(in_folder("half.onnx.5.0.tmp"), "\x08\x07");
    write_text(in_folder(".hidden.onnx"), "\x08\x07");
    vt_hub_list_fini(&list);
    assert_int_equal(vt_hub_verify(hub, NULL, &list, &error), VULTUS_OK);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.models[0].name, "second");
    assert_int_equal(list.models[0].status, VULTUS_OK);
    assert_string_equal(list.models[1].name, "stray");
    assert_int_equal(list.models[1].trust, VT_HUB_UNKNOWN);
    assert_string_equal(list.models[2].name, "third");
    assert_int_equal(list.models[2].status, VULTUS_ERROR_MISMATCH);
}

/* A damaged note is no digest to trust, and no reason to fail. */
static void test_damaged_note(void **state) {
    (void)state;
    import("second.onnx", "\x08\x07xyz");
    write_text(in_folder("second.json"), "{\"sha256\": 5}");
    vt_hub_list_fini(&list);
    assert_int_equal(vt_hub_verify(hub, NULL, &list, &error), VULTUS_OK);
    assert_int_equal(list.models[0].trust, VT_HUB_UNKNOWN);
    assert_int_equal(import("second.onnx", "\x08\x07 another"), VULTUS_OK);
}

static void test_remove(void **state) {
    (void)state;
    import("third", THIRD);
    write_text(in_folder("third.onnx.part"), "x");
    write_text(in_folder("bundle.zip.part"), "x");
    vt_hub_list_fini(&list);
    assert_int_equal(vt_hub_remove(hub, "bundle", &list, &error), VULTUS_OK);
    assert_int_equal(list.count, 1);
    assert_false(vt_path_exists(in_folder("third.onnx")) || vt_path_exists(in_folder("third.json")) ||
                 vt_path_exists(in_folder("third.onnx.part")) || vt_path_exists(in_folder("bundle.zip.part")));
    vt_hub_list_fini(&list);
    assert_int_equal(vt_hub_remove(hub, "bundle", &list, &error), VULTUS_ERROR_NOT_FOUND);
    write_text(in_folder("stray.onnx"), "\x08\x07");
    vt_hub_list_fini(&list);
    assert_int_equal(vt_hub_remove(hub, "stray", &list, &error), VULTUS_OK);
    assert_false(vt_path_exists(in_folder("stray.onnx")));
    static const char *const elsewhere[] = {"../catalogue", "", ".", "..", "/etc/passwd", "a/b", ".hidden"};
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        assert_int_equal(vt_hub_remove(hub, elsewhere[i], &list, &error), VULTUS_ERROR_INVALID);
}

static void test_pull_without_address(void **state) {
    (void)state;
    assert_int_equal(vt_hub_pull(hub, "second", &list, &error), VULTUS_ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, "models import"));
    assert_int_equal(asked, 0);
    setenv("VULTUS_MODELS_MIRROR", "/nowhere", 1);
    assert_int_equal(vt_hub_pull(hub, "second", &list, &error), VULTUS_ERROR_INVALID);
    assert_int_equal(asked, 1);
    assert_non_null(strstr(error.text, "--accept-licence strict"));
    unsetenv("VULTUS_MODELS_MIRROR");
}

static void expect_path(const char *value, const char *function, const char *wanted) {
    char *path = NULL;
    if (vt_hub_resolve(hub, value, function, &path, &error)) fail_msg("%s", error.text);
    assert_string_equal(path, wanted);
    free(path);
}

static void test_resolve(void **state) {
    (void)state;
    char *path = NULL;
    expect_path("a/b", NULL, "a/b");
    expect_path("third.onnx", NULL, "third.onnx");
    expect_path("third.plan", NULL, "third.plan");
    expect_path("-x", NULL, "-x");
    assert_int_equal(vt_hub_resolve(hub, "third", NULL, &path, &error), VULTUS_ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, "vultus models pull third"));
    assert_int_equal(vt_hub_resolve(hub, "nobody", NULL, &path, &error), VULTUS_ERROR_NOT_FOUND);
    assert_int_equal(vt_hub_resolve(hub, "bundle", NULL, &path, &error), VULTUS_ERROR_INVALID);
    assert_int_equal(vt_hub_resolve(hub, "bundle", "minifasnet", &path, &error), VULTUS_ERROR_INVALID);
    assert_int_equal(asked, 0);
    import("third", THIRD);
    import("second.onnx", "\x08\x07xyz");
    expect_path("third", "scrfd", in_folder("third.onnx"));
    expect_path("bundle", "scrfd", in_folder("third.onnx"));
    expect_path("second-too", "arcface", in_folder("second.onnx"));
    write_text(in_folder("stray.onnx"), "\x08\x07");
    expect_path("stray", NULL, in_folder("stray.onnx"));
    assert_null(path);
}

static void test_lists_with_commas(void **state) {
    (void)state;
    assert_true(
        vt_hub_accepts("a,bc,d e", "a") && vt_hub_accepts("a,bc,d e", "bc") && vt_hub_accepts("a,bc,d e", "d e"));
    assert_false(vt_hub_accepts("a,bc", "b") || vt_hub_accepts("a,bc", "bcd") || vt_hub_accepts("", "a") ||
                 vt_hub_accepts(",,", "a") || vt_hub_accepts("abc", "a"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_import_by_digest_and_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_verify, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_note, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pull_without_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resolve, setup, teardown),
        cmocka_unit_test(test_lists_with_commas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
