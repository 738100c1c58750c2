/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "plan/format.h"

static const char *const step_names[VT_STEP_COUNT] = {
#define VT_STEP(e, name) [VT_STEP_##e] = name,
#include "plan/steps.inc"
#undef VT_STEP
};

const char *vt_step_name(enum vt_step step) { return (unsigned)step < VT_STEP_COUNT ? step_names[step] : "unknown"; }

const char *vt_plan_key_difference(
    const struct vt_plan_key *a, const struct vt_plan_key *b, const char **text_a, const char **text_b) {
#define X(field)                                                                                                       \
    if (strcmp(a->field, b->field) != 0) {                                                                             \
        *text_a = a->field;                                                                                            \
        *text_b = b->field;                                                                                            \
        return #field;                                                                                                 \
    }
    VT_PLAN_KEY_FIELDS(X)
#undef X
    return NULL;
}

enum vultus_status vt_plan_create(struct vt_plan **out, struct vultus_error *error) {
    struct vt_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return vt_fail_memory(error, "a plan", sizeof *plan);
    vt_arena_init(&plan->arena, 0);
    plan->model = (struct vt_plan_model){.name = "", .function = "", .origin = "", .licence = "", .channels = ""};
    *out = plan;
    return VULTUS_OK;
}

void vt_plan_destroy(struct vt_plan *plan) {
    if (!plan) return;
    vt_free_aligned(plan->owned_weights);
    vt_unshare_file(&plan->file);
    vt_arena_fini(&plan->arena);
    free(plan);
}

/* Blocks, rows and columns with their borders, and channels in a block, in whatever order, as one more tensor. */
static bool planes_bytes(const struct vt_plan_value *v, uint64_t *bytes) {
    int64_t dims[4] = {0, v->dims[2], v->dims[3], v->block}, count;
    if (v->rank != 4 || v->dims[0] != 1 || v->dims[1] < 1 || v->dims[2] < 1 || v->dims[3] < 1 || v->block < 1)
        return false;
    dims[0] = (v->dims[1] - 1) / v->block + 1;
    for (int i = 0; i < 4; i++) {
        int axis = 1 + i % 2;
        if (v->pad[i] < 0 || !vt_add_i64(dims[axis], v->pad[i], &dims[axis])) return false;
    }
    if (!vt_dims_valid(4, dims, v->dtype, &count)) return false;
    *bytes = (uint64_t)count * vt_dtype_size(v->dtype);
    return true;
}

bool vt_plan_value_bytes(const struct vt_plan_value *value, uint64_t *bytes) {
    int64_t count;
    if (value->layout == VT_LAYOUT_BLOCKED || value->layout == VT_LAYOUT_CHANNELS_LAST)
        return planes_bytes(value, bytes);
    if (value->layout != VT_LAYOUT_PLAIN || !vt_dims_valid(value->rank, value->dims, value->dtype, &count))
        return false;
    *bytes = (uint64_t)count * vt_dtype_size(value->dtype);
    return true;
}

bool vt_plan_probe(const uint8_t *bytes, size_t size) {
    return size >= VT_PLAN_MAGIC_BYTES && memcmp(bytes, VT_PLAN_MAGIC, VT_PLAN_MAGIC_BYTES) == 0;
}

/* ---------------------------------------------------------------- conversions */

int64_t vt_plan_elements(const struct vt_plan_value *v) {
    int64_t product = 1;
    for (int i = 0; i < v->rank; i++) product *= v->dims[i];
    return product;
}

static bool is_permutation(const struct vt_step_params *params, int rank) {
    unsigned seen = 0;
    if (params->perm_rank != rank || rank > VT_MAX_RANK) return false;
    for (int i = 0; i < rank; i++) {
        if (params->perm[i] < 0 || params->perm[i] >= rank) return false;
        seen |= 1u << params->perm[i];
    }
    return seen == (1u << rank) - 1;
}

bool vt_plan_convert_fits(
    const struct vt_step_params *params, const struct vt_plan_value *x, const struct vt_plan_value *y) {
    bool x_plain = x->layout == VT_LAYOUT_PLAIN, y_plain = y->layout == VT_LAYOUT_PLAIN;
    bool dtypes_fit = x_plain == y_plain ? x->dtype == y->dtype : (x_plain ? x : y)->dtype == VT_DTYPE_F32;
    return dtypes_fit && vt_plan_elements(x) == vt_plan_elements(y) &&
           (!params->perm_rank || (y_plain && is_permutation(params, x->rank)));
}
