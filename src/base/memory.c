/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"

#define HUGE_PAGE ((size_t)2 << 20)

void *vt_alloc_aligned(size_t bytes) {
    bool huge = bytes >= 2 * HUGE_PAGE;
    size_t alignment = huge ? HUGE_PAGE : VT_CACHE_LINE;
    if (bytes > PTRDIFF_MAX - alignment) return NULL;
    void *memory;
    if (posix_memalign(&memory, alignment, vt_round_up(bytes ? bytes : 1, VT_CACHE_LINE)) != 0) return NULL;
    /* Fewer TLB misses: 2 to 5% of a network whose activations exceed the caches. Refusal does no harm. What does not
     * fill the last huge page lies on ordinary ones, of which only those count that are used. */
    if (huge) madvise(memory, bytes - bytes % HUGE_PAGE, MADV_HUGEPAGE);
    return memory;
}

void vt_free_aligned(void *memory) { free(memory); }

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static size_t whole_pages(size_t bytes) { return vt_round_up(bytes ? bytes : 1, page_bytes()); }

void *vt_alloc_pages(size_t bytes) {
    bool huge = bytes >= 2 * HUGE_PAGE;
    size_t alignment = huge ? HUGE_PAGE : page_bytes();
    if (bytes > PTRDIFF_MAX - 2 * HUGE_PAGE) return NULL;
    size_t used = whole_pages(bytes), kept = used + page_bytes(), mapped = kept + alignment;
    uint8_t *start = mmap(NULL, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) return NULL;
    size_t before = vt_round_up((size_t)(uintptr_t)start, alignment) - (size_t)(uintptr_t)start;
    uint8_t *memory = start + before;
    if (before > 0) munmap(start, before);
    if (mapped - before > kept) munmap(memory + kept, mapped - before - kept);
    if (mprotect(memory, used, PROT_READ | PROT_WRITE) != 0) {
        munmap(memory, kept);
        return NULL;
    }
    if (huge) madvise(memory, used - used % HUGE_PAGE, MADV_HUGEPAGE);
    return memory;
}

void vt_free_pages(void *memory, size_t bytes) {
    if (memory) munmap(memory, whole_pages(bytes) + page_bytes());
}
