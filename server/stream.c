/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <microhttpd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "extract.h"
#include "pictures.h"
#include "server_internal.h"

enum { MOST_IN_WORK = 32, MUCH_WAITING = 1 << 20 };

struct vt_stream {
    struct vt_request *request;
    struct vt_picture_set *set;
    struct vt_work pump; /* begins more pictures when the client has caught up */
    pthread_mutex_t lock;
    struct vt_strbuf waiting; /* written, not sent */
    size_t taken;             /* of its bytes */
    size_t sent;
    size_t begun, in_work; /* pictures; a pump in the queue counts as one in work */
    bool suspended, closed, ended;
};

static void resume(struct vt_stream *stream) {
    if (stream->suspended && !stream->closed) MHD_resume_connection(stream->request->connection);
    stream->suspended = false;
}

/* The last line, where the request was given up. */
static void write_end(struct vt_stream *stream) {
    if (atomic_load(&stream->set->over) != VT_OVER_LATE) return;
    vt_count(&stream->request->server->metrics, VT_EVENT_TIMED_OUT, 1);
    vt_strbuf_puts(
        &stream->waiting, "{\"detail\":\"the request took too long; its other pictures were not looked at\"}\n");
}

/* With the lock: the next picture to begin, or NULL. */
static struct vt_picture_job *next_picture(struct vt_stream *stream) {
    bool full = stream->in_work >= MOST_IN_WORK || stream->waiting.length - stream->taken >= MUCH_WAITING;
    bool over = stream->closed || atomic_load(&stream->set->over);
    if (full || over || stream->begun == stream->set->count) return NULL;
    stream->in_work++;
    return &stream->set->jobs[stream->begun++];
}

static void begin_pictures(struct vt_stream *stream) {
    for (;;) {
        pthread_mutex_lock(&stream->lock);
        struct vt_picture_job *job = next_picture(stream);
        pthread_mutex_unlock(&stream->lock);
        if (!job) return;
        vt_picture_begin(job);
    }
}

/* One that was in work is not any more; frees the request where nobody else will. */
void vt_stream_leave(struct vt_stream *stream) {
    begin_pictures(stream);
    pthread_mutex_lock(&stream->lock);
    bool last = --stream->in_work == 0;
    bool over = atomic_load(&stream->set->over) || stream->waiting.failed;
    if (last && !stream->ended && (over || stream->begun == stream->set->count)) {
        stream->ended = true;
        write_end(stream);
    }
    bool frees = last && stream->closed;
    resume(stream);
    pthread_mutex_unlock(&stream->lock);
    if (frees) vt_request_free(stream->request);
}

/* ---------------------------------------------------------------- pictures */

static void write_line(struct vt_stream *stream, struct vt_picture_job *job) {
    struct vt_strbuf line = {0};
    struct vt_emitter out = {.out = &line};
    vt_answer_line(&out, job);
    vt_strbuf_puts(&line, "\n");
    pthread_mutex_lock(&stream->lock);
    if (!stream->closed) {
        vt_strbuf_append(&stream->waiting, line.text, line.length);
        stream->waiting.failed |= line.failed;
        vt_picture_count(job);
    }
    pthread_mutex_unlock(&stream->lock);
    vt_strbuf_fini(&line);
}

static void picture_done(struct vt_picture_job *job) {
    struct vt_stream *stream = job->set->request->stream;
    if (!atomic_load(&job->set->over)) write_line(stream, job);
    vt_picture_release(job);
    vt_stream_leave(stream);
}

static void run_pump(struct vt_work *work) {
    vt_stream_leave((struct vt_stream *)((char *)work - offsetof(struct vt_stream, pump)));
}

bool vt_stream_start(struct vt_request *request, struct vt_wanted *wanted) {
    struct vt_stream *stream = calloc(1, sizeof *stream);
    struct vt_picture_set *set = vt_pictures_prepare(request, wanted, wanted->count);
    if (!stream || !set) {
        free(stream);
        vt_request_fail(request, 500, "there is no memory for the request's pictures");
        return false;
    }
    set->each = wanted->plain_embeddings ? vt_crop_embed : vt_picture_search;
    set->done = picture_done;
    *stream = (struct vt_stream){.request = request, .set = set, .pump.run = run_pump, .in_work = 1};
    pthread_mutex_init(&stream->lock, NULL);
    request->stream = stream;
    request->response.status = 200;
    request->response.content_type = "application/x-ndjson";
    vt_request_finish(request);
    vt_stream_leave(stream); /* as if a picture had been in work: the request is not freed before this */
    return true;
}

/* ---------------------------------------------------------------- the connection */

/* With the lock. Whoever fetches or searches is a worker, so the connection's thread only asks for one. */
static void want_more(struct vt_stream *stream) {
    bool begins = stream->in_work < MOST_IN_WORK && stream->begun < stream->set->count && !stream->ended;
    if (!begins || stream->waiting.length - stream->taken >= MUCH_WAITING || stream->in_work > 0) return;
    stream->in_work++;
    struct vt_request *request = stream->request;
    if (vt_workers_push(request->server->workers, &request->flow, &stream->pump)) return;
    stream->in_work--;
    stream->ended = true;
}

/* With the lock. Moves what waits to the front when that is the smaller part. */
static void forget_taken(struct vt_stream *stream) {
    struct vt_strbuf *waiting = &stream->waiting;
    size_t left = waiting->length - stream->taken;
    if (left > stream->taken) return;
    memmove(waiting->text, waiting->text + stream->taken, left);
    waiting->length = left;
    stream->taken = 0;
}

ssize_t vt_stream_read(struct vt_stream *stream, char *bytes, size_t most) {
    ssize_t result = 0;
    pthread_mutex_lock(&stream->lock);
    size_t left = stream->waiting.length - stream->taken, n = left < most ? left : most;
    if (n > 0) {
        memcpy(bytes, stream->waiting.text + stream->taken, n);
        stream->taken += n;
        stream->sent += n;
        result = (ssize_t)n;
        forget_taken(stream);
        want_more(stream);
    } else if (stream->ended) {
        result = -1;
    } else {
        stream->suspended = true;
        MHD_suspend_connection(stream->request->connection);
    }
    pthread_mutex_unlock(&stream->lock);
    return result;
}

void vt_stream_close(struct vt_stream *stream) {
    pthread_mutex_lock(&stream->lock);
    stream->closed = true;
    if (!stream->ended) {
        atomic_store(&stream->set->over, VT_OVER_GONE);
        vt_count(&stream->request->server->metrics, VT_EVENT_CLIENT_GONE, 1);
    }
    stream->in_work++; /* until vt_stream_leave */
    pthread_mutex_unlock(&stream->lock);
}

bool vt_stream_is_closed(struct vt_stream *stream) {
    pthread_mutex_lock(&stream->lock);
    bool closed = stream->closed;
    pthread_mutex_unlock(&stream->lock);
    return closed;
}

size_t vt_stream_sent(struct vt_stream *stream) {
    pthread_mutex_lock(&stream->lock);
    size_t sent = stream->sent;
    pthread_mutex_unlock(&stream->lock);
    return sent;
}

void vt_stream_free(struct vt_stream *stream) {
    if (!stream) return;
    vt_pictures_release(stream->set);
    vt_strbuf_fini(&stream->waiting);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}
