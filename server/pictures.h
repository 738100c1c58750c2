/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_PICTURES_H
#define VT_SERVER_PICTURES_H

#include "fetch.h"
#include "request.h"
#include "vultus/vultus.h"
#include "wanted.h"

/* An encoded crop. */
struct vt_encoded {
    uint8_t *bytes;
    size_t size;
};

/* One picture on its way: fetched or read, decoded, searched. */
struct vt_picture_job {
    struct vt_work work;
    struct vt_fetch fetch;
    struct vt_picture_set *set;
    const struct vt_named_picture *named;
    struct vultus_picture picture; /* pixels NULL where it failed; released by the set */
    /* Instead, where it is to be searched by models that keep pictures on a GPU: the file's bytes. */
    const uint8_t *bytes; /* NULL: it was decoded */
    size_t size;
    uint8_t *owned_bytes; /* NULL where they are the request's own */
    struct vultus_faces *faces;
    struct vt_encoded *crops; /* of the faces, where they are wanted */
    float *embedding, norm;   /* of a crop that was embedded by itself; NULL otherwise */
    bool failed;              /* there is no picture, or it could not be searched */
    bool wrong_size;          /* it is no crop, where one was wanted */
    char *failure;            /* why, or NULL */
    double stages[VT_STAGES];
};

/*
 * The pictures of one request. `each` is called by a worker for every picture that could be decoded, several at once;
 * `all` by the last one when every picture is done, also where the request was given up, which `over` tells. Lives in
 * the request's arena; `all` calls vt_pictures_release.
 */
struct vt_picture_set {
    struct vt_request *request;
    struct vt_wanted *wanted;
    struct vt_picture_job *jobs;
    size_t count;
    void (*each)(struct vt_picture_job *job);
    void (*done)(struct vt_picture_job *job); /* with one picture; the last one's calls `all` unless it is replaced */
    void (*all)(struct vt_picture_set *set);
    _Atomic int over; /* enum vt_over */
    _Atomic size_t left;
};

/* The first `count` pictures of `wanted`. False: memory ran out, and the request's answer says so. */
bool vt_pictures_start(struct vt_request *request, struct vt_wanted *wanted, size_t count,
    void (*each)(struct vt_picture_job *), void (*all)(struct vt_picture_set *));
void vt_pictures_release(struct vt_picture_set *set);

/*
 * The steps of the above for who begins pictures one by one: a set of which nothing is begun (NULL: no memory, and the
 * answer says so), beginning a picture, adding a finished one to the counters, and giving back its memory early.
 */
struct vt_picture_set *vt_pictures_prepare(struct vt_request *request, struct vt_wanted *wanted, size_t count);
void vt_picture_begin(struct vt_picture_job *job);
void vt_picture_count(const struct vt_picture_job *job);
void vt_picture_release(struct vt_picture_job *job);

/* Keeps a sentence as the job's failure. */
void vt_picture_fail(struct vt_picture_job *job, const char *sentence);

/* Searches the job's picture as the request wants it; for `each`. Attributes without a model are passed over. */
void vt_picture_analyze(struct vt_picture_job *job, bool embeddings, bool crops, unsigned attributes);
/* The same with all that the request's fields ask for; the picture is released. */
void vt_picture_search(struct vt_picture_job *job);

#endif
