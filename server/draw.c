/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "answers.h"
#include "body.h"
#include "pictures.h"
#include "server_internal.h"
#include "upload.h"

enum { JPEG_QUALITY = 95 };

static void search(struct vt_picture_job *job) { vt_picture_analyze(job, false, false, 0); }

/* Faces that are wide enough, moved to the front; returns how many. */
static size_t keep_wide(struct vultus_faces *faces, int64_t least) {
    size_t n = 0;
    for (size_t i = 0; i < faces->count; i++)
        if (least <= 0 || faces->faces[i].box[2] - faces->faces[i].box[0] >= (float)least)
            faces->faces[n++] = faces->faces[i];
    return n;
}

static void draw(struct vt_picture_set *set, struct vt_picture_job *job) {
    struct vt_request *request = set->request;
    const struct vt_wanted *wanted = set->wanted;
    char footer[128];
    size_t count = keep_wide(job->faces, wanted->min_face_size), size;
    snprintf(footer, sizeof footer, "faces: %zu (%.64s)", count, request->models->info.detector);
    vultus_draw(&job->picture, job->faces->faces, count,
        &(struct vultus_draw_options){.without_landmarks = !wanted->draw_landmarks,
            .without_scores = !wanted->draw_scores,
            .without_sizes = !wanted->draw_sizes,
            .footer = footer});
    uint8_t *bytes;
    struct vultus_error error;
    if (vultus_picture_encode_jpeg(&job->picture, JPEG_QUALITY, &bytes, &size, &error) < 0) {
        vt_request_fail_status(request, &error);
        return;
    }
    vt_strbuf_append(&request->response.body, (const char *)bytes, size);
    vultus_free(bytes);
    vt_request_answer(request, 200, "image/jpeg");
}

static void answer(struct vt_picture_set *set) {
    struct vt_request *request = set->request;
    int over = atomic_load(&set->over);
    if (over)
        vt_request_give_up(request, (enum vt_over)over);
    else if (set->count == 0)
        vt_request_fail(request, 500, "the request has no image to draw into");
    else if (set->jobs[0].failed)
        vt_request_fail(request, 500, "%s", set->jobs[0].failure ? set->jobs[0].failure : "the image cannot be read");
    else
        draw(set, &set->jobs[0]);
    vt_pictures_release(set);
    vt_request_finish(request);
}

void vt_answer_draw(struct vt_request *request) {
    struct vt_wanted *wanted = vt_body_read(request);
    bool started = wanted && vt_pictures_start(request, wanted, wanted->count > 0, search, answer);
    if (!started) vt_request_finish(request);
}

/* ---------------------------------------------------------------- forms */

void vt_answer_draw_form(struct vt_request *request) {
    struct vt_wanted *wanted = vt_upload_read(request, (const char *const[]){"file"}, 1);
    bool started = wanted && vt_pictures_start(request, wanted, 1, search, answer);
    if (!started) vt_request_finish(request);
}
