/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_EXEC_BATCHER_H
#define VT_EXEC_BATCHER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/status.h"

/*
 * Puts the items of callers that come at the same time into common batches. There is no thread of its own: one of the
 * waiting callers leads a batch (or several do, where that many run at the same time), the others sleep until their
 * items are done. A caller that is alone runs at once; a leader waits for others only while some are known to be on
 * their way (vt_batcher_expect), and never longer than the delay. Items are taken from the callers in turn, one of
 * each, so a caller with many does not hold up one with few. Thread-safe, except for destroying it.
 */
struct vt_batcher;

/* Runs `batch` items; as vt_engine_run without a profile. */
typedef enum vultus_status vt_batch_function(
    void *context, const void *const *inputs, void *const *outputs, int64_t batch, struct vultus_error *error);

#define VT_BATCH_TENSORS 64 /* most inputs, and most outputs */

struct vt_batcher_options {
    vt_batch_function *run;
    void *context;
    int64_t most_items;     /* of a batch; at least 1 */
    uint32_t most_delay_us; /* that a leader waits for expected callers; 0: it does not */
    int leaders;            /* batches that run at the same time; 0: one */
    struct vt_pool *pool;   /* whose places callers step aside from while they wait; NULL: none */
    uint32_t n_inputs, n_outputs;
    const size_t *input_bytes; /* of one item of each; copied */
    const size_t *output_bytes;
};

enum vultus_status vt_batcher_create(
    const struct vt_batcher_options *options, struct vt_batcher **out, struct vultus_error *error);
void vt_batcher_destroy(struct vt_batcher *batcher); /* NULL is fine; no run may be in progress */

/*
 * Returns when all `count` items (at least 1, more than most_items are fine) have run. Where a common batch fails its
 * items are run again one by one, so that a caller is told of failures of its own items alone.
 */
enum vultus_status vt_batcher_run(struct vt_batcher *batcher, const void *const *inputs, void *const *outputs,
    int64_t count, struct vultus_error *error);

/*
 * The calling thread, on its way to a batcher, and from there to the batcher `then` (NULL: nowhere). Zero it, set
 * `then`, and leave it in place between vt_batcher_expect and vt_batcher_dismiss, which the same thread calls.
 */
struct vt_batch_guest {
    struct vt_batcher *then;
    struct vt_batch_guest *next_guest; /* of the same thread, for `then`; NULL without it */

    struct vt_batcher *at; /* private from here on */
    pthread_t thread;
    bool arrived;
    struct vt_batch_guest *previous, *next;
};
/* Announces that this thread will call vt_batcher_run soon. It counts as on its way until it does or is dismissed. */
void vt_batcher_expect(struct vt_batcher *batcher, struct vt_batch_guest *guest);
/* Nothing happens to a guest that was not announced. Its next_guest has to be dismissed too, afterwards. */
void vt_batcher_dismiss(struct vt_batch_guest *guest);

#define VT_BATCH_SIZES 64
/* How many batches of i + 1 items were run; the last counts all larger ones too. */
struct vt_batch_statistics {
    uint64_t sizes[VT_BATCH_SIZES];
};
/* Items that no batch has taken yet. */
int64_t vt_batcher_waiting(struct vt_batcher *batcher);
void vt_batcher_statistics(struct vt_batcher *batcher, struct vt_batch_statistics *out);

#endif
