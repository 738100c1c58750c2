/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_BATCH_H
#define VT_TOOLS_BATCH_H

#include "photos.h"

/* What became of one photo. */
struct vt_batch_result {
    char *text; /* what `write` gets; malloc'd, belongs to the batch */
    size_t length;
    size_t faces;
    char *why; /* the photo failed, which stops nothing: a sentence, malloc'd, belongs to the batch */
};

/*
 * Photos worked on by several threads at once. `work` is called by any of them, `write` for one photo at a time in the
 * order of the source. At most a few photos for each thread are under way, so that memory does not grow with their
 * number; threads that have nothing to do sleep.
 */
struct vt_batch {
    struct vt_photo_source *source;
    int jobs;
    size_t done, failures; /* photos that an earlier run worked off already */
    bool progress;         /* photos/s, faces/s, time left and failures on stderr */
    void *context;
    /* Called in the order of the source, by one thread at a time; what it sets in *ticket belongs to `work`. NULL:
     * none. */
    enum vultus_status (*begin)(void *context, const struct vt_photo *photo, void **ticket, struct vultus_error *error);
    enum vultus_status (*work)(void *context, struct vt_photo *photo, void *ticket, struct vt_batch_result *result,
        struct vultus_error *error);
    enum vultus_status (*write)(void *context, const struct vt_batch_result *result, struct vultus_error *error);
};

/* Returns when all photos are done, or with the first failure of a call. done and failures then count all photos. */
enum vultus_status vt_batch_run(struct vt_batch *batch, struct vultus_error *error);

#endif
