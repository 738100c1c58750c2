/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_LISTEN_H
#define VT_SERVER_LISTEN_H

#include <stdint.h>

#include "base/status.h"

/*
 * Opens a listening TCP socket, or takes the one that the service manager passed (sd_listen_fds(3)). Sets the port it
 * listens on, which is a free one for port 0.
 */
enum vultus_status vt_listen(
    const char *host, uint16_t port, int *descriptor, uint16_t *actual_port, struct vultus_error *error);

/* Tells the service manager, if there is one, "READY=1" or "STOPPING=1" (sd_notify(3)). */
void vt_notify_manager(const char *state);

#endif
