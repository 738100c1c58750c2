/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/status.h"
#include "batch.h"
#include "crops.h"
#include "export.h"
#include "journal.h"

enum stage { READ, LETTERBOX, DETECT, DECODE, ALIGN, EMBED, ATTRIBUTES, TOTAL, N_STAGES };
static const char *const stage_names[N_STAGES] = {
    "read", "letterbox", "detect", "decode", "align", "embed", "attributes", "total"};

/* What the records become. Lines for a file are kept in a journal until all are there. */
static const struct format {
    const char *suffix;
    vt_journal_export *export;
} formats[] = {{".ndjson", NULL}, {".msgpack", vt_export_msgpack}, {".npz", vt_export_npz}};

struct extraction {
    const struct vt_options *options;
    const struct format *format; /* NULL: standard output */
    struct vultus_analyze_options analyze;
    struct vt_cli_pipeline models;
    struct vt_cli_records records;
    struct vt_crop_names names;
    struct vt_journal journal;
    bool told_failure;
};

/* ---------------------------------------------------------------- records */

static void print_face(FILE *out, const struct vultus_face *face, size_t i, bool landmarks) {
    fprintf(out, "  %zu: score %.3f, box %.1f %.1f %.1f %.1f, %.0fx%.0f", i, face->score, face->box[0], face->box[1],
        face->box[2], face->box[3], face->box[2] - face->box[0], face->box[3] - face->box[1]);
    if (face->pass != VULTUS_PASS_PLAIN) fprintf(out, ", %s pass", vt_cli_pass_name(face->pass));
    if (face->turn) fprintf(out, ", turned %d degrees", face->turn);
    if (face->embedding) fprintf(out, ", norm %.2f", face->norm);
    if (face->failure) fprintf(out, ", no embedding: %s", face->failure);
    vt_cli_print_attributes(out, &face->attributes);
    if (landmarks)
        for (int k = 0; k < VULTUS_LANDMARKS; k++)
            fprintf(out, "%s%.1f,%.1f", k ? " " : ", landmarks ", face->landmarks[k][0], face->landmarks[k][1]);
    fputc('\n', out);
}

static void print_text(FILE *out, const struct vt_options *options, const char *file, const struct vultus_faces *faces,
    const double *times) {
    fprintf(
        out, "%s: %dx%d, %zu face%s\n", file, faces->width, faces->height, faces->count, faces->count == 1 ? "" : "s");
    for (size_t i = 0; i < faces->count; i++) print_face(out, &faces->faces[i], i, options->landmarks);
    for (int s = 0; options->times && s < N_STAGES; s++)
        fprintf(out, "%s%s %.2f%s", s ? ", " : "  ms: ", stage_names[s], times[s], s + 1 < N_STAGES ? "" : "\n");
}

static json_t *make_record(const char *file, const struct vultus_faces *faces, const double *times) {
    json_t *list = json_array();
    for (size_t i = 0; i < faces->count; i++)
        if (json_array_append_new(list, vt_cli_json_face(&faces->faces[i], faces->dimension)) < 0) {
            json_decref(list);
            return NULL;
        }
    json_t *record = json_pack("{s:o, s:i, s:i, s:o}", "file", vt_json_text(file), "width", faces->width, "height",
        faces->height, "faces", list);
    if (!times || !record) return record;
    json_t *stages = json_object();
    int failed = json_object_set_new(record, "times", stages);
    for (int s = 0; !failed && s < N_STAGES; s++)
        failed = json_object_set_new(stages, stage_names[s], vt_cli_json_rounded(times[s], 3));
    if (!failed) return record;
    json_decref(record);
    return NULL;
}

/* Whether records are JSON, which a photo that failed has one of too. */
static bool makes_records(const struct extraction *e) { return e->format || vt_cli_records_wanted(&e->records); }

static enum vultus_status set_record(
    const struct extraction *e, json_t *record, struct vt_batch_result *result, struct vultus_error *error) {
    result->text = record ? vt_cli_json_line(record, e->format != NULL) : NULL;
    json_decref(record);
    if (!result->text) return vt_fail_memory(error, "a record", 0);
    result->length = strlen(result->text);
    return VULTUS_OK;
}

static enum vultus_status set_text(const struct extraction *e, const char *file, const struct vultus_faces *faces,
    const double *times, struct vt_batch_result *result, struct vultus_error *error) {
    FILE *out = open_memstream(&result->text, &result->length);
    if (!out) return vt_fail_memory(error, "a photo's faces", 0);
    print_text(out, e->options, file, faces, times);
    return fclose(out) == 0 ? VULTUS_OK : vt_fail_memory(error, "a photo's faces", 0);
}

/* An unreadable photo is a record, or a sentence where there are no records. */
static enum vultus_status set_failure(const struct extraction *e, const char *file, const struct vultus_error *why,
    struct vt_batch_result *result, struct vultus_error *error) {
    result->why = strdup(why->text);
    if (!result->why) return vt_fail_memory(error, "a sentence", strlen(why->text));
    return makes_records(e) ? set_record(e, vt_cli_json_error(file, why->text), result, error) : VULTUS_OK;
}

/* ---------------------------------------------------------------- photos */

/* Crops are named in the order of the photos, whoever works on them. */
static enum vultus_status name_crops(
    void *context, const struct vt_photo *photo, void **ticket, struct vultus_error *error) {
    struct extraction *e = context;
    if (!e->options->crops) return VULTUS_OK;
    *ticket = vt_crop_names_take(&e->names, photo->name);
    return *ticket ? VULTUS_OK : vt_fail_memory(error, "a crop's name", strlen(photo->name));
}

static enum vultus_status analyze(const struct extraction *e, const struct vt_photo *photo, struct vultus_faces **faces,
    double times[N_STAGES], struct vultus_error *error) {
    double read_ms = 0;
    enum vultus_status status;
    if (photo->error.status < 0) {
        *error = photo->error;
        return photo->error.status;
    }
    if (photo->bytes)
        status = vultus_analyze_encoded(
            e->models.pipeline, photo->bytes, photo->size, photo->name, &e->analyze, faces, error);
    else
        status = vt_cli_analyze_file(&e->models, e->options, photo->name, &e->analyze, faces, &read_ms, error);
    if (status < 0) return status;
    const struct vultus_times *t = &(*faces)->times;
    const double stages[N_STAGES] = {
        read_ms + t->read, t->letterbox, t->detect, t->decode, t->align, t->embed, t->attributes, read_ms + t->total};
    memcpy(times, stages, sizeof stages);
    return VULTUS_OK;
}

static enum vultus_status work_on_photo(
    void *context, struct vt_photo *photo, void *ticket, struct vt_batch_result *result, struct vultus_error *error) {
    const struct extraction *e = context;
    struct vultus_faces *faces = NULL;
    struct vultus_error why;
    double times[N_STAGES];
    enum vultus_status status = VULTUS_OK;
    if (analyze(e, photo, &faces, times, &why) < 0) {
        status = set_failure(e, photo->name, &why, result, error);
    } else {
        result->faces = faces->count;
        if (ticket) status = vt_write_crops(e->options, ticket, faces, error);
        if (status == VULTUS_OK)
            status = makes_records(e) ? set_record(e, make_record(photo->name, faces, e->options->times ? times : NULL),
                                            result, error)
                                      : set_text(e, photo->name, faces, times, result, error);
    }
    vultus_faces_free(faces);
    free(ticket);
    return status;
}

/* Of failures that have records, the first is told too. */
static enum vultus_status write_result(
    void *context, const struct vt_batch_result *result, struct vultus_error *error) {
    struct extraction *e = context;
    if (result->why && (!makes_records(e) || !e->told_failure)) vt_cli_say("%s", result->why);
    e->told_failure |= result->why != NULL;
    if (e->format) return vt_journal_append(&e->journal, result->text, result->length, error);
    if (makes_records(e)) {
        vt_cli_records_add_line(&e->records, result->text);
    } else if (result->text) {
        fwrite(result->text, 1, result->length, stdout);
        fflush(stdout);
    }
    return VULTUS_OK;
}

/* ---------------------------------------------------------------- runs */

static json_t *digest_of(const char *path) {
    struct vt_mapped_file file;
    struct vultus_error error;
    char hex[VT_SHA256_HEX];
    if (vt_map_file(path, &file, &error) < 0) return NULL;
    enum vultus_status status = vt_sha256_hex(file.data, file.size, hex, &error);
    vt_unmap_file(&file);
    return status < 0 ? NULL : json_string(hex);
}

static json_t *operands_of(const struct vt_options *options) {
    json_t *list = json_array();
    for (size_t i = 0; i < options->n_operands; i++) json_array_append_new(list, vt_json_text(options->operands[i]));
    return list;
}

static json_t *digests_of(const struct vt_file_list *models) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < models->count; i++)
        if (json_array_append_new(list, digest_of(models->paths[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* Whatever decides the records of a run; a run is only resumed with the same. NULL when out of memory. */
static json_t *identity_of(const struct extraction *e) {
    const struct vt_options *o = e->options;
    json_t *identity =
        json_pack("{s:s, s:o, s:b, s:s, s:o, s:f, s:i, s:i, s:s, s:[i,i], s:b, s:[i,i,i], s:b, s:s, s:s}", "version",
            vultus_version(), "photos", operands_of(o), "--recursive", (int)o->recursive, "--from",
            o->from ? o->from : "", "--det", digest_of(e->models.detector), "--threshold", o->threshold,
            "--limit-faces", o->limit_faces, "--min-face-size", o->min_face_size, "--robust",
            o->robust ? o->robust : "", "--input-size", o->width, o->height, "--full-decode", (int)o->full_decode,
            "--max-bytes, --max-pixels or --max-side", o->max_bytes, o->max_pixels, o->max_side, "--times",
            (int)o->times, "--crops", o->crops ? o->crops : "", "--crop-format", o->crop_format ? o->crop_format : "");
    json_t *recogniser = e->models.recogniser ? digest_of(e->models.recogniser) : json_null();
    int failed = json_object_set_new(identity, "--rec", recogniser);
    failed |= json_object_set_new(identity, "--tile", json_boolean(o->tile));
    failed |= json_object_set_new(identity, "--attributes", json_string(o->attributes ? o->attributes : ""));
    failed |= json_object_set_new(identity, "models of attributes", digests_of(&e->models.attribute_models));
    if (!failed) return identity;
    json_decref(identity);
    return NULL;
}

static const struct format *find_format(const char *out) {
    size_t length = strlen(out);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        size_t ending = strlen(formats[i].suffix);
        if (length > ending && strcmp(out + length - ending, formats[i].suffix) == 0) return &formats[i];
    }
    return NULL;
}

static enum vultus_status run_batch(struct extraction *e, struct vt_batch *batch, struct vultus_error *error) {
    bool complete = false;
    enum vultus_status status = VULTUS_OK;
    if (e->format) {
        status = vt_journal_open(
            &e->journal, e->options->output, identity_of(e), e->options->resume, batch->source, &complete, error);
        if (complete) vt_cli_say("%s is complete", e->options->output);
        batch->done = e->journal.records;
        batch->failures = e->journal.failures;
    }
    if (status < 0 || complete) return status;
    vt_cli_records_begin(&e->records, e->options);
    status = vt_batch_run(batch, error);
    vt_cli_records_end(&e->records);
    if (status == VULTUS_OK && e->format) status = vt_journal_finish(&e->journal, e->format->export, error);
    return status;
}

static int extract(struct extraction *e, struct vt_photo_source *source, int jobs) {
    struct vt_batch batch = {.source = source,
        .jobs = jobs,
        .progress = e->format != NULL,
        .context = e,
        .begin = name_crops,
        .work = work_on_photo,
        .write = write_result};
    struct vultus_error error;
    enum vultus_status status = run_batch(e, &batch, &error);
    vt_journal_fini(&e->journal);
    if (status < 0) return vt_cli_fail(&error);
    if (batch.failures && batch.done > 1) vt_cli_say("%zu of %zu photos failed", batch.failures, batch.done);
    return batch.failures ? VT_EXIT_FAILURE : VT_EXIT_OK;
}

/* Photos side by side keep every processor busy with one thread each; one after the other, each takes all of them. */
static int choose_jobs(const struct extraction *e, struct vt_options *chosen) {
    const struct vt_options *options = e->options;
    *chosen = *options;
    if (!options->jobs && !e->format) return 1;
    if (!options->threads) chosen->threads = 1;
    return options->jobs ? options->jobs : vt_cpu_count();
}

int vt_cli_extract(const struct vt_options *options) {
    struct vultus_error error;
    struct extraction e = {.options = options, .analyze = vt_cli_analyze_options(options)};
    struct vt_options chosen;
    struct vt_photo_source *source = NULL;
    int code = VT_EXIT_FAILURE;
    e.analyze.with_crops = options->crops != NULL;
    e.analyze.without_embeddings = options->no_embeddings;
    e.journal.descriptor = -1;
    if (options->output && !(e.format = find_format(options->output))) {
        vt_cli_say("--out %s names no format: .ndjson, .npz and .msgpack are known", options->output);
        return VT_EXIT_USAGE;
    }
    if (!(source = vt_photo_source_open(options))) goto done;
    if (options->crops && vt_make_directories(options->crops, &error) < 0) {
        vt_cli_fail(&error);
        goto done;
    }
    int jobs = choose_jobs(&e, &chosen);
    if (vt_cli_pipeline_open(&chosen, !options->no_embeddings, &e.models)) code = extract(&e, source, jobs);
done:
    vt_cli_pipeline_close(&e.models);
    vt_crop_names_fini(&e.names);
    vt_photo_source_close(source);
    return code;
}
