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

#include "base/file.h"
#include "config/starter.h"
#include "vultus/vultus.h"

/* A program in a folder of its own, with a detector where an installed one would lie. */
struct tree {
    char root[64], program[128], model[256];
};

static int make_tree(void **state) {
    struct tree *t = calloc(1, sizeof *t);
    assert_non_null(t);
    strcpy(t->root, "/tmp/vultus-starter-XXXXXX");
    assert_non_null(mkdtemp(t->root));
    char folder[200];
    snprintf(folder, sizeof folder, "%s/bin", t->root);
    assert_int_equal(vt_make_directories(folder, NULL), VULTUS_OK);
    snprintf(folder, sizeof folder, "%s/share/vultus/models/starter", t->root);
    assert_int_equal(vt_make_directories(folder, NULL), VULTUS_OK);
    snprintf(t->program, sizeof t->program, "%s/bin/program", t->root);
    snprintf(t->model, sizeof t->model, "%s/starter_det.onnx", folder);
    assert_int_equal(vt_write_file_atomically(t->model, "x", 1, NULL), VULTUS_OK);
    *state = t;
    return 0;
}

static int remove_tree(void **state) {
    static const char *const parts[] = {"share/vultus/models/starter/starter_det.onnx", "share/vultus/models/starter",
        "share/vultus/models", "share/vultus", "share", "bin", ""};
    struct tree *t = *state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", t->root, parts[i]);
        remove(path);
    }
    free(t);
    return 0;
}

static void beside_the_program_comes_first(void **state) {
    struct tree *t = *state;
    struct vultus_error error;
    char *path = NULL, resolved[4096];
    assert_int_equal(vt_starter_path_from(t->program, VT_STARTER_DETECTOR, &path, &error), VULTUS_OK);
    assert_non_null(realpath(path, resolved));
    assert_string_equal(resolved, t->model);
    free(path);
}

static void elsewhere_when_not_beside_the_program(void **state) {
    struct tree *t = *state;
    struct vultus_error error;
    char *path = NULL;
    assert_int_equal(vt_starter_path_from(t->program, VT_STARTER_RECOGNISER, &path, &error), VULTUS_OK);
    assert_int_not_equal(strncmp(path, t->root, strlen(t->root)), 0);
    assert_string_equal(vt_path_basename(path), "starter_rec.onnx");
    assert_true(vt_path_exists(path));
    free(path);
}

static void the_current_folder_is_not_looked_into(void **state) {
    struct tree *t = *state;
    struct vultus_error error;
    char *path = NULL, before[4096], bin[128];
    snprintf(bin, sizeof bin, "%s/bin", t->root);
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(bin), 0);
    enum vultus_status status = vt_starter_path_from("", VT_STARTER_DETECTOR, &path, &error);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(status, VULTUS_OK);
    assert_int_equal(path[0], '/');
    free(path);
}

static void other_names_are_refused(void **state) {
    (void)state;
    struct vultus_error error;
    char *path = NULL;
    assert_int_equal(vultus_starter_model("../../secret", &path, &error), VULTUS_ERROR_INVALID);
    assert_non_null(strstr(error.text, "starter_det"));
    assert_int_equal(vultus_starter_model(NULL, &path, &error), VULTUS_ERROR_INVALID);
    assert_null(path);
    assert_false(vt_is_starter("starter"));
}

static void public_paths_can_be_read(void **state) {
    (void)state;
    static const char *const names[] = {"starter_det", "starter_rec"};
    struct vultus_error error;
    for (int i = 0; i < 2; i++) {
        struct vt_mapped_file file;
        char *path = NULL;
        assert_int_equal(vultus_starter_model(names[i], &path, &error), VULTUS_OK);
        assert_int_equal(vt_map_file(path, &file, &error), VULTUS_OK);
        assert_true(file.size > 1000);
        vt_unmap_file(&file);
        vultus_free(path);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(beside_the_program_comes_first, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(elsewhere_when_not_beside_the_program, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(the_current_folder_is_not_looked_into, make_tree, remove_tree),
        cmocka_unit_test(other_names_are_refused),
        cmocka_unit_test(public_paths_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
