/* SPDX-License-Identifier: Apache-2.0
 * Every rule of vt_plan_check: the sample obeys all; each case breaks one and must be told which.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "plan_fixture.h"

#define VALUE(id) (&plan->values[SAMPLE_##id])
#define STEP(id) (&plan->steps[SAMPLE_STEP_##id])

/* CASE(statement that breaks the sample, part of the sentence). */
#define CASES(CASE)                                                                                                    \
    CASE(plan->n_inputs = 0, "at least one of each")                                                                   \
    CASE(plan->n_outputs = 100, "at least one of each")                                                                \
    CASE(plan->max_batch = 0, "largest batch of 0")                                                                    \
    CASE(plan->max_batch = VT_PLAN_MAX_BATCH + 1, "largest batch of 65537")                                            \
    CASE(plan->arena_bytes = UINT64_MAX / 8, "cannot be addressed")                                                    \
    CASE(plan->weights_bytes += 1, "multiples of 64")                                                                  \
    CASE(plan->weights += 1, "multiples of 64")                                                                        \
    CASE(plan->inputs[0] = SAMPLE_VALUES, "is value")                                                                  \
    CASE(plan->outputs[1] = VT_PLAN_NONE, "is value")                                                                  \
    CASE(plan->inputs[0] = SAMPLE_CONV, "those of its shape")                                                          \
    CASE(plan->outputs[0] = SAMPLE_SOFTMAX, "under its own number")                                                    \
    CASE(plan->output_has_batch_axis[0] = true, "must have 1 there")                                                   \
    CASE(VALUE(CONV)->name = NULL, "must have a name")                                                                 \
    CASE(VALUE(CONV)->dtype = VT_DTYPE_NONE, "element type")                                                           \
    CASE(VALUE(CONV)->dtype = VT_DTYPE_COUNT, "element type")                                                          \
    CASE(VALUE(CONV)->dtype = VT_DTYPE_I32, "must be float32")                                                         \
    CASE(VALUE(CONV)->layout = (enum vt_layout)3, "layout is unknown")                                                 \
    CASE(VALUE(CONV)->layout = VT_LAYOUT_CHANNELS_LAST, "planes of one layout")                                        \
    CASE(VALUE(CONV)->storage = (enum vt_storage)4, "storage is unknown")                                              \
    CASE(VALUE(CONV)->rank = 3, "element type, dims")                                                                  \
    CASE(VALUE(FLAT)->rank = 9, "element type, dims")                                                                  \
    CASE(VALUE(FLAT)->rank = -1, "element type, dims")                                                                 \
    CASE(VALUE(FLAT)->dims[0] = -8, "element type, dims")                                                              \
    CASE(VALUE(FLAT)->dims[0] = INT64_MAX, "element type, dims")                                                       \
    CASE(VALUE(FLAT)->dims[2] = 1, "past its rank")                                                                    \
    CASE(VALUE(CONV)->dims[0] = 2, "element type, dims")                                                               \
    CASE(VALUE(CONV)->block = 0, "element type, dims")                                                                 \
    CASE(VALUE(CONV)->block = 12, "powers of two")                                                                     \
    CASE(VALUE(CONV)->block = 128, "powers of two")                                                                    \
    CASE(VALUE(CONV)->pad[2] = -1, "element type, dims")                                                               \
    CASE(VALUE(CONV)->pad[2] = 2, "hold its shape")                                                                    \
    CASE(VALUE(CONV)->pad[3] = INT32_MAX, "at most 2^20")                                                              \
    CASE(VALUE(CONV)->border = SAMPLE_VALUES, "its border")                                                            \
    CASE(VALUE(CONV)->border = SAMPLE_AFFINE, "its border")                                                            \
    CASE(VALUE(CONV)->border = SAMPLE_GEMM_BIAS, "its border")                                                         \
    CASE(VALUE(CONV)->border = SAMPLE_CONV_PACKED, "its border")                                                       \
    CASE(VALUE(FLAT)->block = 16, "no block")                                                                          \
    CASE(VALUE(FLAT)->border = SAMPLE_CONV_BORDER, "no block")                                                         \
    CASE(VALUE(CONV)->offset += 1, "aligned to 64")                                                                    \
    CASE(VALUE(CONV)->bytes += 1, "aligned to 64")                                                                     \
    CASE(VALUE(CONV)->bytes -= 64, "hold its shape")                                                                   \
    CASE(VALUE(CONV)->offset = plan->arena_bytes, "inside the arena")                                                  \
    CASE(VALUE(CONV)->offset = UINT64_MAX - 63, "inside the arena")                                                    \
    CASE(VALUE(CONV)->bytes = UINT64_MAX - 63, "inside the arena")                                                     \
    CASE(VALUE(SCALE)->offset += 4, "aligned to 64")                                                                   \
    CASE(VALUE(SCALE)->bytes += 64, "those of its shape")                                                              \
    CASE(VALUE(SCALE)->offset = plan->weights_bytes, "inside the weights")                                             \
    CASE(VALUE(GEMM_PACKED)->offset = plan->weights_bytes - 64, "inside the weights")                                  \
    CASE(VALUE(PICTURE)->offset = 1, "has that number")                                                                \
    CASE(VALUE(PICTURE)->bytes += 64, "those of its shape")                                                            \
    CASE(VALUE(SOFTMAX)->offset = 2, "has that number")                                                                \
    CASE((VALUE(GEMM)->dims[1] = 6, VALUE(GEMM)->bytes = 192, plan->outputs[0] = SAMPLE_SOFTMAX),                      \
        "of its input or output")                                                                                      \
    CASE(STEP(CONV)->name = NULL, "must have a name")                                                                  \
    CASE(STEP(CONV)->kind = VT_STEP_COUNT, "kind is unknown")                                                          \
    CASE(STEP(POOL)->n_inputs = VT_PLAN_MAX_OPERANDS + 1, "too many")                                                  \
    CASE(STEP(CONV)->n_outputs = 0, "must have an output")                                                             \
    CASE(STEP(CONV)->outputs[0] = VT_PLAN_NONE, "output is no value")                                                  \
    CASE(STEP(CONV)->inputs[1] = SAMPLE_VALUES, "input is no value")                                                   \
    CASE(STEP(CONV)->inputs[0] = VT_PLAN_NONE, "another number")                                                       \
    CASE(STEP(CONV)->outputs[0] = SAMPLE_SCALE, "only arena and outputs")                                              \
    CASE(STEP(CONV)->outputs[0] = SAMPLE_PICTURE, "only arena and outputs")                                            \
    CASE(STEP(AFFINE)->outputs[0] = SAMPLE_NORMED, "not overlap its inputs")                                           \
    CASE(VALUE(AFFINE)->offset = VALUE(NORMED)->offset + 64, "not overlap its inputs")                                 \
    CASE(STEP(REFERENCE)->outputs[0] = SAMPLE_GEMM, "not overlap its inputs")                                          \
    CASE(STEP(CONV)->n_choices = 5, "1 to 4 tactics")                                                                  \
    CASE(STEP(CONV)->choices[0].tactic = NULL, "must have a name")                                                     \
    CASE(STEP(CONV)->choices[1].tactic = "", "must have a name")                                                       \
    CASE(STEP(CONV)->choices[1].max_batch = 1, "order of their batches")                                               \
    CASE(STEP(CONV)->choices[1].max_batch = 31, "cover the largest batch")                                             \
    CASE(STEP(CONV)->choices[1].packed = SAMPLE_POOLED, "packed must be a constant")                                   \
    CASE(STEP(CONV)->choices[1].packed = SAMPLE_VALUES, "packed must be a constant")                                   \
    CASE(STEP(CONV)->choices[1].packed = VT_PLAN_NONE, "must have packed weights")                                     \
    CASE(STEP(POOL)->op = VT_OP_ADD, "only reference steps")                                                           \
    CASE(STEP(POOL)->attrs.count = 1, "only reference steps")                                                          \
    CASE(STEP(CONV)->n_inputs = 3, "another number")                                                                   \
    CASE(STEP(CONV)->params.tail.act1 = VT_ACT_COUNT, "activation is unknown")                                         \
    CASE(STEP(CONV)->params.tail.act2 = (enum vt_activation) - 1, "activation is unknown")                             \
    CASE(STEP(CONV)->params.tail.act2 = VT_ACT_PRELU, "must not be prelu")                                             \
    CASE(STEP(CONV)->inputs[2] = VT_PLAN_NONE, "must have slopes")                                                     \
    CASE(STEP(AFFINE)->params.tail.act1 = VT_ACT_PRELU, "must have slopes")                                            \
    CASE(STEP(CONV)->inputs[1] = SAMPLE_GEMM_BIAS, "bias and slope")                                                   \
    CASE(STEP(CONV)->inputs[1] = SAMPLE_CONV_PACKED, "bias and slope")                                                 \
    CASE(STEP(CONV)->inputs[3] = SAMPLE_SCALE, "residual")                                                             \
    CASE(STEP(CONV)->params.window.kernel[0] = 0, "numbers must be in range")                                          \
    CASE(STEP(CONV)->params.window.kernel[1] = 2, "height and width")                                                  \
    CASE(STEP(CONV)->params.window.kernel[1] = 1 << 20, "height and width")                                            \
    CASE(STEP(CONV)->params.window.stride[0] = 0, "numbers must be in range")                                          \
    CASE(STEP(CONV)->params.window.stride[0] = INT64_MAX, "numbers must be in range")                                  \
    CASE(STEP(CONV)->params.window.dilation[0] = -1, "numbers must be in range")                                       \
    CASE(STEP(CONV)->params.window.pad[3] = -1, "numbers must be in range")                                            \
    CASE(STEP(CONV)->params.window.pad[3] = 2, "height and width")                                                     \
    CASE(STEP(CONV)->params.window.group = 0, "must not be grouped")                                                   \
    CASE(STEP(CONV)->params.window.ceil_mode = true, "round down")                                                     \
    CASE(STEP(CONV)->inputs[0] = SAMPLE_GEMM_BIAS, "planes")                                                           \
    CASE(STEP(POOL)->params.mode = 3, "mode is unknown")                                                               \
    CASE((STEP(POOL)->params.window.stride[0] = 3, STEP(POOL)->params.window.pad[0] = 3), "smaller than its window")   \
    CASE(STEP(AVERAGE)->params.mode = VT_POOL_MAX, "numbers must be in range")                                         \
    CASE(STEP(POOL)->params.mode = VT_POOL_GLOBAL_AVERAGE, "one pixel")                                                \
    CASE(STEP(UPSAMPLE)->inputs[1] = SAMPLE_POOLED, "residual")                                                        \
    CASE(STEP(UPSAMPLE)->inputs[0] = SAMPLE_PICTURE, "planes of one layout")                                           \
    CASE(STEP(GROUP_NORM)->inputs[1] = VT_PLAN_NONE, "scale and shift")                                                \
    CASE(STEP(GROUP_NORM)->inputs[2] = SAMPLE_GEMM_BIAS, "vectors must be constants")                                  \
    CASE(STEP(GROUP_NORM)->params.groups = 3, "divide the channels")                                                   \
    CASE(STEP(GROUP_NORM)->params.groups = 0, "divide the channels")                                                   \
    CASE(STEP(GROUP_NORM)->params.epsilon = NAN, "epsilon")                                                            \
    CASE(STEP(GROUP_NORM)->inputs[0] = SAMPLE_POOLED, "shape must not change")                                         \
    CASE(STEP(AFFINE)->inputs[3] = SAMPLE_NORMED, "vectors must be constants")                                         \
    CASE(STEP(BINARY)->params.mode = -1, "mode is unknown")                                                            \
    CASE(STEP(BINARY)->inputs[1] = SAMPLE_POOLED, "one pixel")                                                         \
    CASE(STEP(BINARY)->inputs[1] = VT_PLAN_NONE, "second operand")                                                     \
    CASE(STEP(BINARY)->inputs[0] = SAMPLE_AVERAGE, "shape must not change")                                            \
    CASE(STEP(CONV_TRANSPOSE)->params.window.stride[0] = 17, "numbers must be in range")                               \
    CASE(STEP(CONV_TRANSPOSE)->params.window.kernel[0] = 0, "numbers must be in range")                                \
    CASE(STEP(CONV_TRANSPOSE)->params.window.kernel[0] = 3, "as wide as what it reads")                                \
    CASE(STEP(CONV_TRANSPOSE)->params.window.stride[1] = 1, "as wide as what it reads")                                \
    CASE(STEP(CONV_TRANSPOSE)->params.window.group = 2, "one group")                                                   \
    CASE(STEP(CONV_TRANSPOSE)->inputs[0] = SAMPLE_PICTURE, "planes of equal blocks")                                   \
    CASE(STEP(CONV_TRANSPOSE)->inputs[1] = SAMPLE_GEMM_BIAS, "bias and slope")                                         \
    CASE(STEP(CONV_TRANSPOSE)->inputs[3] = SAMPLE_AVERAGE, "residual")                                                 \
    CASE(STEP(CONV_TRANSPOSE)->choices[0].packed = VT_PLAN_NONE, "must have packed weights")                           \
    CASE(STEP(CONV_TRANSPOSE)->params.tail.act1 = VT_ACT_PRELU, "must have slopes")                                    \
    CASE(STEP(SPLIT)->n_outputs = 1, "channels must be the whole's")                                                   \
    CASE(STEP(SPLIT)->inputs[0] = SAMPLE_AVERAGE, "height and width")                                                  \
    CASE(STEP(CONCAT)->n_inputs = 1, "channels must be the whole's")                                                   \
    CASE(STEP(CONCAT)->n_inputs = 0, "another number")                                                                 \
    CASE(STEP(CONCAT)->inputs[1] = VT_PLAN_NONE, "a part is missing")                                                  \
    CASE(STEP(CONCAT)->inputs[1] = SAMPLE_PRODUCT, "channels must be the whole's")                                     \
    CASE(STEP(CONCAT)->inputs[1] = SAMPLE_PICTURE, "planes of one layout")                                             \
    CASE(STEP(CONVERT)->params.perm_rank = 3, "values' rank")                                                          \
    CASE(STEP(CONVERT)->params.perm_rank = 0, "shape must not change")                                                 \
    CASE(STEP(CONVERT)->params.perm[3] = 2, "permutation")                                                             \
    CASE(STEP(CONVERT)->params.perm[3] = 4, "permutation")                                                             \
    CASE(STEP(CONVERT)->params.perm[3] = -1, "permutation")                                                            \
    CASE((STEP(CONVERT)->params.perm[0] = 1, STEP(CONVERT)->params.perm[3] = 0), "output's shape")                     \
    CASE(VALUE(TRANSPOSED)->dtype = VT_DTYPE_I32, "element type must not change")                                      \
    CASE(STEP(GEMM)->inputs[0] = SAMPLE_TRANSPOSED, "matrices")                                                        \
    CASE(STEP(GEMM)->inputs[3] = SAMPLE_FLAT, "residual")                                                              \
    CASE(VALUE(FLAT)->dims[0] = 4, "equally many rows")                                                                \
    CASE(STEP(GEMM)->choices[0].packed = VT_PLAN_NONE, "must have packed weights")                                     \
    CASE(STEP(REFERENCE)->op = VT_OP_NONE, "operator is unknown")                                                      \
    CASE(STEP(REFERENCE)->op = VT_OP_COUNT, "operator is unknown")                                                     \
    CASE(STEP(REFERENCE)->op = VT_OP_ADD, "another number")                                                            \
    CASE(STEP(REFERENCE)->n_inputs = 0, "another number")                                                              \
    CASE(STEP(REFERENCE)->inputs[0] = VT_PLAN_NONE, "missing")                                                         \
    CASE(STEP(REFERENCE)->inputs[0] = SAMPLE_CONV, "inputs must be plain")                                             \
    CASE(STEP(UPSAMPLE)->inputs[1] = SAMPLE_NORMED, "no step before it wrote")                                         \
    CASE(plan->n_steps -= 1, "no step writes this output")                                                             \
    CASE(plan->times[1].step = SAMPLE_STEPS, "timing 1")                                                               \
    CASE(plan->times[1].batch = 0, "timing 1")                                                                         \
    CASE(plan->times[0].tactic = NULL, "timing 0")                                                                     \
    CASE(plan->times[0].microseconds = NAN, "timing 0")                                                                \
    CASE(plan->times[0].microseconds = -1, "timing 0")

static void test_sample_obeys(void **state) {
    (void)state;
    struct vultus_error error;
    struct vt_plan *plan = sample_plan();
    if (vt_plan_check(plan, &error)) fail_msg("%s", error.text);
    vt_plan_destroy(plan);
}

static void assert_refused(const struct vt_plan *plan, const char *change, const char *sentence) {
    struct vultus_error error = {VULTUS_OK, ""};
    if (vt_plan_check(plan, &error) != VULTUS_ERROR_INVALID) fail_msg("accepted: %s", change);
    if (!strstr(error.text, sentence)) fail_msg("%s: said \"%s\", not \"%s\"", change, error.text, sentence);
}

static void test_every_rule(void **state) {
    (void)state;
#define CASE(change, sentence)                                                                                         \
    {                                                                                                                  \
        struct vt_plan *plan = sample_plan();                                                                          \
        change;                                                                                                        \
        assert_refused(plan, #change, sentence);                                                                       \
        vt_plan_destroy(plan);                                                                                         \
    }
    CASES(CASE)
#undef CASE
}

/* A value that is read after another took its place. */
static void test_reused_place(void **state) {
    (void)state;
    struct vultus_error error;
    struct vt_plan *plan = sample_plan();
    VALUE(POOLED)->offset = VALUE(CONV)->offset; /* conv is read again by the upsampling */
    assert_int_equal(vt_plan_check(plan, &error), VULTUS_ERROR_INVALID);
    vt_plan_destroy(plan);
    plan = sample_plan();
    VALUE(PRODUCT)->offset = VALUE(NORMED)->offset; /* nobody reads the norm any more */
    if (vt_plan_check(plan, &error)) fail_msg("%s", error.text);
    vt_plan_destroy(plan);
}

/* Sizes worked out by hand. */
static void test_value_bytes(void **state) {
    (void)state;
    uint64_t bytes;
    struct vt_plan_value v = {.dtype = VT_DTYPE_F32, .layout = VT_LAYOUT_BLOCKED, .rank = 4, .block = 16};
    memcpy(v.dims, (int64_t[]){1, 20, 7, 5}, 4 * sizeof *v.dims);
    memcpy(v.pad, (int32_t[]){1, 2, 3, 4}, sizeof v.pad);
    assert_true(vt_plan_value_bytes(&v, &bytes));
    assert_int_equal(bytes, 2 * (1 + 7 + 3) * (2 + 5 + 4) * 16 * 4);
    v.dims[3] = INT64_MAX;
    assert_false(vt_plan_value_bytes(&v, &bytes));
    v.dims[3] = INT64_C(1) << 40;
    v.dims[2] = INT64_C(1) << 20;
    assert_false(vt_plan_value_bytes(&v, &bytes));
    struct vt_plan_value scalar = {.dtype = VT_DTYPE_I64};
    assert_true(vt_plan_value_bytes(&scalar, &bytes));
    assert_int_equal(bytes, 8);
    struct vt_plan_value empty = {.dtype = VT_DTYPE_U8, .rank = 2, .dims = {5, 0}};
    assert_true(vt_plan_value_bytes(&empty, &bytes));
    assert_int_equal(bytes, 0);
}

static void test_key_difference(void **state) {
    (void)state;
    struct vt_plan *plan = sample_plan();
    struct vt_plan_key other = plan->key;
    const char *a = NULL, *b = NULL;
    assert_null(vt_plan_key_difference(&plan->key, &other, &a, &b));
    strcpy(other.threads, "2");
    assert_string_equal(vt_plan_key_difference(&plan->key, &other, &a, &b), "threads");
    assert_string_equal(a, "the threads");
    assert_string_equal(b, "2");
    strcpy(other.arch, "neon");
    assert_string_equal(vt_plan_key_difference(&plan->key, &other, &a, &b), "arch");
    vt_plan_destroy(plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample_obeys),
        cmocka_unit_test(test_every_rule),
        cmocka_unit_test(test_reused_place),
        cmocka_unit_test(test_value_bytes),
        cmocka_unit_test(test_key_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
