/* SPDX-License-Identifier: Apache-2.0
 * Files, paths, locks and digests.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/file.h"

static char directory[64];

static int make_directory(void **state) {
    (void)state;
    strcpy(directory, "/tmp/vultus-file-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
    (void)state;
    return rmdir(directory); /* fails when a test left anything behind */
}

/* "directory/name", good until the second call after. */
static const char *in_directory(const char *name) {
    static char paths[2][256];
    static int turn;
    turn = !turn;
    snprintf(paths[turn], sizeof paths[turn], "%s/%s", directory, name);
    return paths[turn];
}

static void write_file(const char *path, const void *bytes, size_t size) {
    struct vultus_error error;
    if (vt_write_file_atomically(path, bytes, size, &error)) fail_msg("%s", error.text);
}

static void assert_content(const char *path, const char *wanted) {
    struct vultus_error error;
    struct vt_mapped_file file;
    uint8_t *read = NULL;
    size_t size = 0;
    if (vt_map_file(path, &file, &error) || vt_read_file(path, 1000, &read, &size, &error)) fail_msg("%s", error.text);
    assert_int_equal(file.size, strlen(wanted));
    assert_int_equal(size, strlen(wanted));
    if (size) assert_memory_equal(file.data, wanted, size);
    if (size) assert_memory_equal(read, wanted, size);
    vt_unmap_file(&file);
    assert_null(file.data);
    free(read);
}

static void test_write_and_read(void **state) {
    (void)state;
    const char *path = in_directory("a");
    write_file(path, "first", 5);
    assert_content(path, "first");
    write_file(path, "", 0);
    assert_content(path, "");
    assert_true(vt_path_exists(path));
    unlink(path);
    assert_false(vt_path_exists(path));
}

/* Files get the mode that the umask leaves, as those of other programs. */
static void test_mode(void **state) {
    (void)state;
    struct stat info;
    const char *path = in_directory("a");
    mode_t before = umask(027);
    write_file(path, "x", 1);
    umask(before);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    unlink(path);
}

static void test_read_limit(void **state) {
    (void)state;
    struct vultus_error error;
    uint8_t *read = NULL;
    size_t size;
    const char *path = in_directory("a");
    write_file(path, "12345", 5);
    assert_int_equal(vt_read_file(path, 5, &read, &size, &error), VULTUS_OK);
    free(read);
    assert_int_equal(vt_read_file(path, 4, &read, &size, &error), VULTUS_ERROR_LIMIT);
    assert_non_null(strstr(error.text, path));
    unlink(path);
}

/* Standard input of a child process is a pipe that its parent fills. */
static int read_standard_input(const char *content, size_t length, size_t limit) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        uint8_t *read;
        size_t size;
        dup2(ends[0], STDIN_FILENO);
        close(ends[0]);
        close(ends[1]);
        enum vultus_status status = vt_read_file("-", limit, &read, &size, NULL);
        bool same = !status && size == length && memcmp(read, content, size) == 0;
        _exit(status ? -status : same ? 0 : 100);
    }
    int result;
    close(ends[0]);
    for (size_t done = 0; done < length;) {
        ssize_t n = write(ends[1], content + done, length - done);
        if (n < 0) break;
        done += (size_t)n;
    }
    close(ends[1]);
    waitpid(child, &result, 0);
    return WEXITSTATUS(result);
}

static void test_standard_input(void **state) {
    (void)state;
    enum { LONG = 200000 };
    char *content = malloc(LONG);
    for (int i = 0; i < LONG; i++) content[i] = (char)(i * 7 + i / 256);
    assert_int_equal(read_standard_input(content, LONG, LONG), 0);
    assert_int_equal(read_standard_input(content, 0, 10), 0);
    assert_int_equal(read_standard_input(content, 11, 10), -VULTUS_ERROR_LIMIT);
    free(content);
}

static void test_what_is_no_file(void **state) {
    (void)state;
    struct vultus_error error;
    struct vt_mapped_file file;
    uint8_t *read;
    size_t size;
    const char *fifo = in_directory("fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    const char *const paths[] = {directory, fifo, "/dev/null"};
    for (size_t i = 0; i < 3; i++) { /* none may block */
        assert_int_equal(vt_map_file(paths[i], &file, &error), VULTUS_ERROR_INVALID);
        assert_non_null(strstr(error.text, paths[i]));
        assert_int_equal(vt_read_file(paths[i], 10, &read, &size, &error), VULTUS_ERROR_INVALID);
    }
    unlink(fifo);
    assert_int_equal(vt_map_file(fifo, &file, &error), VULTUS_ERROR_NOT_FOUND);
    assert_int_equal(vt_read_file("/dev/null/x", 10, &read, &size, &error), VULTUS_ERROR_NOT_FOUND);
}

/* Until it is committed, a file keeps its old content; a discarded one leaves nothing. */
static void test_atomic_file(void **state) {
    (void)state;
    struct vultus_error error;
    struct vt_atomic_file file, other;
    const char *path = in_directory("a");
    write_file(path, "old", 3);
    assert_int_equal(vt_atomic_file_open(path, &file, &error), VULTUS_OK);
    assert_int_equal(vt_atomic_file_open(path, &other, &error), VULTUS_OK); /* two writers do not meet */
    assert_int_equal(vt_atomic_file_write(&file, "ne", 2, &error), VULTUS_OK);
    assert_int_equal(vt_atomic_file_write(&other, "junk", 4, &error), VULTUS_OK);
    assert_int_equal(vt_atomic_file_write(&file, "w", 1, &error), VULTUS_OK);
    assert_content(path, "old");
    assert_int_equal(vt_atomic_file_commit(&file, &error), VULTUS_OK);
    vt_atomic_file_discard(&other);
    assert_content(path, "new");
    unlink(path);
    /* Over a directory the rename fails, and the temporary file goes. */
    const char *in_the_way = in_directory("folder");
    assert_int_equal(mkdir(in_the_way, 0700), 0);
    assert_int_equal(vt_write_file_atomically(in_the_way, "x", 1, &error), VULTUS_ERROR_IO);
    rmdir(in_the_way);
    assert_int_equal(vt_write_file_atomically(in_directory("no/folder"), "x", 1, &error), VULTUS_ERROR_NOT_FOUND);
    assert_int_equal(vt_write_file_atomically("/dev/full/x", "x", 1, &error), VULTUS_ERROR_NOT_FOUND);
}

static void test_make_directories(void **state) {
    (void)state;
    struct vultus_error error;
    assert_int_equal(vt_make_directories(in_directory("a//b/c/"), &error), VULTUS_OK);
    assert_true(vt_path_exists(in_directory("a/b/c")));
    assert_int_equal(vt_make_directories(in_directory("a/b/c"), &error), VULTUS_OK);
    write_file(in_directory("a/file"), "x", 1);
    assert_int_equal(vt_make_directories(in_directory("a/file"), &error), VULTUS_ERROR_IO);
    assert_int_equal(vt_make_directories(in_directory("a/file/x"), &error), VULTUS_ERROR_IO);
    assert_non_null(strstr(error.text, "a/file"));
    assert_int_equal(vt_make_directories("/", &error), VULTUS_OK);
    unlink(in_directory("a/file"));
    rmdir(in_directory("a/b/c"));
    rmdir(in_directory("a/b"));
    rmdir(in_directory("a"));
}

/* A child that wants the lock gets it only after the parent let go. */
static void test_lock(void **state) {
    (void)state;
    struct vultus_error error;
    const char *path = in_directory("lock"), *mark = in_directory("mark");
    int lock;
    assert_int_equal(vt_lock_file(path, &lock, &error), VULTUS_OK);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int own;
        close(lock); /* flock belongs to the open file, which a fork shares */
        if (vt_lock_file(path, &own, NULL)) _exit(2);
        _exit(vt_path_exists(mark) ? 0 : 1);
    }
    usleep(20000);
    write_file(mark, "", 0);
    vt_unlock_file(lock);
    int result;
    waitpid(child, &result, 0);
    assert_int_equal(WEXITSTATUS(result), 0);
    assert_int_equal(vt_lock_file("/nowhere/at/all", &lock, &error), VULTUS_ERROR_NOT_FOUND);
    unlink(mark);
    unlink(path);
}

static void assert_text(char *text, const char *wanted) {
    assert_string_equal(text, wanted);
    free(text);
}

static void test_paths(void **state) {
    (void)state;
    assert_string_equal(vt_path_basename("a/b/c.onnx"), "c.onnx");
    assert_string_equal(vt_path_basename("c.onnx"), "c.onnx");
    assert_string_equal(vt_path_basename("a/"), "");
    assert_text(vt_path_stem("a.b/model.v2.onnx"), "model.v2");
    assert_text(vt_path_stem("a.b/model"), "model");
    assert_text(vt_path_stem(".hidden"), ".hidden");
    assert_text(vt_path_join("a", "b"), "a/b");
    assert_text(vt_path_join("a/", "b"), "a/b");
    assert_text(vt_path_join("", "b"), "b");
    assert_text(vt_path_join("/", "b"), "/b");
}

/* FIPS 180-2's examples, and the value of nothing that xxHash's own tests give. */
static void test_digests(void **state) {
    (void)state;
    char hex[VT_SHA256_HEX];
    assert_int_equal(vt_sha256_hex("abc", 3, hex, NULL), VULTUS_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(vt_sha256_hex("", 0, hex, NULL), VULTUS_OK);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_true(vt_checksum64(NULL, 0) == UINT64_C(0x2d06800538d394c2));
    uint8_t bytes[300] = {0};
    uint64_t whole = vt_checksum64(bytes, sizeof bytes);
    for (size_t i = 0; i < 8 * sizeof bytes; i++) {
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_true(vt_checksum64(bytes, sizeof bytes) != whole);
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

/* One mapping for as long as somebody holds it and the file stays; a file that takes its place is another. */
static void test_shared_mappings(void **state) {
    (void)state;
    char directory[] = "/tmp/vultus-share-XXXXXX", path[64];
    struct vt_mapped_file first, second, replaced, empty;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/file", directory);
    assert_int_equal(vt_write_file_atomically(path, "one", 3, NULL), 0);
    assert_int_equal(vt_share_file(path, &first, NULL), 0);
    assert_int_equal(vt_share_file(path, &second, NULL), 0);
    assert_ptr_equal(first.data, second.data);
    assert_int_equal(first.size, 3);
    assert_int_equal(vt_write_file_atomically(path, "two", 3, NULL), 0);
    assert_int_equal(vt_share_file(path, &replaced, NULL), 0);
    assert_memory_equal(replaced.data, "two", 3);
    vt_unshare_file(&first);
    assert_null(first.data);
    assert_memory_equal(second.data, "one", 3);
    vt_unshare_file(&second);
    vt_unshare_file(&replaced);
    assert_int_equal(vt_write_file_atomically(path, "", 0, NULL), 0);
    assert_int_equal(vt_share_file(path, &empty, NULL), 0);
    assert_true(!empty.data && empty.size == 0);
    vt_unshare_file(&empty);
    unlink(path);
    assert_int_equal(vt_share_file(path, &empty, NULL), VULTUS_ERROR_NOT_FOUND);
    assert_int_equal(vt_share_file(directory, &empty, NULL), VULTUS_ERROR_INVALID);
    rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_mappings),
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_mode),
        cmocka_unit_test(test_read_limit),
        cmocka_unit_test(test_standard_input),
        cmocka_unit_test(test_what_is_no_file),
        cmocka_unit_test(test_atomic_file),
        cmocka_unit_test(test_make_directories),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_digests),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
