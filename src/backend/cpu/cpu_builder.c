/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"
#include "base/cpu.h"

static int block(enum vt_dtype dtype) {
    if (dtype == VT_DTYPE_BF16) return VT_CPU_BF16_BLOCK;
    if (dtype != VT_DTYPE_F32) return 0;
    return vt_cpu_has(VT_CPU_AVX512) ? 16 : vt_cpu_has(VT_CPU_AVX2) ? 8 : 4;
}

static size_t tactics(const struct vt_plan *plan, const struct vt_plan_step *step, const char **names,
    const char **classes, size_t capacity) {
    const struct vt_cpu_tactic *tactic;
    size_t n = 0;
    for (size_t i = 0; n < capacity && (tactic = vt_cpu_tactic_at(i)); i++) {
        if (tactic->kind != step->kind || !vt_cpu_has(tactic->features)) continue;
        if (n > 0 && tactic->last_resort) continue;
        if (!tactic->supports(plan, step) || (tactic->offers && !tactic->offers(plan, step))) continue;
        names[n] = tactic->name;
        classes[n++] = tactic->class;
    }
    return n;
}

static size_t packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step, const char *name) {
    const struct vt_cpu_tactic *tactic = vt_cpu_tactic_find(name);
    return tactic && tactic->packed_bytes ? tactic->packed_bytes(plan, step) : 0;
}

static enum vultus_status pack(const struct vt_plan *plan, const struct vt_plan_step *step, const char *name,
    const float *weights, void *packed, struct vultus_error *error) {
    const struct vt_cpu_tactic *tactic = vt_cpu_tactic_find(name);
    if (!tactic || !tactic->pack)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "step %s: there is no tactic %s that packs weights", step->name, name);
    return tactic->pack(plan, step, weights, packed, error);
}

static uint32_t required_features(const char *name) {
    const struct vt_cpu_tactic *tactic = vt_cpu_tactic_find(name);
    return tactic ? tactic->features : 0;
}

const struct vt_backend_builder vt_cpu_builder = {
    .planes = VT_LAYOUT_BLOCKED,
    .batches = {1, 8},
    .block = block,
    .tactics = tactics,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .required_features = required_features,
};
