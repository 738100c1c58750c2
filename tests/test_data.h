/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_TEST_DATA_H
#define VT_TESTS_TEST_DATA_H

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "config.h"

/*
 * Writes the path of `name`, of the test data's models, into `path`. Where it is not there, skips the running test and
 * says so; include after cmocka.h.
 */
static inline void find_test_model(const char *name, char *path, size_t size) {
    const char *data = getenv("VULTUS_TEST_DATA");
    snprintf(path, size, "%s/models/%s", data ? data : VT_SOURCE_DIR "/../shared", name);
    if (vt_path_exists(path)) return;
    print_message("skipped: VULTUS_TEST_DATA is absent: there is no %s\n", path);
    skip();
}

#endif
