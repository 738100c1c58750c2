/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_BENCH_BACKENDS_H
#define VT_TOOLS_BENCH_BACKENDS_H

#include "common.h"

/*
 * Times a model by every back end that can be used here, and says of the others why not: two tables, of the back ends
 * at the first batch size, and of all batch sizes. Returns the exit code.
 */
int vt_bench_backends(const struct vt_options *options);

#endif
