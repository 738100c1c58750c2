/* SPDX-License-Identifier: Apache-2.0 */
#include "op_test.h"

/* Random calls of every operator: each must succeed or fail with a sentence, within its memory limit. */

static uint64_t random_state;

static uint64_t random_below(uint64_t bound) {
    /* SplitMix64 (Steele, Lea and Flood 2014) */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % bound;
}

static int64_t random_int(void) {
    static const int64_t odd[] = {INT64_MIN, INT64_MAX, INT32_MIN, INT64_C(1) << 40, -100, 100, 255};
    return random_below(12) == 0 ? odd[random_below(COUNT(odd))] : (int64_t)random_below(6) - 2;
}

/*
 * Shapes that usually fit an operator, so that random calls get past the first checks: per input the rank of a float32
 * tensor whose dims are all 2, i for a vector of four small integers, k for one of them, b for two truths, q for two
 * small bytes, or - for a missing input.
 */
static const char *usual_inputs(enum vt_op op) {
    switch (op) {
    case VT_OP_CONV: return "441";
    case VT_OP_CONV_TRANSPOSE: return "44-";
    case VT_OP_FUSED_CONV: return "441114";
    case VT_OP_FUSED_CONV_TRANSPOSE: return "441-14";
    case VT_OP_GEMM: return "222";
    case VT_OP_FUSED_GEMM: return "22112";
    case VT_OP_BATCH_NORM: return "41111";
    case VT_OP_CLIP: return "400";
    case VT_OP_RESIZE: return "4--i";
    case VT_OP_AND:
    case VT_OP_OR: return "bb";
    case VT_OP_NOT: return "b";
    case VT_OP_WHERE: return "b44";
    case VT_OP_EXPAND:
    case VT_OP_TILE: return "4i";
    case VT_OP_TOP_K: return "4k";
    case VT_OP_SPLIT: return "4-";
    case VT_OP_RANGE: return "000";
    case VT_OP_QUANTIZE_LINEAR: return "40-";
    case VT_OP_DEQUANTIZE_LINEAR: return "q0-";
    case VT_OP_RESHAPE:
    case VT_OP_UNSQUEEZE:
    case VT_OP_SQUEEZE:
    case VT_OP_REDUCE_MEAN: return "4i";
    case VT_OP_PAD: return "2i0";
    case VT_OP_GATHER: return "4i";
    case VT_OP_SLICE: return "4iiii";
    case VT_OP_CONSTANT_OF_SHAPE: return "i";
    default: return "4111";
    }
}

/* The attribute without which an operator can do nothing. */
static struct vt_attr needed_attr(enum vt_op op) {
    static const int64_t kernel[2] = {2, 2};
    switch (op) {
    case VT_OP_CAST: return attr_int("to", 1 + (int64_t)random_below(17));
    case VT_OP_GROUP_NORM: return attr_int("num_groups", 1 + (int64_t)random_below(2));
    case VT_OP_CONSTANT: return attr_int("value_int", random_int());
    default: return attr_int_list("kernel_shape", 2, kernel);
    }
}

static void fill(const struct vt_tensor *tensor, bool tame) {
    uint8_t *bytes = tensor->data;
    for (size_t i = 0; i < vt_tensor_bytes(tensor); i++) bytes[i] = (uint8_t)random_below(2);
    for (int64_t i = 0; i < vt_tensor_count(tensor); i++) {
        int64_t value = tame && random_below(10) ? (int64_t)random_below(3) : random_int();
        if (tensor->dtype == VT_DTYPE_F32) ((float *)tensor->data)[i] = (float)value;
        if (tensor->dtype == VT_DTYPE_I64) ((int64_t *)tensor->data)[i] = value;
        if (tensor->dtype == VT_DTYPE_I32) ((int32_t *)tensor->data)[i] = (int32_t)value;
    }
}

static struct vt_tensor make_tensor(
    struct vt_arena *arena, enum vt_dtype dtype, int rank, const int64_t *dims, bool tame) {
    struct vt_tensor tensor;
    assert_int_equal(vt_tensor_alloc(arena, dtype, rank, dims, &tensor, NULL), VULTUS_OK);
    fill(&tensor, tame);
    return tensor;
}

static struct vt_tensor usual_tensor(struct vt_arena *arena, char kind) {
    int64_t dims[VT_MAX_RANK];
    bool is_vector = kind >= 'a';
    enum vt_dtype dtype = kind == 'b' ? VT_DTYPE_BOOL : kind == 'q' ? VT_DTYPE_U8 : VT_DTYPE_I64;
    int rank = is_vector ? 1 : kind - '0';
    for (int axis = 0; axis < rank; axis++) {
        dims[axis] = kind == 'k' ? 1 : kind == 'i' ? 4 : 2;
        if (random_below(24) == 0) dims[axis] = (int64_t)random_below(4);
    }
    return make_tensor(arena, is_vector ? dtype : VT_DTYPE_F32, rank, dims, true);
}

static struct vt_tensor random_tensor(struct vt_arena *arena) {
    int64_t dims[VT_MAX_RANK];
    int rank = (int)random_below(6);
    enum vt_dtype dtype = random_below(3) ? VT_DTYPE_F32 : VT_DTYPE_I64;
    if (random_below(8) == 0) dtype = (enum vt_dtype)(1 + random_below(VT_DTYPE_COUNT - 1));
    if (dtype == VT_DTYPE_I64 && random_below(4)) rank = 1;
    for (int axis = 0; axis < rank; axis++) dims[axis] = random_below(10) ? 1 + (int64_t)random_below(4) : 0;
    return make_tensor(arena, dtype, rank, dims, false);
}

static struct vt_attr random_attr(struct vt_arena *arena) {
    static const char *const ints[] = {"axis", "group", "transA", "transB", "ceil_mode", "count_include_pad",
        "keepdims", "allowzero", "to", "start", "end", "num_groups", "act1", "act2", "noop_with_empty_axes",
        "block_size", "output_dtype", "largest", "select_last_index", "p", "storage_order"};
    static const char *const lists[] = {
        "kernel_shape", "strides", "pads", "dilations", "perm", "axes", "output_shape", "output_padding"};
    static const char *const strings[][2] = {{"auto_pad", "SAME_UPPER"}, {"auto_pad", "SAME_LOWER"},
        {"auto_pad", "VALID"}, {"mode", "linear"}, {"mode", "edge"}, {"mode", "reflect"}, {"mode", "wrap"},
        {"coordinate_transformation_mode", "align_corners"}, {"coordinate_transformation_mode", "tf_crop_and_resize"},
        {"coordinate_transformation_mode", "half_pixel_symmetric"}, {"keep_aspect_ratio_policy", "not_larger"},
        {"nearest_mode", "ceil"}};
    switch (random_below(4)) {
    case 0: return attr_int(ints[random_below(COUNT(ints))], random_int());
    case 1: {
        size_t choice = random_below(COUNT(strings));
        return attr_string(strings[choice][0], strings[choice][1]);
    }
    default: {
        const char *name = lists[random_below(COUNT(lists))];
        size_t count = strcmp(name, "pads") == 0 ? 4 : 2;
        if (random_below(8) == 0) count = random_below(6);
        int64_t *values = vt_arena_alloc_array(arena, count + 1, sizeof *values);
        assert_non_null(values);
        for (size_t i = 0; i < count; i++) values[i] = random_below(6) ? 1 + (int64_t)random_below(2) : random_int();
        return attr_int_list(name, count, values);
    }
    }
}

static void random_operands(
    struct vt_arena *arena, struct vt_op_call *call, struct vt_tensor *tensors, const struct vt_tensor **inputs) {
    const struct vt_op_info *info = vt_op_info(call->op);
    const char *usual = random_below(4) ? usual_inputs(call->op) : "";
    size_t least = (size_t)info->least_inputs, most = (size_t)info->most_inputs < 6 ? (size_t)info->most_inputs : 6;
    call->n_inputs = least + random_below(most - least + 1);
    for (size_t i = 0; i < call->n_inputs; i++) {
        bool is_usual = i < strlen(usual);
        if (is_usual ? usual[i] == '-' : i >= least && random_below(3) == 0) continue;
        if (is_usual)
            tensors[i] = usual_tensor(arena, usual[i]);
        else
            tensors[i] = i > 0 && inputs[i - 1] && random_below(3) == 0 ? tensors[i - 1] : random_tensor(arena);
        inputs[i] = &tensors[i];
    }
}

static bool random_call(enum vt_op op) {
    struct vt_arena arena, results;
    struct vt_tensor tensors[6], outs[3];
    const struct vt_tensor *inputs[6] = {NULL};
    struct vt_attr attrs[4];
    vt_arena_init(&arena, 0);
    vt_arena_init(&results, (size_t)1 << 22);
    struct vt_op_call call = {.op = op, .inputs = inputs, .outputs = outs, .arena = &results};
    call.n_outputs = vt_op_info(op)->most_outputs > 1 ? 1 + random_below(2) : 1;
    random_operands(&arena, &call, tensors, inputs);
    call.attrs.items = attrs;
    if (random_below(8)) attrs[call.attrs.count++] = needed_attr(op);
    for (uint64_t more = random_below(4); more > 0; more--) attrs[call.attrs.count++] = random_attr(&arena);
    struct vultus_error error = {0};
    enum vultus_status status = vt_op_run(&call, &error);
    if (status) { assert_true(strlen(error.text) > 20); }
    for (size_t i = 0; !status && i < call.n_outputs; i++) {
        assert_true(vt_dims_valid(outs[i].rank, outs[i].dims, outs[i].dtype, NULL));
        assert_true(outs[i].data || vt_tensor_count(&outs[i]) == 0);
    }
    vt_arena_fini(&results);
    vt_arena_fini(&arena);
    return status == VULTUS_OK;
}

static void random_calls_fail_cleanly(void **state) {
    (void)state;
    enum { CALLS = 4000 };
    random_state = 20261121;
    for (int op = VT_OP_NONE + 1; op < VT_OP_COUNT; op++) {
        int successes = 0;
        for (int i = 0; i < CALLS; i++) successes += random_call((enum vt_op)op);
        /* Otherwise the calls do not get past the first checks and prove nothing. */
        if (successes < CALLS / 20)
            fail_msg("only %d calls of %s succeeded", successes, vt_op_info((enum vt_op)op)->name);
    }
}

static void every_operator_has_an_implementation(void **state) {
    (void)state;
    struct vt_tensor out;
    for (int op = VT_OP_NONE + 1; op < VT_OP_COUNT; op++) {
        /* Too many inputs is the first thing that is wrong with this call, if the operator is known at all. */
        const struct vt_op_call call = {.op = (enum vt_op)op, .n_inputs = 1000, .outputs = &out, .n_outputs = 1};
        assert_int_equal(vt_op_run(&call, NULL), VULTUS_ERROR_INVALID);
    }
    const struct vt_op_call unknown = {.op = VT_OP_COUNT, .outputs = &out, .n_outputs = 1};
    assert_int_equal(vt_op_run(&unknown, NULL), VULTUS_ERROR_UNSUPPORTED);
    const struct vt_op_call none = {.op = VT_OP_NONE, .outputs = &out, .n_outputs = 1};
    assert_int_equal(vt_op_run(&none, NULL), VULTUS_ERROR_UNSUPPORTED);
}

static void broken_tensors_are_refused(void **state) {
    (void)state;
    float value = 0;
    struct vt_tensor x = view(VT_DTYPE_F32, DIMS(1), &value);
    struct vt_tensor no_data = x, no_type = x, deep = x, negative = x, huge = x;
    no_data.data = NULL;
    no_type.dtype = VT_DTYPE_COUNT;
    deep.rank = VT_MAX_RANK + 1;
    negative.dims[0] = -1;
    huge.rank = 3;
    huge.dims[0] = 0;
    huge.dims[1] = huge.dims[2] = INT64_C(1) << 40;
    const struct vt_tensor *const broken[] = {&no_data, &no_type, &deep, &negative, &huge};
    for (size_t i = 0; i < COUNT(broken); i++)
        expect_failure(VT_OP_RELU, NO_ATTRS, INPUTS(broken[i]), VULTUS_ERROR_INVALID, "input 0 has no valid type");
    struct vt_tensor outs[2];
    const struct vt_tensor *const inputs[] = {&x};
    const struct vt_op_call two = {VT_OP_RELU, NO_ATTRS, inputs, 1, outs, 2, &test_arena};
    assert_int_equal(vt_op_run(&two, NULL), VULTUS_ERROR_INVALID);
}

/* Every limit below what a call needs must end in a refusal, and the first sufficient one in the same result. */
static void memory_limits_are_respected(void **state) {
    (void)state;
    struct vt_tensor x = ramp(DIMS(1, 2, 4, 4), 0, 1), weight = ramp(DIMS(2, 2, 2, 2), 0, 1);
    struct vt_tensor sizes = VECTOR_I64(1, 2, 8, 8), pads = VECTOR_I64(0, 0, 1, 1, 0, 0, 1, 1), two = VECTOR_I64(2);
    struct vt_tensor half = view(VT_DTYPE_F16, DIMS(2), (uint16_t[]){0x3c00, 0x4000}),
                     flags = view(VT_DTYPE_BOOL, DIMS(4), (uint8_t[]){1, 0, 1, 0});
    const struct {
        enum vt_op op;
        struct operands inputs;
    } calls[] = {
        {VT_OP_CONV, INPUTS(&x, &weight)},
        {VT_OP_MATMUL, INPUTS(&x, &x)},
        {VT_OP_RESIZE, INPUTS(&x, NULL, NULL, &sizes)},
        {VT_OP_PAD, INPUTS(&x, &pads)},
        {VT_OP_REDUCE_SUM, INPUTS(&x)},
        {VT_OP_POW, INPUTS(&x, &two)},
        {VT_OP_CONCAT, INPUTS(&x, &x)},
        {VT_OP_CONV_TRANSPOSE, INPUTS(&x, &weight)},
        {VT_OP_WHERE, INPUTS(&flags, &x, &x)},
        {VT_OP_TOP_K, INPUTS(&x, &two)},
        {VT_OP_ADD, INPUTS(&half, &half)},
        {VT_OP_TILE, INPUTS(&x, &sizes)},
    };
    for (size_t i = 0; i < COUNT(calls); i++) {
        bool done = false;
        for (size_t limit = 1; !done; limit += 64) {
            struct vt_arena arena;
            struct vt_tensor out;
            vt_arena_init(&arena, limit);
            const struct vt_op_call call = {
                calls[i].op, NO_ATTRS, calls[i].inputs.items, calls[i].inputs.count, &out, 1, &arena};
            enum vultus_status status = vt_op_run(&call, NULL);
            done = status == VULTUS_OK;
            if (!done) assert_int_equal(status, VULTUS_ERROR_MEMORY);
            vt_arena_fini(&arena);
            assert_true(limit < 1 << 20);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_calls_fail_cleanly),
        cmocka_unit_test(every_operator_has_an_implementation),
        OP_TEST(broken_tensors_are_refused),
        OP_TEST(memory_limits_are_respected),
    };
    return cmocka_run_group_tests_name("hostile operator calls", tests, NULL, NULL);
}
