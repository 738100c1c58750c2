/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_DETECTOR_INTERNAL_H
#define VT_FACE_DETECTOR_INTERNAL_H

#include "face/detector.h"
#include "face/family.h"
#include "face/network.h"

struct vt_detector {
    struct vt_network network;
    struct vt_pool *pool;
    const struct vt_detector_family *family;
    struct vt_detector_layout layout;
};

/* One way of looking at a picture: a part of it, with black around it, turned. */
struct vt_look {
    enum vt_face_pass pass;
    int turn;                /* degrees clockwise: 0, 90, 180, 270 */
    double margin;           /* of the part's size, on every side */
    int x, y, width, height; /* the part, in pixels of the picture */
};

/* A search of one picture, by one thread. */
struct vt_search {
    const struct vt_detector *detector;
    const struct vt_network_memory *memory;
    const struct vt_image *picture;
    struct vt_stay *stay; /* NULL: on processors */
    const struct vt_detect_options *options;
    float nms_threshold;
    float *canvas;                  /* planes before they are turned; made on first need, freed by the search's owner */
    struct vt_face_list candidates; /* of the latest look, network pixels */
    struct vt_face_list found;      /* of all looks, picture pixels */
    int successes;                  /* looks that found something */
    double plain_scale, scale;      /* letterbox factors: of the plain look, of the first success */
    struct vt_detect_times times;
};

/*
 * Looks once and appends what is left after suppression to search->found. A part that is too narrow for this look holds
 * nothing, but for the plain look, where it is an error.
 */
enum vultus_status vt_look_once(struct vt_search *search, const struct vt_look *look, struct vultus_error *error);

/* Decodes the outputs in search->memory and suppresses: search->candidates. */
enum vultus_status vt_decode_candidates(struct vt_search *search, struct vultus_error *error);
/*
 * The same on the device: leaves what suppression leaves in search->candidates, network pixels. The letterbox is that
 * of the look.
 */
enum vultus_status vt_look_on_device(struct vt_search *search, const struct vt_look *look,
    const struct vt_letterbox *letterbox, struct vultus_error *error);
/* What the device is told of a look. */
struct vt_photo_look vt_photo_look_of(
    const struct vt_network *network, const struct vt_look *look, const struct vt_letterbox *letterbox);

/* The tiles of a picture for a network of that size: at most VT_MOST_TILES; none when the network sees it whole. */
enum { VT_MOST_TILES = 64 };
size_t vt_plan_tiles(int width, int height, int network_width, int network_height, struct vt_look tiles[VT_MOST_TILES]);

#endif
