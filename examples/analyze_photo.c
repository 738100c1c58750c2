/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the faces of a photo and prints where they are and how their embeddings begin. */
#include <stdio.h>
#include <vultus/vultus.h>

static void print_faces(const struct vultus_faces *faces) {
    for (size_t i = 0; i < faces->count; i++) {
        const struct vultus_face *face = &faces->faces[i];
        printf("face %zu: score %.3f, from (%.0f, %.0f) to (%.0f, %.0f)", i, face->score, face->box[0], face->box[1],
            face->box[2], face->box[3]);
        if (face->embedding)
            printf(", embedding %.4f %.4f %.4f ... of %d values", face->embedding[0], face->embedding[1],
                face->embedding[2], faces->dimension);
        putchar('\n');
    }
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
    struct vultus_faces *faces = NULL;
    struct vultus_error error;
    int code = 1;
    if (vultus_runtime_create(NULL, &runtime, &error) < 0) goto done;
    if (vultus_pipeline_open(runtime, &models, &pipeline, &error) < 0) goto done;
    if (vultus_picture_read(runtime, argv[3], &picture, &error) < 0) goto done;
    if (vultus_analyze(pipeline, &picture, NULL, &faces, &error) < 0) goto done;
    printf("%s: %d x %d pixels, %zu faces\n", argv[3], picture.width, picture.height, faces->count);
    print_faces(faces);
    code = 0;
done:
    if (code) fprintf(stderr, "%s\n", error.text);
    vultus_faces_free(faces);
    vultus_picture_release(&picture);
    vultus_pipeline_close(pipeline);
    vultus_runtime_destroy(runtime);
    return code;
}
