/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/cuda.h"
#include "backend/cuda/module/tactic.h"
#include "plan_builder.h"

#include <stdlib.h>

/* Instead of the program's own, which would look for a module and a driver. */
const struct vt_backend *vt_backend_cuda(void) { return &vt_cuda_module_backend; }

/* Nothing to test: what meson takes for a skipped test. */
__attribute__((constructor)) static void need_a_device(void) {
    struct vt_cuda_device_info info;
    struct vultus_error error;
    if (!vt_cuda_device_info(0, &info, &error)) return;
    fprintf(stderr, "skipped: %s\n", error.text);
    exit(77);
}

static bool runs_blocks(int block) { return block == VT_CUDA_BLOCK || block == SHORT_BLOCK; }

static bool tactic_at(size_t i, enum vt_step kind, const char **name, const char **class) {
    const struct vt_cuda_tactic *tactic;
    for (size_t t = 0; (tactic = vt_cuda_tactic_at(t)); t++) {
        if (tactic->kind != kind || (tactic->features & ~vt_cuda_features()) || i-- > 0) continue;
        *name = tactic->name;
        *class = tactic->class;
        return true;
    }
    return false;
}

static bool tactic_fits(const struct vt_plan *plan, const struct vt_plan_step *step, const char *name) {
    const struct vt_cuda_tactic *tactic = vt_cuda_tactic_find(name);
    return tactic && !(tactic->features & ~vt_cuda_features()) && tactic->supports(plan, step);
}

const struct test_target test_target = {
    .backend = "cuda",
    .planes = VT_LAYOUT_CHANNELS_LAST,
    .short_dtype = SHORT_DTYPE,
    .short_block = VT_CUDA_BLOCK,
    .slow = EMULATED,
    .runs_blocks = runs_blocks,
    .tactic_at = tactic_at,
    .tactic_fits = tactic_fits,
};
