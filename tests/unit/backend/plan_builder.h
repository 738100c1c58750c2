/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_PLAN_BUILDER_H
#define VT_TESTS_PLAN_BUILDER_H

/* Plans made by hand, and steps compared with an independent computation, by the back end that the test is linked with.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"

#define MAX_VALUES 64
#define MAX_STEPS 32

/* Stands for planes of the back end's two-byte type where a number of float32 channels per block is asked for. */
#define SHORT_BLOCK 32

/* What is tested: target_cpu.c, or cuda/target_cuda.c. */
struct test_target {
    const char *backend;
    enum vt_layout planes;
    enum vt_dtype short_dtype;
    int short_block;
    bool uses_threads;              /* whether the pool that it is given makes any difference */
    bool slow;                      /* emulated */
    bool (*runs_blocks)(int block); /* whether this machine has kernels for planes in such blocks, or SHORT_BLOCK */
    /* Name and class of tactic `i` of those for steps of a kind that this machine can run; false past the last. */
    bool (*tactic_at)(size_t i, enum vt_step kind, const char **name, const char **class);
    bool (*tactic_fits)(const struct vt_plan *plan, const struct vt_plan_step *step, const char *name);
};
extern const struct test_target test_target;
const struct vt_backend *tested_backend(void);
/* Whether everything is slow, as the target or VULTUS_TEST_SPARSE says: then the largest cases and repetitions go. */
bool leave_out_repetitions(void);

struct plan_builder {
    struct vt_plan *plan;
    uint8_t *weights; /* grows as constants are added */
    size_t weights_bytes;
    struct vt_arena arena;         /* of test data */
    const uint8_t *checked_output; /* builder_check's, of all items */
    size_t checked_output_bytes;
    uint32_t seed;
};

void builder_init(struct plan_builder *b);
/* Also destroys the plan, unless it was set to NULL because somebody else owns it now. */
void builder_fini(struct plan_builder *b);

/* float32 values; inputs and outputs take their places in the order in which they are added. */
uint32_t builder_plain(struct plan_builder *b, enum vt_storage storage, int rank, const int64_t *dims);
/* [1,channels,rows,columns], float32 but for SHORT_BLOCK; `border`: a value per channel, or NULL. pad: NULL for none.
 */
uint32_t builder_blocked(struct plan_builder *b, enum vt_storage storage, const int64_t size[3], int block,
    const int32_t *pad, const float *border);
uint32_t builder_constant(struct plan_builder *b, const float *values, size_t count);
uint32_t builder_random_constant(struct plan_builder *b, size_t count, float low, float high);
struct vt_plan_step *builder_step(
    struct plan_builder *b, enum vt_step kind, const uint32_t *inputs, uint32_t n_inputs, uint32_t output);
/* Adds a choice; packs `weights` (may be NULL) for it. tactic NULL: the back end's first guess. */
void builder_choose(
    struct plan_builder *b, struct vt_plan_step *step, const char *tactic, int64_t max_batch, const float *weights);
/* Places constants and activations (which share no memory). */
void builder_finish(struct plan_builder *b);

/* Numbers in [low, high), the same for the same seed. */
float *random_floats(struct vt_arena *arena, uint32_t *seed, size_t count, float low, float high);

/* A number as a value's element type holds it. */
float rounded(const struct vt_plan_value *v, float value);
/* The same for weights of planes in such blocks. */
float rounded_weight(int block, float value);

/* Between plain and one item of a blocked value; the border gets `border_value`, channels past the last spare_value. */
void to_blocked(const struct vt_plan_value *v, const float *plain, float *item, float border_value, float spare_value);
void from_blocked(const struct vt_plan_value *v, const float *item, float *plain);
/* Every border pixel holds the value's border, every channel past the last is finite. */
void expect_border(const struct vt_plan *plan, const struct vt_plan_value *v, const float *item);
size_t value_count(const struct vt_plan_value *v);

/* Computes the output from plain tensors, one per value of the plan (constants as they are, dims [count]). */
typedef struct vt_tensor expectation(struct plan_builder *b, const struct vt_tensor *values, const void *context);

/* The only output of a reference operator that must succeed. */
struct vt_tensor run_operator(struct plan_builder *b, enum vt_op op, struct vt_attrs attrs,
    const struct vt_tensor *const *inputs, size_t n_inputs);

struct check {
    expectation *expect;
    const void *context;
    float tolerance; /* of the largest expected magnitude */
    float low, high; /* of random inputs; both 0: [-1, 1) */
    float
        input_border; /* what borders of inputs hold that have no border constant: NAN proves that they are not read */
    bool zero_border; /* instead, borders of inputs hold zeros */
};

/*
 * Finishes the plan of one output, runs it for batches of 1, 2 and 5 on one and three threads with random inputs,
 * compares with the expectation, and demands equal bytes for an item whatever its company and the threads.
 */
void builder_check(struct plan_builder *b, const struct check *check);

#define INT_ATTR(attr_name, value)                                                                                     \
    (struct vt_attr) { .name = attr_name, .kind = VT_ATTR_INT, .i = (value) }
#define FLOAT_ATTR(attr_name, value)                                                                                   \
    (struct vt_attr) { .name = attr_name, .kind = VT_ATTR_FLOAT, .f = (value) }
#define INTS_ATTR(attr_name, n, values)                                                                                \
    (struct vt_attr) { .name = attr_name, .kind = VT_ATTR_INTS, .count = (n), .ints = (values) }

#endif
