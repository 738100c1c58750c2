/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_OPTIONS_H
#define VT_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define VT_MAX_LIST 64

/* Commands as bits, so that one table says which command takes which option. */
enum vt_command_bit {
    VT_BUILD = 1 << 0,
    VT_INFO = 1 << 1,
    VT_RUN = 1 << 2,
    VT_EXTRACT = 1 << 3,
    VT_DRAW = 1 << 4,
    VT_MATCH = 1 << 5,
    VT_EMBED = 1 << 6,
    VT_BENCH = 1 << 7,
    VT_DOCTOR = 1 << 8,
    VT_MODELS = 1 << 9,
    VT_COMPARE = 1 << 10,
    VT_EVERY = (1 << 11) - 1,
};

struct vt_text_list {
    const char *items[VT_MAX_LIST];
    size_t count;
};

/*
 * Values of all options of all commands; a command reads its own. Texts belong to argv. What is not given is zero or
 * NULL, but for match_threshold (NAN) and seconds (its default). graph_of is "" where --graph has no value.
 */
struct vt_options {
    bool help, json, ndjson, force, landmarks, times, quiet, no_embeddings, tile, layers, report, full_decode,
        recursive, resume, strict, compare_backends, verbose;
    int threads, max_batch, width, height, limit_faces, min_face_size, timeout, samples, max_bytes, max_pixels,
        max_side, jobs;
    double threshold, match_threshold, seconds;
    const char *plans, *log, *precision, *backend, *backends, *devices, *out, *output, *output_dir, *crops,
        *crop_format, *det, *rec, *robust, *attributes, *mask_model, *liveness_models, *gender_age_model, *save,
        *models, *accept_licence, *tactics, *graph_of, *model, *inputs_file, *reference, *from, *grid;
    struct vt_text_list inputs;     /* NAME=FILE */
    struct vt_text_list thresholds; /* METRIC=PASS,FAIL */
    int batches[VT_MAX_LIST];
    size_t n_batches;
    const char **operands; /* what is not an option, in order; malloc'd array */
    size_t n_operands;
};

struct vt_command {
    enum vt_command_bit bit;
    const char *name, *operands, *summary;
    size_t min_operands, max_operands;
    int (*run)(const struct vt_options *options); /* returns the exit code */
    int (*run_keys)(int argc, char **argv);       /* instead of `run`: its options are the server's keys */
};

/* All commands; ends with a nameless one. */
extern const struct vt_command vt_commands[];

/* NULL when unknown. */
const struct vt_command *vt_command_find(const char *name);
/* The command whose name is closest to a mistyped one, or NULL. */
const char *vt_command_suggest(const char *name);

/*
 * Parses the arguments after the command's name. On wrong usage writes one sentence to `why` (of why_size bytes) and
 * returns false. Release the result with vt_options_fini either way.
 */
bool vt_options_parse(
    const struct vt_command *command, int argc, char **argv, struct vt_options *out, char *why, size_t why_size);
void vt_options_fini(struct vt_options *options);

/* `--help` of the program and of a command. */
void vt_print_usage(FILE *stream);
void vt_print_command_usage(const struct vt_command *command, FILE *stream);

#endif
