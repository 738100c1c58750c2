/* SPDX-License-Identifier: Apache-2.0 */
#include "base/places.h"

#include <stddef.h>

struct vt_place_waiter {
    pthread_cond_t granted;
    bool has_place;
    struct vt_place_waiter *next;
};

void vt_places_init(struct vt_places *places, int count) {
    *places = (struct vt_places){.free = count, .lock = PTHREAD_MUTEX_INITIALIZER};
}

void vt_places_fini(struct vt_places *places) { pthread_mutex_destroy(&places->lock); }

static bool take_free(struct vt_places *places) {
    int free = atomic_load(&places->free);
    while (free > 0)
        if (atomic_compare_exchange_weak(&places->free, &free, free - 1)) return true;
    return false;
}

/* Hands free places to those who wait longest, urgent ones first. Called with the lock. */
static void grant(struct vt_places *places) {
    for (int line = 0; line < 2; line++) {
        while (places->first[line] && take_free(places)) {
            struct vt_place_waiter *waiter = places->first[line];
            places->first[line] = waiter->next;
            if (!waiter->next) places->last[line] = NULL;
            atomic_fetch_sub(&places->waiting, 1);
            waiter->has_place = true;
            pthread_cond_signal(&waiter->granted);
        }
    }
}

/*
 * A waiter counts itself before it looks for free places, and whoever gives one back does so before it looks for
 * waiters (both sequentially consistent): one of them sees the other.
 */
void vt_places_take(struct vt_places *places, bool urgent) {
    if (vt_places_try_take(places)) return;
    struct vt_place_waiter self = {.granted = PTHREAD_COND_INITIALIZER};
    int line = urgent ? 0 : 1;
    pthread_mutex_lock(&places->lock);
    if (places->last[line])
        places->last[line]->next = &self;
    else
        places->first[line] = &self;
    places->last[line] = &self;
    atomic_fetch_add(&places->waiting, 1);
    grant(places);
    while (!self.has_place) pthread_cond_wait(&self.granted, &places->lock);
    pthread_mutex_unlock(&places->lock);
    pthread_cond_destroy(&self.granted);
}

bool vt_places_try_take(struct vt_places *places) { return !vt_places_wanted(places) && take_free(places); }

void vt_places_give(struct vt_places *places) {
    atomic_fetch_add(&places->free, 1);
    if (!vt_places_wanted(places)) return;
    pthread_mutex_lock(&places->lock);
    grant(places);
    pthread_mutex_unlock(&places->lock);
}
