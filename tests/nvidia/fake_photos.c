/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures that stay on a device which is none: what processors do, by the parameters that a device is told. Bytes are
 * counted as if there were a bus. VULTUS_FAKE_MODULE "photos" makes the second load of a process fail, as when a device
 * is lost; "no-jpeg" refuses JPEG.
 */
#include "fake_photos.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "face/face.h"
#include "face/family.h"
#include "image/ops.h"

enum { MOST_OUTPUTS = 15, MOST_NUMBERS = 1 << 22 };

struct vt_photo {
    struct vt_image picture;
    struct vt_face_list list;
    struct vt_photo_face *faces;
    float *input, *outputs;
};

static _Atomic uint64_t to_device, from_device;

static bool told(const char *what) {
    const char *text = getenv("VULTUS_FAKE_MODULE");
    return text && strcmp(text, what) == 0;
}

static enum vultus_status create(int device, struct vt_photo **out, struct vultus_error *error) {
    (void)device;
    struct vt_photo *photo = calloc(1, sizeof *photo);
    if (photo) photo->input = malloc(MOST_NUMBERS * sizeof *photo->input);
    if (photo) photo->outputs = malloc(MOST_NUMBERS * sizeof *photo->outputs);
    if (!photo || !photo->input || !photo->outputs) return vt_fail_memory(error, "a photo", sizeof *photo);
    *out = photo;
    return VULTUS_OK;
}

static void destroy(struct vt_photo *photo) {
    if (!photo) return;
    vt_image_release(&photo->picture);
    vt_face_list_fini(&photo->list);
    free(photo->faces);
    free(photo->input);
    free(photo->outputs);
    free(photo);
}

static enum vultus_status begin_load(struct vt_photo *photo, struct vultus_error *error) {
    static atomic_int loads;
    vt_image_release(&photo->picture);
    if (!told("photos") || atomic_fetch_add(&loads, 1) < 1) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_BACKEND, "the GPU lost the photo");
}

static enum vultus_status load_pixels(
    struct vt_photo *photo, const uint8_t *pixels, int width, int height, size_t stride, struct vultus_error *error) {
    const struct vt_image from = {(uint8_t *)pixels, width, height, stride};
    enum vultus_status status = begin_load(photo, error);
    if (!status) status = vt_image_create(width, height, &photo->picture, error);
    if (status) return status;
    vt_copy_image(&from, &photo->picture, 0, 0);
    atomic_fetch_add(&to_device, 3 * (uint64_t)width * (uint64_t)height);
    return VULTUS_OK;
}

static enum vultus_status load_jpeg(
    struct vt_photo *photo, const uint8_t *bytes, size_t size, int width, int height, struct vultus_error *error) {
    enum vultus_status status = begin_load(photo, error);
    if (!status && told("no-jpeg")) return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "no JPEG today");
    if (!status) status = vt_image_decode(bytes, size, "a JPEG", NULL, &photo->picture, error);
    if (!status && (photo->picture.width != width || photo->picture.height != height))
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "another size than was said");
    if (!status) atomic_fetch_add(&to_device, size);
    return status;
}

static struct vt_normalisation normalisation_of(const struct vt_photo_normalisation *n) {
    return (struct vt_normalisation){
        {n->mean[0], n->mean[1], n->mean[2]}, {n->inverse_std[0], n->inverse_std[1], n->inverse_std[2]}, n->rgb};
}

static struct vt_detector_layout layout_of(const struct vt_photo_look *look, const struct vt_photo_heads *heads) {
    struct vt_detector_layout layout = {.width = look->network_width,
        .height = look->network_height,
        .anchors = heads->anchors,
        .n_levels = heads->n_levels};
    for (int i = 0; i < heads->n_levels; i++) {
        const struct vt_photo_level *level = &heads->levels[i];
        layout.levels[i] =
            (struct vt_detector_level){level->stride, level->scores, level->boxes, VT_NO_OUTPUT, level->landmarks};
    }
    return layout;
}

/* Rows of 15 numbers an anchor are enough for each output, whichever it is. */
static enum vultus_status run_detector(struct vt_photo *photo, struct vt_executable *detector,
    const struct vt_photo_look *look, float *outputs[MOST_OUTPUTS], struct vultus_error *error) {
    const struct vt_image part = {photo->picture.pixels + (size_t)look->y * photo->picture.stride + 3 * (size_t)look->x,
        look->width, look->height, photo->picture.stride};
    struct vt_normalisation normalisation = normalisation_of(&look->normalisation);
    if (look->turn) return vt_fail(error, VULTUS_ERROR_BACKEND, "the fake GPU turns nothing");
    enum vultus_status status = vt_letterbox_to_planes(&part, look->margin_x ? 0.5 : 0, look->network_width,
        look->network_height, &normalisation, NULL, photo->input, NULL, error);
    for (int i = 0; i < MOST_OUTPUTS; i++) outputs[i] = photo->outputs + i * (MOST_NUMBERS / MOST_OUTPUTS);
    const void *inputs[] = {photo->input};
    return status ? status : fake_run(detector, inputs, (void *const *)outputs, 1, error);
}

static enum vultus_status find(struct vt_photo *photo, struct vt_executable *detector, const struct vt_photo_look *look,
    const struct vt_photo_heads *heads, const struct vt_photo_face **faces, size_t *count, struct vultus_error *error) {
    struct vt_detector_layout layout = layout_of(look, heads);
    float *outputs[MOST_OUTPUTS];
    photo->list.count = 0;
    enum vultus_status status = run_detector(photo, detector, look, outputs, error);
    if (!status) status = vt_family_scrfd.decode(&layout, outputs, heads->threshold, &photo->list, error);
    if (!status) status = vt_nms(&photo->list, heads->nms_threshold, error);
    if (status) return status;
    free(photo->faces);
    photo->faces = calloc(photo->list.count + 1, sizeof *photo->faces);
    if (!photo->faces) return vt_fail_memory(error, "faces", photo->list.count * sizeof *photo->faces);
    for (size_t i = 0; i < photo->list.count; i++) {
        photo->faces[i].score = photo->list.faces[i].score;
        memcpy(photo->faces[i].box, photo->list.faces[i].box, sizeof photo->faces[i].box);
        memcpy(photo->faces[i].landmarks, photo->list.faces[i].landmarks, sizeof photo->faces[i].landmarks);
    }
    atomic_fetch_add(&from_device, photo->list.count * sizeof *photo->faces);
    *faces = photo->faces;
    *count = photo->list.count;
    return VULTUS_OK;
}

static enum vultus_status run(struct vt_photo *photo, struct vt_executable *detector, const struct vt_photo_look *look,
    void *const *outputs, struct vultus_error *error) {
    (void)photo, (void)detector, (void)look, (void)outputs;
    return vt_fail(error, VULTUS_ERROR_BACKEND, "the fake GPU has no run without decoding");
}

static enum vultus_status embed_one(struct vt_photo *photo, struct vt_executable *recogniser,
    const struct vt_photo_crops *crops, int64_t i, float *embedding, struct vultus_error *error) {
    struct vt_normalisation normalisation = normalisation_of(&crops->normalisation);
    struct vt_image crop;
    double matrix[6];
    enum vultus_status status = vt_image_create(crops->width, crops->height, &crop, error);
    if (status) return status;
    status = vt_warp_inverse(crops->inverses[i], matrix, error);
    if (!status) status = vt_warp_affine(&photo->picture, matrix, VT_WARP_EXACT, &crop, error);
    if (!status) vt_image_to_planes(&crop, &normalisation, photo->input);
    const void *inputs[] = {photo->input};
    void *const outputs[] = {embedding};
    if (!status) status = fake_run(recogniser, inputs, outputs, 1, error);
    vt_image_release(&crop);
    return status;
}

static enum vultus_status embed(struct vt_photo *photo, struct vt_executable *recogniser,
    const struct vt_photo_crops *crops, float *embeddings, float *norms, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (int64_t i = 0; !status && i < crops->count; i++) {
        float *embedding = embeddings + i * crops->dimension;
        double sum = 0;
        status = embed_one(photo, recogniser, crops, i, embedding, error);
        for (int k = 0; k < crops->dimension; k++) sum += (double)embedding[k] * (double)embedding[k];
        norms[i] = (float)sqrt(sum);
        for (int k = 0; k < crops->dimension; k++) embedding[k] /= norms[i];
    }
    atomic_fetch_add(&from_device, (uint64_t)(crops->count * crops->dimension) * sizeof(float));
    return status;
}

static void take_times(struct vt_photo *photo, struct vt_photo_times *out) {
    (void)photo;
    *out = (struct vt_photo_times){1, 2, 3, 4, 5, 6};
}

static void traffic(struct vt_photo_traffic *out) { *out = (struct vt_photo_traffic){to_device, from_device}; }

static bool decodes_jpeg(char *reason, size_t size) {
    snprintf(reason, size, "%s", "");
    return true;
}

const struct vt_photo_backend fake_photos = {.create = create,
    .destroy = destroy,
    .load_pixels = load_pixels,
    .load_jpeg = load_jpeg,
    .find = find,
    .run = run,
    .embed = embed,
    .take_times = take_times,
    .traffic = traffic,
    .decodes_jpeg = decodes_jpeg};
