/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/keys.h"

static struct vt_configuration configuration;
static struct vultus_error error;

static int setup(void **state) {
    (void)state;
    configuration = (struct vt_configuration){0};
    return vt_configuration_init(&configuration, NULL);
}

static int teardown(void **state) {
    (void)state;
    vt_configuration_fini(&configuration);
    return 0;
}

static enum vultus_status read_text(const char *text) {
    return vt_configuration_read_text(&configuration, text, strlen(text), "some/vultus.yaml", &error);
}

static const struct vt_key_value *value(enum vt_key key) { return &configuration.values[key]; }

static void defaults_are_what_the_table_says(void **state) {
    (void)state;
    for (int k = 0; k < VT_KEY_COUNT; k++) {
        assert_string_equal(value((enum vt_key)k)->text, vt_key_info((enum vt_key)k)->fallback);
        assert_string_equal(value((enum vt_key)k)->origin, "default");
        assert_int_equal(vt_key_of_name(vt_key_info((enum vt_key)k)->name), k);
    }
    assert_int_equal(value(VT_KEY_PORT)->integer, 18081);
    assert_int_equal(value(VT_KEY_INPUT_SIZE)->width, 640);
    assert_true(value(VT_KEY_DEFAULT_THRESHOLD)->number == 0.6);
}

static void a_file(void **state) {
    (void)state;
    assert_int_equal(read_text("# comment\nport: 99\nhost: '::1'\nMAX_SIZE: '700,333'\nDEF_EXTRACT_GA: \"True\"\n"
                               "tensorrt:\n  precision: fp32\n  max_batch_size: 8\n  workspace_size_mb: 100\n"),
        VULTUS_OK);
    assert_int_equal(value(VT_KEY_PORT)->integer, 99);
    assert_string_equal(value(VT_KEY_PORT)->origin, "vultus.yaml:2");
    assert_string_equal(value(VT_KEY_HOST)->text, "::1");
    assert_int_equal(value(VT_KEY_INPUT_SIZE)->width, 672); /* multiples of 32, rounded down */
    assert_int_equal(value(VT_KEY_INPUT_SIZE)->height, 320);
    assert_int_equal(value(VT_KEY_DEFAULT_GENDERAGE)->integer, 1);
    assert_int_equal(value(VT_KEY_MAX_BATCH)->integer, 8);
}

static void a_file_with_lists(void **state) {
    (void)state;
    assert_int_equal(read_text("devices: [0, 1]\nbackends:\n  - cuda\n  - cpu\ninput_size: [320, 640]\n"), VULTUS_OK);
    assert_string_equal(value(VT_KEY_DEVICES)->text, "0,1");
    assert_string_equal(value(VT_KEY_BACKENDS)->text, "cuda,cpu");
    assert_int_equal(value(VT_KEY_INPUT_SIZE)->width, 320);
    assert_int_equal(value(VT_KEY_INPUT_SIZE)->height, 640);
}

static void fails(const char *text, const char *wanted) {
    assert_true(read_text(text) < 0);
    if (!strstr(error.text, wanted)) fail_msg("\"%s\" does not say \"%s\"", error.text, wanted);
}

static void wrong_files(void **state) {
    (void)state;
    fails("\nprot: 1\n", "some/vultus.yaml:2: there is no key \"prot\"; did you mean port?");
    fails("port: many\n", "vultus.yaml:1: port is \"many\"; it takes a whole number from 0 to 65535");
    fails("port: 70000\n", "70000");
    fails("access_log: perhaps\n", "on|off");
    fails("backends: cuda,abacus\n", "tensorrt|cuda|cpu|trt|onnx");
    fails("backends: ''\n", "backends is \"\"");
    fails("strict: maybe\n", "on|off");
    fails("- port\n", "some/vultus.yaml:1: the file must be a list of");
    fails("devices: [[0]]\n", "a list holds words or numbers");
    fails("devices: {0: 1}\n", "there is no key \"devices.0\"");
    fails("port: [1]\n", "a key's value must be a word or a number");
    fails("a:\n  b:\n    c: 1\n", "must be a word");
    fails("port: {\n", "some/vultus.yaml:");
}

static void stronger_sources_win_in_any_order(void **state) {
    (void)state;
    setenv("VULTUS_PORT", "3", 1);
    assert_int_equal(vt_configuration_set(&configuration, VT_KEY_PORT, "4", VT_FROM_FLAG, "--port", &error), VULTUS_OK);
    assert_int_equal(vt_configuration_read_environment(&configuration, &error), VULTUS_OK);
    assert_int_equal(read_text("port: 2\nqueue_length: 2\n"), VULTUS_OK);
    unsetenv("VULTUS_PORT");
    assert_int_equal(value(VT_KEY_PORT)->integer, 4);
    assert_int_equal(value(VT_KEY_QUEUE_LENGTH)->integer, 2);
}

static void variables_of_insightface_rest(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"DET_NAME", "a"}, {"GA_MODEL", "b"}, {"MAX_SIZE", "[1280, 640]"},
        {"DEF_RETURN_LANDMARKS", "True"}, {"ROOT_IMAGES_DIR", "/somewhere"}, {"IFR_VERSION", "v1"}, {"FORCE_FP16", "x"},
        {"INFERENCE_BACKEND", "trt"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) setenv(pairs[i][0], pairs[i][1], 1);
    setenv("VULTUS_GENDERAGE", "ours", 1);
    assert_int_equal(vt_configuration_read_environment(&configuration, &error), VULTUS_OK);
    assert_string_equal(value(VT_KEY_DETECTOR)->text, "a");
    assert_string_equal(value(VT_KEY_GENDERAGE)->text, "ours");
    assert_int_equal(value(VT_KEY_INPUT_SIZE)->width, 1280);
    assert_int_equal(value(VT_KEY_DEFAULT_LANDMARKS)->integer, 1);
    assert_string_equal(value(VT_KEY_IMAGES_ROOT)->text, "/somewhere");
    assert_string_equal(value(VT_KEY_SHOWN_VERSION)->text, "v1");
    assert_string_equal(value(VT_KEY_BACKENDS)->text, "trt");
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) unsetenv(pairs[i][0]);
    unsetenv("VULTUS_GENDERAGE");
}

static void what_is_printed_reads_back(void **state) {
    (void)state;
    assert_int_equal(read_text("host: 'it''s'\nport: 5\nmax_size: 320x320\n"), VULTUS_OK);
    struct vt_strbuf printed = {0};
    vt_configuration_print(&configuration, &printed);
    teardown(NULL);
    setup(NULL);
    assert_int_equal(read_text(printed.text), VULTUS_OK);
    assert_string_equal(value(VT_KEY_HOST)->text, "it's");
    assert_int_equal(value(VT_KEY_PORT)->integer, 5);
    assert_int_equal(value(VT_KEY_INPUT_SIZE)->width, 320);
    vt_strbuf_fini(&printed);
}

static void secrets_are_not_printed(void **state) {
    (void)state;
    assert_int_equal(read_text("fetch_headers: '{\"Authorization\":\"hidden\"}'\n"), VULTUS_OK);
    struct vt_strbuf printed = {0};
    vt_configuration_print(&configuration, &printed);
    assert_null(strstr(printed.text, "hidden"));
    vt_strbuf_fini(&printed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(defaults_are_what_the_table_says, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_with_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_files, setup, teardown),
        cmocka_unit_test_setup_teardown(stronger_sources_win_in_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(variables_of_insightface_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_printed_reads_back, setup, teardown),
        cmocka_unit_test_setup_teardown(secrets_are_not_printed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
