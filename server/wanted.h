/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_WANTED_H
#define VT_SERVER_WANTED_H

#include "fields.h"

/* One picture of a request, as it was named. */
struct vt_named_picture {
    bool is_url; /* `text` names where it lies; otherwise it is the picture, or base64 of it */
    bool base64;
    bool is_no_picture; /* a text where msgpack has to bring bytes */
    const char *text;
    size_t length;
};

/* A header for fetching urls. */
struct vt_header {
    const char *name, *value;
};

/* What a body asks of /extract and /draw_detections; fields that a route does not know keep their defaults. */
struct vt_wanted {
    struct vt_named_picture *pictures;
    size_t count;
    double threshold;
    int64_t limit_faces, min_face_size;
    bool embed_only, return_face_data, return_landmarks, extract_embedding, extract_ga, detect_masks, verbose_timings,
        msgpack;
    bool draw_landmarks, draw_scores, draw_sizes;
    bool robust;               /* look again with a margin where nothing was found */
    bool plain_embeddings;     /* with embed_only: the answer is that of /v1/embed */
    unsigned attributes;       /* to be told in a field of their own, bits of enum vultus_attribute */
    struct vt_header *headers; /* NULL: the server's own */
    size_t n_headers;
};

/* Reads the fields of a map that are not pictures or headers: of a body, of a form, or of a url's query. */
void vt_wanted_read_scalars(const struct vt_value *map, struct vt_wanted *wanted, struct vt_problems *problems);

/* Those that extract_ga and detect_masks mean, bits of enum vultus_attribute. */
unsigned vt_wanted_attributes(const struct vt_wanted *wanted);

/* How a body is written. */
enum vt_body_format { VT_BODY_JSON, VT_BODY_MSGPACK };

/*
 * Reads a body over the defaults in *wanted. What is allocated comes from `arena`, and texts may point into `body`.
 * What is wrong is added to `problems`; too many pictures are a LIMIT failure.
 */
enum vultus_status vt_wanted_read(struct vt_arena *arena, const struct vt_value *body, enum vt_body_format format,
    size_t most_pictures, struct vt_wanted *wanted, struct vt_problems *problems, struct vultus_error *error);

#endif
