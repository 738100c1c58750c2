/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_SERVER_H
#define VT_SERVER_SERVER_H

#include "config/keys.h"
#include "vultus/vultus.h"

/*
 * Serves until SIGTERM or SIGINT, then lets requests in work end, for as long as drain_timeout says. To be called
 * before other threads are started, which inherit the signals it blocks. The pipeline should share batches; the
 * configuration's keys of models were used to open it and are not looked at again.
 */
enum vultus_status vt_serve(const struct vt_configuration *configuration, struct vultus_runtime *runtime,
    struct vultus_pipeline *pipeline, struct vultus_error *error);

/* Blocks the signals that vt_serve waits for, so that threads started from now on do not get them. */
void vt_serve_block_signals(void);

#endif
