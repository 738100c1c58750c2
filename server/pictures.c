/* SPDX-License-Identifier: Apache-2.0 */
#include "pictures.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base64.h"
#include "server_internal.h"

void vt_picture_fail(struct vt_picture_job *job, const char *sentence) {
    if (job->failure) return;
    job->failed = true;
    job->failure = strdup(sentence); /* without memory there is no sentence */
}

/* ---------------------------------------------------------------- bytes */

/* A picture's encoded bytes, which may be the request's own. */
struct source {
    const uint8_t *bytes;
    size_t size;
    uint8_t *owned;
};

static enum vultus_status read_base64(struct vt_picture_job *job, struct source *source, struct vultus_error *error) {
    const struct vt_named_picture *named = job->named;
    if (!vt_request_hold(job->set->request, named->length / 4 * 3))
        return vt_fail(error, VULTUS_ERROR_LIMIT, "the server has no room for another picture now");
    return vt_base64_decode(named->text, named->length, &source->owned, &source->size, error);
}

static enum vultus_status read_root(struct vt_picture_job *job, struct source *source, struct vultus_error *error) {
    const struct vt_server *server = job->set->request->server;
    return vt_images_root_read(&server->images, job->named->text, job->named->length,
        (size_t)vt_setting_integer(server, VT_KEY_MAX_PICTURE_BYTES), &source->owned, &source->size, error);
}

static enum vultus_status get_bytes(struct vt_picture_job *job, struct source *source, struct vultus_error *error) {
    const struct vt_named_picture *named = job->named;
    enum vultus_status status = VULTUS_OK;
    if (named->is_no_picture) return vt_fail(error, VULTUS_ERROR_FORMAT, "the picture is a text; msgpack needs bytes");
    if (job->fetch.url) {
        if (job->fetch.status) return vt_fail(error, job->fetch.status, "%s", job->fetch.error.text);
        source->owned = job->fetch.bytes;
        source->size = job->fetch.size;
        job->fetch.bytes = NULL;
    } else if (named->is_url) {
        status = read_root(job, source, error);
    } else if (named->base64) {
        status = read_base64(job, source, error);
    } else {
        source->bytes = (const uint8_t *)named->text;
        source->size = named->length;
    }
    if (source->owned) source->bytes = source->owned;
    return status;
}

static const char name_in_errors[] = "the image";

/* Pictures that stay on a GPU may be decoded there: the search does it, with nothing but the bytes. */
static bool is_decoded_by_search(const struct vt_picture_set *set) {
    return set->each == vt_picture_search && set->request->models->info.keeps_pictures;
}

static void decode(struct vt_picture_job *job) {
    struct vultus_error error = {0};
    struct source source = {0};
    uint64_t start = vt_now_ns();
    enum vultus_status status = get_bytes(job, &source, &error);
    if (!status && is_decoded_by_search(job->set)) {
        job->bytes = source.bytes ? source.bytes : (const uint8_t *)"";
        job->size = source.size;
        job->owned_bytes = source.owned;
        return;
    }
    if (!status)
        status = vultus_picture_decode(
            job->set->request->server->runtime, source.bytes, source.size, name_in_errors, &job->picture, &error);
    free(source.owned);
    job->stages[VT_STAGE_DECODE] = vt_ms_since(start);
    if (status) vt_picture_fail(job, error.text);
}

/* ---------------------------------------------------------------- faces */

static void encode_crops(struct vt_picture_job *job) {
    struct vultus_error error;
    job->crops = calloc(job->faces->count + 1, sizeof *job->crops);
    if (!job->crops) {
        vt_picture_fail(job, "there is no memory for the faces' pictures");
        return;
    }
    for (size_t i = 0; i < job->faces->count; i++) {
        const struct vultus_picture *crop = &job->faces->faces[i].crop;
        struct vt_encoded *to = &job->crops[i];
        if (crop->pixels && vultus_picture_encode_jpeg(crop, 95, &to->bytes, &to->size, &error) < 0)
            vt_picture_fail(job, error.text);
    }
}

static int as_int(int64_t value) { return value > 1000000 ? 1000000 : value < 0 ? 0 : (int)value; }

void vt_picture_analyze(struct vt_picture_job *job, bool embeddings, bool crops, unsigned attributes) {
    struct vt_server *server = job->set->request->server;
    const struct vt_models *models = job->set->request->models;
    const struct vt_wanted *wanted = job->set->wanted;
    int most = (int)vt_setting_integer(server, VT_KEY_MAX_FACES), limit = as_int(wanted->limit_faces);
    struct vultus_analyze_options options = {
        /* 0 would be the default; every score is above this. */
        .threshold = wanted->threshold > 0 ? (float)wanted->threshold : 1e-30f,
        .robust = wanted->robust ? VULTUS_ROBUST_AUTO : VULTUS_ROBUST_OFF,
        .limit_faces = limit > 0 && limit < most ? limit : most,
        .without_embeddings = !embeddings,
        .with_crops = crops,
        .attributes = attributes & models->attributes,
        .whole_picture = true,
    };
    struct vultus_error error;
    enum vultus_status status = job->bytes
                                    ? vultus_analyze_encoded(models->pipeline, job->bytes, job->size, name_in_errors,
                                          &options, &job->faces, &error)
                                    : vultus_analyze(models->pipeline, &job->picture, &options, &job->faces, &error);
    if (status < 0) {
        vt_picture_fail(job, error.text);
        return;
    }
    const struct vultus_times *times = &job->faces->times;
    if (job->bytes) job->stages[VT_STAGE_DECODE] = times->read;
    job->stages[VT_STAGE_LETTERBOX] = times->letterbox;
    job->stages[VT_STAGE_DETECT] = times->detect;
    job->stages[VT_STAGE_BOXES] = times->decode;
    job->stages[VT_STAGE_ALIGN] = times->align;
    job->stages[VT_STAGE_EMBED] = times->embed;
    job->stages[VT_STAGE_ATTRIBUTES] = times->attributes;
    if (crops) encode_crops(job);
}

static void release_picture(struct vt_picture_job *job) {
    vultus_picture_release(&job->picture);
    free(job->owned_bytes);
    job->owned_bytes = NULL;
    job->bytes = NULL;
}

void vt_picture_search(struct vt_picture_job *job) {
    const struct vt_wanted *wanted = job->set->wanted;
    vt_picture_analyze(
        job, wanted->extract_embedding, wanted->return_face_data, vt_wanted_attributes(wanted) | wanted->attributes);
    release_picture(job);
}

/* ---------------------------------------------------------------- all of them */

void vt_picture_count(const struct vt_picture_job *job) {
    struct vt_request *request = job->set->request;
    struct vt_metrics *metrics = &request->server->metrics;
    size_t faces = job->faces ? job->faces->count : job->embedding ? 1 : 0;
    for (int s = 0; s < VT_STAGES; s++)
        if (job->stages[s] > 0) vt_request_stage(request, (enum vt_stage)s, job->stages[s]);
    request->pictures++;
    request->faces += faces;
    vt_count(metrics, VT_EVENT_PICTURES, 1);
    vt_count(metrics, VT_EVENT_PICTURES_FAILED, job->failed);
    vt_count(metrics, VT_EVENT_FACES, faces);
}

static void finish_all(struct vt_picture_set *set) {
    for (size_t i = 0; i < set->count; i++) vt_picture_count(&set->jobs[i]);
    set->all(set);
}

static void finish_one(struct vt_picture_job *job) {
    if (atomic_fetch_sub(&job->set->left, 1) == 1) finish_all(job->set);
}

static void run_job(struct vt_work *work) {
    struct vt_picture_job *job = (struct vt_picture_job *)work;
    struct vt_picture_set *set = job->set;
    if (atomic_load(&set->over) == VT_NOT_OVER) {
        int over = (int)vt_request_check(set->request);
        if (over) atomic_store(&set->over, over);
    }
    if (atomic_load(&set->over) == VT_NOT_OVER) {
        decode(job);
        if (!job->failed) set->each(job);
    }
    set->done(job);
}

static struct vt_picture_job *job_of_fetch(struct vt_fetch *fetch) {
    return (struct vt_picture_job *)((char *)fetch - offsetof(struct vt_picture_job, fetch));
}

static bool hold_fetched(struct vt_fetch *fetch, size_t bytes) {
    return vt_request_hold(job_of_fetch(fetch)->set->request, bytes);
}

static void fetched(struct vt_fetch *fetch) {
    struct vt_picture_job *job = job_of_fetch(fetch);
    struct vt_request *request = job->set->request;
    struct vt_metrics *metrics = &request->server->metrics;
    vt_count(metrics, VT_EVENT_FETCHES, 1);
    if (fetch->status) vt_count(metrics, VT_EVENT_FETCHES_FAILED, 1);
    if (fetch->refused) vt_count(metrics, VT_EVENT_FETCHES_REFUSED, 1);
    job->stages[VT_STAGE_FETCH] = vt_ms_since(request->whole_ns);
    /* The workers outlive the fetcher's thread, and whoever starts a fetch is one of them. */
    vt_workers_push(request->server->workers, &request->flow, &job->work);
}

/* Sets fetch.url where the picture has to be fetched first. */
static void prepare_fetch(struct vt_picture_job *job) {
    const struct vt_named_picture *named = job->named;
    struct vt_request *request = job->set->request;
    if (!named->is_url || named->length < 4 || memcmp(named->text, "http", 4) != 0) return;
    char *url = vt_arena_strndup(&request->arena, named->text, named->length);
    if (!url || strlen(url) != named->length) return; /* then it is looked for as a file, and not found */
    job->fetch = (struct vt_fetch){.url = url,
        .headers = job->set->wanted->headers,
        .n_headers = job->set->wanted->n_headers,
        .deadline_ns = request->deadline_ns,
        .done = fetched,
        .hold = hold_fetched};
}

struct vt_picture_set *vt_pictures_prepare(struct vt_request *request, struct vt_wanted *wanted, size_t count) {
    struct vt_picture_set *set = vt_arena_alloc(&request->arena, sizeof *set);
    struct vt_picture_job *jobs = vt_arena_alloc_array(&request->arena, count + 1, sizeof *jobs);
    if (!set || !jobs) {
        vt_request_fail(request, 500, "there is no memory for the request's pictures");
        return NULL;
    }
    *set = (struct vt_picture_set){
        .request = request, .wanted = wanted, .jobs = jobs, .count = count, .done = finish_one, .left = count};
    for (size_t i = 0; i < count; i++)
        jobs[i] = (struct vt_picture_job){.work.run = run_job, .set = set, .named = &wanted->pictures[i]};
    /* The request may be gone as soon as the last picture is on its way; the arena is this thread's until then. */
    for (size_t i = 0; i < count; i++) prepare_fetch(&jobs[i]);
    return set;
}

void vt_picture_begin(struct vt_picture_job *job) {
    struct vt_request *request = job->set->request;
    if (job->fetch.url)
        vt_fetch_start(request->server->fetcher, &job->fetch);
    else
        vt_workers_push(request->server->workers, &request->flow, &job->work);
}

bool vt_pictures_start(struct vt_request *request, struct vt_wanted *wanted, size_t count,
    void (*each)(struct vt_picture_job *), void (*all)(struct vt_picture_set *)) {
    struct vt_picture_set *set = vt_pictures_prepare(request, wanted, count);
    if (!set) return false;
    set->each = each;
    set->all = all;
    /* The set is gone when its last picture is done. */
    struct vt_picture_job *jobs = set->jobs;
    if (count == 0) finish_all(set);
    for (size_t i = 0; i < count; i++) vt_picture_begin(&jobs[i]);
    return true;
}

void vt_picture_release(struct vt_picture_job *job) {
    for (size_t f = 0; job->crops && job->faces && f < job->faces->count; f++) vultus_free(job->crops[f].bytes);
    free(job->crops);
    free(job->embedding);
    free(job->fetch.bytes);
    vultus_faces_free(job->faces);
    release_picture(job);
    free(job->failure);
    job->crops = NULL;
    job->embedding = NULL;
    job->fetch.bytes = NULL;
    job->faces = NULL;
    job->failure = NULL;
}

void vt_pictures_release(struct vt_picture_set *set) {
    for (size_t i = 0; i < set->count; i++) vt_picture_release(&set->jobs[i]);
}
