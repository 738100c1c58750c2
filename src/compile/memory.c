/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/checked.h"
#include "compile/lowering.h"

struct placement {
    uint32_t buffer;
    uint64_t bytes, offset;
    uint32_t first, last;
};

static int larger_first(const void *a, const void *b) {
    const struct placement *p = a, *q = b;
    if (p->bytes != q->bytes) return p->bytes > q->bytes ? -1 : 1;
    return p->buffer < q->buffer ? -1 : 1;
}

static bool alive_together(const struct placement *p, const struct placement *q) {
    return p->first <= q->last && q->first <= p->last;
}

/* The lowest offset where `items[n]` fits beside the already placed items that are alive with it. */
static uint64_t lowest_gap(const struct placement *items, size_t n) {
    uint64_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < n; i++) {
            const struct placement *p = &items[i];
            if (alive_together(p, &items[n]) && offset < p->offset + p->bytes && p->offset < offset + items[n].bytes) {
                offset = p->offset + p->bytes;
                moved = true;
            }
        }
    }
    return offset;
}

/* Every plan value takes the place of its buffer. */
static void place_values(struct vt_lowering *l) {
    for (uint32_t i = 0; i < l->plan->n_values; i++) {
        if (l->value_notes[i].buffer == VT_PLAN_NONE) continue;
        const struct vt_buffer *b = &l->buffers[l->value_notes[i].buffer];
        struct vt_plan_value *v = &l->plan->values[i];
        v->storage = b->storage;
        v->offset = b->index;
        if (b->storage == VT_STORAGE_ARENA) v->bytes = b->bytes;
    }
}

enum vultus_status vt_plan_memory(struct vt_lowering *l) {
    struct placement *items = calloc(l->n_buffers + 1, sizeof *items);
    if (!items) return vt_fail_memory(l->error, "placing buffers", l->n_buffers * sizeof *items);
    size_t n = 0;
    for (uint32_t i = 0; i < l->n_buffers; i++) {
        const struct vt_buffer *b = &l->buffers[i];
        if (b->storage == VT_STORAGE_ARENA && b->first != UINT32_MAX)
            items[n++] = (struct placement){.buffer = i, .bytes = b->bytes, .first = b->first, .last = b->last};
    }
    qsort(items, n, sizeof *items, larger_first);
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) {
        items[i].offset = lowest_gap(items, i);
        l->buffers[items[i].buffer].index = items[i].offset;
        if (items[i].offset + items[i].bytes > total) total = items[i].offset + items[i].bytes;
    }
    free(items);
    l->plan->arena_bytes = total;
    place_values(l);
    return VULTUS_OK;
}
