/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_KERNEL_CONV_CASE_H
#define VT_TESTS_KERNEL_CONV_CASE_H

#include "backend/cpu/cpu.h"

/* One convolution step with its data, made by hand: no compiler and no executable in between. */
struct conv_spec {
    int64_t channels, height, width, outputs;
    int64_t kernel[2], stride[2], dilation[2], pad[4], group;
    int32_t block;       /* of bfloat16 when it is VT_CPU_BF16_BLOCK, else of float32 */
    bool plain;          /* x is plain */
    bool y_float32;      /* y is, whatever x is */
    int32_t x_extra_pad; /* of x beyond the convolution's own */
    int32_t y_pad, residual_pad;
    bool border; /* x's border holds a value per channel, not zeros */
    bool bias, residual;
    struct vt_tail tail;
    int64_t batch;
    unsigned seed;
};

struct conv_case {
    struct conv_spec spec;
    struct vt_plan plan;
    struct vt_plan_step step;
    struct vt_plan_value values[5]; /* x, bias, slope, residual, y */
    uint32_t inputs[4], outputs[1];
    float *data[5]; /* of all items, with borders, in the values' types; y filled with `CONV_CASE_UNTOUCHED` */
    float *x;       /* the numbers of data[0] as [batch, C, H, W] */
    float *border;  /* a value per channel */
    float *weights; /* [O, I / group, kh, kw]; bfloat16 numbers where inputs are and there is one group */
};
#define CONV_CASE_UNTOUCHED 12345.0f

/* Aborts the program when memory runs out: for tests and benchmarks only. */
void conv_case_open(const struct conv_spec *spec, struct conv_case *c);
void conv_case_close(struct conv_case *c);

/* What the tactic packs; the caller frees it by vt_free_aligned. NULL when the tactic does not support the step. */
void *conv_case_pack(const struct conv_case *c, const struct vt_cpu_tactic *tactic);
/* Runs the first `batch` items into `y`, an array like data[4]. */
enum vultus_status conv_case_run(const struct conv_case *c, const struct vt_cpu_tactic *tactic, const void *packed,
    struct vt_pool *pool, int64_t batch, float *y);

/* One output before the tail and the sum of its terms' sizes, in double. */
double conv_case_sum(const struct conv_case *c, int64_t item, const int64_t at[3], double *size);
/* The output after the tail. */
double conv_case_expected(const struct conv_case *c, int64_t item, const int64_t at[3], double *size);

/* Multiplications and additions, in units of 2 per product, of the direct algorithm over logical channels; one item. */
double conv_case_flops(const struct conv_spec *spec);

#endif
