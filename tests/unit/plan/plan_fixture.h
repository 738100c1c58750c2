/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_PLAN_FIXTURE_H
#define VT_TESTS_PLAN_FIXTURE_H

#include "plan/plan.h"

/* Values of the sample, by what they hold. */
enum sample_value {
    SAMPLE_PICTURE, /* input 0, float32 [1,3,8,8] */
    SAMPLE_CONV_BIAS,
    SAMPLE_CONV_SLOPE,
    SAMPLE_CONV_PACKED,
    SAMPLE_CONV_BORDER,
    SAMPLE_CONV, /* blocked [1,20,8,8] with border */
    SAMPLE_POOLED,
    SAMPLE_UPSAMPLED,
    SAMPLE_SCALE,
    SAMPLE_SHIFT,
    SAMPLE_NORMED,
    SAMPLE_AFFINE,
    SAMPLE_AVERAGE, /* blocked [1,20,1,1] */
    SAMPLE_PRODUCT,
    SAMPLE_LARGER_PACKED,
    SAMPLE_LARGER,     /* blocked [1,20,8,8] from the pooled 4x4 */
    SAMPLE_FIRST,      /* its channels: 12, */
    SAMPLE_REST,       /* and 8 */
    SAMPLE_JOINED,     /* the other way round */
    SAMPLE_TRANSPOSED, /* plain [1,8,8,20] */
    SAMPLE_FLAT,       /* a view of it: plain [8,160] */
    SAMPLE_GEMM_PACKED,
    SAMPLE_GEMM_BIAS,
    SAMPLE_GEMM,    /* output 0, [8,5] */
    SAMPLE_SOFTMAX, /* output 1, [1,8,5] */
    SAMPLE_VALUES
};
enum sample_step {
    SAMPLE_STEP_CONV,
    SAMPLE_STEP_POOL,
    SAMPLE_STEP_UPSAMPLE,
    SAMPLE_STEP_GROUP_NORM,
    SAMPLE_STEP_AFFINE,
    SAMPLE_STEP_AVERAGE,
    SAMPLE_STEP_BINARY,
    SAMPLE_STEP_CONV_TRANSPOSE,
    SAMPLE_STEP_SPLIT,
    SAMPLE_STEP_CONCAT,
    SAMPLE_STEP_CONVERT,
    SAMPLE_STEP_GEMM,
    SAMPLE_STEP_REFERENCE,
    SAMPLE_STEPS
};

/* A plan with a step of every kind, an attribute of every kind, two tactics in company, a border and a view. */
struct vt_plan *sample_plan(void);

/* Makes the checksums of a plan file's bytes fit again, as far as its header makes sense. */
void seal_plan(uint8_t *bytes, size_t size);

#endif
