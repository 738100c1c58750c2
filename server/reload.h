/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_RELOAD_H
#define VT_SERVER_RELOAD_H

#include "base/status.h"

struct vt_server;

/* To be called first, with the settings that the server starts with. INVALID: what should be sums of keys are none. */
enum vultus_status vt_reload_init(struct vt_server *server, struct vultus_error *error);
/* When nobody asks for settings any more. */
void vt_reload_end(struct vt_server *server);

/*
 * Has a worker read the settings again: those asked for with each request take effect, then the models that they name
 * are put in service; the log tells what came of it.
 */
void vt_reload(struct vt_server *server);

#endif
