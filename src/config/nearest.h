/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_CONFIG_NEAREST_H
#define VT_CONFIG_NEAREST_H

#include <stdbool.h>

/*
 * Whether `candidate` is near enough to what was typed to suggest it (by edit distance), and nearer than *best, which
 * begins as INT_MAX and is set to its distance.
 */
bool vt_is_nearer(const char *typed, const char *candidate, int *best);

#endif
