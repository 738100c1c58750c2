/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "common.h"
#include "tensor/npy.h"

#define JPEG_QUALITY 95

enum stage { READ, LETTERBOX, DETECT, DECODE, ALIGN, EMBED, TOTAL, N_STAGES };
static const char *const stage_names[N_STAGES] = {"read", "letterbox", "detect", "decode", "align", "embed", "total"};

struct extraction {
    const struct vt_options *options;
    struct vultus_analyze_options analyze;
    struct vt_cli_pipeline models;
    struct vt_cli_records records;
    struct vt_file_list stems; /* of crop files already written, by which equal names are told apart */
    double times[N_STAGES];    /* of the latest photo, milliseconds */
    size_t failures;
};

/* ---------------------------------------------------------------- output */

static void print_face(const struct vultus_face *face, size_t i, bool landmarks) {
    printf("  %zu: score %.3f, box %.1f %.1f %.1f %.1f, %.0fx%.0f", i, face->score, face->box[0], face->box[1],
        face->box[2], face->box[3], face->box[2] - face->box[0], face->box[3] - face->box[1]);
    if (face->pass == VULTUS_PASS_MARGIN) fputs(", margin pass", stdout);
    if (face->embedding) printf(", norm %.2f", face->norm);
    if (face->failure) printf(", no embedding: %s", face->failure);
    if (landmarks)
        for (int k = 0; k < VULTUS_LANDMARKS; k++)
            printf("%s%.1f,%.1f", k ? " " : ", landmarks ", face->landmarks[k][0], face->landmarks[k][1]);
    putchar('\n');
}

static void print_text(const struct extraction *e, const char *file, const struct vultus_faces *faces) {
    printf("%s: %dx%d, %zu face%s\n", file, faces->width, faces->height, faces->count, faces->count == 1 ? "" : "s");
    for (size_t i = 0; i < faces->count; i++) print_face(&faces->faces[i], i, e->options->landmarks);
    for (int s = 0; e->options->times && s < N_STAGES; s++)
        printf("%s%s %.2f%s", s ? ", " : "  ms: ", stage_names[s], e->times[s], s + 1 < N_STAGES ? "" : "\n");
    fflush(stdout);
}

static json_t *make_record(const struct extraction *e, const char *file, const struct vultus_faces *faces) {
    json_t *list = json_array();
    for (size_t i = 0; i < faces->count; i++)
        if (json_array_append_new(list, vt_cli_json_face(&faces->faces[i], faces->dimension)) < 0) {
            json_decref(list);
            return NULL;
        }
    json_t *record = json_pack("{s:o, s:i, s:i, s:o}", "file", vt_json_text(file), "width", faces->width, "height",
        faces->height, "faces", list);
    if (!e->options->times || !record) return record;
    json_t *times = json_object();
    int failed = json_object_set_new(record, "times", times);
    for (int s = 0; !failed && s < N_STAGES; s++)
        failed = json_object_set_new(times, stage_names[s], vt_cli_json_rounded(e->times[s], 3));
    if (!failed) return record;
    json_decref(record);
    return NULL;
}

/* ---------------------------------------------------------------- crops */

static bool is_taken(const struct vt_file_list *stems, const char *stem) {
    for (size_t i = 0; i < stems->count; i++)
        if (strcmp(stems->paths[i], stem) == 0) return true;
    return false;
}

/* "photo", or "photo-2" when another folder's photo took that name. Belongs to e->stems; NULL when out of memory. */
static const char *unique_stem(struct extraction *e, const char *file) {
    char *stem = strcmp(file, "-") == 0 ? strdup("stdin") : vt_path_stem(file), *name = NULL;
    for (int n = 1; stem && !name; n++) {
        if (asprintf(&name, n == 1 ? "%s" : "%s-%d", stem, n) < 0) {
            name = NULL;
            break;
        }
        if (is_taken(&e->stems, name)) {
            free(name);
            name = NULL;
        }
    }
    free(stem);
    return name && vt_file_list_append(&e->stems, name) ? name : NULL;
}

static enum vultus_status write_crop(
    const struct vultus_picture *crop, const char *path, bool lossless, struct vultus_error *error) {
    if (!lossless) return vultus_picture_write_jpeg(crop, JPEG_QUALITY, path, error);
    struct vt_arena arena;
    struct vt_tensor tensor;
    vt_arena_init(&arena, 0);
    enum vultus_status status =
        vt_tensor_alloc(&arena, VT_DTYPE_U8, 3, (int64_t[]){crop->height, crop->width, 3}, &tensor, error);
    if (status == VULTUS_OK) {
        size_t row = (size_t)crop->width * 3;
        for (int y = 0; y < crop->height; y++)
            memcpy((uint8_t *)tensor.data + (size_t)y * row, crop->pixels + (size_t)y * crop->stride, row);
        status = vt_npy_write(path, &tensor, error);
    }
    vt_arena_fini(&arena);
    return status;
}

static enum vultus_status write_crops(
    struct extraction *e, const char *file, const struct vultus_faces *faces, struct vultus_error *error) {
    bool lossless = e->options->crop_format && strcmp(e->options->crop_format, "npy") == 0;
    const char *stem = unique_stem(e, file);
    if (!stem) return vt_fail_memory(error, "a crop's name", strlen(file));
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; status == VULTUS_OK && i < faces->count; i++) {
        char *path;
        if (!faces->faces[i].crop.pixels) continue;
        if (asprintf(&path, "%s/%s_%zu.%s", e->options->crops, stem, i, lossless ? "npy" : "jpg") < 0)
            return vt_fail_memory(error, "a crop's path", strlen(stem));
        status = write_crop(&faces->faces[i].crop, path, lossless, error);
        free(path);
    }
    return status;
}

/* ---------------------------------------------------------------- photos */

static enum vultus_status analyze(
    struct extraction *e, const char *file, struct vultus_faces **faces, struct vultus_error *error) {
    double read_ms = 0;
    enum vultus_status status = vt_cli_analyze_file(&e->models, e->options, file, &e->analyze, faces, &read_ms, error);
    if (status < 0) return status;
    const struct vultus_times *t = &(*faces)->times;
    const double times[N_STAGES] = {
        read_ms, t->letterbox, t->detect, t->decode, t->align, t->embed, read_ms - t->read + t->total};
    memcpy(e->times, times, sizeof times);
    return VULTUS_OK;
}

static enum vultus_status report_failure(struct extraction *e, const char *file, struct vultus_error *error) {
    e->failures++;
    if (!vt_cli_records_wanted(&e->records)) {
        vt_cli_fail(error);
        return VULTUS_OK;
    }
    if (e->failures == 1) vt_cli_fail(error);
    if (vt_cli_records_add(&e->records, vt_cli_json_error(file, error->text))) return VULTUS_OK;
    return vt_fail_memory(error, "a record", 0);
}

/* An unreadable photo is a record; a failure here is one that ends the command. */
static enum vultus_status extract_photo(struct extraction *e, const char *file, struct vultus_error *error) {
    struct vultus_faces *faces = NULL;
    enum vultus_status status = analyze(e, file, &faces, error);
    if (status < 0) {
        status = report_failure(e, file, error);
    } else {
        if (e->options->crops) status = write_crops(e, file, faces, error);
        if (status == VULTUS_OK) {
            if (!vt_cli_records_wanted(&e->records))
                print_text(e, file, faces);
            else if (!vt_cli_records_add(&e->records, make_record(e, file, faces)))
                status = vt_fail_memory(error, "a record", 0);
        }
    }
    vultus_faces_free(faces);
    return status;
}

static int extract_photos(struct extraction *e, const struct vt_file_list *files) {
    struct vultus_error error;
    enum vultus_status status = VULTUS_OK;
    vt_cli_records_begin(&e->records, e->options);
    for (size_t i = 0; status == VULTUS_OK && i < files->count; i++) status = extract_photo(e, files->paths[i], &error);
    vt_cli_records_end(&e->records);
    if (status < 0) return vt_cli_fail(&error);
    if (e->failures && files->count > 1) vt_cli_say("%zu of %zu photos failed", e->failures, files->count);
    return e->failures ? VT_EXIT_FAILURE : VT_EXIT_OK;
}

int vt_cli_extract(const struct vt_options *options) {
    struct vultus_error error;
    struct extraction e = {.options = options, .analyze = vt_cli_analyze_options(options)};
    struct vt_file_list files = {0};
    int code = VT_EXIT_FAILURE;
    e.analyze.with_crops = options->crops != NULL;
    e.analyze.without_embeddings = options->no_embeddings;
    if (!vt_file_list_expand(options, &files)) goto done;
    if (options->crops && vt_make_directories(options->crops, &error) < 0) {
        vt_cli_fail(&error);
        goto done;
    }
    if (vt_cli_pipeline_open(options, !options->no_embeddings, &e.models)) code = extract_photos(&e, &files);
done:
    vt_cli_pipeline_close(&e.models);
    vt_file_list_fini(&e.stems);
    vt_file_list_fini(&files);
    return code;
}
