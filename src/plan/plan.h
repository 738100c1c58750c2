/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_PLAN_PLAN_H
#define VT_PLAN_PLAN_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/status.h"
#include "ops/ops.h"
#include "tensor/tensor.h"

/*
 * A plan: a network compiled for one item. Running a batch runs every step for each item; so answers cannot depend on
 * batch mates, and models whose exporter collapsed the batch axis run batched all the same.
 * The same struct is what the compiler fills and what the reader makes of a file (docs/plan-format.md).
 */
#define VT_PLAN_FORMAT_VERSION 1
#define VT_PLAN_NONE UINT32_MAX
#define VT_PLAN_MAX_CHOICES 4
#define VT_PLAN_MAX_OPERANDS 64 /* inputs, and outputs, of a step */
#define VT_PLAN_MAX_BATCH 65536
#define VT_PLAN_ALIGNMENT 64
#define VT_PLAN_MAX_TRANSPOSED_STRIDE 16 /* of CONV_TRANSPOSE steps */

enum vt_step {
#define VT_STEP(e, name) VT_STEP_##e,
#include "plan/steps.inc"
#undef VT_STEP
    VT_STEP_COUNT
};
const char *vt_step_name(enum vt_step step);

enum vt_pool_mode { VT_POOL_MAX, VT_POOL_AVERAGE, VT_POOL_GLOBAL_AVERAGE };
enum vt_binary_mode { VT_BINARY_ADD, VT_BINARY_MUL, VT_BINARY_SUB, VT_BINARY_DIV };

/*
 * PLAIN: dense row-major over dims.
 * BLOCKED, of a float32, float16 or bfloat16 [1,C,H,W] value with block b:
 * [ceil(C/b)][top + H + bottom][left + W + right][b]. Channels past C hold finite values that every consumer multiplies
 * by zero weights. The border (pad) is filled by the step that produces the value.
 * CHANNELS_LAST, the same but that a pixel's blocks lie together: [top + H + bottom][left + W + right][ceil(C/b)*b].
 */
enum vt_layout { VT_LAYOUT_PLAIN, VT_LAYOUT_BLOCKED, VT_LAYOUT_CHANNELS_LAST };

enum vt_storage {
    VT_STORAGE_INPUT,    /* the caller's memory, offset = index of the input */
    VT_STORAGE_OUTPUT,   /* the caller's memory, offset = index of the output */
    VT_STORAGE_ARENA,    /* at workspace + offset * batch; item i follows at i * bytes */
    VT_STORAGE_CONSTANT, /* at weights + offset, the same for every item */
};

struct vt_plan_value {
    const char *name;
    enum vt_dtype dtype;
    enum vt_layout layout;
    enum vt_storage storage;
    int rank;
    int64_t dims[VT_MAX_RANK]; /* logical, of one item */
    int32_t block;             /* not PLAIN: channels per block */
    int32_t pad[4];            /* not PLAIN: top, left, bottom, right */
    uint32_t border;           /* constant value of ceil(C/b)*b floats that fill the border, or VT_PLAN_NONE: zeros */
    uint64_t offset;
    uint64_t bytes; /* of one item, a multiple of VT_PLAN_ALIGNMENT in the arena */
};

/* Parameters; each kind reads its own. */
struct vt_step_params {
    struct vt_window window; /* CONV, CONV_TRANSPOSE, POOL */
    struct vt_tail tail;     /* CONV, CONV_TRANSPOSE, GEMM, AFFINE, GROUP_NORM, BINARY (act1) */
    int32_t mode;            /* POOL, BINARY */
    int32_t groups;          /* GROUP_NORM */
    float epsilon;           /* GROUP_NORM */
    int32_t perm_rank;       /* CONVERT: 0, or the rank of perm (a transposition of the logical tensor) */
    int32_t perm[VT_MAX_RANK];
};

/* The tactic for up to max_batch items that go through the step together. Choices of a step belong to one numerical
 * class, unless the back end mixes them (vt_backend_builder). */
struct vt_tactic_choice {
    int64_t max_batch;
    const char *tactic;
    uint32_t packed; /* constant value with what the tactic packed, or VT_PLAN_NONE */
};

struct vt_plan_step {
    enum vt_step kind;
    const char *name; /* of the node it comes from */
    uint32_t *inputs, *outputs;
    uint32_t n_inputs, n_outputs;
    struct vt_step_params params;
    enum vt_op op; /* REFERENCE */
    struct vt_attrs attrs;
    struct vt_tactic_choice choices[VT_PLAN_MAX_CHOICES];
    uint32_t n_choices;
};

/* Everything that decides whether a cached plan may be used; a difference is reported by the field's name. */
#define VT_PLAN_KEY_FIELDS(X)                                                                                          \
    X(model_sha256) X(precision) X(backend) X(arch) X(cpu) X(libraries) X(build) X(input_size) X(max_batch) X(threads)
struct vt_plan_key {
#define X(field) char field[96];
    VT_PLAN_KEY_FIELDS(X)
#undef X
};

/* Name of the first field that differs, with both texts, or NULL when equal. */
const char *vt_plan_key_difference(
    const struct vt_plan_key *a, const struct vt_plan_key *b, const char **text_a, const char **text_b);

/* What the model is for and how pictures become its input. */
struct vt_plan_model {
    const char *name;      /* "mobilefacenet" */
    const char *function;  /* "scrfd", "arcface", "minifasnet" or "" (unknown) */
    const char *origin;    /* of the function: "catalogue" or "shapes" */
    const char *licence;   /* text id, may be "" */
    float mean[3], std[3]; /* per channel in network order: input = (pixel - mean) / std */
    const char *channels;  /* "rgb" or "bgr" */
};

/* One candidate the compiler timed, for `info`. */
struct vt_tactic_time {
    uint32_t step;
    int64_t batch;
    const char *tactic;
    float microseconds;
    bool chosen;
};

struct vt_plan {
    struct vt_arena arena; /* of everything below but the weights */
    struct vt_plan_key key;
    struct vt_plan_model model;
    uint32_t required_features; /* vt_cpu_feature bits that the chosen tactics need */
    int64_t max_batch;
    struct vt_plan_value *values;
    uint32_t n_values;
    struct vt_plan_step *steps;
    uint32_t n_steps;
    uint32_t *inputs, *outputs; /* value indices */
    uint32_t n_inputs, n_outputs;
    bool *output_has_batch_axis; /* dims[0] == 1 stands for the batch; else the batch becomes a new first axis */
    uint64_t arena_bytes;        /* of one item */
    const uint8_t *weights;      /* VT_PLAN_ALIGNMENT aligned */
    uint64_t weights_bytes;
    struct vt_tactic_time *times;
    uint32_t n_times;
    float build_seconds;
    struct vt_mapped_file file; /* where weights point to when read from a file */
    uint8_t *owned_weights;     /* or what the compiler allocated (vt_alloc_aligned) */
};

/* An empty plan to fill. */
enum vultus_status vt_plan_create(struct vt_plan **out, struct vultus_error *error);
void vt_plan_destroy(struct vt_plan *plan); /* NULL is fine */

/* Bytes of one item of a value described by its other fields; false when they overflow or make no sense. */
bool vt_plan_value_bytes(const struct vt_plan_value *value, uint64_t *bytes);

/* Which of a step's choices is for that many items together: the first whose max_batch covers them, else the last. */
uint32_t vt_plan_step_choice(const struct vt_plan_step *step, int64_t batch);

/*
 * How many pixels a CONV_TRANSPOSE step reads before and behind an axis of `in` pixels for `out` results: zeros of its
 * input's border.
 */
void vt_plan_transposed_reach(const struct vt_window *window, int axis, int64_t in, int64_t out, int64_t reach[2]);

int64_t vt_plan_elements(const struct vt_plan_value *value); /* of one item, logical */

/*
 * Whether a CONVERT step with these parameters can take x to y, as far as planes do not matter: what is plain beside a
 * plane is float32, there are as many elements, and what is transposed, by a permutation, becomes plain.
 */
bool vt_plan_convert_fits(
    const struct vt_step_params *params, const struct vt_plan_value *x, const struct vt_plan_value *y);

/*
 * Operations of a step for one item: two for each product that the direct algorithm of a convolution or matrix product
 * has, those with padding included. 0 for steps of another kind, whose time is not in products.
 */
double vt_plan_step_flops(const struct vt_plan *plan, const struct vt_plan_step *step);

/*
 * Whether the plan can be run without further checks of its own consistency (INVALID, with the rule, when not): every
 * index, enumerator, name, shape, window and size; values lie inside arena, weights, inputs and outputs; steps write
 * only arena and outputs, never what they read; what a step reads was written before. What a tactic packed is opaque
 * here: that its size is what the tactic wants is the back end's to check. Reading and writing a plan check it.
 */
enum vultus_status vt_plan_check(const struct vt_plan *plan, struct vultus_error *error);

/* Checks the plan and writes it atomically. */
enum vultus_status vt_plan_write(const struct vt_plan *plan, const char *path, struct vultus_error *error);

/*
 * Maps and checks a plan: magic, version, section checksums, every offset, index, enum and size; whatever passes can be
 * run without further checks of the plan's own consistency. Weights stay in the mapping, which all plans read from the
 * same file share. The caller destroys *out.
 */
enum vultus_status vt_plan_read(const char *path, struct vt_plan **out, struct vultus_error *error);
/* The same from memory that must outlive the plan and be VT_PLAN_ALIGNMENT aligned. */
enum vultus_status vt_plan_parse(
    const uint8_t *bytes, size_t size, const char *name, struct vt_plan **out, struct vultus_error *error);
/* Only the key, for cache look-ups: cheap, no weight is touched. */
enum vultus_status vt_plan_read_key(const char *path, struct vt_plan_key *key, struct vultus_error *error);
bool vt_plan_probe(const uint8_t *bytes, size_t size); /* whether the bytes start with a plan's magic */

#endif
