/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_PHOTO_H
#define VT_BACKEND_PHOTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/*
 * Pictures that stay on a device: they go there once, encoded or as pixels, and faces and embeddings come back. What is
 * done between is what src/image and src/face do on processors, in the same arithmetic. What a network's numbers mean
 * is told by plain parameters.
 */

struct vt_executable;

/* A place on the device for one picture at a time, with all memory that its way takes, and a queue of work. One thread
 * at a time. Memory grows to the largest picture, and then stays. */
struct vt_photo;

/* value = (pixel - mean[k]) * inverse_std[k] for network channel k; rgb swaps the picture's BGR. */
struct vt_photo_normalisation {
    float mean[3], inverse_std[3];
    bool rgb;
};

enum vt_photo_filter {
    VT_PHOTO_COPY,
    VT_PHOTO_AREA,
    VT_PHOTO_BOX, /* area interpolation by a whole factor */
    VT_PHOTO_LINEAR
};

/* How a part of the picture becomes a network's input, planes [3][height][width]. */
struct vt_photo_look {
    int x, y, width, height;         /* the part, inside the picture */
    int margin_x, margin_y;          /* black pixels on either side of it */
    int scaled_width, scaled_height; /* of the part with its margin, at the canvas's top left; black beyond */
    int network_width, network_height;
    int turn; /* the canvas, as large as the network's picture turned back, is turned by 0, 90, 180, 270 degrees */
    enum vt_photo_filter filter;
    double step; /* source pixels per scaled one; of a BOX a whole number */
    struct vt_photo_normalisation normalisation;
};

#define VT_PHOTO_MOST_LEVELS 5
#define VT_PHOTO_LANDMARKS 5
#define VT_PHOTO_MOST_CANDIDATES 10000
#define VT_PHOTO_NO_OUTPUT (-1)

/* Outputs, by number, of a grid of cells `stride` pixels apart: scores, distances to the box's sides, and offsets of
 * landmarks, in strides; `landmarks` may be VT_PHOTO_NO_OUTPUT. */
struct vt_photo_level {
    int stride, scores, boxes, landmarks;
};

/* Heads whose anchors are cells' corners, and what is left of their boxes: greedy suppression as vt_nms says, among the
 * VT_PHOTO_MOST_CANDIDATES best. */
struct vt_photo_heads {
    int anchors; /* of each cell */
    int n_levels;
    struct vt_photo_level levels[VT_PHOTO_MOST_LEVELS];
    float threshold;     /* scores above it pass */
    float nms_threshold; /* largest IoU of two that are kept */
};

/* In network pixels. Landmarks are 0 where heads have none. */
struct vt_photo_face {
    float box[4], score, landmarks[VT_PHOTO_LANDMARKS][2];
};

/* Faces to be cut out: exact bilinear warps (vt_warp_affine), black outside the picture. */
struct vt_photo_crops {
    const double (*inverses)[6]; /* 2x3 matrices, crop to picture */
    int64_t count, most;         /* count of them; largest batch that the executable runs */
    int width, height;
    struct vt_photo_normalisation normalisation;
    int dimension;    /* numbers of output 0 of one item */
    bool states_norm; /* output 1 is the norm that output 0 was divided by */
};

/* Milliseconds by the device's own clock, summed over loads, looks and batches. */
struct vt_photo_times {
    double load_ms, letterbox_ms, network_ms, decode_ms, align_ms, embed_ms;
};

/* Bytes that went over the bus since the process began. */
struct vt_photo_traffic {
    uint64_t to_device, from_device;
};

/* What a back end can do with them. Failures are BACKEND, or MEMORY where there is no room left, unless said otherwise.
 * Executables are of the same back end, and belong to the caller alone. */
struct vt_photo_backend {
    /* On device `device` of those in use, as executables that it is used with. */
    enum vultus_status (*create)(int device, struct vt_photo **out, struct vultus_error *error);
    void (*destroy)(struct vt_photo *photo); /* NULL is fine */
    /*
     * Makes it the photo's picture: rows of BGR, or a baseline JPEG whose header says that size. UNSUPPORTED: this
     * device does not hold pictures as large, or does not decode this one.
     */
    enum vultus_status (*load_pixels)(struct vt_photo *photo, const uint8_t *pixels, int width, int height,
        size_t stride, struct vultus_error *error);
    enum vultus_status (*load_jpeg)(
        struct vt_photo *photo, const uint8_t *bytes, size_t size, int width, int height, struct vultus_error *error);
    /* Looks, runs a detector, decodes its heads. *faces belong to the photo until it is used again. */
    enum vultus_status (*find)(struct vt_photo *photo, struct vt_executable *detector, const struct vt_photo_look *look,
        const struct vt_photo_heads *heads, const struct vt_photo_face **faces, size_t *count,
        struct vultus_error *error);
    /* The same without decoding: outputs[i] gets output i of one item. */
    enum vultus_status (*run)(struct vt_photo *photo, struct vt_executable *detector, const struct vt_photo_look *look,
        void *const *outputs, struct vultus_error *error);
    /*
     * Cuts out `count` faces and runs a recogniser on them, one batch. embeddings [count][dimension], of unit length;
     * norms: those of the raw embeddings; as vt_embed says.
     */
    enum vultus_status (*embed)(struct vt_photo *photo, struct vt_executable *recogniser,
        const struct vt_photo_crops *crops, float *embeddings, float *norms, struct vultus_error *error);
    void (*take_times)(struct vt_photo *photo, struct vt_photo_times *out); /* and begins anew */
    void (*traffic)(struct vt_photo_traffic *out);
    /* Whether load_jpeg decodes anything here; else why not, in one sentence. */
    bool (*decodes_jpeg)(char *reason, size_t size);
};

#endif
