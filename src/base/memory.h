/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_MEMORY_H
#define VT_BASE_MEMORY_H

#include <stddef.h>

#define VT_CACHE_LINE 64

/*
 * Uninitialised memory aligned to a cache line, NULL when out of memory; released by vt_free_aligned (NULL is fine).
 * From 4 MiB on it asks for huge pages, as many as are filled.
 */
void *vt_alloc_aligned(size_t bytes);
void vt_free_aligned(void *memory);

/*
 * Zeroed pages, NULL when out of memory; from 1 MiB on huge ones, of which at most half of one is not used. Each comes
 * to be when it is first touched, by the thread that does, so that threads share the work. The page behind them faults.
 * Released by vt_free_pages with the same size (NULL is fine).
 */
void *vt_alloc_pages(size_t bytes);
void vt_free_pages(void *memory, size_t bytes);

#endif
