/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_RELOAD_H
#define VT_SERVER_RELOAD_H

struct vt_server;

/* Has a worker read the settings again and put the models that they name in service; the log tells what came of it. */
void vt_reload(struct vt_server *server);

#endif
