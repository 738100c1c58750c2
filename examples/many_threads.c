/* SPDX-License-Identifier: Apache-2.0 */
/* One pipeline, many threads: each analyses the photo, and all must get the same bytes. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <vultus/vultus.h>

#define THREADS 4
#define ROUNDS 3

struct worker {
    pthread_t thread;
    struct vultus_pipeline *pipeline;
    const struct vultus_picture *picture;
    struct vultus_faces *faces; /* of the last round */
    enum vultus_status status;
    struct vultus_error error;
};

static void *work(void *context) {
    struct worker *worker = context;
    for (int round = 0; round < ROUNDS && worker->status == VULTUS_OK; round++) {
        vultus_faces_free(worker->faces);
        worker->faces = NULL;
        worker->status = vultus_analyze(worker->pipeline, worker->picture, NULL, &worker->faces, &worker->error);
    }
    return NULL;
}

static int same_faces(const struct vultus_faces *a, const struct vultus_faces *b) {
    if (a->count != b->count || a->dimension != b->dimension) return 0;
    for (size_t i = 0; i < a->count; i++) {
        const struct vultus_face *x = &a->faces[i], *y = &b->faces[i];
        if (memcmp(x->box, y->box, sizeof x->box) != 0 || !x->embedding != !y->embedding) return 0;
        if (x->embedding && memcmp(x->embedding, y->embedding, sizeof(float) * (size_t)a->dimension) != 0) return 0;
    }
    return 1;
}

static int run_workers(
    struct vultus_pipeline *pipeline, const struct vultus_picture *picture, struct vultus_error *error) {
    struct worker workers[THREADS];
    int started = 0, fine = 1;
    for (; started < THREADS; started++) {
        workers[started] = (struct worker){.pipeline = pipeline, .picture = picture};
        if (pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0) break;
    }
    for (int i = 0; i < started; i++) pthread_join(workers[i].thread, NULL);
    for (int i = 0; fine && i < started; i++) {
        fine = workers[i].status == VULTUS_OK && same_faces(workers[0].faces, workers[i].faces);
        if (workers[i].status < 0)
            *error = workers[i].error;
        else if (!fine)
            snprintf(error->text, sizeof error->text, "thread %d got other faces than thread 0", i);
    }
    if (fine && started) printf("%d threads found the same %zu faces\n", started, workers[0].faces->count);
    for (int i = 0; i < started; i++) vultus_faces_free(workers[i].faces);
    return fine && started == THREADS ? 0 : -1;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s DETECTOR RECOGNISER PHOTO\n", argv[0]);
        return 2;
    }
    struct vultus_pipeline_options models = {.detector = argv[1], .recogniser = argv[2]};
    struct vultus_runtime *runtime = NULL;
    struct vultus_pipeline *pipeline = NULL;
    struct vultus_picture picture = {0};
    struct vultus_error error = {.text = "a thread could not be started"};
    int code = 1;
    if (vultus_runtime_create(NULL, &runtime, &error) < 0) goto done;
    if (vultus_pipeline_open(runtime, &models, &pipeline, &error) < 0) goto done;
    if (vultus_picture_read(runtime, argv[3], &picture, &error) < 0) goto done;
    code = run_workers(pipeline, &picture, &error) < 0;
done:
    if (code) fprintf(stderr, "%s\n", error.text);
    vultus_picture_release(&picture);
    vultus_pipeline_close(pipeline);
    vultus_runtime_destroy(runtime);
    return code;
}
