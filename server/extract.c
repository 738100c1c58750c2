/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "answers.h"
#include "base/clock.h"
#include "body.h"
#include "extract.h"
#include "server_internal.h"

enum { CROP_SIDE = 112 }; /* that models of attributes take */

static const char no_length[] = "the recogniser's embedding has no length";

static const char json_type[] = "application/json", msgpack_type[] = "application/x-msgpack";

static bool wants_msgpack(const struct vt_picture_set *set) {
    return set->wanted->msgpack || set->request->accepts_msgpack;
}

static void send_written(struct vt_picture_set *set, uint64_t start) {
    struct vt_request *request = set->request;
    vt_request_stage(request, VT_STAGE_WRITE, vt_ms_since(start));
    vt_request_answer(request, 200, wants_msgpack(set) ? msgpack_type : json_type);
}

/* Whether the request was given up; then its answer is set. */
static bool was_given_up(struct vt_picture_set *set) {
    int over = atomic_load(&set->over);
    if (over) vt_request_give_up(set->request, (enum vt_over)over);
    return over;
}

static void end(struct vt_picture_set *set) {
    struct vt_request *request = set->request;
    vt_pictures_release(set);
    vt_request_finish(request);
}

/* ---------------------------------------------------------------- pictures */

static void answer_faces(struct vt_picture_set *set) {
    struct vt_request *request = set->request;
    if (!was_given_up(set)) {
        uint64_t start = vt_now_ns();
        struct vt_took took = {.total = vt_ms_since(request->whole_ns)};
        for (int s = VT_STAGE_FETCH; s <= VT_STAGE_ATTRIBUTES; s++)
            *(s <= VT_STAGE_DECODE ? &took.read : &took.search) += request->stages[s];
        struct vt_emitter out = {.msgpack = wants_msgpack(set), .out = &request->response.body};
        vt_answer_faces(&out, set, &took);
        send_written(set, start);
    }
    end(set);
}

/* ---------------------------------------------------------------- crops */

/* The crops of an embed_only request that have the right size, side by side. */
struct crops {
    struct vt_embedded *results; /* of all pictures */
    uint8_t *pixels;
    size_t *places; /* of the crops in results */
    size_t count;
    float *embeddings, *norms;
    const char *wrong_size; /* why the first of another size was refused, or NULL */
};

/* A picture of another size is not kept, for it may be large. */
static void keep(struct vt_picture_job *job) {
    const struct vultus_pipeline_info *models = &job->set->request->models->info;
    const struct vultus_picture *picture = &job->picture;
    if (picture->width == models->crop_width && picture->height == models->crop_height) return;
    char sentence[128];
    snprintf(sentence, sizeof sentence, "crop %zu has %d x %d pixels; the recogniser takes %d x %d",
        (size_t)(job - job->set->jobs), picture->width, picture->height, models->crop_width, models->crop_height);
    vt_picture_fail(job, sentence);
    job->wrong_size = true;
    vultus_picture_release(&job->picture);
}

static bool allocate(struct crops *crops, size_t count, const struct vultus_pipeline_info *models) {
    size_t bytes = 3 * (size_t)models->crop_width * (size_t)models->crop_height;
    crops->results = calloc(count + 1, sizeof *crops->results);
    crops->places = calloc(count + 1, sizeof *crops->places);
    crops->norms = calloc(count + 1, sizeof *crops->norms);
    crops->pixels = calloc(count + 1, bytes);
    crops->embeddings = calloc(count + 1, (size_t)models->dimension * sizeof *crops->embeddings);
    return crops->results && crops->places && crops->norms && crops->pixels && crops->embeddings;
}

static void release(struct crops *crops) {
    free(crops->results);
    free(crops->places);
    free(crops->norms);
    free(crops->pixels);
    free(crops->embeddings);
}

/* The pixels without what lies behind each row. */
static void copy_crop(uint8_t *to, const struct vultus_picture *picture) {
    size_t row = 3 * (size_t)picture->width;
    for (int y = 0; y < picture->height; y++)
        memcpy(to + (size_t)y * row, picture->pixels + (size_t)y * picture->stride, row);
}

static void collect(struct crops *crops, const struct vt_picture_set *set) {
    const struct vultus_pipeline_info *models = &set->request->models->info;
    size_t bytes = 3 * (size_t)models->crop_width * (size_t)models->crop_height;
    for (size_t i = 0; i < set->count; i++) {
        const struct vt_picture_job *job = &set->jobs[i];
        crops->results[i].failure = job->failure;
        if (job->wrong_size && !crops->wrong_size) crops->wrong_size = job->failure;
        if (job->failed) continue;
        copy_crop(crops->pixels + crops->count * bytes, &job->picture);
        crops->places[crops->count++] = i;
    }
}

static enum vultus_status classify(
    struct crops *crops, const struct vt_models *models, unsigned wanted, struct vultus_error *error) {
    unsigned told = wanted & models->attributes;
    if (!told || models->info.crop_width != CROP_SIDE || models->info.crop_height != CROP_SIDE) return VULTUS_OK;
    struct vultus_attributes *attributes = calloc(crops->count, sizeof *attributes);
    enum vultus_status status =
        attributes ? vultus_pipeline_classify(models->pipeline, crops->pixels, crops->count, told, attributes, error)
                   : vt_fail_memory(error, "attributes", crops->count * sizeof *attributes);
    for (size_t i = 0; !status && i < crops->count; i++) crops->results[crops->places[i]].attributes = attributes[i];
    free(attributes);
    return status;
}

static bool has_length(float norm) { return isfinite(norm) && norm > 0; }

/* On failure every crop that was handed in has the sentence. */
static void embed(struct crops *crops, struct vt_request *request, unsigned wanted, struct vultus_error *error) {
    const struct vt_models *models = request->models;
    uint64_t start = vt_now_ns();
    enum vultus_status status =
        vultus_pipeline_embed(models->pipeline, crops->pixels, crops->count, crops->embeddings, crops->norms, error);
    vt_request_stage(request, VT_STAGE_EMBED, vt_ms_since(start));
    if (!status) status = classify(crops, models, wanted, error);
    for (size_t i = 0; i < crops->count; i++) {
        struct vt_embedded *result = &crops->results[crops->places[i]];
        bool fine = status == VULTUS_OK && has_length(crops->norms[i]);
        result->embedding = fine ? crops->embeddings + i * (size_t)models->info.dimension : NULL;
        result->norm = crops->norms[i];
        if (!fine) result->failure = status ? error->text : no_length;
    }
    request->faces = crops->count;
    vt_count(&request->server->metrics, VT_EVENT_FACES, crops->count);
}

static void embed_and_answer(struct vt_picture_set *set, struct crops *crops) {
    struct vt_request *request = set->request;
    struct vultus_error error = {0};
    collect(crops, set);
    if (crops->count > 0) embed(crops, request, vt_wanted_attributes(set->wanted), &error);
    uint64_t start = vt_now_ns();
    struct vt_emitter out = {.msgpack = wants_msgpack(set), .out = &request->response.body};
    const char *failure = error.status ? error.text : crops->wrong_size;
    double took_ms = vt_ms_since(request->whole_ns);
    if (set->wanted->plain_embeddings)
        vt_answer_embeddings(&out, crops->results, set->count, request->models->info.dimension, took_ms);
    else
        vt_answer_crops(&out, crops->results, set->count, request->models->info.dimension, took_ms, failure);
    send_written(set, start);
}

static void answer_crops(struct vt_picture_set *set) {
    struct crops crops = {0};
    if (!was_given_up(set)) {
        if (allocate(&crops, set->count, &set->request->models->info))
            embed_and_answer(set, &crops);
        else
            vt_request_fail(set->request, 500, "there is no memory for %zu crops", set->count);
    }
    release(&crops);
    end(set);
}

void vt_crop_embed(struct vt_picture_job *job) {
    const struct vt_models *models = job->set->request->models;
    keep(job);
    if (job->failed) return;
    uint64_t start = vt_now_ns();
    struct vultus_error error;
    uint8_t *pixels = malloc(3 * (size_t)job->picture.width * (size_t)job->picture.height);
    job->embedding = calloc((size_t)models->info.dimension, sizeof *job->embedding);
    if (!pixels || !job->embedding) {
        vt_picture_fail(job, "there is no memory for the crop");
    } else {
        copy_crop(pixels, &job->picture);
        if (vultus_pipeline_embed(models->pipeline, pixels, 1, job->embedding, &job->norm, &error) < 0)
            vt_picture_fail(job, error.text);
        else if (!has_length(job->norm))
            vt_picture_fail(job, no_length);
    }
    free(pixels);
    vultus_picture_release(&job->picture);
    job->stages[VT_STAGE_EMBED] = vt_ms_since(start);
}

/* ---------------------------------------------------------------- the route */

bool vt_extract_start(struct vt_request *request, struct vt_wanted *wanted) {
    return wanted->embed_only ? vt_pictures_start(request, wanted, wanted->count, keep, answer_crops)
                              : vt_pictures_start(request, wanted, wanted->count, vt_picture_search, answer_faces);
}

void vt_answer_extract(struct vt_request *request) {
    struct vt_wanted *wanted = vt_body_read(request);
    if (!wanted || !vt_extract_start(request, wanted)) vt_request_finish(request);
}
