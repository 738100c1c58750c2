/* SPDX-License-Identifier: Apache-2.0 */
#include "plan_builder.h"

#include "backend/cpu/cpu.h"
#include "backend/cpu/plane.h"
#include "base/cpu.h"

_Static_assert(SHORT_BLOCK == VT_CPU_BF16_BLOCK, "bfloat16 has blocks of its own");

static bool runs_blocks(int block) {
    return vt_plane_kernels_find(block == SHORT_BLOCK ? VT_DTYPE_BF16 : VT_DTYPE_F32, block);
}

static bool tactic_at(size_t i, enum vt_step kind, const char **name, const char **class) {
    const struct vt_cpu_tactic *tactic;
    for (size_t t = 0; (tactic = vt_cpu_tactic_at(t)); t++) {
        if (tactic->kind != kind || !vt_cpu_has(tactic->features) || i-- > 0) continue;
        *name = tactic->name;
        *class = tactic->class;
        return true;
    }
    return false;
}

static bool tactic_fits(const struct vt_plan *plan, const struct vt_plan_step *step, const char *name) {
    const struct vt_cpu_tactic *tactic = vt_cpu_tactic_find(name);
    return tactic && vt_cpu_has(tactic->features) && tactic->supports(plan, step) &&
           (!tactic->offers || tactic->offers(plan, step));
}

const struct test_target test_target = {
    .backend = "cpu",
    .planes = VT_LAYOUT_BLOCKED,
    .short_dtype = VT_DTYPE_BF16,
    .short_block = VT_CPU_BF16_BLOCK,
    .uses_threads = true,
    .runs_blocks = runs_blocks,
    .tactic_at = tactic_at,
    .tactic_fits = tactic_fits,
};
