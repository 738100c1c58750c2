/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_STREAM_H
#define VT_SERVER_STREAM_H

#include <sys/types.h>

#include "request.h"
#include "wanted.h"

/*
 * An answer of one line of JSON for each picture, sent as soon as that picture is done. Only some pictures are in work,
 * and none is begun while much of the answer waits for a slow client, so its size does not matter for memory.
 */
struct vt_stream;

/*
 * Answers the request so: finishes it, and has its pictures worked on meanwhile. False: memory ran out, and the
 * request's answer says so.
 */
bool vt_stream_start(struct vt_request *request, struct vt_wanted *wanted);

/* For libmicrohttpd's thread: takes at most `most` bytes; 0: the connection is suspended until there are some; -1: end.
 */
ssize_t vt_stream_read(struct vt_stream *stream, char *bytes, size_t most);
/*
 * The connection is gone: it is not used any more, and the request's counters do not change. Afterwards
 * vt_stream_leave frees the request, then or when its last picture is done.
 */
void vt_stream_close(struct vt_stream *stream);
void vt_stream_leave(struct vt_stream *stream);
/* Whether it was closed. Thread-safe. */
bool vt_stream_is_closed(struct vt_stream *stream);
size_t vt_stream_sent(struct vt_stream *stream);
/* Of the request that is freed. */
void vt_stream_free(struct vt_stream *stream);

#endif
