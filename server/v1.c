/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "answers.h"
#include "body.h"
#include "emit.h"
#include "extract.h"
#include "pictures.h"
#include "server_internal.h"
#include "stream.h"
#include "upload.h"

/* Cosine of one person where nobody measured the recogniser's own; as `vultus match`. */
static const float usual_threshold = 0.28f;

static bool has_type(const struct vt_request *request, const char *prefix) {
    return request->content_type && strncasecmp(request->content_type, prefix, strlen(prefix)) == 0;
}

/* ---------------------------------------------------------------- /v1/extract, /v1/embed */

/* Pictures that are the body, uploaded in fields `file`, or named as for /extract. NULL: the answer is set. */
static struct vt_wanted *read_pictures(struct vt_request *request) {
    struct vt_wanted *wanted;
    if (has_type(request, "image/") || has_type(request, "application/octet-stream"))
        wanted = vt_upload_read_raw(request);
    else if (has_type(request, "multipart/form-data"))
        wanted = vt_upload_read_all(request, "file");
    else
        wanted = vt_body_read(request);
    return wanted && vt_query_read(request, wanted) ? wanted : NULL;
}

/* Line by line where the client takes that; `wanted` NULL: the answer is set. */
static void begin(struct vt_request *request, struct vt_wanted *wanted, bool has_lines) {
    bool streamed = request->accepts_ndjson && has_lines;
    bool started = wanted && (streamed ? vt_stream_start(request, wanted) : vt_extract_start(request, wanted));
    if (!started) vt_request_finish(request);
}

void vt_answer_v1_extract(struct vt_request *request) {
    struct vt_wanted *wanted = read_pictures(request);
    begin(request, wanted, wanted && !wanted->embed_only);
}

void vt_answer_v1_embed(struct vt_request *request) {
    struct vt_wanted *wanted = read_pictures(request);
    if (wanted) wanted->embed_only = wanted->plain_embeddings = true;
    begin(request, wanted, true);
}

/* ---------------------------------------------------------------- /v1/match */

static void search(struct vt_picture_job *job) {
    vt_picture_analyze(job, true, false, 0);
    vultus_picture_release(&job->picture);
}

/* The largest face that has an embedding, or NULL. */
static const struct vultus_face *main_face(const struct vt_picture_job *job) {
    const struct vultus_face *best = NULL;
    double most = -1;
    for (size_t i = 0; i < job->faces->count; i++) {
        const struct vultus_face *face = &job->faces->faces[i];
        double area = (double)(face->box[2] - face->box[0]) * (double)(face->box[3] - face->box[1]);
        if (!face->embedding || area <= most) continue;
        best = face;
        most = area;
    }
    return best;
}

static void write_face(struct vt_emitter *out, const char *name, const struct vultus_face *face) {
    vt_emit_key(out, name);
    vt_emit_map(out, 3);
    vt_emit_key(out, "bbox");
    vt_emit_floats(out, face->box, 4);
    vt_emit_key(out, "prob");
    vt_emit_number(out, face->score);
    vt_emit_key(out, "norm");
    vt_emit_number(out, face->norm);
    vt_emit_map_end(out);
}

static void write_verdict(struct vt_request *request, const struct vultus_face *faces[2], int dimension) {
    struct vt_emitter out = {.msgpack = request->accepts_msgpack, .out = &request->response.body};
    float cosine = vultus_cosine(faces[0]->embedding, faces[1]->embedding, dimension);
    float measured = vultus_pipeline_match_threshold(request->models->pipeline);
    float threshold = measured > 0 ? measured : usual_threshold;
    vt_emit_map(&out, 5);
    vt_emit_key(&out, "cosine");
    vt_emit_number(&out, cosine);
    vt_emit_key(&out, "threshold");
    vt_emit_number(&out, threshold);
    vt_emit_key(&out, "verdict");
    vt_emit_text(&out, cosine >= threshold ? "same" : "different");
    write_face(&out, "a", faces[0]);
    write_face(&out, "b", faces[1]);
    vt_emit_map_end(&out);
    vt_request_answer(request, 200, request->accepts_msgpack ? "application/x-msgpack" : "application/json");
}

static void answer_match(struct vt_picture_set *set) {
    struct vt_request *request = set->request;
    const struct vultus_face *faces[2] = {NULL, NULL};
    int over = atomic_load(&set->over);
    if (over) vt_request_give_up(request, (enum vt_over)over);
    for (int i = 0; !over && i < 2; i++) {
        const struct vt_picture_job *job = &set->jobs[i];
        if (job->failed)
            vt_request_fail(request, 422, "picture %c: %s", 'a' + i, job->failure ? job->failure : "it cannot be read");
        else if (!(faces[i] = main_face(job)))
            vt_request_fail(request, 422, "picture %c: there is no face in it", 'a' + i);
    }
    if (!request->response.status) write_verdict(request, faces, set->jobs[0].faces->dimension);
    vt_pictures_release(set);
    vt_request_finish(request);
}

void vt_answer_v1_match(struct vt_request *request) {
    struct vt_wanted *wanted = vt_upload_read(request, (const char *const[]){"a", "b"}, 2);
    if (!wanted || !vt_query_read(request, wanted) || !vt_pictures_start(request, wanted, 2, search, answer_match))
        vt_request_finish(request);
}
