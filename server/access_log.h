/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_ACCESS_LOG_H
#define VT_SERVER_ACCESS_LOG_H

#include "request.h"

/* Writes one line of JSON about an answered request to standard output. */
void vt_access_log(const struct vt_request *request, uint64_t nanoseconds);
/* "queue;dur=0.1, decode;dur=2.5, ..." */
void vt_server_timing(const struct vt_request *request, char *text, size_t size);

#endif
