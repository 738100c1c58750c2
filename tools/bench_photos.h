/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_BENCH_PHOTOS_H
#define VT_TOOLS_BENCH_PHOTOS_H

#include "common.h"

/* Whether the operands are photos, by their names, and not a model or a plan. */
bool vt_bench_wants_photos(const struct vt_options *options);
/* Times the whole path of each photo; returns the exit code. */
int vt_bench_photos(const struct vt_options *options);

#endif
