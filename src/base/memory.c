/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/checked.h"

void *vt_alloc_aligned(size_t bytes) {
    if (bytes > SIZE_MAX - VT_CACHE_LINE) return NULL;
    /* aligned_alloc wants a multiple of the alignment, and 0 bytes may give NULL. */
    return aligned_alloc(VT_CACHE_LINE, vt_round_up(bytes ? bytes : 1, VT_CACHE_LINE));
}

void vt_free_aligned(void *memory) { free(memory); }
