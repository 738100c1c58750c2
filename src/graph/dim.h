/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_GRAPH_DIM_H
#define VT_GRAPH_DIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/*
 * A dimension: an expression over named symbols ("batch", "height"), immutable, owned by the arena it was made in.
 * Kept in a normal form (a sum of products with integer coefficients, floor divisions as atoms), so that equal
 * expressions compare equal. NULL means "unknown" (also: overflow, an expression past the size limit) or "out of
 * memory" and every function maps it to NULL / false. A symbol stands for an integer of at least 1.
 */
struct vt_dim;

const struct vt_dim *vt_dim_constant(struct vt_arena *arena, int64_t value);
const struct vt_dim *vt_dim_symbol(struct vt_arena *arena, const char *name);
const struct vt_dim *vt_dim_add(struct vt_arena *arena, const struct vt_dim *a, const struct vt_dim *b);
const struct vt_dim *vt_dim_sub(struct vt_arena *arena, const struct vt_dim *a, const struct vt_dim *b);
const struct vt_dim *vt_dim_mul(struct vt_arena *arena, const struct vt_dim *a, const struct vt_dim *b);
/* floor(a / b); exact when b divides a as a polynomial (b is taken to be non-zero). Division by 0 is NULL. */
const struct vt_dim *vt_dim_floor_div(struct vt_arena *arena, const struct vt_dim *a, const struct vt_dim *b);

bool vt_dim_equal(const struct vt_dim *a, const struct vt_dim *b); /* false if either is NULL */
bool vt_dim_is_constant(const struct vt_dim *dim, int64_t *value); /* value may be NULL */
/* The name when the expression is one bare symbol, else NULL. */
const char *vt_dim_symbol_name(const struct vt_dim *dim);
/* A value that the expression never falls below; false when none is apparent. */
bool vt_dim_lower_bound(const struct vt_dim *dim, int64_t *bound);
/* "batch", "640", "floor((height + 1)/2)"; "?" for NULL. At most `size` bytes with the NUL; returns text. */
char *vt_dim_format(const struct vt_dim *dim, char *text, size_t size);

#endif
