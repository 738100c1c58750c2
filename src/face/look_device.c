/* SPDX-License-Identifier: Apache-2.0
 *
 * A look at a picture that stays on the device.
 */
#include <string.h>

#include "face/detector_internal.h"
#include "face/resident.h"
#include "image/resample_internal.h"

struct vt_photo_normalisation vt_photo_normalisation_of(const struct vt_normalisation *n) {
    return (struct vt_photo_normalisation){
        {n->mean[0], n->mean[1], n->mean[2]}, {n->inverse_std[0], n->inverse_std[1], n->inverse_std[2]}, n->rgb};
}

_Static_assert((int)VT_PHOTO_COPY == VT_RESAMPLE_COPY && (int)VT_PHOTO_AREA == VT_RESAMPLE_AREA &&
                   (int)VT_PHOTO_BOX == VT_RESAMPLE_BOX && (int)VT_PHOTO_LINEAR == VT_RESAMPLE_LINEAR,
    "both sides count the same filters");

struct vt_photo_look vt_photo_look_of(
    const struct vt_network *network, const struct vt_look *look, const struct vt_letterbox *letterbox) {
    struct vt_photo_look told = {.x = look->x,
        .y = look->y,
        .width = look->width,
        .height = look->height,
        .margin_x = vt_margin_pixels(look->width, look->margin),
        .margin_y = vt_margin_pixels(look->height, look->margin),
        .scaled_width = letterbox->width,
        .scaled_height = letterbox->height,
        .network_width = network->width,
        .network_height = network->height,
        .turn = look->turn,
        .normalisation = vt_photo_normalisation_of(&network->normalisation)};
    told.filter = (enum vt_photo_filter)vt_resample_choose(letterbox->scale, &told.step);
    return told;
}

static struct vt_photo_heads heads_of(const struct vt_search *search) {
    const struct vt_detector_layout *layout = &search->detector->layout;
    struct vt_photo_heads heads = {.anchors = layout->anchors,
        .n_levels = layout->n_levels,
        .threshold = search->options->threshold,
        .nms_threshold = search->nms_threshold};
    for (int i = 0; i < layout->n_levels; i++) {
        const struct vt_detector_level *level = &layout->levels[i];
        heads.levels[i] = (struct vt_photo_level){level->stride, level->scores, level->boxes, level->landmarks};
    }
    return heads;
}

_Static_assert(VT_PHOTO_MOST_LEVELS >= VT_MOST_LEVELS && VT_PHOTO_NO_OUTPUT == (int)VT_NO_OUTPUT &&
                   VT_PHOTO_LANDMARKS == VT_LANDMARKS && VT_PHOTO_MOST_CANDIDATES == VT_NMS_CANDIDATES,
    "both sides decode alike");

static enum vultus_status keep_candidates(
    struct vt_search *search, const struct vt_photo_face *faces, size_t count, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    search->candidates.count = 0;
    for (size_t i = 0; !status && i < count; i++) {
        struct vt_face_box face = {.score = faces[i].score};
        memcpy(face.box, faces[i].box, sizeof face.box);
        memcpy(face.landmarks, faces[i].landmarks, sizeof face.landmarks);
        status = vt_face_list_push(&search->candidates, &face, error);
    }
    return status;
}

enum vultus_status vt_look_on_device(struct vt_search *search, const struct vt_look *look,
    const struct vt_letterbox *letterbox, struct vultus_error *error) {
    const struct vt_detector *detector = search->detector;
    const struct vt_photo_backend *functions = search->stay->functions;
    struct vt_photo_look told = vt_photo_look_of(&detector->network, look, letterbox);
    bool decodes = detector->family == &vt_family_scrfd, aside = vt_pool_step_aside(detector->pool);
    enum vultus_status status;
    const struct vt_photo_face *faces = NULL;
    size_t count = 0;
    if (decodes) {
        struct vt_photo_heads heads = heads_of(search);
        status = functions->find(search->stay->photo, search->stay->detector, &told, &heads, &faces, &count, error);
    } else {
        status = functions->run(
            search->stay->photo, search->stay->detector, &told, (void *const *)search->memory->outputs, error);
    }
    vt_pool_step_back(detector->pool, aside);
    if (status) return status;
    return decodes ? keep_candidates(search, faces, count, error) : vt_decode_candidates(search, error);
}
