/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "server/images_root.h"

static char base[64] = "/tmp/vultus-root-XXXXXX";
static struct vt_images_root root;

static void path_of(const char *name, char path[256]) { snprintf(path, 256, "%s/%s", base, name); }

static enum vultus_status read_name(const char *name, size_t limit, char *content) {
    uint8_t *bytes;
    size_t size;
    struct vultus_error error;
    enum vultus_status status = vt_images_root_read(&root, name, strlen(name), limit, &bytes, &size, &error);
    if (status) return status;
    memcpy(content, bytes, size);
    content[size] = '\0';
    free(bytes);
    return VULTUS_OK;
}

static void inside(void **state) {
    (void)state;
    char content[64], absolute[256];
    static const char *const names[] = {"a.jpg", "sub/../a.jpg", "./a.jpg", "link-inside"};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(read_name(names[i], 10, content), VULTUS_OK);
        assert_string_equal(content, "inside");
    }
    path_of("images/a.jpg", absolute);
    assert_int_equal(read_name(absolute, 10, content), VULTUS_OK);
    assert_int_equal(read_name("empty", 10, content), VULTUS_OK);
    assert_string_equal(content, "");
    assert_int_equal(read_name("a.jpg", 5, content), VULTUS_ERROR_LIMIT);
}

static void outside(void **state) {
    (void)state;
    char content[64], absolute[256], sibling[256];
    path_of("secret", absolute);
    path_of("images-too/secret", sibling);
    const char *names[] = {"../secret", "sub/../../secret", "link-outside", "folder-link/secret", absolute, sibling,
        "/etc/passwd", "", ".", "sub", "pipe", "/proc/self/environ", "none"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(read_name(names[i], 1000, content), VULTUS_ERROR_NOT_FOUND);
}

static void no_root(void **state) {
    (void)state;
    struct vt_images_root none;
    uint8_t *bytes;
    size_t size;
    assert_int_equal(vt_images_root_open("/nowhere/at/all", &none, NULL), VULTUS_OK);
    assert_int_equal(vt_images_root_read(&none, "a.jpg", 5, 10, &bytes, &size, NULL), VULTUS_ERROR_NOT_FOUND);
    vt_images_root_close(&none);
}

static void put(const char *name, const char *content) {
    char path[256];
    path_of(name, path);
    assert_int_equal(vt_write_file_atomically(path, content, strlen(content), NULL), VULTUS_OK);
}

static int setup(void **state) {
    (void)state;
    char path[256];
    if (!mkdtemp(base)) return -1;
    static const char *const folders[] = {"images/sub", "images-too"};
    for (int i = 0; i < 2; i++) {
        path_of(folders[i], path);
        if (vt_make_directories(path, NULL)) return -1;
    }
    put("images/a.jpg", "inside");
    put("images/empty", "");
    put("secret", "secret");
    put("images-too/secret", "secret");
    static const char *const links[][2] = {
        {"a.jpg", "images/link-inside"}, {"../secret", "images/link-outside"}, {"..", "images/folder-link"}};
    for (int i = 0; i < 3; i++) {
        path_of(links[i][1], path);
        if (symlink(links[i][0], path)) return -1;
    }
    path_of("images/pipe", path);
    if (mkfifo(path, 0600)) return -1;
    path_of("images/", path);
    return vt_images_root_open(path, &root, NULL);
}

static int teardown(void **state) {
    (void)state;
    vt_images_root_close(&root);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(inside), cmocka_unit_test(outside), cmocka_unit_test(no_root)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
