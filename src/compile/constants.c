/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "compile/lowering.h"

/* An earlier constant with the same content, so that shared tables (zero biases, borders) are stored once. */
static uint32_t equal_constant(const struct vt_lowering *l, uint32_t id) {
    const struct vt_plan_value *v = &l->plan->values[id];
    for (uint32_t i = 0; i < id; i++) {
        const struct vt_plan_value *w = &l->plan->values[i];
        if (w->storage == VT_STORAGE_CONSTANT && w->bytes == v->bytes && l->value_notes[i].constant &&
            (l->value_notes[i].constant == l->value_notes[id].constant ||
                memcmp(l->value_notes[i].constant, l->value_notes[id].constant, v->bytes) == 0))
            return i;
    }
    return VT_PLAN_NONE;
}

enum vultus_status vt_store_constants(struct vt_lowering *l) {
    struct vt_plan *plan = l->plan;
    size_t total = 0;
    for (uint32_t i = 0; i < plan->n_values; i++) {
        struct vt_plan_value *v = &plan->values[i];
        if (v->storage != VT_STORAGE_CONSTANT) continue;
        uint32_t same = equal_constant(l, i);
        v->offset = same == VT_PLAN_NONE ? total : plan->values[same].offset;
        if (same == VT_PLAN_NONE && !vt_add_size(total, vt_round_up(v->bytes, VT_PLAN_ALIGNMENT), &total))
            return vt_fail(l->error, VULTUS_ERROR_LIMIT, "the plan's constants are too large to address");
    }
    plan->owned_weights = vt_alloc_aligned(total + VT_PLAN_ALIGNMENT);
    if (!plan->owned_weights) return vt_fail_memory(l->error, "a plan's constants", total);
    memset(plan->owned_weights, 0, total + VT_PLAN_ALIGNMENT);
    for (uint32_t i = 0; i < plan->n_values; i++) {
        const struct vt_plan_value *v = &plan->values[i];
        if (v->storage == VT_STORAGE_CONSTANT && v->bytes && l->value_notes[i].constant)
            memcpy(plan->owned_weights + v->offset, l->value_notes[i].constant, v->bytes);
    }
    plan->weights = plan->owned_weights;
    plan->weights_bytes = total;
    return VULTUS_OK;
}
