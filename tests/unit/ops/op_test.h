/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_OP_TEST_H
#define VT_TESTS_OP_TEST_H

/* Short forms for tests of single operators. Results live in one arena per test. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ops/ops.h"

extern struct vt_arena test_arena;
int setup_arena(void **state);
int teardown_arena(void **state);

#define OP_TEST(function) cmocka_unit_test_setup_teardown(function, setup_arena, teardown_arena)

#define COUNT(...) (sizeof(__VA_ARGS__) / sizeof *(__VA_ARGS__))
#define DIMS(...)                                                                                                      \
    (int)COUNT((int64_t[]){__VA_ARGS__}), (int64_t[]) { __VA_ARGS__ }
#define SCALAR 0, NULL
#define F32(...)                                                                                                       \
    (float[]) { __VA_ARGS__ }
#define I64(...)                                                                                                       \
    (int64_t[]) { __VA_ARGS__ }

/* A view of literal values. */
struct vt_tensor view(enum vt_dtype dtype, int rank, const int64_t *dims, void *data);
#define VECTOR_I64(...) view(VT_DTYPE_I64, 1, (int64_t[]){COUNT((int64_t[]){__VA_ARGS__})}, (int64_t[]){__VA_ARGS__})
#define VECTOR_F32(...) view(VT_DTYPE_F32, 1, (int64_t[]){COUNT((float[]){__VA_ARGS__})}, (float[]){__VA_ARGS__})
/* float32 with the values first, first + step, ... */
struct vt_tensor ramp(int rank, const int64_t *dims, float first, float step);

struct vt_attr attr_int(const char *name, int64_t value);
struct vt_attr attr_float(const char *name, float value);
struct vt_attr attr_string(const char *name, const char *value);
struct vt_attr attr_tensor(const char *name, const struct vt_tensor *value);
struct vt_attr attr_int_list(const char *name, size_t count, const int64_t *values);
#define ATTR_INTS(name, ...) attr_int_list(name, COUNT((int64_t[]){__VA_ARGS__}), (int64_t[]){__VA_ARGS__})

#define ATTRS(...)                                                                                                     \
    (struct vt_attrs) { (struct vt_attr[]){__VA_ARGS__}, COUNT((struct vt_attr[]){__VA_ARGS__}) }
#define NO_ATTRS                                                                                                       \
    (struct vt_attrs) { NULL, 0 }

struct operands {
    const struct vt_tensor *const *items;
    size_t count;
};
#define INPUTS(...)                                                                                                    \
    (struct operands) {                                                                                                \
        (const struct vt_tensor *const[]){__VA_ARGS__}, COUNT((const struct vt_tensor *const[]){__VA_ARGS__})          \
    }

/* The only output of a call that must succeed. */
struct vt_tensor run_op(enum vt_op op, struct vt_attrs attrs, struct operands inputs);
/* A call that must fail with that status and a sentence that contains `part`. */
void expect_failure(
    enum vt_op op, struct vt_attrs attrs, struct operands inputs, enum vultus_status status, const char *part);

/* Exact dims; float32 values within 1e-6 of the larger magnitude (or of 1). */
void expect_f32(struct vt_tensor out, int rank, const int64_t *dims, const float *values);
/* Exact dims and values of any integer type. */
void expect_ints(struct vt_tensor out, enum vt_dtype dtype, int rank, const int64_t *dims, const int64_t *values);

#endif
