/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_EXTRACT_H
#define VT_SERVER_EXTRACT_H

#include "request.h"
#include "wanted.h"

/* Has the pictures worked on, and the request answered as /extract does. False: the answer, a failure, is set. */
bool vt_extract_start(struct vt_request *request, struct vt_wanted *wanted);

#endif
