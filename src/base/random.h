/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_RANDOM_H
#define VT_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Numbers that repeat: the same sequence from the same `*state`, which must not start as 0 and is moved on. Not for
 * secrets.
 */
uint64_t vt_random_bits(uint64_t *state);
double vt_random_uniform(uint64_t *state);                           /* strictly between 0 and 1 */
void vt_random_normal(uint64_t *state, float *values, size_t count); /* of mean 0 and variance 1 */

#endif
