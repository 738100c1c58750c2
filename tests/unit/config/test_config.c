/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

static void flag_wins_over_environment(void **state) {
    (void)state;
    setenv("VULTUS_DET", "from-environment.onnx", 1);
    assert_string_equal(vt_setting_text(VT_SETTING_DETECTOR, "from-flag.onnx"), "from-flag.onnx");
    assert_string_equal(vt_setting_text(VT_SETTING_DETECTOR, NULL), "from-environment.onnx");
    unsetenv("VULTUS_DET");
}

static void empty_environment_counts_as_unset(void **state) {
    (void)state;
    unsetenv("VULTUS_REC");
    assert_null(vt_setting_text(VT_SETTING_RECOGNISER, NULL));
    setenv("VULTUS_REC", "", 1);
    assert_null(vt_setting_text(VT_SETTING_RECOGNISER, NULL));
    unsetenv("VULTUS_REC");
}

static void table_is_complete(void **state) {
    (void)state;
    for (int a = 0; a < VT_SETTING_COUNT; a++) {
        const struct vt_setting_info *info = vt_setting_info((enum vt_setting)a);
        assert_non_null(info->environment);
        assert_non_null(info->fallback);
        assert_non_null(info->meaning);
        assert_int_equal(strncmp(info->environment, "VULTUS_", 7), 0);
        for (int b = 0; b < a; b++)
            assert_string_not_equal(info->environment, vt_setting_info((enum vt_setting)b)->environment);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flag_wins_over_environment),
        cmocka_unit_test(empty_environment_counts_as_unset),
        cmocka_unit_test(table_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
