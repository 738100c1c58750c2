/* SPDX-License-Identifier: Apache-2.0
 * .npy files: headers are those that numpy 2.4 writes, and every way to break them.
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
#include "tensor/npy.h"

/* A file of the given version whose header is `text` (padded as numpy does) and whose data are `size` bytes. */
static uint8_t *npy(int version, const char *text, const void *data, size_t size, size_t *total) {
    size_t start = version == 1 ? 10 : 12, length = (start + strlen(text) + 1 + 63) / 64 * 64 - start;
    uint8_t *bytes = malloc(start + length + size);
    assert_non_null(bytes);
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (uint8_t)version;
    bytes[7] = 0;
    for (size_t i = 8; i < start; i++) bytes[i] = (uint8_t)(length >> 8 * (i - 8));
    memset(bytes + start, ' ', length);
    memcpy(bytes + start, text, strlen(text));
    bytes[start + length - 1] = '\n';
    if (size) memcpy(bytes + start + length, data, size);
    *total = start + length + size;
    return bytes;
}

static enum vultus_status parse(
    const char *text, const void *data, size_t size, struct vt_arena *arena, struct vt_tensor *out) {
    enum vultus_status first = VULTUS_OK;
    for (int version = 1; version <= 3; version++) {
        struct vultus_error error = {VULTUS_OK, ""};
        size_t total;
        uint8_t *bytes = npy(version, text, data, size, &total);
        enum vultus_status status = vt_npy_parse(bytes, total, "file", arena, out, &error);
        if (version == 1) first = status;
        assert_int_equal(status, first);
        if (status) assert_non_null(strstr(error.text, "file"));
        free(bytes);
    }
    return first;
}

static void test_what_numpy_writes(void **state) {
    (void)state;
    static const struct {
        const char *descr;
        enum vt_dtype dtype;
    } types[] = {{"<f4", VT_DTYPE_F32}, {"<f8", VT_DTYPE_F64}, {"<f2", VT_DTYPE_F16}, {"<i8", VT_DTYPE_I64},
        {"<i4", VT_DTYPE_I32}, {"<i2", VT_DTYPE_I16}, {"|i1", VT_DTYPE_I8}, {"<u8", VT_DTYPE_U64},
        {"<u4", VT_DTYPE_U32}, {"<u2", VT_DTYPE_U16}, {"|u1", VT_DTYPE_U8}, {"|b1", VT_DTYPE_BOOL},
        {"<i1", VT_DTYPE_I8}, {"<u1", VT_DTYPE_U8}};
    uint8_t data[48];
    struct vt_arena arena;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 5);
    vt_arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char text[100];
        struct vt_tensor t;
        size_t size = 6 * vt_dtype_size(types[i].dtype);
        snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (2, 3), }", types[i].descr);
        assert_int_equal(parse(text, data, size, &arena, &t), VULTUS_OK);
        assert_int_equal(t.dtype, types[i].dtype);
        assert_int_equal(t.rank, 2);
        assert_int_equal(t.dims[0], 2);
        assert_int_equal(t.dims[1], 3);
        assert_memory_equal(t.data, data, size);
    }
    vt_arena_fini(&arena);
}

static void assert_shape(const char *shape, size_t size, int rank, const int64_t *dims) {
    static const uint8_t data[64];
    char text[200];
    struct vt_arena arena;
    struct vt_tensor t;
    vt_arena_init(&arena, 0);
    snprintf(text, sizeof text, "{'descr': '|u1', 'fortran_order': False, 'shape': %s, }", shape);
    assert_int_equal(parse(text, data, size, &arena, &t), VULTUS_OK);
    assert_int_equal(t.rank, rank);
    for (int i = 0; i < rank; i++) assert_int_equal(t.dims[i], dims[i]);
    vt_arena_fini(&arena);
}

static void test_shapes(void **state) {
    (void)state;
    assert_shape("()", 1, 0, NULL);
    assert_shape("(5,)", 5, 1, (int64_t[]){5});
    assert_shape("(0, 3)", 0, 2, (int64_t[]){0, 3});
    assert_shape("(1, 1, 1, 1, 1, 1, 1, 2)", 2, 8, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 2});
    assert_shape("(2,2)", 4, 2, (int64_t[]){2, 2});
}

static void test_other_orders_of_keys(void **state) {
    (void)state;
    struct vt_arena arena;
    struct vt_tensor t;
    vt_arena_init(&arena, 0);
    assert_int_equal(
        parse("{\"shape\":(1,),\"fortran_order\":False,\"descr\":\"|u1\"}", "x", 1, &arena, &t), VULTUS_OK);
    vt_arena_fini(&arena);
}

#define HEADER(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }"

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        enum vultus_status status;
        const char *text;
    } cases[] = {
        {VULTUS_ERROR_UNSUPPORTED, HEADER("'|u1'", "True", "(2, 2)")},
        {VULTUS_ERROR_UNSUPPORTED, HEADER("'>f4'", "False", "(1,)")},
        {VULTUS_ERROR_UNSUPPORTED, HEADER("'|O'", "False", "(1,)")},
        {VULTUS_ERROR_UNSUPPORTED, HEADER("'<c8'", "False", "(1,)")},
        {VULTUS_ERROR_UNSUPPORTED, HEADER("'<U3'", "False", "(1,)")},
        {VULTUS_ERROR_UNSUPPORTED, HEADER("''", "False", "(1,)")},
        {VULTUS_ERROR_FORMAT, HEADER("[('x', '<f4')]", "False", "(1,)")},
        {VULTUS_ERROR_FORMAT, HEADER("'|u1", "False", "(4,)")},
        {VULTUS_ERROR_FORMAT, HEADER("'|u1'", "Maybe", "(4,)")},
        {VULTUS_ERROR_FORMAT, HEADER("'|u1'", "False", "(4")},
        {VULTUS_ERROR_FORMAT, HEADER("'|u1'", "False", "4")},
        {VULTUS_ERROR_FORMAT, HEADER("'|u1'", "False", "(-4,)")},
        {VULTUS_ERROR_FORMAT, HEADER("'|u1'", "False", "(4 4)")},
        {VULTUS_ERROR_FORMAT, HEADER("'|u1'", "False", "(,)")},
        {VULTUS_ERROR_FORMAT, HEADER("'|u1'", "False", "(99999999999999999999,)")},
        {VULTUS_ERROR_FORMAT, HEADER("'|u1'", "False", "(3,)")},
        {VULTUS_ERROR_FORMAT, HEADER("'|u1'", "False", "(5,)")},
        {VULTUS_ERROR_LIMIT, HEADER("'|u1'", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 4)")},
        {VULTUS_ERROR_LIMIT, HEADER("'<f8'", "False", "(4611686018427387904, 4611686018427387904)")},
        {VULTUS_ERROR_LIMIT, HEADER("'<f8'", "False", "(4611686018427387904,)")},
        {VULTUS_ERROR_FORMAT, "{'descr': '|u1', 'fortran_order': False}"},
        {VULTUS_ERROR_FORMAT, "{'descr': '|u1', 'shape': (4,)}"},
        {VULTUS_ERROR_FORMAT, "{'fortran_order': False, 'shape': (4,)}"},
        {VULTUS_ERROR_FORMAT, "{'descr': '|u1', 'fortran_order': False, 'shape': (4,), 'more': 1}"},
        {VULTUS_ERROR_FORMAT, "{'descr': '|u1', 'fortran_order': False, 'shape': (4,)"},
        {VULTUS_ERROR_FORMAT, "{'descr': '|u1', 'fortran_order': False, 'shape': (4,)} x"},
        {VULTUS_ERROR_FORMAT, "{}"},
        {VULTUS_ERROR_FORMAT, ""},
    };
    struct vt_arena arena;
    struct vt_tensor t;
    vt_arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum vultus_status status = parse(cases[i].text, "abcd", 4, &arena, &t);
        if (status != cases[i].status) fail_msg("%s: status %d, not %d", cases[i].text, status, cases[i].status);
    }
    vt_arena_fini(&arena);
}

/* Every cut and every changed byte, in memory of exactly that size: an error or a tensor, never a crash. */
static void test_hostile_bytes(void **state) {
    (void)state;
    static const float data[4] = {1, 2, 3, 4};
    static const uint8_t masks[] = {0x01, 0x04, 0x10, 0x80, 0xff};
    struct vultus_error error;
    struct vt_arena arena;
    struct vt_tensor t;
    size_t total;
    for (int version = 1; version <= 3; version++) {
        uint8_t *bytes = npy(version, HEADER("'<f4'", "False", "(2, 2)"), data, sizeof data, &total);
        for (size_t length = 0; length < total; length++) {
            uint8_t *cut = malloc(length ? length : 1);
            vt_arena_init(&arena, 1 << 16);
            if (length) memcpy(cut, bytes, length);
            assert_true(vt_npy_parse(cut, length, "cut", &arena, &t, &error) != VULTUS_OK);
            vt_arena_fini(&arena);
            free(cut);
        }
        for (size_t i = 0; i < total * sizeof masks; i++) {
            vt_arena_init(&arena, 1 << 16);
            bytes[i / sizeof masks] ^= masks[i % sizeof masks];
            if (vt_npy_parse(bytes, total, "changed", &arena, &t, &error) == VULTUS_OK)
                assert_int_equal(vt_tensor_bytes(&t), sizeof data);
            bytes[i / sizeof masks] ^= masks[i % sizeof masks];
            vt_arena_fini(&arena);
        }
        free(bytes);
    }
}

static void assert_round_trip(const char *path, enum vt_dtype dtype, int rank, const int64_t *dims) {
    struct vultus_error error;
    struct vt_arena arena;
    struct vt_tensor written, read;
    vt_arena_init(&arena, 0);
    assert_int_equal(vt_tensor_alloc(&arena, dtype, rank, dims, &written, &error), VULTUS_OK);
    for (size_t i = 0; i < vt_tensor_bytes(&written); i++) ((uint8_t *)written.data)[i] = (uint8_t)(i * 11 + 1);
    if (vt_npy_write(path, &written, &error) || vt_npy_read(path, &arena, &read, &error)) fail_msg("%s", error.text);
    assert_int_equal(read.dtype, dtype);
    assert_true(vt_tensor_same_shape(&read, &written));
    assert_memory_equal(read.data, written.data, vt_tensor_bytes(&written));
    struct vt_mapped_file file;
    assert_int_equal(vt_map_file(path, &file, &error), VULTUS_OK);
    assert_int_equal((file.size - vt_tensor_bytes(&written)) % 64, 0); /* data start aligned */
    vt_unmap_file(&file);
    vt_arena_fini(&arena);
}

static void test_round_trips(void **state) {
    (void)state;
    char path[] = "/tmp/vultus-npy-XXXXXX";
    struct vultus_error error;
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    for (int dtype = VT_DTYPE_NONE + 1; dtype < VT_DTYPE_COUNT; dtype++) {
        if (dtype == VT_DTYPE_BF16) continue;
        assert_round_trip(path, (enum vt_dtype)dtype, 0, NULL);
        assert_round_trip(path, (enum vt_dtype)dtype, 1, (int64_t[]){7});
        assert_round_trip(path, (enum vt_dtype)dtype, 3, (int64_t[]){2, 3, 4});
        assert_round_trip(path, (enum vt_dtype)dtype, 2, (int64_t[]){0, INT64_C(1) << 40});
        assert_round_trip(path, (enum vt_dtype)dtype, 8, (int64_t[]){1, 2, 1, 2, 1, 2, 1, 2});
    }
    uint16_t bits = 0;
    struct vt_tensor bf16 = {.dtype = VT_DTYPE_BF16, .data = &bits};
    assert_int_equal(vt_npy_write(path, &bf16, &error), VULTUS_ERROR_UNSUPPORTED);
    unlink(path);
}

/* Byte for byte what numpy.save wrote of numpy.arange(6, dtype="<f4").reshape(2, 3) and of numpy.array([1],
 * dtype="u1"). */
static void test_same_bytes_as_numpy(void **state) {
    (void)state;
    char path[] = "/tmp/vultus-npy-XXXXXX";
    struct vultus_error error;
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    float matrix[6] = {0, 1, 2, 3, 4, 5};
    uint8_t vector[1] = {1};
    const struct {
        struct vt_tensor tensor;
        const char *text;
    } cases[] = {
        {{VT_DTYPE_F32, 2, {2, 3}, matrix}, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"},
        {{VT_DTYPE_U8, 1, {1}, vector}, "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }"},
        {{VT_DTYPE_U8, 0, {0}, vector}, "{'descr': '|u1', 'fortran_order': False, 'shape': (), }"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t total;
        uint8_t *wanted = npy(1, cases[i].text, cases[i].tensor.data, vt_tensor_bytes(&cases[i].tensor), &total);
        struct vt_mapped_file file;
        if (vt_npy_write(path, &cases[i].tensor, &error) || vt_map_file(path, &file, &error))
            fail_msg("%s", error.text);
        assert_int_equal(file.size, total);
        assert_memory_equal(file.data, wanted, total);
        assert_int_equal(total - vt_tensor_bytes(&cases[i].tensor), 128);
        vt_unmap_file(&file);
        free(wanted);
    }
    unlink(path);
    struct vt_arena arena;
    struct vt_tensor read;
    vt_arena_init(&arena, 0);
    assert_int_equal(vt_npy_read(path, &arena, &read, &error), VULTUS_ERROR_NOT_FOUND);
    vt_arena_fini(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_numpy_writes),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_other_orders_of_keys),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_same_bytes_as_numpy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
