/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_PIPELINE_H
#define VT_FACE_PIPELINE_H

#include "base/arena.h"
#include "face/attribute.h"
#include "face/detector.h"
#include "face/embedder.h"
#include "face/resident.h"

#define VT_MOST_CLASSIFIERS 8

/*
 * The whole path for one picture: detect, align every face, embed them all in batches, tell their attributes. Detector,
 * embedder and classifiers belong to the caller and must outlive the pipeline. Immutable, so analyze may be called from
 * many threads.
 */
struct vt_pipeline {
    const struct vt_detector *detector;
    const struct vt_embedder *embedder; /* NULL: detection only */
    int crop_width, crop_height;        /* of aligned faces: the embedder's input, 112x112 without one */
    struct vt_pool *pool;               /* may be NULL */
    struct vt_classifier *classifiers[VT_MOST_CLASSIFIERS];
    size_t n_classifiers;
    double typical_norm;          /* of the embedder's raw embeddings; 0: unknown */
    struct vt_resident *resident; /* the caller's, of the same networks; NULL: pictures stay with the processors */
};

/* Fails when the detector's faces cannot become what the embedder takes: without key points nothing is aligned. */
enum vultus_status vt_pipeline_init(struct vt_pipeline *pipeline, const struct vt_detector *detector,
    const struct vt_embedder *embedder, struct vt_pool *pool, struct vultus_error *error);

struct vt_analyze_options {
    struct vt_detect_options detect;
    bool without_embeddings;
    unsigned attributes;      /* to tell, bits of enum vt_attribute */
    bool with_crops;          /* keep the crops in the result */
    enum vt_warp_method warp; /* how crops are made */
    bool whole_picture;       /* encoded pictures are never decoded reduced */
};

struct vt_analyzed_face {
    struct vt_face_box found;
    struct vt_image
        crop; /* of the pipeline's crop size, dense; pixels NULL unless with_crops, or when alignment failed */
    const float *embedding; /* unit length; NULL when not asked for or `failure` says why not */
    float norm;             /* of the raw embedding; 0 without one */
    struct vt_attributes attributes;
    const char *failure; /* why this face has no crop or no embedding, or NULL */
};

/* Of pictures on the device by its own clock, but for the total. */
struct vt_analyze_times {
    struct vt_detect_times detect;
    double read_ms; /* decoding, of encoded pictures */
    double align_ms, embed_ms, attributes_ms, total_ms;
};

/* What was found; everything inside belongs to it, none of it is to be released alone. */
struct vt_analysis {
    struct vt_analyzed_face *faces; /* in the detector's order */
    size_t count;
    int dimension;     /* of the embeddings; 0: none were made */
    double scale;      /* network pixels per picture pixel of the pass that counted */
    int width, height; /* of the picture, upright */
    int reduction;     /* how many times smaller it was decoded for the crops: 1, 2, 4 or 8 */
    struct vt_analyze_times times;

    uint8_t *crop_pixels;
    float *embeddings;
    struct vt_arena failures;
};

/* Whether pictures are tried on the device: not where crops or attributes are asked for, which processors make. */
bool vt_stays_on_device(const struct vt_pipeline *pipeline, const struct vt_analyze_options *options);

/*
 * One face's failed alignment or embedding is that face's `failure`, not the picture's. On success the caller releases
 * *out; a picture without faces is a success.
 */
enum vultus_status vt_analyze(const struct vt_pipeline *pipeline, const struct vt_image *picture,
    const struct vt_analyze_options *options, struct vt_analysis *out, struct vultus_error *error);

/* Bytes of a file that holds a picture, with their name for error sentences. */
struct vt_encoded_picture {
    const uint8_t *bytes;
    size_t size;
    const char *name;
    const struct vt_image_limits *limits; /* NULL: defaults */
};

/*
 * The same of a picture that is decoded here. A JPEG is decoded reduced by 2, 4 or 8 where that
 * leaves three times the detector's pixels on one side, and once more, finer, when some face's crop would have to be
 * enlarged from that. Coordinates and min_face_size are of the whole picture all the same.
 */
enum vultus_status vt_analyze_encoded(const struct vt_pipeline *pipeline, const struct vt_encoded_picture *picture,
    const struct vt_analyze_options *options, struct vt_analysis *out, struct vultus_error *error);
void vt_analysis_release(struct vt_analysis *analysis); /* a cleared analysis is fine */

#endif
