/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_MODULE_TACTIC_H
#define VT_BACKEND_CUDA_MODULE_TACTIC_H

#include "backend/backend.h"
#include "backend/cuda/module/device.h"
#include "backend/cuda/module/kernels/kernels.h"

extern const struct vt_backend vt_cuda_module_backend;

#define VT_CUDA_LEAST_INPUTS 4

/* What a tactic may need of a device: bits of vt_plan.required_features. */
enum vt_cuda_feature { VT_CUDA_SM80 = 1, VT_CUDA_SM90A = 2 };
/* Those of the devices in use, 0 when there is none; asked once. */
uint32_t vt_cuda_features(void);

/* One launch of one step, everything resolved; pointers are the device's, to item 0. */
struct vt_cuda_call {
    const struct vt_plan *plan;
    const struct vt_plan_step *step;
    const struct vt_plan_value *const *in; /* NULL for missing inputs; at least VT_CUDA_LEAST_INPUTS entries */
    const struct vt_plan_value *const *out;
    void *const *in_data;
    void *const *out_data;
    const uint8_t *weights; /* the plan's constants */
    const void *packed;
    int64_t batch;
    void *stream; /* what launchers take */
};

/*
 * A way to run a step: its launches write interiors and borders of all outputs. Results must not depend on batch.
 */
struct vt_cuda_tactic {
    const char *name;  /* unique: "conv:tile" */
    const char *class; /* tactics of one step and one class give equal bytes */
    enum vt_step kind;
    uint32_t features; /* vt_cuda_feature bits it needs */
    bool on_host;      /* by host_step.h instead of a launch */
    bool last_resort;  /* offered only for steps that no tactic before it can run */
    bool (*supports)(const struct vt_plan *plan, const struct vt_plan_step *step);
    size_t (*packed_bytes)(const struct vt_plan *plan, const struct vt_plan_step *step); /* NULL: nothing packed */
    enum vultus_status (*pack)(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
        void *packed, struct vultus_error *error);
    int (*launch)(const struct vt_cuda_call *call); /* a code for vt_cuda_check */
};

/* NULL-terminated tables, best guesses first. */
extern const struct vt_cuda_tactic *const vt_cuda_wgmma_tactics[];
extern const struct vt_cuda_tactic *const vt_cuda_conv_tactics[];
extern const struct vt_cuda_tactic *const vt_cuda_plane_tactics[];
extern const struct vt_cuda_tactic *const vt_cuda_plain_tactics[];

const struct vt_cuda_tactic *vt_cuda_tactic_at(size_t i);           /* NULL past the last */
const struct vt_cuda_tactic *vt_cuda_tactic_find(const char *name); /* NULL when there is none of that name */
bool vt_cuda_describe_tactic(const char *name, struct vt_tactic_info *info);
extern const struct vt_backend_builder vt_cuda_builder;

/* Input / output i of a step, NULL when missing. */
const struct vt_plan_value *vt_cuda_input(const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i);
const struct vt_plan_value *vt_cuda_output(const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i);

/* Of a value that kernels can work on. */
enum vt_cuda_element vt_cuda_element_of(enum vt_dtype dtype);
/* Whether kernels can work on the value: channels last, float32, float16 or bfloat16, and small enough for their
 * indices. */
bool vt_cuda_plane_fits(const struct vt_plan_value *value);
/* Whether input i is absent or a float32 constant of at least `channels` numbers. Constants are followed by room up to
 * whole alignment units: kernels read it, up to whole blocks of channels, and make nothing of it. */
bool vt_cuda_vector_fits(const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i, int64_t channels);
/* Channels, rows and columns alike. */
bool vt_cuda_same_size(const struct vt_plan_value *a, const struct vt_plan_value *b);
bool vt_cuda_is_plain_f32(const struct vt_plan_value *value);
int64_t vt_cuda_lanes(const struct vt_plan_value *value); /* channels with those that fill the last block */

/* What kernels are told of input i, or of output i, of a call. */
struct vt_cuda_plane vt_cuda_plane_in(const struct vt_cuda_call *call, uint32_t i);
struct vt_cuda_plane vt_cuda_plane_out(const struct vt_cuda_call *call, uint32_t i);
int64_t vt_cuda_item_elements(const struct vt_plan_value *value); /* from item to item; 0 for constants */

#endif
