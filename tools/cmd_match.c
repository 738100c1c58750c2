/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/json.h"
#include "base/status.h"
#include "common.h"

#define JPEG_QUALITY 95
#define PAIR_MARGIN 8
#define PAIR_FOOTER 28
#define UNMEASURED_THRESHOLD 0.28f /* mobilefacenet's, for recognisers that nobody measured */

struct side {
    const char *file;
    struct vultus_faces *faces;
    const struct vultus_face *face; /* the largest */
};

static enum vultus_status find_face(const struct vt_cli_pipeline *models, const struct vt_options *options,
    const struct vultus_analyze_options *analyze, struct side *side, struct vultus_error *error) {
    double read_ms;
    enum vultus_status status =
        vt_cli_analyze_file(models, options, side->file, analyze, &side->faces, &read_ms, error);
    if (status < 0) return status;
    if (side->faces->count == 0)
        return vt_fail(
            error, VULTUS_ERROR_NOT_FOUND, "there is no face in %s (a lower --det-threshold may find one)", side->file);
    side->face = &side->faces->faces[0];
    if (!side->face->embedding)
        return vt_fail(error, VULTUS_ERROR_INVALID, "the face in %s has no embedding: %s", side->file,
            side->face->failure ? side->face->failure : "the recogniser gave none");
    return VULTUS_OK;
}

static enum vultus_status save_pair(
    const struct side sides[2], const char *verdict, const char *path, struct vultus_error *error) {
    const struct vultus_picture *a = &sides[0].face->crop, *b = &sides[1].face->crop;
    int height = a->height > b->height ? a->height : b->height;
    struct vultus_picture pair;
    enum vultus_status status = vultus_picture_create(
        a->width + b->width + 3 * PAIR_MARGIN, height + 2 * PAIR_MARGIN + PAIR_FOOTER, &pair, error);
    if (status < 0) return status;
    vultus_picture_paste(a, &pair, PAIR_MARGIN, PAIR_MARGIN);
    vultus_picture_paste(b, &pair, a->width + 2 * PAIR_MARGIN, PAIR_MARGIN);
    struct vultus_draw_options draw = {.footer = verdict};
    vultus_draw(&pair, NULL, 0, &draw);
    status = vultus_picture_write_jpeg(&pair, JPEG_QUALITY, path, error);
    vultus_picture_release(&pair);
    return status;
}

static json_t *side_record(const struct side *side, int dimension) {
    json_t *record = json_pack("{s:o}", "file", vt_json_text(side->file));
    json_t *face = vt_cli_json_face(side->face, dimension);
    int failed = !record || !face || json_object_update(record, face) < 0;
    json_decref(face);
    if (!failed) return record;
    json_decref(record);
    return NULL;
}

static enum vultus_status report(
    const struct side sides[2], float threshold, const struct vt_options *options, struct vultus_error *error) {
    int dimension = sides[0].faces->dimension;
    float cosine = vultus_cosine(sides[0].face->embedding, sides[1].face->embedding, dimension);
    bool same = cosine >= threshold;
    char verdict[64];
    snprintf(
        verdict, sizeof verdict, "%s: cosine %.3f, threshold %.2f", same ? "same" : "different", cosine, threshold);
    if (options->save) {
        enum vultus_status status = save_pair(sides, verdict, options->save, error);
        if (status < 0) return status;
    }
    if (!options->json) {
        printf("%s\n", verdict);
        return VULTUS_OK;
    }
    json_t *record = json_pack("{s:o, s:b, s:o, s:[o, o]}", "cosine", vt_cli_json_float(cosine), "same", same,
        "threshold", vt_cli_json_float(threshold), "faces", side_record(&sides[0], dimension),
        side_record(&sides[1], dimension));
    if (vt_cli_json_print(record, false)) {
        putchar('\n');
        return VULTUS_OK;
    }
    return vt_fail_memory(error, "the record", 0);
}

/* What was asked for, else what was measured for the recogniser. */
static float threshold_of(const struct vt_options *options, const struct vultus_pipeline *pipeline) {
    if (!isnan(options->match_threshold)) return (float)options->match_threshold;
    float measured = vultus_pipeline_match_threshold(pipeline);
    return measured > 0 ? measured : UNMEASURED_THRESHOLD;
}

int vt_cli_match(const struct vt_options *options) {
    struct vt_cli_pipeline models;
    struct vultus_error error;
    struct side sides[2] = {{.file = options->operands[0]}, {.file = options->operands[1]}};
    if (!vt_cli_pipeline_open(options, true, &models)) return VT_EXIT_FAILURE;
    struct vultus_analyze_options analyze = vt_cli_analyze_options(options);
    analyze.limit_faces = 1;
    analyze.with_crops = options->save != NULL;
    enum vultus_status status = VULTUS_OK;
    for (int i = 0; status == VULTUS_OK && i < 2; i++)
        status = find_face(&models, options, &analyze, &sides[i], &error);
    if (status == VULTUS_OK) status = report(sides, threshold_of(options, models.pipeline), options, &error);
    int code = status < 0 ? vt_cli_fail(&error) : VT_EXIT_OK;
    for (int i = 0; i < 2; i++) { vultus_faces_free(sides[i].faces); }
    vt_cli_pipeline_close(&models);
    return code;
}
