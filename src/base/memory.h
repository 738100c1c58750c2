/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_MEMORY_H
#define VT_BASE_MEMORY_H

#include <stddef.h>

#define VT_CACHE_LINE 64

/*
 * Uninitialised memory aligned to a cache line, NULL when out of memory; released by vt_free_aligned (NULL is fine).
 * From 4 MiB on it asks for huge pages.
 */
void *vt_alloc_aligned(size_t bytes);
void vt_free_aligned(void *memory);

#endif
