/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_CLOCK_H
#define VT_BASE_CLOCK_H

#include <stdint.h>

/* Nanoseconds of the monotonic clock. */
uint64_t vt_now_ns(void);

static inline double vt_ms_since(uint64_t start_ns) { return (double)(vt_now_ns() - start_ns) * 1e-6; }

#endif
