/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_ATTRIBUTE_H
#define VT_FACE_ATTRIBUTE_H

#include "exec/session.h"
#include "face/face.h"

/* What can be told of a face beyond its place and embedding; bits of a set. */
enum vt_attribute {
    VT_ATTRIBUTE_MASK = 1,
    VT_ATTRIBUTE_LIVENESS = 2,
    VT_ATTRIBUTE_GENDER_AGE = 4,
    VT_ATTRIBUTE_QUALITY = 8,
};

/* How good a picture of a face is. Parts run from 0 (useless) to 1 (as good as can be); face/quality.c defines them. */
struct vt_quality {
    float overall;          /* geometric mean of the parts that are known */
    float norm;             /* of the raw embedding; 0: there is none */
    float sharpness;        /* variance of the aligned crop's Laplacian, in grey levels squared */
    float size;             /* the box's shorter side, pixels of the picture */
    float yaw, pitch, roll; /* degrees, estimated from the five points; positive: the nose goes right and down, the
                               head leans clockwise, as seen */
    float norm_part;        /* NAN: no embedding, or nobody measured the recogniser's norms */
    float sharpness_part, size_part, pose_part;
};

struct vt_attributes {
    unsigned present; /* which of the following are set */
    float mask_probability, no_mask_probability;
    bool mask;
    float liveness; /* probability that a living face is before the camera, mean over the models */
    bool live;
    int gender; /* 0 female, 1 male */
    int age;    /* years, 0 to 100 */
    struct vt_quality quality;
};

/* How a face is cut out of its picture for a model. */
enum vt_crop_rule {
    VT_CROP_ALIGNED, /* the aligned 112x112 crop, scaled to the model's input */
    VT_CROP_BOX,     /* the box, made crop_scale times larger where the picture has room, scaled to the model's input */
};

/* A kind of model; each is one file. */
struct vt_attribute_kind {
    const char *function; /* name in catalogue and plans */
    enum vt_attribute attribute;
    enum vt_crop_rule rule;
    int numbers; /* that the model's first output has for one face */
    /* What `models` models, each with its numbers for one face, say together. */
    void (*decode)(const float *const *numbers, size_t models, struct vt_attributes *out);
};

extern const struct vt_attribute_kind vt_kind_mask, vt_kind_gender_age, vt_kind_liveness;

/* The kind of a function's name; NULL when it is none. */
const struct vt_attribute_kind *vt_attribute_kind_find(const char *function);

/* A model of some kind over an engine. Immutable after creation; may be used from many threads. */
struct vt_classifier;

/* The engine must outlive the classifier. crop_scale: as the catalogue states it; 0 is refused where the kind needs it.
 */
enum vultus_status vt_classifier_create(struct vt_engine *engine, struct vt_pool *pool, double crop_scale,
    struct vt_classifier **out, struct vultus_error *error);
void vt_classifier_destroy(struct vt_classifier *classifier); /* NULL is fine */
const struct vt_attribute_kind *vt_classifier_kind(const struct vt_classifier *classifier);

/* A face to be cut out. `aligned`, 112x112, is needed by kinds that go by it. */
struct vt_cutting {
    const struct vt_image *picture;
    const float *box; /* x1, y1, x2, y2 */
    const struct vt_image *aligned;
};

/*
 * Cuts and classifies faces, of as many pictures as you like. numbers: count x the kind's numbers. A face that cannot
 * be cut out (no aligned crop, a box without extent) leaves `done[i]` false and its numbers untouched.
 */
enum vultus_status vt_classify(const struct vt_classifier *classifier, const struct vt_cutting *cuttings, size_t count,
    float *numbers, bool *done, struct vultus_error *error);

/*
 * The pixels (left, top, right, bottom, inclusive) that `scale` times the box takes up: less where the picture is
 * smaller, and moved inside where it would leave the picture. False when the box has no extent.
 */
bool vt_scaled_box(const float box[4], double scale, int width, int height, int pixels[4]);

/*
 * Quality of a face: of its box and points in the picture, its aligned crop, and its embedding's norm (0: none);
 * typical_norm: of the recogniser, 0: unknown.
 */
void vt_measure_quality(const struct vt_face_box *face, const struct vt_image *aligned, float norm, double typical_norm,
    struct vt_quality *out);

#endif
