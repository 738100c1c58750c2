/* SPDX-License-Identifier: Apache-2.0
 * Times the whole path, encoded photo to embeddings, stage by stage, on the public API.
 *
 * usage: bench_pipeline DETECTOR RECOGNISER PHOTO... [--threads N] [--repeat N]
 * Prints one JSON object per photo, medians in milliseconds, with the keys of the Python peer (bench/pipeline.py).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "vultus/vultus.h"

#define MOST_REPEATS 1000
enum { DECODE, LETTERBOX, DETECT, NMS, CROP, EMBED, TOTAL, STAGES };
static const char *const stage_names[STAGES] = {"decode", "resize", "detect", "nms", "crop", "embed", "total"};

static void give_up(const struct vultus_error *error) {
    fprintf(stderr, "bench_pipeline: %s\n", error->text);
    exit(1);
}

static size_t once(struct vultus_runtime *runtime, struct vultus_pipeline *pipeline, const void *bytes, size_t size,
    double ms[STAGES]) {
    struct vultus_error error;
    struct vultus_picture picture;
    struct vultus_faces *faces;
    double start = now_ms();
    if (vultus_picture_decode(runtime, bytes, size, NULL, &picture, &error)) give_up(&error);
    double decoded = now_ms();
    if (vultus_analyze(pipeline, &picture, NULL, &faces, &error)) give_up(&error);
    ms[TOTAL] = now_ms() - start;
    ms[DECODE] = decoded - start;
    ms[LETTERBOX] = faces->times.letterbox;
    ms[DETECT] = faces->times.detect;
    ms[NMS] = faces->times.decode;
    ms[CROP] = faces->times.align;
    ms[EMBED] = faces->times.embed;
    size_t count = faces->count;
    vultus_faces_free(faces);
    vultus_picture_release(&picture);
    return count;
}

static void bench_photo(
    struct vultus_runtime *runtime, struct vultus_pipeline *pipeline, const char *path, int repeats) {
    static double samples[STAGES][MOST_REPEATS];
    size_t size = 0, faces = 0;
    void *bytes = read_all(path, &size);
    if (!bytes) {
        fprintf(stderr, "bench_pipeline: cannot read %s\n", path);
        exit(1);
    }
    for (int r = -1; r < repeats; r++) { /* the first round warms up */
        double ms[STAGES];
        faces = once(runtime, pipeline, bytes, size, ms);
        for (int s = 0; r >= 0 && s < STAGES; s++) samples[s][r] = ms[s];
    }
    const char *slash = strrchr(path, '/');
    printf("{\"picture\": \"%s\", \"faces\": %zu", slash ? slash + 1 : path, faces);
    for (int s = 0; s < STAGES; s++) {
        qsort(samples[s], (size_t)repeats, sizeof(double), ascending);
        printf(", \"%s\": %.3f", stage_names[s], samples[s][repeats / 2]);
    }
    printf("}\n");
    fflush(stdout);
    free(bytes);
}

int main(int argc, char **argv) {
    struct vultus_runtime_options runtime_options = {0};
    const char *paths[64];
    int n_paths = 0, repeats = 20;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            runtime_options.threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--repeat") == 0 && i + 1 < argc)
            repeats = atoi(argv[++i]);
        else if (n_paths < 64)
            paths[n_paths++] = argv[i];
    }
    if (n_paths < 3 || repeats < 1 || repeats > MOST_REPEATS) {
        fprintf(stderr, "usage: bench_pipeline DETECTOR RECOGNISER PHOTO... [--threads N] [--repeat 1..%d]\n",
            MOST_REPEATS);
        return 2;
    }
    struct vultus_error error;
    struct vultus_runtime *runtime;
    struct vultus_pipeline *pipeline;
    struct vultus_pipeline_options options = {.detector = paths[0], .recogniser = paths[1]};
    if (vultus_runtime_create(&runtime_options, &runtime, &error) ||
        vultus_pipeline_open(runtime, &options, &pipeline, &error))
        give_up(&error);
    for (int i = 2; i < n_paths; i++) bench_photo(runtime, pipeline, paths[i], repeats);
    vultus_pipeline_close(pipeline);
    vultus_runtime_destroy(runtime);
    return 0;
}
