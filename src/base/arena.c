/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

#define DEFAULT_ALIGNMENT 16
#define FIRST_CHUNK 4096
#define LARGEST_CHUNK (1u << 20)

struct vt_arena_chunk {
    struct vt_arena_chunk *next;
    size_t size, position; /* of the bytes that follow this header */
    size_t unused;         /* keeps them aligned to 16 bytes */
};
_Static_assert(sizeof(struct vt_arena_chunk) % DEFAULT_ALIGNMENT == 0, "chunk bytes must start aligned");

void vt_arena_init(struct vt_arena *arena, size_t limit) { *arena = (struct vt_arena){.limit = limit}; }

void vt_arena_fini(struct vt_arena *arena) {
    for (struct vt_arena_chunk *chunk = arena->head, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    arena->head = NULL;
    arena->used = 0;
}

static void *take(struct vt_arena_chunk *chunk, size_t bytes, size_t alignment) {
    uintptr_t base = (uintptr_t)(chunk + 1);
    size_t start = vt_round_up(base + chunk->position, alignment) - base;
    if (!vt_range_inside(start, bytes, chunk->size)) return NULL;
    chunk->position = start + bytes;
    return (char *)(chunk + 1) + start;
}

/* calloc: the pages of a fresh mapping are zero already, and bytes are handed out once. */
static struct vt_arena_chunk *new_chunk(struct vt_arena *arena, size_t size) {
    size_t total, used;
    if (!vt_add_size(size, sizeof(struct vt_arena_chunk), &total) || total > PTRDIFF_MAX) return NULL;
    if (!vt_add_size(arena->used, total, &used)) return NULL;
    if (arena->limit && used > arena->limit) return NULL;
    struct vt_arena_chunk *chunk = calloc(1, total);
    if (!chunk) return NULL;
    chunk->size = size;
    arena->used = used;
    return chunk;
}

void *vt_arena_alloc_aligned(struct vt_arena *arena, size_t bytes, size_t alignment) {
    if (alignment < DEFAULT_ALIGNMENT) alignment = DEFAULT_ALIGNMENT;
    if (bytes == 0) bytes = 1;
    void *memory = arena->head ? take(arena->head, bytes, alignment) : NULL;
    if (memory) return memory;
    size_t needed;
    if (!vt_add_size(bytes, alignment > DEFAULT_ALIGNMENT ? alignment : 0, &needed)) return NULL;
    size_t usual = arena->head ? arena->head->size * 2 : FIRST_CHUNK;
    if (usual > LARGEST_CHUNK) usual = LARGEST_CHUNK;
    struct vt_arena_chunk *chunk = needed < usual ? new_chunk(arena, usual) : NULL;
    bool exact = !chunk;
    if (exact) chunk = new_chunk(arena, needed);
    if (!chunk) return NULL;
    if (exact && arena->head) { /* the head keeps serving small requests */
        chunk->next = arena->head->next;
        arena->head->next = chunk;
    } else {
        chunk->next = arena->head;
        arena->head = chunk;
    }
    return take(chunk, bytes, alignment);
}

void *vt_arena_alloc(struct vt_arena *arena, size_t bytes) {
    return vt_arena_alloc_aligned(arena, bytes, DEFAULT_ALIGNMENT);
}

void *vt_arena_alloc_array(struct vt_arena *arena, size_t count, size_t element_bytes) {
    size_t bytes;
    return vt_mul_size(count, element_bytes, &bytes) ? vt_arena_alloc(arena, bytes) : NULL;
}

char *vt_arena_strndup(struct vt_arena *arena, const char *text, size_t length) {
    if (length == SIZE_MAX) return NULL;
    char *copy = vt_arena_alloc(arena, length + 1);
    if (copy && length) memcpy(copy, text, length);
    return copy;
}

char *vt_arena_strdup(struct vt_arena *arena, const char *text) { return vt_arena_strndup(arena, text, strlen(text)); }

char *vt_arena_printf(struct vt_arena *arena, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : vt_arena_alloc(arena, (size_t)length + 1);
    if (text) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}
