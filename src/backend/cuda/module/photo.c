/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures that stay on the GPU: loading, and the way of each through two networks as work of one stream. The host
 * waits twice: for the faces, whose number says how large the recogniser's batch is, and for the embeddings.
 */
#include "backend/cuda/module/photo.h"

#include <stdlib.h>
#include <string.h>

#include "backend/cuda/module/devices.h"
#include "backend/cuda/module/executable.h"
#include "backend/cuda/module/kernels/photo.h"
#include "backend/cuda/module/nvjpeg.h"
#include "base/checked.h"
#include "plan/plan.h"

#define MOST_PICTURE_BYTES ((size_t)256 << 20)
#define STAGING_BYTES ((size_t)32 << 20) /* pinned memory that pixels pass through, in parts */
#define PART_BYTES ((size_t)1 << 20)
#define FACES_AT_ONCE 64 /* that are copied together with their number */
#define SMALL_BATCH 8    /* up to here, recognisers run exactly as many as there are */

enum mark { LOAD, LOADED, LOOK, LOOKED, RAN, DECODED, ALIGN, ALIGNED, EMBEDDED, MARKS };

struct room {
    void *data;
    size_t bytes;
};

struct vt_photo {
    int device; /* an ordinal */
    struct vt_cuda_stream *stream;
    struct vt_cuda_event *marks[MARKS];
    struct vt_cuda_jpeg *jpeg; /* made by the first JPEG */
    struct vt_cuda_picture picture;
    struct room pixels, heads, embeddings; /* of the device */
    struct room staging, answer;           /* pinned */
    bool untimed_load;                     /* one that the times do not have in them yet */
    struct vt_photo_times times;
};

/* ------------------------------------------------------------ memory */

/* The stream's work must have ended: what was there is lost. */
static enum vultus_status grow(struct room *room, size_t bytes, bool pinned, struct vultus_error *error) {
    if (bytes <= room->bytes) return VULTUS_OK;
    if (pinned)
        vt_cuda_release_host(room->data);
    else
        vt_cuda_release(room->data);
    *room = (struct room){0};
    enum vultus_status status =
        pinned ? vt_cuda_allocate_host(bytes, &room->data, error) : vt_cuda_allocate(bytes, &room->data, error);
    if (!status) room->bytes = bytes;
    return status;
}

static void destroy(struct vt_photo *photo) {
    struct vultus_error ignored; /* of a device that is lost */
    if (!photo) return;
    vt_cuda_use(photo->device, &ignored);
    vt_cuda_stream_destroy(photo->stream); /* first: it waits */
    for (int i = 0; i < MARKS; i++) vt_cuda_event_destroy(photo->marks[i]);
    vt_cuda_jpeg_destroy(photo->jpeg);
    vt_cuda_release(photo->pixels.data);
    vt_cuda_release(photo->heads.data);
    vt_cuda_release(photo->embeddings.data);
    vt_cuda_release_host(photo->staging.data);
    vt_cuda_release_host(photo->answer.data);
    free(photo);
}

static enum vultus_status create(int device, struct vt_photo **out, struct vultus_error *error) {
    struct vt_photo *photo = calloc(1, sizeof *photo);
    if (!photo) return vt_fail_memory(error, "a photo", sizeof *photo);
    photo->device = vt_cuda_device_ordinal(device);
    enum vultus_status status = vt_cuda_use(photo->device, error);
    if (!status) status = vt_cuda_stream_create(&photo->stream, error);
    for (int i = 0; !status && i < MARKS; i++) status = vt_cuda_event_create(&photo->marks[i], error);
    if (status)
        destroy(photo);
    else
        *out = photo;
    return status;
}

/* ------------------------------------------------------------ time */

static enum vultus_status mark(struct vt_photo *photo, enum mark at, struct vultus_error *error) {
    return vt_cuda_event_record(photo->marks[at], photo->stream, error);
}

static enum vultus_status add_time(
    struct vt_photo *photo, enum mark from, enum mark to, double *milliseconds, struct vultus_error *error) {
    uint64_t nanoseconds = 0;
    enum vultus_status status = vt_cuda_event_nanoseconds(photo->marks[from], photo->marks[to], &nanoseconds, error);
    *milliseconds += (double)nanoseconds * 1e-6;
    return status;
}

/* After a wait. */
static enum vultus_status add_load_time(struct vt_photo *photo, struct vultus_error *error) {
    if (!photo->untimed_load) return VULTUS_OK;
    photo->untimed_load = false;
    return add_time(photo, LOAD, LOADED, &photo->times.load_ms, error);
}

static void take_times(struct vt_photo *photo, struct vt_photo_times *out) {
    *out = photo->times;
    photo->times = (struct vt_photo_times){0};
}

/* ------------------------------------------------------------ loading */

static enum vultus_status begin_load(struct vt_photo *photo, int width, int height, struct vultus_error *error) {
    size_t bytes;
    if (width < 1 || height < 1 || !vt_mul_size(3 * (size_t)width, (size_t)height, &bytes) ||
        bytes > MOST_PICTURE_BYTES)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "a picture of %d x %d pixels does not go to the GPU: at most %zu bytes do", width, height,
            MOST_PICTURE_BYTES);
    photo->picture = (struct vt_cuda_picture){0};
    photo->untimed_load = false;
    enum vultus_status status = vt_cuda_use(photo->device, error);
    if (!status) status = vt_cuda_stream_wait(photo->stream, error);
    if (!status) status = grow(&photo->pixels, bytes, false, error);
    return status ? status : mark(photo, LOAD, error);
}

static enum vultus_status end_load(struct vt_photo *photo, int width, int height, struct vultus_error *error) {
    enum vultus_status status = mark(photo, LOADED, error);
    if (status) return status;
    photo->picture = (struct vt_cuda_picture){photo->pixels.data, width, height};
    photo->untimed_load = true;
    return VULTUS_OK;
}

/* Parts are copied to the device while the next ones are copied to pinned memory. */
static enum vultus_status load_pixels(
    struct vt_photo *photo, const uint8_t *pixels, int width, int height, size_t stride, struct vultus_error *error) {
    enum vultus_status status = begin_load(photo, width, height, error);
    if (status) return status;
    size_t row = 3 * (size_t)width, bytes = row * (size_t)height;
    size_t rows = row < PART_BYTES ? PART_BYTES / row : 1, used = 0;
    status = grow(&photo->staging, bytes < STAGING_BYTES ? bytes : STAGING_BYTES, true, error);
    for (size_t y = 0; !status && y < (size_t)height; y += rows) {
        size_t count = (size_t)height - y < rows ? (size_t)height - y : rows;
        if (used + count * row > photo->staging.bytes) {
            status = vt_cuda_stream_wait(photo->stream, error);
            used = 0;
        }
        if (status) break;
        uint8_t *part = (uint8_t *)photo->staging.data + used;
        for (size_t i = 0; i < count; i++) memcpy(part + i * row, pixels + (y + i) * stride, row);
        status = vt_cuda_copy(
            photo->stream, (uint8_t *)photo->pixels.data + y * row, part, count * row, VT_CUDA_TO_DEVICE, error);
        used += count * row;
    }
    return status ? status : end_load(photo, width, height, error);
}

static enum vultus_status load_jpeg(
    struct vt_photo *photo, const uint8_t *bytes, size_t size, int width, int height, struct vultus_error *error) {
    enum vultus_status status = vt_cuda_use(photo->device, error);
    if (!status && !photo->jpeg) status = vt_cuda_jpeg_create(&photo->jpeg, error);
    if (!status) status = begin_load(photo, width, height, error);
    if (!status)
        status = vt_cuda_jpeg_decode(photo->jpeg, bytes, size, photo->pixels.data, width, height, photo->stream, error);
    return status ? status : end_load(photo, width, height, error);
}

/* ------------------------------------------------------------ looking */

static bool is_inside(const struct vt_photo_look *look, const struct vt_cuda_picture *picture) {
    return look->x >= 0 && look->y >= 0 && look->width > 0 && look->height > 0 &&
           look->x <= picture->width - look->width && look->y <= picture->height - look->height;
}

/* The letterbox and the network. */
static enum vultus_status queue_look(struct vt_photo *photo, struct vt_executable *detector,
    const struct vt_photo_look *look, struct vultus_error *error) {
    if (!is_inside(look, &photo->picture))
        return vt_fail(error, VULTUS_ERROR_INVALID, "a look at %d x %d pixels at (%d, %d) of a picture of %d x %d",
            look->width, look->height, look->x, look->y, photo->picture.width, photo->picture.height);
    enum vultus_status status = vt_cuda_executable_reserve(detector, 1, error);
    if (!status) status = mark(photo, LOOK, error);
    if (status) return status;
    struct vt_cuda_letterbox letterbox = {photo->picture, *look, vt_cuda_executable_input(detector, 0, 1)};
    status = vt_cuda_check(
        vt_cuda_launch_letterbox(&letterbox, vt_cuda_stream_native(photo->stream)), "the letterbox", error);
    if (!status) status = mark(photo, LOOKED, error);
    if (!status) status = vt_cuda_executable_queue(detector, 1, photo->stream, error);
    return status ? status : mark(photo, RAN, error);
}

/* Waits, too. */
static enum vultus_status time_look(struct vt_photo *photo, struct vultus_error *error) {
    enum vultus_status status = mark(photo, DECODED, error);
    if (!status) status = vt_cuda_stream_wait(photo->stream, error);
    if (!status) status = add_load_time(photo, error);
    if (!status) status = add_time(photo, LOOK, LOOKED, &photo->times.letterbox_ms, error);
    if (!status) status = add_time(photo, LOOKED, RAN, &photo->times.network_ms, error);
    return status ? status : add_time(photo, RAN, DECODED, &photo->times.decode_ms, error);
}

/* Anchors of all levels, which say how much memory their decoding takes; 0: too many to be counted. */
static size_t place_levels(const struct vt_executable *detector, const struct vt_photo_look *look,
    const struct vt_photo_heads *heads, struct vt_cuda_heads *out) {
    int64_t total = 0;
    for (int i = 0; i < heads->n_levels && total <= INT32_MAX; i++) {
        const struct vt_photo_level *level = &heads->levels[i];
        int64_t columns = look->network_width / level->stride, rows = look->network_height / level->stride;
        out->levels[i] =
            (struct vt_cuda_level){.scores = vt_cuda_executable_output(detector, (uint32_t)level->scores, 1),
                .boxes = vt_cuda_executable_output(detector, (uint32_t)level->boxes, 1),
                .landmarks = level->landmarks == VT_PHOTO_NO_OUTPUT
                                 ? NULL
                                 : vt_cuda_executable_output(detector, (uint32_t)level->landmarks, 1),
                .columns = (int32_t)columns,
                .stride = level->stride,
                .first = (int32_t)total};
        total += heads->anchors * columns * rows;
    }
    out->total = total <= INT32_MAX / 2 ? (int32_t)total : 0;
    return (size_t)out->total;
}

static size_t power_of_two(size_t least) {
    size_t power = 1;
    while (power < least) power *= 2;
    return power;
}

/* Boxes, keys, the counter and the faces, in this order, each aligned. */
static enum vultus_status place_heads(
    struct vt_photo *photo, size_t total, struct vt_cuda_heads *heads, size_t *most_faces, struct vultus_error *error) {
    static const uint32_t none = 0;
    *most_faces = total < VT_PHOTO_MOST_CANDIDATES ? total : VT_PHOTO_MOST_CANDIDATES;
    size_t boxes = vt_round_up(4 * sizeof(float) * total, VT_PLAN_ALIGNMENT);
    size_t keys = vt_round_up(sizeof(uint64_t) * power_of_two(total), VT_PLAN_ALIGNMENT);
    size_t found = sizeof(struct vt_cuda_found) + *most_faces * sizeof(struct vt_photo_face);
    size_t bytes = VT_PLAN_ALIGNMENT + boxes + keys + found, before = photo->heads.bytes;
    enum vultus_status status = grow(&photo->heads, bytes, false, error);
    if (!status) status = grow(&photo->answer, found, true, error);
    if (status) return status;
    uint8_t *memory = photo->heads.data;
    heads->count = (uint32_t *)memory;
    heads->boxes = (float *)(memory + VT_PLAN_ALIGNMENT);
    heads->keys = (uint64_t *)(memory + VT_PLAN_ALIGNMENT + boxes);
    heads->found = (struct vt_cuda_found *)(memory + VT_PLAN_ALIGNMENT + boxes + keys);
    if (before == photo->heads.bytes) return VULTUS_OK;
    status = vt_cuda_copy(photo->stream, heads->count, &none, sizeof none, VT_CUDA_TO_DEVICE, error);
    return status ? status : vt_cuda_stream_wait(photo->stream, error);
}

/* Faces [first, first + count) to pinned memory; with the first of them their number. */
static enum vultus_status queue_faces(
    struct vt_photo *photo, const struct vt_cuda_found *found, size_t first, size_t count, struct vultus_error *error) {
    size_t header = first ? 0 : sizeof *found, at = first ? sizeof *found + first * sizeof *found->faces : 0;
    return vt_cuda_copy(photo->stream, (uint8_t *)photo->answer.data + at, (const uint8_t *)found + at,
        header + count * sizeof *found->faces, VT_CUDA_TO_HOST, error);
}

static enum vultus_status find(struct vt_photo *photo, struct vt_executable *detector, const struct vt_photo_look *look,
    const struct vt_photo_heads *heads, const struct vt_photo_face **faces, size_t *count, struct vultus_error *error) {
    struct vt_cuda_heads h = {.n_levels = heads->n_levels,
        .anchors = heads->anchors,
        .threshold = heads->threshold,
        .nms_threshold = heads->nms_threshold};
    size_t most_faces, total;
    enum vultus_status status = vt_cuda_use(photo->device, error);
    if (!status) status = vt_cuda_executable_reserve(detector, 1, error);
    if (status) return status;
    if (!(total = place_levels(detector, look, heads, &h)))
        return vt_fail(error, VULTUS_ERROR_LIMIT, "the heads of a network of %d x %d pixels have too many anchors",
            look->network_width, look->network_height);
    status = place_heads(photo, total, &h, &most_faces, error);
    if (!status) status = queue_look(photo, detector, look, error);
    if (!status)
        status = vt_cuda_check(
            vt_cuda_launch_heads(&h, vt_cuda_stream_native(photo->stream)), "decoding a detector's heads", error);
    size_t at_once = most_faces < FACES_AT_ONCE ? most_faces : FACES_AT_ONCE;
    if (!status) status = queue_faces(photo, h.found, 0, at_once, error);
    if (!status) status = time_look(photo, error);
    if (status) return status;
    const struct vt_cuda_found *found = photo->answer.data;
    if (found->count < 0 || (size_t)found->count > most_faces)
        return vt_fail(error, VULTUS_ERROR_BACKEND, "the GPU found %d faces among %zu anchors", found->count, total);
    *count = (size_t)found->count;
    *faces = found->faces;
    if (*count <= at_once) return VULTUS_OK;
    status = queue_faces(photo, h.found, at_once, *count - at_once, error);
    return status ? status : vt_cuda_stream_wait(photo->stream, error);
}

static enum vultus_status run(struct vt_photo *photo, struct vt_executable *detector, const struct vt_photo_look *look,
    void *const *outputs, struct vultus_error *error) {
    const struct vt_plan *plan = vt_cuda_executable_plan(detector);
    size_t bytes = 0, at = 0;
    for (uint32_t i = 0; i < plan->n_outputs; i++) bytes += plan->values[plan->outputs[i]].bytes;
    enum vultus_status status = vt_cuda_use(photo->device, error);
    if (!status) status = grow(&photo->answer, bytes, true, error);
    if (!status) status = queue_look(photo, detector, look, error);
    for (uint32_t i = 0; !status && i < plan->n_outputs; i++) {
        size_t size = plan->values[plan->outputs[i]].bytes;
        status = vt_cuda_copy(photo->stream, (uint8_t *)photo->answer.data + at,
            vt_cuda_executable_output(detector, i, 1), size, VT_CUDA_TO_HOST, error);
        at += size;
    }
    if (!status) status = time_look(photo, error);
    for (uint32_t i = 0, from = 0; !status && i < plan->n_outputs; i++) {
        size_t size = plan->values[plan->outputs[i]].bytes;
        memcpy(outputs[i], (const uint8_t *)photo->answer.data + from, size);
        from += (uint32_t)size;
    }
    return status;
}

/* ------------------------------------------------------------ embedding */

/* A graph is recorded for every size of batch: a few sizes serve all, and the faces that they lack are the last one
 * again. */
static int64_t batch_for(int64_t count, int64_t most) {
    int64_t step = count <= SMALL_BATCH ? 1 : count <= 4 * SMALL_BATCH ? SMALL_BATCH / 2 : 2 * SMALL_BATCH;
    return vt_min_i64((int64_t)vt_round_up((size_t)count, (size_t)step), most);
}

static enum vultus_status queue_warps(struct vt_photo *photo, const struct vt_photo_crops *crops, int64_t batch,
    float *planes, struct vultus_error *error) {
    struct vt_cuda_warp warp = {.picture = photo->picture,
        .width = crops->width,
        .height = crops->height,
        .normalisation = crops->normalisation};
    size_t item = 3 * (size_t)crops->width * (size_t)crops->height;
    enum vultus_status status = VULTUS_OK;
    for (int64_t first = 0; !status && first < batch; first += VT_CUDA_WARPS) {
        warp.count = (int32_t)vt_min_i64(batch - first, VT_CUDA_WARPS);
        warp.planes = planes + (size_t)first * item;
        for (int64_t i = 0; i < warp.count; i++)
            memcpy(warp.inverses[i], crops->inverses[vt_min_i64(first + i, crops->count - 1)], sizeof *warp.inverses);
        status =
            vt_cuda_check(vt_cuda_launch_warp(&warp, vt_cuda_stream_native(photo->stream)), "cutting out faces", error);
    }
    return status;
}

static enum vultus_status queue_embedding(struct vt_photo *photo, struct vt_executable *recogniser,
    const struct vt_photo_crops *crops, int64_t batch, struct vultus_error *error) {
    enum vultus_status status = mark(photo, ALIGN, error);
    if (!status) status = queue_warps(photo, crops, batch, vt_cuda_executable_input(recogniser, 0, batch), error);
    if (!status) status = mark(photo, ALIGNED, error);
    if (!status) status = vt_cuda_executable_queue(recogniser, batch, photo->stream, error);
    if (status) return status;
    struct vt_cuda_normalise normalise = {.raw = vt_cuda_executable_output(recogniser, 0, batch),
        .divisors = crops->states_norm ? vt_cuda_executable_output(recogniser, 1, batch) : NULL,
        .units = photo->embeddings.data,
        .dimension = crops->dimension,
        .count = (int32_t)crops->count};
    status = vt_cuda_check(
        vt_cuda_launch_normalise(&normalise, vt_cuda_stream_native(photo->stream)), "scaling embeddings", error);
    return status ? status : mark(photo, EMBEDDED, error);
}

static enum vultus_status embed(struct vt_photo *photo, struct vt_executable *recogniser,
    const struct vt_photo_crops *crops, float *embeddings, float *norms, struct vultus_error *error) {
    if (crops->count < 1 || crops->count > crops->most || !photo->picture.pixels)
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "%lld faces of a picture of %d x %d are to be embedded, at most %lld", (long long)crops->count,
            photo->picture.width, photo->picture.height, (long long)crops->most);
    size_t numbers = (size_t)crops->count * (size_t)crops->dimension,
           item = ((size_t)crops->dimension + 1) * sizeof(float);
    enum vultus_status status = vt_cuda_use(photo->device, error);
    if (!status) status = vt_cuda_executable_reserve(recogniser, crops->most, error);
    if (!status) status = grow(&photo->embeddings, (size_t)crops->most * item, false, error);
    if (!status) status = grow(&photo->answer, (size_t)crops->most * item, true, error);
    if (!status) status = queue_embedding(photo, recogniser, crops, batch_for(crops->count, crops->most), error);
    if (!status)
        status = vt_cuda_copy(photo->stream, photo->answer.data, photo->embeddings.data, (size_t)crops->count * item,
            VT_CUDA_TO_HOST, error);
    if (!status) status = vt_cuda_stream_wait(photo->stream, error);
    if (!status) status = add_load_time(photo, error);
    if (!status) status = add_time(photo, ALIGN, ALIGNED, &photo->times.align_ms, error);
    if (!status) status = add_time(photo, ALIGNED, EMBEDDED, &photo->times.embed_ms, error);
    if (status) return status;
    memcpy(embeddings, photo->answer.data, numbers * sizeof(float));
    memcpy(norms, (const float *)photo->answer.data + numbers, (size_t)crops->count * sizeof(float));
    return VULTUS_OK;
}

static void traffic(struct vt_photo_traffic *out) {
    *out = (struct vt_photo_traffic){vt_cuda_copied(VT_CUDA_TO_DEVICE), vt_cuda_copied(VT_CUDA_TO_HOST)};
}

const struct vt_photo_backend vt_cuda_photos = {
    .create = create,
    .destroy = destroy,
    .load_pixels = load_pixels,
    .load_jpeg = load_jpeg,
    .find = find,
    .run = run,
    .embed = embed,
    .take_times = take_times,
    .traffic = traffic,
    .decodes_jpeg = vt_cuda_jpeg_usable,
};
