/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_UPLOAD_H
#define VT_SERVER_UPLOAD_H

#include "request.h"
#include "wanted.h"

/*
 * Reads a form with one picture in each of the `count` fields named, and scalars in others. NULL: the answer, 400 or
 * 422, is set.
 */
struct vt_wanted *vt_upload_read(struct vt_request *request, const char *const *names, size_t count);

/* The same with any number of pictures, at least one, in fields of one name. Too many are 413. */
struct vt_wanted *vt_upload_read_all(struct vt_request *request, const char *name);

/* Reads a body that is the picture itself. NULL: the answer, a failure, is set. */
struct vt_wanted *vt_upload_read_raw(struct vt_request *request);

/* Reads scalars from the url's query. False: the answer, 422, is set. */
bool vt_query_read(struct vt_request *request, struct vt_wanted *wanted);

#endif
