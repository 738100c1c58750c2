/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_PLAN_STORE_H
#define VT_PLAN_STORE_H

#include "plan/plan.h"

/*
 * The local plan cache: $VULTUS_PLANS, else $XDG_CACHE_HOME/vultus/plans, else $HOME/.cache/vultus/plans.
 * malloc'd; NULL and an error when none of them is set.
 */
char *vt_store_default_directory(struct vultus_error *error);

/*
 * malloc'd "{model}-{precision}-{arch}[-{W}x{H}][-b{N}][-t{N}].plan"; input_size, max_batch and threads are appended
 * unless NULL / 0.
 */
char *vt_store_plan_name(
    const char *model, const char *precision, const char *arch, const char *input_size, int64_t max_batch, int threads);

enum vt_store_outcome { VT_STORE_HIT, VT_STORE_MISSING, VT_STORE_DIFFERS, VT_STORE_BROKEN };
/*
 * Looks for a plan at `path` whose key equals `wanted`. `reason` gets one sentence on a miss: which field differed and
 * how, or why the file is unreadable.
 */
enum vt_store_outcome vt_store_look_up(
    const char *path, const struct vt_plan_key *wanted, char *reason, size_t reason_size);

#endif
