/* SPDX-License-Identifier: Apache-2.0 */
/* Embeds two aligned crops in one batch and prints how alike they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vultus/vultus.h>

/* Reads a picture of exactly the recogniser's size into dense BGR. */
static int read_crop(struct vultus_runtime *runtime, const char *path, int width, int height, uint8_t *crop,
    struct vultus_error *error) {
    struct vultus_picture picture;
    if (vultus_picture_read(runtime, path, &picture, error) < 0) return -1;
    int fits = picture.width == width && picture.height == height;
    size_t row = (size_t)width * 3;
    for (int y = 0; fits && y < height; y++)
        memcpy(crop + (size_t)y * row, picture.pixels + (size_t)y * picture.stride, row);
    if (!fits)
        snprintf(error->text, sizeof error->text, "%.200s is %dx%d, wanted %dx%d", path, picture.width, picture.height,
            width, height);
    vultus_picture_release(&picture);
    return fits ? 0 : -1;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s RECOGNISER CROP CROP\n", argv[0]);
        return 2;
    }
    struct vultus_runtime *runtime = NULL;
    struct vultus_embedder *embedder = NULL;
    struct vultus_error error = {.text = "out of memory"};
    uint8_t *crops = NULL;
    float *embeddings = NULL, norms[2];
    int code = 1, width, height, dimension;
    if (vultus_runtime_create(NULL, &runtime, &error) < 0) goto done;
    if (vultus_embedder_open(runtime, argv[1], NULL, &embedder, &error) < 0) goto done;
    vultus_embedder_input_size(embedder, &width, &height);
    dimension = vultus_embedder_dimension(embedder);
    size_t crop_bytes = (size_t)width * (size_t)height * 3;
    crops = malloc(2 * crop_bytes);
    embeddings = malloc(2 * sizeof(float) * (size_t)dimension);
    if (!crops || !embeddings) goto done;
    if (read_crop(runtime, argv[2], width, height, crops, &error) < 0) goto done;
    if (read_crop(runtime, argv[3], width, height, crops + crop_bytes, &error) < 0) goto done;
    if (vultus_embed(embedder, crops, 2, embeddings, norms, &error) < 0) goto done;
    printf("norms %.3f and %.3f, cosine %.4f\n", norms[0], norms[1],
        vultus_cosine(embeddings, embeddings + dimension, dimension));
    code = 0;
done:
    if (code) fprintf(stderr, "%s\n", error.text);
    free(crops);
    free(embeddings);
    vultus_embedder_close(embedder);
    vultus_runtime_destroy(runtime);
    return code;
}
