/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_EMBEDDER_H
#define VT_FACE_EMBEDDER_H

#include "exec/session.h"
#include "image/image.h"

/* Aligned crops to embeddings. Immutable after creation; embed may be called from many threads. */
struct vt_embedder;

enum vultus_status vt_embedder_create(
    struct vt_engine *engine, struct vt_pool *pool, struct vt_embedder **out, struct vultus_error *error);
void vt_embedder_destroy(struct vt_embedder *embedder);
struct vt_engine *vt_embedder_engine(const struct vt_embedder *embedder);
int vt_embedder_dimension(const struct vt_embedder *embedder); /* D */
void vt_embedder_input_size(const struct vt_embedder *embedder, int *width, int *height);

/*
 * crops: `count` pictures of exactly the input size, of as many photos as you like. embeddings: count x D, each of unit
 * length; norms (may be NULL): the raw embeddings' L2 norms in float32; of networks that divide by the norm themselves
 * and give it as a second output of one number, that one. A raw embedding of length 0 leaves zeros; one that is not
 * finite leaves zeros and the norm NaN.
 */
enum vultus_status vt_embed(const struct vt_embedder *embedder, const struct vt_image *crops, size_t count,
    float *embeddings, float *norms, struct vultus_error *error);

/* The same of faces of the picture that `stay` has loaded: inverses are 2x3 matrices from crops to that picture. */
struct vt_stay;
enum vultus_status vt_embed_on_device(const struct vt_embedder *embedder, struct vt_stay *stay,
    const double (*inverses)[6], size_t count, float *embeddings, float *norms, struct vultus_error *error);
/* Whether it can. */
bool vt_embedder_fits_device(const struct vt_embedder *embedder);

#endif
