/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors whose data lie in files beside the model, and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "reading.h"

static const float content[] = {1, 2, 3, 4, 5, 6};
static char folder[64]; /* with model/, where models may look, and secret.bin beside it */

static void path_of(char *path, size_t size, const char *name) { snprintf(path, size, "%s/%s", folder, name); }

static void write_file(const char *name, const void *bytes, size_t size) {
    char path[256];
    path_of(path, sizeof path, name);
    if (vt_write_file_atomically(path, bytes, size, NULL)) fail_msg("cannot write %s", path);
}

static void make_folder(const char *name) {
    char path[256];
    path_of(path, sizeof path, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void make_link(const char *target, const char *name) {
    char path[256];
    path_of(path, sizeof path, name);
    assert_int_equal(symlink(target, path), 0);
}

static int make_files(void **state) {
    (void)state;
    strcpy(folder, "/tmp/vultus-external-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    make_folder("model");
    make_folder("model/deep");
    write_file("secret.bin", content, sizeof content);
    write_file("model/w.bin", content, sizeof content);
    write_file("model/deep/w.bin", content, sizeof content);
    write_file("model/empty.bin", "", 0);
    make_link("../secret.bin", "model/link.bin");
    make_link("w.bin", "model/inner-link.bin");
    make_link("..", "model/up");
    char fifo[256];
    path_of(fifo, sizeof fifo, "model/fifo");
    return mkfifo(fifo, 0600);
}

static int remove_files(void **state) {
    (void)state;
    static const char *const names[] = {"model/fifo", "model/up", "model/inner-link.bin", "model/link.bin",
        "model/empty.bin", "model/deep/w.bin", "model/w.bin", "secret.bin", "model/deep", "model", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        char path[256];
        path_of(path, sizeof path, names[i]);
        if (remove(path)) return -1;
    }
    return 0;
}

static void put_entry(struct encoder *tensor, const char *key, const char *value) {
    struct encoder entry = {0};
    put_text(&entry, 1, key);
    put_text(&entry, 2, value);
    put_message(tensor, 13, &entry);
}

/* w, two floats, is read from `location`; NULL entries are left out. y = Identity(w). */
static struct encoder model_with(const char *location, const char *offset, const char *length) {
    struct encoder graph = {0}, tensor = {0};
    const int64_t two = 2;
    put_packed(&tensor, 1, 1, &two);
    put_int(&tensor, 2, ONNX_F32);
    put_text(&tensor, 8, "w");
    if (location) put_entry(&tensor, "location", location);
    if (offset) put_entry(&tensor, "offset", offset);
    if (length) put_entry(&tensor, "length", length);
    put_entry(&tensor, "checksum", "whatever");
    put_int(&tensor, 14, 1);
    put_message(&graph, 5, &tensor);
    put_output(&graph, "y");
    put_plain_node(&graph, "Identity", "w", "y");
    return model_of(&graph, 13);
}

static enum vultus_status read_with(
    const struct encoder *model, size_t most_bytes, struct vt_graph **graph, struct vultus_error *error) {
    char path[128];
    path_of(path, sizeof path, "model");
    const struct vt_onnx_limits limits = {.folder = path, .external_bytes = most_bytes};
    *graph = NULL;
    return vt_onnx_read(model->bytes, model->size, "outer.onnx", &limits, graph, error);
}

static void expect_values(const char *location, const char *offset, const char *length, float first, float second) {
    struct encoder model = model_with(location, offset, length);
    struct vt_graph *graph;
    struct vultus_error error;
    if (read_with(&model, 0, &graph, &error)) fail_msg("%s", error.text);
    const float *values = vt_graph_find_value(graph, "w")->constant->data;
    assert_float_equal(values[0], first, 0);
    assert_float_equal(values[1], second, 0);
    vt_graph_destroy(graph);
    encoder_fini(&model);
}

static void files_in_the_folder_are_read(void **state) {
    (void)state;
    expect_values("w.bin", NULL, NULL, 1, 2);
    expect_values("w.bin", "0", "8", 1, 2);
    expect_values("w.bin", "16", "8", 5, 6);
    expect_values("deep/w.bin", "4", NULL, 2, 3);
    expect_values("./deep/w.bin", "4", NULL, 2, 3);
    /* Bytes 1 to 8 of 1.0, 2.0, 3.0, which are not aligned. */
    float shifted[2];
    memcpy(shifted, (const char *)content + 1, sizeof shifted);
    expect_values("w.bin", "1", "8", shifted[0], shifted[1]);
}

static void expect_refusal(
    const char *location, const char *offset, const char *length, enum vultus_status status, const char *parts) {
    struct encoder model = model_with(location, offset, length);
    struct vt_graph *graph;
    struct vultus_error error;
    if (!read_with(&model, 0, &graph, &error)) fail_msg("'%s' was read", location ? location : "nothing");
    expect_parts(error.text, "outer.onnx: tensor 'w'");
    expect_parts(error.text, parts);
    assert_int_equal(error.status, status);
    encoder_fini(&model);
}

static void nothing_outside_is_read(void **state) {
    (void)state;
    char absolute[128];
    path_of(absolute, sizeof absolute, "secret.bin");
    static const char *const outside[] = {"../secret.bin", "deep/../../secret.bin", "deep/../w.bin", "..", "/", "",
        "/etc/passwd", "deep//w.bin", "deep/"};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; ++i)
        expect_refusal(outside[i], NULL, NULL, VULTUS_ERROR_INVALID, "must be relative and without '..'");
    expect_refusal(absolute, NULL, NULL, VULTUS_ERROR_INVALID, "must be relative");
    expect_refusal(NULL, NULL, NULL, VULTUS_ERROR_INVALID, "must be relative");
    static const char *const links[] = {"link.bin", "inner-link.bin", "up/secret.bin", "up/model/w.bin", "w.bin/x"};
    for (size_t i = 0; i < sizeof links / sizeof *links; ++i)
        expect_refusal(links[i], NULL, NULL, VULTUS_ERROR_INVALID, "symbolic links are not followed");
    expect_refusal("missing.bin", NULL, NULL, VULTUS_ERROR_NOT_FOUND, "missing.bin: cannot open");
    expect_refusal("fifo", NULL, NULL, VULTUS_ERROR_INVALID, "not a regular file");
    expect_refusal("deep", NULL, NULL, VULTUS_ERROR_INVALID, "not a regular file");
    char endless[5000];
    memset(endless, 'n', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    expect_refusal(endless, NULL, NULL, VULTUS_ERROR_IO, "cannot open");
}

static void ranges_outside_the_file_are_refused(void **state) {
    (void)state;
    static const char *const offsets[] = {"17", "24", "25", "18446744073709551615", "9223372036854775807"};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; ++i)
        expect_refusal("w.bin", offsets[i], NULL, VULTUS_ERROR_FORMAT, "needs 8 bytes|of the 24 bytes of 'w.bin'");
    static const char *const lengths[] = {"0", "7", "9", "24", "18446744073709551615"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; ++i)
        expect_refusal("w.bin", "0", lengths[i], VULTUS_ERROR_FORMAT, "needs 8 bytes");
    static const char *const words[] = {"-1", "+1", " 1", "1 ", "0x10", "one", "", "99999999999999999999"};
    for (size_t i = 0; i < sizeof words / sizeof *words; ++i) {
        expect_refusal("w.bin", words[i], NULL, VULTUS_ERROR_FORMAT, "must be numbers");
        expect_refusal("w.bin", NULL, words[i], VULTUS_ERROR_FORMAT, "must be numbers");
    }
    expect_refusal("empty.bin", NULL, NULL, VULTUS_ERROR_FORMAT, "of the 0 bytes");
}

static void what_they_may_hold_is_bounded(void **state) {
    (void)state;
    struct encoder model = model_with("w.bin", NULL, NULL);
    struct vt_graph *graph;
    struct vultus_error error;
    assert_int_equal(read_with(&model, 24, &graph, &error), VULTUS_OK);
    vt_graph_destroy(graph);
    assert_int_equal(read_with(&model, 23, &graph, &error), VULTUS_ERROR_LIMIT);
    expect_parts(error.text, "more than 23 bytes");
    assert_int_equal(vt_onnx_read(model.bytes, model.size, "m", NULL, &graph, &error), VULTUS_ERROR_UNSUPPORTED);
    expect_parts(error.text, "has no folder");
    encoder_fini(&model);
}

/* Thousands of tensors of one file map it once. */
static void one_file_serves_many_tensors(void **state) {
    (void)state;
    struct encoder graph = {0};
    for (int i = 0; i < 2000; ++i) {
        struct encoder tensor = {0};
        char name[16];
        const int64_t two = 2;
        snprintf(name, sizeof name, "w%d", i);
        put_packed(&tensor, 1, 1, &two);
        put_int(&tensor, 2, ONNX_F32);
        put_text(&tensor, 8, name);
        put_entry(&tensor, "location", "w.bin");
        put_int(&tensor, 14, 1);
        put_message(&graph, 5, &tensor);
    }
    put_output(&graph, "y");
    put_plain_node(&graph, "Identity", "w7", "y");
    struct encoder model = model_of(&graph, 13);
    struct vt_graph *read;
    struct vultus_error error;
    if (read_with(&model, sizeof content, &read, &error)) fail_msg("%s", error.text);
    assert_null(read->files->next);
    vt_graph_destroy(read);
    encoder_fini(&model);
}

static void digest(const struct encoder *model, char hex[VT_SHA256_HEX]) {
    char path[128];
    struct vultus_error error;
    path_of(path, sizeof path, "model");
    if (vt_onnx_sha256(model->bytes, model->size, "m", path, hex, &error)) fail_msg("%s", error.text);
}

static void the_digest_covers_the_files(void **state) {
    (void)state;
    struct encoder model = model_with("w.bin", NULL, NULL);
    char before[VT_SHA256_HEX], after[VT_SHA256_HEX], bytes[VT_SHA256_HEX];
    digest(&model, before);
    const float changed[] = {1, 2, 3, 4, 5, 7};
    write_file("model/w.bin", changed, sizeof changed);
    digest(&model, after);
    assert_string_not_equal(before, after);
    write_file("model/w.bin", content, sizeof content);
    digest(&model, after);
    assert_string_equal(before, after);
    encoder_fini(&model);

    struct encoder graph = {0};
    put_f32(&graph, "w", 2, content);
    put_output(&graph, "w");
    model = model_of(&graph, 13);
    digest(&model, before);
    assert_int_equal(vt_sha256_hex(model.bytes, model.size, bytes, NULL), VULTUS_OK);
    assert_string_equal(before, bytes);
    for (size_t size = 0; size < model.size; ++size) {
        const struct encoder part = {.bytes = model.bytes, .size = size};
        digest(&part, after);
        assert_string_not_equal(after, bytes);
    }
    encoder_fini(&model);
}

#define TEST(name) cmocka_unit_test(name)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(files_in_the_folder_are_read), TEST(nothing_outside_is_read),
        TEST(ranges_outside_the_file_are_refused), TEST(what_they_may_hold_is_bounded),
        TEST(one_file_serves_many_tensors), TEST(the_digest_covers_the_files)};
    return cmocka_run_group_tests_name("onnx-external", tests, make_files, remove_files);
}
