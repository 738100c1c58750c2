/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "common.h"
#include "tensor/npy.h"

#define CROPS_AT_ONCE 32

/* Crops are read and embedded a batch at a time; records come in the order of the operands. */
struct embedding {
    struct vultus_runtime *runtime;
    struct vultus_embedder *embedder;
    int width, height, dimension;
    size_t crop_bytes;
    uint8_t *crops;    /* [CROPS_AT_ONCE][height][width][3] */
    float *embeddings; /* [CROPS_AT_ONCE][dimension] */
    struct vt_cli_records records;
    size_t failures;
};

static enum vultus_status check_size(
    const struct embedding *e, const char *file, int64_t width, int64_t height, struct vultus_error *error) {
    if (width == e->width && height == e->height) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_INVALID, "%s is %lldx%lld, the recogniser takes crops of %dx%d", file,
        (long long)width, (long long)height, e->width, e->height);
}

static enum vultus_status read_npy_crop(
    const struct embedding *e, const char *file, uint8_t *crop, struct vultus_error *error) {
    struct vt_arena arena;
    struct vt_tensor tensor;
    vt_arena_init(&arena, 0);
    enum vultus_status status = vt_npy_read(file, &arena, &tensor, error);
    if (status == VULTUS_OK && (tensor.dtype != VT_DTYPE_U8 || tensor.rank != 3 || tensor.dims[2] != 3)) {
        char have[256];
        status = vt_fail(error, VULTUS_ERROR_INVALID, "%s holds %s; a crop is uint8[height,width,3] in BGR", file,
            vt_tensor_describe(&tensor, have, sizeof have));
    }
    if (status == VULTUS_OK) status = check_size(e, file, tensor.dims[1], tensor.dims[0], error);
    if (status == VULTUS_OK) memcpy(crop, tensor.data, e->crop_bytes);
    vt_arena_fini(&arena);
    return status;
}

static enum vultus_status read_crop(
    const struct embedding *e, const char *file, uint8_t *crop, struct vultus_error *error) {
    const char *dot = strrchr(file, '.');
    if (dot && strcmp(dot, ".npy") == 0) return read_npy_crop(e, file, crop, error);
    struct vultus_picture picture;
    enum vultus_status status = vultus_picture_read(e->runtime, file, &picture, error);
    if (status < 0) return status;
    status = check_size(e, file, picture.width, picture.height, error);
    size_t row = (size_t)e->width * 3;
    for (int y = 0; status == VULTUS_OK && y < e->height; y++)
        memcpy(crop + (size_t)y * row, picture.pixels + (size_t)y * picture.stride, row);
    vultus_picture_release(&picture);
    return status;
}

static json_t *make_record(const struct embedding *e, const char *file, float norm, const float *embedding) {
    return json_pack("{s:o, s:o, s:o}", "file", vt_json_text(file), "norm", vt_cli_json_float(norm), "embedding",
        vt_cli_json_floats(embedding, (size_t)e->dimension));
}

static enum vultus_status embed_batch(
    struct embedding *e, char *const *files, size_t count, struct vultus_error *error) {
    struct vultus_error *why = calloc(count, sizeof *why); /* status 0: crop read */
    float norms[CROPS_AT_ONCE];
    size_t readable = 0, next = 0;
    if (!why) return vt_fail_memory(error, "error sentences", count * sizeof *why);
    for (size_t i = 0; i < count; i++)
        if (read_crop(e, files[i], e->crops + readable * e->crop_bytes, &why[i]) == VULTUS_OK) readable++;
    enum vultus_status status = VULTUS_OK;
    if (readable) status = vultus_embed(e->embedder, e->crops, readable, e->embeddings, norms, error);
    for (size_t i = 0; status == VULTUS_OK && i < count; i++) {
        bool failed = why[i].status < 0, records = vt_cli_records_wanted(&e->records);
        const float *embedding = e->embeddings + next * (size_t)e->dimension;
        if (failed && (!records || e->failures == 0)) vt_cli_fail(&why[i]);
        if (!records && !failed) printf("%s: norm %.3f, %d values\n", files[i], norms[next], e->dimension);
        if (records && !vt_cli_records_add(&e->records, failed ? vt_cli_json_error(files[i], why[i].text)
                                                               : make_record(e, files[i], norms[next], embedding)))
            status = vt_fail_memory(error, "a record", 0);
        e->failures += failed;
        next += !failed;
    }
    free(why);
    return status;
}

static int embed_files(struct embedding *e, const struct vt_options *options, const struct vt_file_list *files) {
    struct vultus_error error;
    enum vultus_status status = VULTUS_OK;
    e->dimension = vultus_embedder_dimension(e->embedder);
    vultus_embedder_input_size(e->embedder, &e->width, &e->height);
    e->crop_bytes = (size_t)e->width * e->height * 3;
    e->crops = malloc(CROPS_AT_ONCE * e->crop_bytes);
    e->embeddings = malloc(CROPS_AT_ONCE * sizeof(float) * e->dimension);
    if (!e->crops || !e->embeddings) return vt_cli_fail_memory();
    vt_cli_records_begin(&e->records, options);
    for (size_t i = 0; status == VULTUS_OK && i < files->count; i += CROPS_AT_ONCE) {
        size_t left = files->count - i;
        status = embed_batch(e, files->paths + i, left < CROPS_AT_ONCE ? left : CROPS_AT_ONCE, &error);
    }
    vt_cli_records_end(&e->records);
    if (status < 0) return vt_cli_fail(&error);
    if (e->failures && files->count > 1) vt_cli_say("%zu of %zu crops failed", e->failures, files->count);
    return e->failures ? VT_EXIT_FAILURE : VT_EXIT_OK;
}

int vt_cli_embed(const struct vt_options *options) {
    struct embedding e = {0};
    struct vt_cli_progress progress = {0};
    struct vt_file_list files = {0};
    struct vultus_error error;
    int code = VT_EXIT_FAILURE;
    char *model = NULL;
    if (!vt_file_list_expand(options, &files)) goto done;
    model = vt_cli_resolve(options, vt_cli_model(VT_SETTING_RECOGNISER, options->rec), "arcface");
    if (!model) goto done;
    if (!(e.runtime = vt_cli_runtime(options))) goto done;
    struct vultus_build_options build = vt_cli_build_options(options, model, &progress);
    enum vultus_status status = vultus_embedder_open(e.runtime, model, &build, &e.embedder, &error);
    vt_cli_progress_end(&progress);
    code = status < 0 ? vt_cli_fail(&error) : embed_files(&e, options, &files);
done:
    vultus_embedder_close(e.embedder);
    vultus_runtime_destroy(e.runtime);
    vt_file_list_fini(&files);
    free(e.crops);
    free(e.embeddings);
    free(model);
    return code;
}
