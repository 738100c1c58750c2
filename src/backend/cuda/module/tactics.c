/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of tactics, and how the compiler asks for them.
 */
#include <string.h>

#include "backend/cuda/module/host_step.h"
#include "backend/cuda/module/measure.h"
#include "backend/cuda/module/tactic.h"

static const struct vt_cuda_tactic *const *const tables[] = {
    vt_cuda_wgmma_tactics, vt_cuda_conv_tactics, vt_cuda_plane_tactics, vt_cuda_plain_tactics, vt_cuda_host_tactics};

const struct vt_cuda_tactic *vt_cuda_tactic_at(size_t i) {
    for (size_t table = 0; table < sizeof tables / sizeof *tables; table++)
        for (const struct vt_cuda_tactic *const *tactic = tables[table]; *tactic; tactic++)
            if (i-- == 0) return *tactic;
    return NULL;
}

const struct vt_cuda_tactic *vt_cuda_tactic_find(const char *name) {
    const struct vt_cuda_tactic *tactic;
    for (size_t i = 0; (tactic = vt_cuda_tactic_at(i)); i++)
        if (strcmp(tactic->name, name) == 0) return tactic;
    return NULL;
}

bool vt_cuda_describe_tactic(const char *name, struct vt_tactic_info *info) {
    const struct vt_cuda_tactic *tactic = vt_cuda_tactic_find(name);
    if (tactic) *info = (struct vt_tactic_info){tactic->class, tactic->on_host ? "reference" : "own"};
    return tactic != NULL;
}

static int block(enum vt_dtype dtype) {
    return dtype == VT_DTYPE_F32 || dtype == VT_DTYPE_F16 || dtype == VT_DTYPE_BF16 ? VT_CUDA_BLOCK : 0;
}

static size_t tactics(const struct vt_plan *plan, const struct vt_plan_step *step, const char **names,
    const char **classes, size_t capacity) {
    const struct vt_cuda_tactic *tactic;
    size_t n = 0;
    for (size_t i = 0; n < capacity && (tactic = vt_cuda_tactic_at(i)); i++) {
        if (tactic->kind != step->kind || (tactic->features & ~vt_cuda_features())) continue;
        if ((n > 0 && tactic->last_resort) || !tactic->supports(plan, step)) continue;
        names[n] = tactic->name;
        classes[n++] = tactic->class;
    }
    return n;
}

static size_t packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step, const char *name) {
    const struct vt_cuda_tactic *tactic = vt_cuda_tactic_find(name);
    return tactic && tactic->packed_bytes ? tactic->packed_bytes(plan, step) : 0;
}

static enum vultus_status pack(const struct vt_plan *plan, const struct vt_plan_step *step, const char *name,
    const float *weights, void *packed, struct vultus_error *error) {
    const struct vt_cuda_tactic *tactic = vt_cuda_tactic_find(name);
    if (!tactic || !tactic->pack)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "step %s: there is no tactic %s that packs weights", step->name, name);
    return tactic->pack(plan, step, weights, packed, error);
}

static uint32_t required_features(const char *name) {
    const struct vt_cuda_tactic *tactic = vt_cuda_tactic_find(name);
    return tactic ? tactic->features : 0;
}

const struct vt_backend_builder vt_cuda_builder = {
    .planes = VT_LAYOUT_CHANNELS_LAST,
    .batches = {1, 8, 32, 128},
    .tf32 = true,
    .classes_may_mix = true,
    .clock = &vt_cuda_clock,
    .block = block,
    .tactics = tactics,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .required_features = required_features,
};
