/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CPU_CPU_H
#define VT_BACKEND_CPU_CPU_H

#include "backend/backend.h"

extern const struct vt_backend vt_backend_cpu;

#define VT_CPU_LEAST_INPUTS 4
#define VT_CPU_BF16_BLOCK 32 /* channels per block of bfloat16 planes: a cache line */

/* One run of one step, everything resolved. Pointers are to item 0; item i of a value follows at i * vt_cpu_item_bytes.
 */
struct vt_cpu_call {
    const struct vt_plan *plan;
    const struct vt_plan_step *step;
    const struct vt_plan_value *const *in; /* NULL for missing inputs; at least VT_CPU_LEAST_INPUTS entries */
    const struct vt_plan_value *const *out;
    const void *const *in_data;
    void *const *out_data;
    int64_t batch;
    const void *packed;
    uint8_t *scratch; /* vt_cpu_tactic.scratch_bytes, aligned, for this call only */
    void *state;      /* what vt_cpu_tactic.prepare made */
    /* NULL: this thread alone runs the call, while others may run calls with the same state. */
    struct vt_pool *pool;
    int thread; /* state of one thread is that of number thread + (number within the pool's run) */
};

/*
 * A way to run a step. Kernels write the interior of the output only; the caller fills its border afterwards unless
 * fills_border is set. Results must not depend on batch, on thread count or on which thread ran a unit.
 */
struct vt_cpu_tactic {
    const char *name;  /* unique: "conv:winograd4:avx512" */
    const char *class; /* tactics of one step and one class give equal bytes: "direct", "winograd4", "onednn" */
    enum vt_step kind;
    unsigned features; /* vt_cpu_feature bits it needs */
    bool fills_border;
    bool last_resort; /* offered to the compiler only for steps that no tactic before it can run */
    bool (*supports)(const struct vt_plan *plan, const struct vt_plan_step *step);
    /* Whether the compiler should offer what it supports, where finding that out takes time; NULL: always. */
    bool (*offers)(const struct vt_plan *plan, const struct vt_plan_step *step);
    size_t (*packed_bytes)(const struct vt_plan *plan, const struct vt_plan_step *step); /* NULL: nothing packed */
    enum vultus_status (*pack)(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
        void *packed, struct vultus_error *error);
    /* Scratch for one call with `threads` threads; may depend on batch, never shrinking as it grows. NULL: none. */
    size_t (*scratch_bytes)(const struct vt_plan *plan, const struct vt_plan_step *step, int64_t batch, int threads);
    /* Optional state kept by the executable (library primitives) for `threads` threads; released by release. */
    enum vultus_status (*prepare)(const struct vt_plan *plan, const struct vt_plan_step *step, const void *packed,
        int threads, void **state, struct vultus_error *error);
    void (*release)(void *state);
    enum vultus_status (*run)(const struct vt_cpu_call *call, struct vultus_error *error);
};

/* Tables of tactics, one per file, each NULL-terminated, joined in cpu_tactics.c. */
extern const struct vt_cpu_tactic *const vt_cpu_conv_tactics[]; /* own convolutions */
extern const struct vt_cpu_tactic *const vt_cpu_conv_transpose_tactics[];
extern const struct vt_cpu_tactic *const vt_cpu_gemm_tactics[]; /* own matrix products */
extern const struct vt_cpu_tactic
    *const vt_cpu_plane_tactics[]; /* pool, upsample, group norm, affine, binary, convert, concat, split */
extern const struct vt_cpu_tactic *const vt_cpu_reference_tactics[]; /* any operator, plain */
extern const struct vt_cpu_tactic *const vt_cpu_onednn_tactics[];    /* oneDNN; empty without it */

const struct vt_cpu_tactic *vt_cpu_tactic_find(const char *name); /* NULL when this build has none of that name */

/* How the compiler asks (cpu_builder.c). */
extern const struct vt_backend_builder vt_cpu_builder;

/* Tactic `i` of all tables, best guesses first, NULL past the last. */
const struct vt_cpu_tactic *vt_cpu_tactic_at(size_t i);

bool vt_cpu_describe_tactic(const char *name, struct vt_tactic_info *info);

/* vt_backend.peak_flops (peak.c). */
double vt_cpu_peak_flops(struct vt_pool *pool, const char *precision);

/* "onednn 2.6.3", or "" without it. */
const char *vt_cpu_onednn_version(void);

/* Fills the border of every item of a blocked value; `border` holds a value per channel, NULL: zeros. */
void vt_cpu_fill_border(
    const struct vt_plan_value *value, void *data, const float *border, int64_t batch, struct vt_pool *pool);

/* Input / output i of a step, NULL when missing. */
static inline const struct vt_plan_value *vt_cpu_input(
    const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i) {
    return i < step->n_inputs && step->inputs[i] != VT_PLAN_NONE ? &plan->values[step->inputs[i]] : NULL;
}
static inline const struct vt_plan_value *vt_cpu_output(
    const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i) {
    return i < step->n_outputs && step->outputs[i] != VT_PLAN_NONE ? &plan->values[step->outputs[i]] : NULL;
}

/* Distance of a value's items: constants serve every item. */
static inline uint64_t vt_cpu_item_bytes(const struct vt_plan_value *v) {
    return v->storage == VT_STORAGE_CONSTANT ? 0 : v->bytes;
}

/* Address of block `c`, row `y`, column `x` (may be negative down to the pad) of one item of a blocked value. */
static inline void *vt_cpu_at(const struct vt_plan_value *v, const void *item, int64_t c, int64_t y, int64_t x) {
    int64_t rows = v->dims[2] + v->pad[0] + v->pad[2], columns = v->dims[3] + v->pad[1] + v->pad[3];
    int64_t elements = ((c * rows + y + v->pad[0]) * columns + x + v->pad[1]) * v->block;
    return (uint8_t *)item + elements * (int64_t)vt_dtype_size(v->dtype);
}
/* Distances of a blocked value's rows and blocks, in elements. */
static inline int64_t vt_cpu_row(const struct vt_plan_value *v) {
    return (v->dims[3] + v->pad[1] + v->pad[3]) * v->block;
}
static inline int64_t vt_cpu_plane(const struct vt_plan_value *v) {
    return (v->dims[2] + v->pad[0] + v->pad[2]) * vt_cpu_row(v);
}
/* Element `i` behind `at`, float32 or bfloat16, rounded to nearest even when it is set. */
static inline float vt_cpu_get(enum vt_dtype dtype, const void *at, int64_t i) {
    return dtype == VT_DTYPE_BF16 ? vt_bf16_to_f32(((const uint16_t *)at)[i]) : ((const float *)at)[i];
}
static inline void vt_cpu_set(enum vt_dtype dtype, void *at, int64_t i, float value) {
    if (dtype == VT_DTYPE_BF16)
        ((uint16_t *)at)[i] = vt_f32_to_bf16(value);
    else
        ((float *)at)[i] = value;
}
static inline int64_t vt_cpu_blocks(const struct vt_plan_value *v) { return (v->dims[1] + v->block - 1) / v->block; }

#endif
