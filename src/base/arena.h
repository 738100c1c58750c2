/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_ARENA_H
#define VT_BASE_ARENA_H

#include <stddef.h>

/*
 * A bump allocator: many small allocations, one release. Single-thread.
 * `limit` bounds the bytes it ever takes from the system (0: no limit), so that hostile input cannot exhaust memory.
 */
struct vt_arena {
    struct vt_arena_chunk *head;
    size_t used, limit;
};

void vt_arena_init(struct vt_arena *arena, size_t limit);
void vt_arena_fini(struct vt_arena *arena); /* releases everything; the arena may be used again */

/* Zeroed memory aligned to 16 bytes, valid until vt_arena_fini; NULL when out of memory or over the limit. */
void *vt_arena_alloc(struct vt_arena *arena, size_t bytes);
void *vt_arena_alloc_array(struct vt_arena *arena, size_t count, size_t element_bytes); /* checked product */
void *vt_arena_alloc_aligned(struct vt_arena *arena, size_t bytes, size_t alignment);   /* a power of two */
char *vt_arena_strdup(struct vt_arena *arena, const char *text);
char *vt_arena_strndup(struct vt_arena *arena, const char *text, size_t length);
char *vt_arena_printf(struct vt_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
