/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CPU_PLANE_H
#define VT_BACKEND_CPU_PLANE_H

#include "backend/cpu/cpu.h"
#include "backend/cpu/plane_kernels.h"

/* Most channels of a block. */
#define VT_PLANE_MAX_LANES VT_CPU_BF16_BLOCK

/* Rows [row_begin, row_end) of one block of one item. */
struct vt_plane_span {
    int64_t item, block, row_begin, row_end;
};

/* What a step of planes works on: filled once per call, then read by all threads. */
struct vt_plane_job {
    const struct vt_cpu_call *call;
    const struct vt_plane_kernels *kernels;
    struct vt_plane_act act; /* slope is left to the tactic */
    void (*rows)(const struct vt_plane_job *job, const struct vt_plane_span *span);
    int64_t blocks, row_count; /* of what the spans divide */
    int64_t row_cost;          /* elements touched per row */
    const void *context;       /* the tactic's own */
    int64_t rows_per_unit, units_per_block;
};

/* A job on the output's rows with act1 of the step's tail. */
struct vt_plane_job vt_plane_job(
    const struct vt_cpu_call *call, void (*rows)(const struct vt_plane_job *job, const struct vt_plane_span *span));

/* Calls job->rows for all rows of all blocks and items: on the caller when there is little to do, else over the pool.
 */
void vt_plane_run(struct vt_plane_job *job);

/* Row `row` of a block of input i / the output, column 0. */
const void *vt_plane_in(const struct vt_plane_job *job, int i, const struct vt_plane_span *span, int64_t row);
void *vt_plane_out(const struct vt_plane_job *job, const struct vt_plane_span *span, int64_t row);

/* The values of channel constant i of the span's block, zeros past its end; `lanes` holds them when they do not lie
 * ready. */
const float *vt_plane_channels(const struct vt_plane_job *job, int i, int64_t block, float lanes[VT_PLANE_MAX_LANES]);

/* Whether a value is blocked, [1,C,H,W], and of a type and block that this machine's kernels handle. */
bool vt_plane_fits(const struct vt_plan_value *value);
/* Whether a GEMM step is one that the tactics of products can run (gemm.c). */
bool vt_cpu_gemm_fits(const struct vt_plan *plan, const struct vt_plan_step *step);
/* Whether input i of the step is absent, or a float32 constant of at least `channels` elements. */
bool vt_plane_channels_fit(const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i, int64_t channels);
/* Dims, element type and block. */
bool vt_plane_same_shape(const struct vt_plan_value *a, const struct vt_plan_value *b);

extern const struct vt_cpu_tactic vt_cpu_pool_tactic, vt_cpu_global_pool_tactic; /* plane_pool.c */
extern const struct vt_cpu_tactic vt_cpu_group_norm_tactic;                      /* plane_norm.c */
extern const struct vt_cpu_tactic vt_cpu_convert_tactic;                         /* plane_convert.c */
extern const struct vt_cpu_tactic vt_cpu_concat_tactic, vt_cpu_split_tactic;     /* plane_channels.c */

#endif
