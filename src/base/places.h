/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_PLACES_H
#define VT_BASE_PLACES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/*
 * A number of places for threads that compute. Whoever finds none free waits in line; a thread that goes on with what
 * it has begun (urgent) goes before those that begin. Thread-safe, and a few atomic operations where nobody waits.
 */
struct vt_place_waiter;
struct vt_places {
    atomic_int free, waiting; /* private, as the rest */
    pthread_mutex_t lock;     /* of the lines: 0 urgent, 1 not */
    struct vt_place_waiter *first[2], *last[2];
};

void vt_places_init(struct vt_places *places, int count);
void vt_places_fini(struct vt_places *places); /* nobody may wait */

void vt_places_take(struct vt_places *places, bool urgent);
bool vt_places_try_take(struct vt_places *places); /* false: none is free, or somebody waits for one */
void vt_places_give(struct vt_places *places);

static inline bool vt_places_wanted(struct vt_places *places) { return atomic_load(&places->waiting) > 0; }
static inline int vt_places_free(struct vt_places *places) { return atomic_load(&places->free); }

#endif
