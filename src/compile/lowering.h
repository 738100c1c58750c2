/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_COMPILE_LOWERING_H
#define VT_COMPILE_LOWERING_H

#include "backend/backend.h"
#include "compile/compile.h"
#include "graph/graph.h"
#include "plan/plan.h"

/* A graph value may live in the plan once plain and several times blocked (with other borders). */
#define VT_MAX_BLOCKED 4
/* Inputs of the steps that have tactics to choose from; reference steps (one tactic) may have more. */
#define VT_MAX_STEP_INPUTS 8
struct vt_representation {
    uint32_t plain;
    uint32_t blocked[VT_MAX_BLOCKED];
    size_t n_blocked;
    int32_t pad[4];                /* the widest border that any consumer needs */
    const struct vt_value *border; /* what fills it, for the first consumer that pads; NULL: zeros */
    bool padded;                   /* whether a consumer pads */
    bool float32;                  /* what is blocked of it, whatever the precision */
};

/* Memory that one or several plan values (views of each other) share. */
struct vt_buffer {
    enum vt_storage storage;
    uint64_t index;       /* of the input or output */
    uint64_t bytes;       /* of one item */
    uint32_t first, last; /* steps between which its content matters */
};

/* What belongs to a plan value or step only while compiling. */
struct vt_value_note {
    uint32_t buffer;      /* VT_PLAN_NONE for constants */
    const void *constant; /* content of a constant */
};
struct vt_step_note {
    const float *weights; /* CONV and GEMM: to be packed by the chosen tactic */
    int64_t weights_count;
};

/* State of turning one graph into one plan. Everything is in the plan's arena or the graph's. */
struct vt_lowering {
    struct vt_graph *graph;
    const struct vt_backend *backend;
    struct vt_plan *plan;
    enum vt_dtype blocked_dtype; /* of blocked values; plain ones keep the graph's */
    int block;
    struct vt_representation *representations; /* by vt_value.index */
    struct vt_value_note *value_notes;         /* by plan value */
    struct vt_step_note *step_notes;           /* by plan step */
    struct vt_buffer *buffers;
    uint32_t n_buffers;
    uint32_t values_capacity, steps_capacity, buffers_capacity;
    struct vultus_error *error;
};

/* Emits every node (lower.c, lower_nodes.c). */
enum vultus_status vt_lower_graph(struct vt_lowering *lowering);
enum vultus_status vt_lower_node(struct vt_lowering *lowering, const struct vt_node *node);

/* The window of a FusedConv or FusedConvTranspose, and how many pixels it reads beyond its input on each side. */
enum vultus_status vt_lower_window(
    struct vt_lowering *lowering, const struct vt_node *node, struct vt_window *window, int64_t pad[4]);

/* A FusedConvTranspose that reads farther beyond its input has no kernel: borders that wide would only cost memory. */
#define VT_MOST_TRANSPOSED_BORDER 64
static inline bool vt_lower_reads_near(const int64_t pad[4]) {
    for (int i = 0; i < 4; i++)
        if (pad[i] > VT_MOST_TRANSPOSED_BORDER) return false;
    return true;
}

/* Makers (lower_values.c); VT_PLAN_NONE after an allocation failure. */
uint32_t vt_lower_new_value(struct vt_lowering *lowering, const struct vt_plan_value *description, uint32_t buffer);
uint32_t vt_lower_new_constant(struct vt_lowering *lowering, const char *name, enum vt_dtype dtype, int rank,
    const int64_t *dims, const void *content);
/* A float vector of `count` entries zero-padded to whole blocks. */
uint32_t vt_lower_channel_constant(struct vt_lowering *lowering, const char *name, const float *content, int64_t count);
struct vt_plan_step *vt_lower_new_step(struct vt_lowering *lowering, enum vt_step kind, const char *name,
    const uint32_t *inputs, uint32_t n_inputs, uint32_t output);

/* One more output of the newest step; false after an allocation failure (VT_PLAN_NONE among them). */
bool vt_lower_add_output(struct vt_lowering *lowering, uint32_t output);

/* The value in the wanted form, converting where it is not there yet; VT_PLAN_NONE on failure. */
uint32_t vt_lower_plain(struct vt_lowering *lowering, const struct vt_value *value);
/* With a border of at least pad[] (NULL: any) filled by `border` (NULL: zeros; not looked at when pad is all 0). */
uint32_t vt_lower_blocked(
    struct vt_lowering *lowering, const struct vt_value *value, const int64_t pad[4], const struct vt_value *border);
/* Fresh values for a node's output, registered as its representation. */
uint32_t vt_lower_new_plain(struct vt_lowering *lowering, const struct vt_value *value);
uint32_t vt_lower_new_blocked(struct vt_lowering *lowering, const struct vt_value *value);
/* `value` as another shape of the plain plan value `source`: no copy. */
uint32_t vt_lower_view(struct vt_lowering *lowering, const struct vt_value *value, uint32_t source);
/* Whether the value can be blocked: float32 [1,C,H,W]. */
bool vt_lower_can_block(const struct vt_value *value);
bool vt_lower_has_blocked(const struct vt_lowering *lowering, const struct vt_value *value);

/* Places arena buffers by lifetime (memory.c) and fills offsets of all values. */
enum vultus_status vt_plan_memory(struct vt_lowering *lowering);

/* Chooses and packs every step's tactic (tune.c). */
enum vultus_status vt_tune(
    struct vt_lowering *lowering, const struct vt_compile_options *options, struct vt_pool *pool);

/* Lays the constants out behind each other into plan->weights (constants.c). */
enum vultus_status vt_store_constants(struct vt_lowering *lowering);

#endif
