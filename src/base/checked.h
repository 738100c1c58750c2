/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_CHECKED_H
#define VT_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Arithmetic on sizes from outside: true and *out on success, false on overflow. */
static inline bool vt_add_size(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }
static inline bool vt_mul_size(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool vt_add_i64(int64_t a, int64_t b, int64_t *out) { return !__builtin_add_overflow(a, b, out); }
static inline bool vt_mul_i64(int64_t a, int64_t b, int64_t *out) { return !__builtin_mul_overflow(a, b, out); }

/* Whether [offset, offset + length) lies inside a region of `total` bytes. */
static inline bool vt_range_inside(uint64_t offset, uint64_t length, uint64_t total) {
    return offset <= total && length <= total - offset;
}

/* `value` rounded up to a multiple of `unit` (a power of two); the caller knows that it does not overflow. */
static inline size_t vt_round_up(size_t value, size_t unit) { return (value + unit - 1) & ~(unit - 1); }

static inline int64_t vt_min_i64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t vt_max_i64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t vt_clamp_i64(int64_t value, int64_t least, int64_t most) {
    return vt_max_i64(least, vt_min_i64(value, most));
}
static inline int64_t vt_div_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

#endif
