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

#include "plan/store.h"
#include "plan_fixture.h"

static void assert_directory(const char *plans, const char *cache, const char *home, const char *wanted) {
    const char *const settings[][2] = {{"VULTUS_PLANS", plans}, {"XDG_CACHE_HOME", cache}, {"HOME", home}};
    struct vultus_error error = {VULTUS_OK, ""};
    for (int i = 0; i < 3; i++) {
        if (settings[i][1])
            setenv(settings[i][0], settings[i][1], 1);
        else
            unsetenv(settings[i][0]);
    }
    char *directory = vt_store_default_directory(&error);
    if (wanted) {
        assert_non_null(directory);
        assert_string_equal(directory, wanted);
    } else {
        assert_null(directory);
        assert_int_equal(error.status, VULTUS_ERROR_INVALID);
    }
    free(directory);
}

static void test_default_directory(void **state) {
    (void)state;
    assert_directory("/p", "/c", "/h", "/p");
    assert_directory("plans", "/c", "/h", "plans");
    assert_directory("", "/c", "/h", "/c/vultus/plans");
    assert_directory(NULL, "/c", NULL, "/c/vultus/plans");
    assert_directory(NULL, "relative", "/h", "/h/.cache/vultus/plans");
    assert_directory(NULL, NULL, "/h", "/h/.cache/vultus/plans");
    assert_directory(NULL, NULL, NULL, NULL);
}

static void assert_name(char *name, const char *wanted) {
    assert_string_equal(name, wanted);
    free(name);
}

static void test_plan_name(void **state) {
    (void)state;
    assert_name(vt_store_plan_name("glintr100", "fp32", "avx512", NULL, 0, 0), "glintr100-fp32-avx512.plan");
    assert_name(vt_store_plan_name("m", "fp32", "sse", "320x240", 0, 0), "m-fp32-sse-320x240.plan");
    assert_name(vt_store_plan_name("m", "fp32", "sse", "320x240", 8, 0), "m-fp32-sse-320x240-b8.plan");
    assert_name(vt_store_plan_name("m", "fp32", "sse", NULL, 128, 0), "m-fp32-sse-b128.plan");
    assert_name(vt_store_plan_name("m", "fp32", "sse", NULL, 0, 3), "m-fp32-sse-t3.plan");
}

static void test_look_up(void **state) {
    (void)state;
    char directory[] = "/tmp/vultus-store-XXXXXX", path[64], reason[128];
    struct vultus_error error;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/a.plan", directory);
    struct vt_plan *plan = sample_plan();
    assert_int_equal(vt_store_look_up(path, &plan->key, reason, sizeof reason), VT_STORE_MISSING);
    assert_string_equal(reason, "no plan yet");
    if (vt_plan_write(plan, path, &error)) fail_msg("%s", error.text);
    assert_int_equal(vt_store_look_up(path, &plan->key, reason, sizeof reason), VT_STORE_HIT);
    strcpy(plan->key.max_batch, "8");
    assert_int_equal(vt_store_look_up(path, &plan->key, reason, sizeof reason), VT_STORE_DIFFERS);
    assert_string_equal(reason, "max_batch differs: the max_batch, wanted 8");
    assert_int_equal(vt_store_look_up(path, &plan->key, NULL, 0), VT_STORE_DIFFERS);
    assert_int_equal(vt_write_file_atomically(path, "no plan", 7, &error), VULTUS_OK);
    assert_int_equal(vt_store_look_up(path, &plan->key, reason, sizeof reason), VT_STORE_BROKEN);
    assert_non_null(strstr(reason, "magic"));
    vt_plan_destroy(plan);
    unlink(path);
    rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_directory),
        cmocka_unit_test(test_plan_name),
        cmocka_unit_test(test_look_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
