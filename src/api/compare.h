/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_API_COMPARE_H
#define VT_API_COMPARE_H

#include <string.h>

#include "api/api_internal.h"
#include "image/ops.h"

/* Item `item` of an array that holds a value of the plan for several, a view. */
static inline struct vt_tensor vt_api_item(const struct vt_plan_value *v, const void *array, int64_t item) {
    struct vt_tensor tensor = {
        .dtype = v->dtype, .rank = v->rank, .data = (uint8_t *)array + (uint64_t)item * v->bytes};
    memcpy(tensor.dims, v->dims, sizeof tensor.dims);
    return tensor;
}

/* ---------------------------------------------------------------- oracle.c, in builds with the compiler */

/* An ONNX model run by the interpreter, without any pass, on all threads: items apart, one graph for each thread. */
struct vt_oracle;

/*
 * `plan` fixes the shapes and must have been built from that model: MISMATCH otherwise. Both arguments must outlive the
 * oracle.
 */
enum vultus_status vt_oracle_open(const char *path, const struct vt_plan *plan, struct vt_pool *pool,
    struct vt_oracle **out, struct vultus_error *error);
void vt_oracle_close(struct vt_oracle *oracle); /* NULL is fine */
/* Arrays of `count` items, as an engine takes them. */
enum vultus_status vt_oracle_run(struct vt_oracle *oracle, const void *const *inputs, void *const *outputs,
    int64_t count, struct vultus_error *error);

/* ---------------------------------------------------------------- compare_items.c */

/* Where a comparison's items come from. Zeroed before use. */
struct vt_items {
    const struct vt_engine *engine;
    struct vt_arena arena;    /* of what was read */
    int64_t count;            /* items to compare */
    struct vt_tensor given;   /* items of the one input, as read; dtype NONE: they are random */
    struct vt_tensor *wanted; /* the reference's outputs, by the plan's; NULL: the oracle computes them */
    bool pictures;            /* the one input is a picture whose normalisation the plan knows */
    struct vt_normalisation normalisation;
};

/* Reads the files that the options name and settles how many items there are. Release it with vt_items_fini either way.
 */
enum vultus_status vt_items_init(struct vt_items *items, const struct vt_engine *engine,
    const struct vultus_compare_options *options, struct vultus_error *error);
void vt_items_fini(struct vt_items *items);
/* Fills arrays of `count` items with those from `first` on; the same for the same item in every call. */
enum vultus_status vt_items_inputs(
    const struct vt_items *items, int64_t first, int64_t count, void *const *inputs, struct vultus_error *error);
/* Whether output `i` of a plan is an embedding, judged by direction alone. */
bool vt_items_embedding(const struct vt_plan *plan, uint32_t i);

#endif
