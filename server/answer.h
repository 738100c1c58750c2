/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_ANSWER_H
#define VT_SERVER_ANSWER_H

#include "emit.h"
#include "pictures.h"

/* Milliseconds of a whole request. */
struct vt_took {
    double total, read, search;
};

/* The answer of /extract with faces searched. */
void vt_answer_faces(struct vt_emitter *out, const struct vt_picture_set *set, const struct vt_took *took);

/* One picture of it, or one crop of the answer of /v1/embed, with its index in front. */
void vt_answer_line(struct vt_emitter *out, const struct vt_picture_job *job);

/* What became of one crop of an embed_only request. */
struct vt_embedded {
    const float *embedding; /* NULL: `failure` says why */
    float norm;
    const char *failure;
    struct vultus_attributes attributes; /* those that were asked for */
};
/* A face's field "attributes", of those asked for (bits of enum vultus_attribute); what was not told is null. */
void vt_answer_attributes(struct vt_emitter *out, unsigned wanted, const struct vultus_attributes *told);

/* The answer of /extract with embed_only. `failure` (NULL: none) is of the request as a whole. */
void vt_answer_crops(struct vt_emitter *out, const struct vt_embedded *crops, size_t count, int dimension,
    double took_ms, const char *failure);
/* That of /v1/embed. */
void vt_answer_embeddings(
    struct vt_emitter *out, const struct vt_embedded *crops, size_t count, int dimension, double took_ms);

#endif
