/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#define JPEG_QUALITY 95

static enum vultus_status write_grid(const struct vultus_faces *faces, const char *path, struct vultus_error *error) {
    struct vultus_picture sheet;
    enum vultus_status status = vultus_contact_sheet(faces->faces, faces->count, &sheet, error);
    if (status < 0) return status;
    status = vultus_picture_write_jpeg(&sheet, JPEG_QUALITY, path, error);
    vultus_picture_release(&sheet);
    return status;
}

static enum vultus_status draw_photo(
    struct vt_cli_pipeline *models, const struct vt_options *options, struct vultus_error *error) {
    struct vultus_picture picture = {0};
    struct vultus_faces *faces = NULL;
    struct vultus_analyze_options analyze = vt_cli_analyze_options(options);
    analyze.without_embeddings = true;
    analyze.with_crops = options->grid != NULL;
    enum vultus_status status = vultus_picture_read(models->runtime, options->operands[0], &picture, error);
    if (status == VULTUS_OK) status = vultus_analyze(models->pipeline, &picture, &analyze, &faces, error);
    if (status == VULTUS_OK && options->grid) status = write_grid(faces, options->grid, error);
    if (status == VULTUS_OK && options->output) {
        vultus_draw(&picture, faces->faces, faces->count, NULL);
        status = vultus_picture_write_jpeg(&picture, JPEG_QUALITY, options->output, error);
    }
    if (status == VULTUS_OK)
        printf("%s: %dx%d, %zu face%s\n", options->output ? options->output : options->grid, picture.width,
            picture.height, faces->count, faces->count == 1 ? "" : "s");
    vultus_faces_free(faces);
    vultus_picture_release(&picture);
    return status;
}

int vt_cli_draw(const struct vt_options *options) {
    struct vt_cli_pipeline models;
    struct vultus_error error;
    if (!vt_cli_pipeline_open(options, false, &models)) return VT_EXIT_FAILURE;
    int code = draw_photo(&models, options, &error) < 0 ? vt_cli_fail(&error) : VT_EXIT_OK;
    vt_cli_pipeline_close(&models);
    return code;
}
