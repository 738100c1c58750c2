/* SPDX-License-Identifier: Apache-2.0 */
#include "op_test.h"

#include <math.h>

struct vt_arena test_arena;

int setup_arena(void **state) {
    (void)state;
    vt_arena_init(&test_arena, 0);
    return 0;
}

int teardown_arena(void **state) {
    (void)state;
    vt_arena_fini(&test_arena);
    return 0;
}

struct vt_tensor view(enum vt_dtype dtype, int rank, const int64_t *dims, void *data) {
    struct vt_tensor tensor = {.dtype = dtype, .rank = rank, .data = data};
    for (int axis = 0; axis < rank; axis++) tensor.dims[axis] = dims[axis];
    return tensor;
}

struct vt_tensor ramp(int rank, const int64_t *dims, float first, float step) {
    struct vt_tensor tensor;
    assert_int_equal(vt_tensor_alloc(&test_arena, VT_DTYPE_F32, rank, dims, &tensor, NULL), VULTUS_OK);
    for (int64_t i = 0; i < vt_tensor_count(&tensor); i++) ((float *)tensor.data)[i] = first + step * (float)i;
    return tensor;
}

struct vt_attr attr_int(const char *name, int64_t value) {
    return (struct vt_attr){.name = name, .kind = VT_ATTR_INT, .count = 1, .i = value};
}

struct vt_attr attr_float(const char *name, float value) {
    return (struct vt_attr){.name = name, .kind = VT_ATTR_FLOAT, .count = 1, .f = value};
}

struct vt_attr attr_string(const char *name, const char *value) {
    return (struct vt_attr){.name = name, .kind = VT_ATTR_STRING, .count = 1, .s = value};
}

struct vt_attr attr_tensor(const char *name, const struct vt_tensor *value) {
    return (struct vt_attr){.name = name, .kind = VT_ATTR_TENSOR, .count = 1, .tensor = value};
}

struct vt_attr attr_int_list(const char *name, size_t count, const int64_t *values) {
    return (struct vt_attr){.name = name, .kind = VT_ATTR_INTS, .count = count, .ints = values};
}

struct vt_tensor run_op(enum vt_op op, struct vt_attrs attrs, struct operands inputs) {
    struct vt_tensor out;
    struct vultus_error error = {0};
    const struct vt_op_call call = {op, attrs, inputs.items, inputs.count, &out, 1, &test_arena};
    enum vultus_status status = vt_op_run(&call, &error);
    if (status) fail_msg("%s failed: %s", vt_op_info(op)->name, error.text);
    return out;
}

void expect_failure(
    enum vt_op op, struct vt_attrs attrs, struct operands inputs, enum vultus_status status, const char *part) {
    struct vt_tensor out;
    struct vultus_error error = {0};
    const struct vt_op_call call = {op, attrs, inputs.items, inputs.count, &out, 1, &test_arena};
    enum vultus_status got = vt_op_run(&call, &error);
    if (got != status || !strstr(error.text, part))
        fail_msg("%s gave status %d and \"%s\", expected status %d and a sentence with \"%s\"", vt_op_info(op)->name,
            got, error.text, status, part);
}

static void expect_shape(const struct vt_tensor *out, enum vt_dtype dtype, int rank, const int64_t *dims) {
    char got[128], wanted[128];
    const struct vt_tensor expected = view(dtype, rank, dims, NULL);
    assert_string_equal(vt_tensor_describe(out, got, sizeof got), vt_tensor_describe(&expected, wanted, sizeof wanted));
}

void expect_f32(struct vt_tensor out, int rank, const int64_t *dims, const float *values) {
    expect_shape(&out, VT_DTYPE_F32, rank, dims);
    for (int64_t i = 0; i < vt_tensor_count(&out); i++) {
        double got = ((const float *)out.data)[i], wanted = values[i];
        bool same = got == wanted || fabs(got - wanted) <= 1e-6 * fmax(1, fabs(wanted));
        if (!same) fail_msg("element %lld is %.9g, expected %.9g", (long long)i, got, wanted);
    }
}

void expect_ints(struct vt_tensor out, enum vt_dtype dtype, int rank, const int64_t *dims, const int64_t *values) {
    expect_shape(&out, dtype, rank, dims);
    for (int64_t i = 0; i < vt_tensor_count(&out); i++) assert_int_equal(vt_tensor_get_int(&out, i), values[i]);
}
