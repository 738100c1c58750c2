/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_COMMON_H
#define VT_TOOLS_COMMON_H

#include <jansson.h>
#include <stdbool.h>

#include "config/config.h"
#include "options.h"
#include "vultus/vultus.h"

enum { VT_EXIT_OK = 0, VT_EXIT_FAILURE = 1, VT_EXIT_USAGE = 2 };
/* What compare returns where it could not run, since 1 says there that outputs disagree. */
#define VT_EXIT_NOT_COMPARED 2

/* "vultus: " + text on stderr. */
void vt_cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says why something failed; returns VT_EXIT_FAILURE. */
int vt_cli_fail(const struct vultus_error *error);
int vt_cli_fail_memory(void);

/* Creates the runtime that the options ask for; on failure says why and returns NULL. */
struct vultus_runtime *vt_cli_runtime(const struct vt_options *options);

/* What is shown on stderr while something takes its time: "building mobilefacenet.onnx: 3/52 timing conv_3". */
struct vt_cli_progress {
    const char *doing, *model;
    uint64_t last_ns; /* when something was last shown */
    bool shown;       /* something was, and on a terminal the line is still open */
};
/* Build options from the command line; `progress` must outlive their use. */
struct vultus_build_options vt_cli_build_options(
    const struct vt_options *options, const char *model, struct vt_cli_progress *progress);
vultus_progress_function vt_cli_progress_show; /* its context is a struct vt_cli_progress */
/* Ends the progress line on a terminal. */
void vt_cli_progress_end(struct vt_cli_progress *progress);

/*
 * Name or path of the detector or recogniser: the flag, the environment, else the path of the starter pack's, which is
 * said on stderr the first time. malloc'd; on failure says why and returns NULL.
 */
char *vt_cli_model(enum vt_setting setting, const char *flag_value);

/*
 * What a user named as a model as a path: one that is not a file is looked up by name in the models folder, a pack by
 * its model with the function ("scrfd", "arcface", NULL: none). Frees `named`, which may be NULL; on failure says why
 * and returns NULL. malloc'd.
 */
char *vt_cli_resolve(const struct vt_options *options, char *named, const char *function);

struct vt_file_list {
    char **paths;
    size_t count, capacity;
};

/* A pipeline with the models it took. `recogniser` is NULL where embeddings are not wanted. */
struct vt_cli_pipeline {
    struct vultus_runtime *runtime;
    struct vultus_pipeline *pipeline;
    char *detector, *recogniser;
    struct vt_file_list attribute_models;
    bool verbose;
};
/* Opens it from the options, building plans where needed; on failure says why, cleans up and returns false. */
bool vt_cli_pipeline_open(const struct vt_options *options, bool with_recogniser, struct vt_cli_pipeline *out);
/* With --verbose tells what went over the bus to GPUs. */
void vt_cli_pipeline_close(struct vt_cli_pipeline *pipeline);
struct vultus_analyze_options vt_cli_analyze_options(const struct vt_options *options);

/* ---------------------------------------------------------------- attributes */

/* Bits of enum vultus_attribute that --attributes asks for. */
unsigned vt_cli_attributes(const struct vt_options *options);
/* Paths of the models that these need, in `out`; on failure says why and returns false. */
bool vt_cli_attribute_models(const struct vt_options *options, struct vt_file_list *out);
/* {"mask": {...}, ...} of those that are present. */
json_t *vt_cli_json_attributes(const struct vultus_attributes *attributes);
/* ", mask 0.98" and so on. */
void vt_cli_print_attributes(FILE *out, const struct vultus_attributes *attributes);

/* Largest picture file that the options allow. */
size_t vt_cli_most_bytes(const struct vt_options *options);

/*
 * Reads and analyses a photo; "-" is standard input. *read_ms gets the time that the file took. On success the
 * caller frees *faces.
 */
enum vultus_status vt_cli_analyze_file(const struct vt_cli_pipeline *models, const struct vt_options *options,
    const char *file, const struct vultus_analyze_options *analyze, struct vultus_faces **faces, double *read_ms,
    struct vultus_error *error);

/* ---------------------------------------------------------------- files */

/* Whether a name ends as those of pictures do. */
bool vt_has_picture_suffix(const char *name);
/*
 * The operands, each folder replaced by the pictures in it (by their names' endings; sorted by path; with --recursive
 * those of its subfolders too, but not by way of symbolic links). On failure says why and returns false; release with
 * vt_file_list_fini either way.
 */
bool vt_file_list_expand(const struct vt_options *options, struct vt_file_list *out);
/* Takes ownership of `path`, which may be NULL; says that memory ran out and returns false. */
bool vt_file_list_append(struct vt_file_list *list, char *path);
void vt_file_list_fini(struct vt_file_list *list);

/* ---------------------------------------------------------------- JSON */

/* The number whose shortest text reads back as the same float; null when not finite. */
json_t *vt_cli_json_float(float value);
/* `value` rounded to `decimals` places; null when not finite. */
json_t *vt_cli_json_rounded(double value, int decimals);
json_t *vt_cli_json_floats(const float *values, size_t count);
/* "plain", "margin" or "tile". */
const char *vt_cli_pass_name(enum vultus_pass pass);
/* bbox, score, landmarks, pass, turn, and norm and embedding, or failure, where a recogniser ran. */
json_t *vt_cli_json_face(const struct vultus_face *face, int dimension);
/* {"file", "error"}. */
json_t *vt_cli_json_error(const char *file, const char *sentence);
/* Prints and releases a value. Indented over several lines, with a newline, or compact without one. False when out of
 * memory. */
bool vt_cli_json_print(json_t *value, bool indented);
/* A value as compact text, with a newline or without; malloc'd, NULL when out of memory. */
char *vt_cli_json_line(const json_t *value, bool newline);
/* Prints a text that comes from a file: what could steer a terminal becomes "?". */
void vt_cli_print_clean(const char *text);
/* Prints a value for people: indented "key: value" lines, an object of a list on one line where it is flat. */
void vt_cli_json_for_people(const json_t *value);

/*
 * Records on standard output: an array (--json), one object a line (--ndjson) or nothing. Each is flushed, so that a
 * reader sees it at once.
 */
struct vt_cli_records {
    bool json, ndjson;
    size_t count;
};
void vt_cli_records_begin(struct vt_cli_records *records, const struct vt_options *options);
bool vt_cli_records_wanted(const struct vt_cli_records *records);
/* A record as vt_cli_json_line made it. */
void vt_cli_records_add_line(struct vt_cli_records *records, const char *line);
bool vt_cli_records_add(struct vt_cli_records *records, json_t *record); /* takes the reference, which may be NULL */
void vt_cli_records_end(struct vt_cli_records *records);

/* ---------------------------------------------------------------- commands */

int vt_cli_build(const struct vt_options *options);
int vt_cli_info(const struct vt_options *options);
int vt_cli_run(const struct vt_options *options);
int vt_cli_extract(const struct vt_options *options);
int vt_cli_draw(const struct vt_options *options);
int vt_cli_match(const struct vt_options *options);
int vt_cli_embed(const struct vt_options *options);
int vt_cli_compare(const struct vt_options *options);
int vt_cli_bench(const struct vt_options *options);
int vt_cli_models(const struct vt_options *options);
int vt_cli_doctor(const struct vt_options *options);

#endif
