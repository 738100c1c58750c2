/* SPDX-License-Identifier: Apache-2.0
 * Archives written by minizip's own writer, then damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include <cmocka.h>

#include "hub/archive.h"

static char folder[64], path[96], target[96];

static int setup(void **state) {
    (void)state;
    strcpy(folder, "/tmp/vultus-archive-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/a.zip", folder);
    snprintf(target, sizeof target, "%s/out", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(path);
    unlink(target);
    return rmdir(folder); /* fails when temporary files are left */
}

static void add(zipFile zip, const char *name, const void *data, unsigned size, int level) {
    assert_int_equal(zipOpenNewFileInZip(zip, name, NULL, NULL, 0, NULL, 0, NULL, level ? 8 : 0, level), ZIP_OK);
    assert_int_equal(zipWriteInFileInZip(zip, data, size), ZIP_OK);
    assert_int_equal(zipCloseFileInZip(zip), ZIP_OK);
}

static void make(const char *const *names, size_t n, const void *data, unsigned size, int level) {
    zipFile zip = zipOpen(path, APPEND_STATUS_CREATE);
    assert_non_null(zip);
    for (size_t i = 0; i < n; i++) add(zip, names[i], data, size, level);
    assert_int_equal(zipClose(zip, NULL), ZIP_OK);
}

/* Walks through the archive, unpacking each model; how many there were, or the failure. */
static int walk(uint64_t limit, struct vultus_error *error) {
    struct vt_archive *archive;
    struct vt_member member;
    bool found = true;
    int count = 0;
    enum vultus_status status = vt_archive_open(path, &archive, error);
    if (status) return status;
    while (!status && !(status = vt_archive_next(archive, &member, &found, error)) && found) {
        struct vt_atomic_file file;
        assert_null(strchr(member.name, '/'));
        assert_int_equal(vt_atomic_file_open(target, &file, error), VULTUS_OK);
        status = vt_archive_extract(archive, limit, &file, error);
        if (status)
            vt_atomic_file_discard(&file);
        else
            assert_int_equal(vt_atomic_file_commit(&file, error), VULTUS_OK);
        count++;
    }
    vt_archive_close(archive);
    return status ? (int)status : count;
}

static void test_members(void **state) {
    (void)state;
    static const char *const names[] = {"folder/", "folder/a.onnx", "b.onnx", "README.md", "c.onnx.txt", "...onnx"};
    static const char text[] = "what a model might be";
    struct vultus_error error;
    make(names, 6, text, sizeof text, 9);
    assert_int_equal(walk(1000, &error), 3);
    uint8_t *data;
    size_t size;
    assert_int_equal(vt_read_file(target, 1000, &data, &size, &error), VULTUS_OK);
    assert_int_equal(size, sizeof text);
    assert_memory_equal(data, text, size);
    free(data);
    assert_int_equal(walk(sizeof text - 1, &error), VULTUS_ERROR_LIMIT);
}

static void test_names(void **state) {
    (void)state;
    static const char *const names[] = {
        "../a.onnx", "a/../../b.onnx", "/a.onnx", "a\\b.onnx", "C:a.onnx", "a\nb.onnx", "a/..", ".."};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct vultus_error error;
        make(&names[i], 1, "data", 4, 0);
        assert_int_equal(walk(1000, &error), VULTUS_ERROR_FORMAT);
        assert_non_null(strstr(error.text, "relative path"));
    }
    static const char *const fine[] = {"..a.onnx", "a..b/c.onnx", "./a.onnx"};
    struct vultus_error error;
    make(fine, 3, "data", 4, 0);
    assert_int_equal(walk(1000, &error), 3);
}

static void test_bomb_and_crowd(void **state) {
    (void)state;
    static const char zeros[4 << 20];
    static const char *const name[] = {"a.onnx"};
    struct vultus_error error;
    make(name, 1, zeros, sizeof zeros, 9);
    assert_int_equal(walk(UINT64_MAX, &error), VULTUS_ERROR_LIMIT);
    assert_non_null(strstr(error.text, "100 times"));
    static char texts[1001][16];
    const char *names[1001];
    for (int i = 0; i < 1001; i++) {
        snprintf(texts[i], sizeof texts[i], "%d.txt", i);
        names[i] = texts[i];
    }
    make(names, 1000, "x", 1, 0);
    assert_int_equal(walk(10, &error), 0);
    make(names, 1001, "x", 1, 0);
    assert_int_equal(walk(10, &error), VULTUS_ERROR_LIMIT);
}

/* Every byte of a small archive changed, and every beginning of it: refused, or unpacked, never more than stated. */
static void test_mangled(void **state) {
    (void)state;
    static const char *const names[] = {"a.onnx", "b/c.onnx"};
    struct vultus_error error;
    uint8_t *data;
    size_t size;
    make(names, 2, "some bytes that are compressed, compressed, compressed", 54, 9);
    assert_int_equal(vt_read_file(path, 100000, &data, &size, &error), VULTUS_OK);
    for (size_t i = 0; i < 2 * size; i++) {
        size_t at = i / 2;
        uint8_t kept = data[at];
        if (i % 2) data[at] ^= (uint8_t)(1 << at % 8);
        assert_int_equal(vt_write_file_atomically(path, data, i % 2 ? size : at, &error), VULTUS_OK);
        walk(1000, &error);
        data[at] = kept;
    }
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bomb_and_crowd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mangled, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
