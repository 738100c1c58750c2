/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/keys.h"
#include "config/nearest.h"

enum kind { FLAG, TEXT, CHOICE, CHOICES, OPTIONAL, INTEGER, NUMBER, SIZE, LIST, INTEGERS };

struct option {
    unsigned commands;
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    enum kind kind;
    size_t offset;        /* in struct vt_options; SIZE fills width and height */
    const char *argument; /* for --help; CHOICE, CHOICES, OPTIONAL: the words allowed, separated by '|' */
    double least, most;   /* INTEGER, NUMBER, INTEGERS, sides of SIZE */
    const char *help;
};

#define AT(field) offsetof(struct vt_options, field)
#define PHOTOS (VT_EXTRACT | VT_DRAW | VT_MATCH)
#define PICTURES (PHOTOS | VT_EMBED)
#define SESSIONS (VT_RUN | VT_BENCH | VT_COMPARE)
#define NETWORKS (VT_BUILD | SESSIONS)

static const struct option table[] = {
    {PHOTOS | VT_BENCH, "det", 0, TEXT, AT(det), "MODEL", 0, 0,
        "face detector, ONNX or plan (else $VULTUS_DET, else the starter pack's)"},
    {VT_EXTRACT | VT_MATCH | VT_EMBED | VT_BENCH, "rec", 0, TEXT, AT(rec), "MODEL", 0, 0,
        "face recogniser, ONNX or plan (else $VULTUS_REC, else the starter pack's)"},
    {VT_EXTRACT | VT_DRAW | VT_BENCH, "threshold", 0, NUMBER, AT(threshold), "S", 0.001, 1,
        "least detection score (0.6)"},
    {VT_MATCH, "threshold", 0, NUMBER, AT(match_threshold), "C", -1, 1,
        "least cosine of the same person (as measured for the recogniser, else 0.28)"},
    {VT_MATCH, "det-threshold", 0, NUMBER, AT(threshold), "S", 0.001, 1, "least detection score (0.6)"},
    {VT_EXTRACT | VT_DRAW, "limit-faces", 0, INTEGER, AT(limit_faces), "N", 1, 1e6, "keep the N largest faces"},
    {PHOTOS, "min-face-size", 0, INTEGER, AT(min_face_size), "PX", 1, 1e6, "drop faces narrower than PX pixels"},
    {VT_EXTRACT | VT_MATCH | VT_BENCH, "verbose", 'v', FLAG, AT(verbose), NULL, 0, 0,
        "tell how many photos stayed on a GPU, and what went over the bus"},
    {PHOTOS, "robust", 0, CHOICE, AT(robust), "auto|off|full", 0, 0,
        "look again with a margin and turned: when nothing is found, never, always (auto)"},
    {PHOTOS, "tile", 0, FLAG, AT(tile), NULL, 0, 0, "look also at parts of large photos, for tiny faces"},
    {VT_EXTRACT, "attributes", 0, CHOICES, AT(attributes), "mask|liveness|gender-age|quality", 0, 0,
        "what else to tell of faces, separated by commas"},
    {VT_EXTRACT, "mask-model", 0, TEXT, AT(mask_model), "MODEL", 0, 0, "for masks (else $VULTUS_MASK, else by name)"},
    {VT_EXTRACT, "liveness-models", 0, TEXT, AT(liveness_models), "MODEL,MODEL...", 0, 0,
        "for liveness, fused (else $VULTUS_LIVENESS, else by name)"},
    {VT_EXTRACT, "gender-age-model", 0, TEXT, AT(gender_age_model), "MODEL", 0, 0,
        "for gender and age (else $VULTUS_GENDER_AGE, else by name)"},
    {VT_EXTRACT, "recursive", 'r', FLAG, AT(recursive), NULL, 0, 0, "take the pictures of folders' subfolders too"},
    {VT_EXTRACT, "from", 0, CHOICE, AT(from), "list|tar", 0, 0,
        "operands are lists of photos, one a line, or tar archives; - is standard input"},
    {VT_EXTRACT, "out", 0, TEXT, AT(output), "FILE", 0, 0, "write records to FILE: .ndjson, .npz or .msgpack"},
    {VT_EXTRACT, "resume", 0, FLAG, AT(resume), NULL, 0, 0, "go on with an interrupted --out"},
    {VT_EXTRACT, "jobs", 'j', INTEGER, AT(jobs), "N", 1, 256,
        "photos worked on at once, with one thread each (with --out: the processors; else 1)"},
    {VT_EXTRACT, "crops", 0, TEXT, AT(crops), "DIR", 0, 0, "write aligned faces to DIR/{photo}_{i}.jpg"},
    {VT_EXTRACT, "crop-format", 0, CHOICE, AT(crop_format), "jpg|npy", 0, 0, "npy keeps crops without loss (jpg)"},
    {VT_EXTRACT, "landmarks", 0, FLAG, AT(landmarks), NULL, 0, 0, "list the five landmarks too (JSON always has them)"},
    {VT_EXTRACT, "no-embeddings", 0, FLAG, AT(no_embeddings), NULL, 0, 0, "detect only, without a recogniser"},
    {VT_EXTRACT, "times", 0, FLAG, AT(times), NULL, 0, 0, "milliseconds by stage"},
    {VT_EXTRACT | VT_MATCH | VT_BENCH, "full-decode", 0, FLAG, AT(full_decode), NULL, 0, 0,
        "decode large JPEG pictures in full even where less would do"},
    {PICTURES, "max-bytes", 0, INTEGER, AT(max_bytes), "N", 1, 2147483647, "refuse pictures of more bytes (64 MiB)"},
    {PICTURES, "max-pixels", 0, INTEGER, AT(max_pixels), "N", 1, 2147483647,
        "refuse pictures of more pixels (100 million)"},
    {PICTURES, "max-side", 0, INTEGER, AT(max_side), "N", 1, 1000000,
        "refuse pictures with a side of more pixels (32768)"},
    {VT_DRAW, "output", 'o', TEXT, AT(output), "OUT.jpg", 0, 0, "the picture to write"},
    {VT_DRAW, "grid", 0, TEXT, AT(grid), "OUT.jpg", 0, 0, "write all aligned faces with their scores as one picture"},
    {VT_MATCH, "save", 0, TEXT, AT(save), "PAIR.jpg", 0, 0, "write both crops side by side with the verdict"},
    {VT_RUN, "input", 'i', LIST, AT(inputs), "NAME=FILE.npy", 0, 0, "one of the inputs; once for each"},
    {VT_RUN, "output-dir", 0, TEXT, AT(output_dir), "DIR", 0, 0, "write each output to DIR/{name}.npy"},
    {VT_COMPARE, "model", 0, TEXT, AT(model), "MODEL.onnx", 0, 0, "what a plan was built from (else beside it)"},
    {VT_COMPARE, "n-samples", 0, INTEGER, AT(samples), "N", 1, 1e6,
        "items (all of a file; 100 random ones of a recogniser, 10 of others)"},
    {VT_COMPARE, "inputs", 0, TEXT, AT(inputs_file), "FILE.npy", 0, 0, "items instead of random ones"},
    {VT_COMPARE, "reference", 0, TEXT, AT(reference), "FILE.npz", 0, 0,
        "outputs of scripts/reference.py instead of the interpreter's"},
    {VT_COMPARE, "threshold", 0, LIST, AT(thresholds), "METRIC=PASS,FAIL", 0, 0,
        "instead of a metric's thresholds; bf16:METRIC=... for bf16 alone"},
    {VT_BENCH, "batch", 0, INTEGERS, AT(batches), "N,N...", 1, 65536, "batch sizes to time (1)"},
    {VT_BENCH, "seconds", 0, NUMBER, AT(seconds), "S", 0.001, 3600,
        "least time to spend on each batch size, or photo (1)"},
    {VT_BENCH, "layers", 0, FLAG, AT(layers), NULL, 0, 0, "the time of every step too"},
    {VT_BENCH, "compare-backends", 0, FLAG, AT(compare_backends), NULL, 0, 0,
        "time a model by every back end, at batches of 1, 8 and 32, and say why one is missing"},
    {VT_BENCH, "quiet", 'q', FLAG, AT(quiet), NULL, 0, 0, "print nothing but p50 in milliseconds, one line a batch"},
    {NETWORKS, "max-batch", 0, INTEGER, AT(max_batch), "N", 1, 65536, "largest batch the plan runs (32)"},
    {NETWORKS | PHOTOS, "input-size", 0, SIZE, AT(width), "WxH", 1, 32768,
        "picture size of a model that leaves it free (640x640)"},
    {NETWORKS, "precision", 0, CHOICE, AT(precision), "fp32|tf32|fp16|bf16", 0, 0,
        "arithmetic of the plan (fp32); tf32, fp16 for GPUs, bf16 for both"},
    {NETWORKS | PICTURES, "backend", 0, CHOICE, AT(backend), "cpu|cuda|tensorrt", 0, 0,
        "what runs the plan, and nothing else (the first of --backends that is usable)"},
    {VT_EVERY, "backends", 0, CHOICES, AT(backends), "tensorrt|cuda|cpu|trt|onnx", 0, 0,
        "back ends in order, with commas (else $VULTUS_BACKENDS, else tensorrt,cuda,cpu)"},
    {VT_EVERY, "strict", 0, FLAG, AT(strict), NULL, 0, 0,
        "the first of the back ends or none, instead of falling back (else $VULTUS_STRICT)"},
    {VT_EVERY, "devices", 0, TEXT, AT(devices), "N,N...", 0, 0,
        "GPUs to use, as the driver counts them (else $VULTUS_DEVICES, else the first usable)"},
    {VT_BUILD, "out", 0, TEXT, AT(out), "DIR", 0, 0, "folder for the plan (else the plan folder)"},
    {VT_BUILD, "force", 0, FLAG, AT(force), NULL, 0, 0, "build even when a matching plan exists"},
    {VT_MODELS, "accept-licence", 0, TEXT, AT(accept_licence), "ID,ID...", 0, 0,
        "licences you accept (else $VULTUS_ACCEPT_LICENCE, else asked)"},
    {VT_MODELS, "timeout", 0, INTEGER, AT(timeout), "S", 1, 3600, "seconds without a byte before giving up (30)"},
    {VT_BUILD, "tactics", 0, TEXT, AT(tactics), "FILE", 0, 0, "write the times of all candidates of all steps to FILE"},
    {VT_BUILD, "report", 0, FLAG, AT(report), NULL, 0, 0, "the plan's time by step and by provider, as bench --layers"},
    {VT_INFO, "graph", 0, OPTIONAL, AT(graph_of), "before|after", 0, 0,
        "list the network too: before optimisation, after it, or both"},
    {VT_EVERY & ~(VT_RUN | VT_DRAW), "json", 0, FLAG, AT(json), NULL, 0, 0, "print JSON"},
    {VT_EXTRACT | VT_EMBED, "ndjson", 0, FLAG, AT(ndjson), NULL, 0, 0, "print one JSON object a line"},
    {VT_EVERY, "threads", 't', INTEGER, AT(threads), "N", 1, 1024, "threads to use (else $VULTUS_THREADS, else all)"},
    {VT_EVERY, "plans", 0, TEXT, AT(plans), "DIR", 0, 0, "plan folder (else $VULTUS_PLANS, else the cache folder)"},
    {VT_EVERY, "models", 0, TEXT, AT(models), "DIR", 0, 0, "models folder (else $VULTUS_MODELS, else the data folder)"},
    {VT_EVERY, "log", 0, CHOICE, AT(log), "error|warn|info|debug", 0, 0, "how much to tell on stderr (warn)"},
    {VT_EVERY, "help", 'h', FLAG, AT(help), NULL, 0, 0, "show this text"},
};
#define N_TABLE (sizeof table / sizeof *table)

/* ---------------------------------------------------------------- typing errors */

const char *vt_command_suggest(const char *name) {
    const char *found = NULL;
    int best = INT_MAX;
    for (const struct vt_command *c = vt_commands; c->name; c++)
        if (vt_is_nearer(name, c->name, &best)) found = c->name;
    return found;
}

static const char *suggest_option(const struct vt_command *command, const char *name) {
    const char *found = NULL;
    int best = INT_MAX;
    for (size_t i = 0; i < N_TABLE; i++)
        if (table[i].commands & command->bit && vt_is_nearer(name, table[i].name, &best)) found = table[i].name;
    return found;
}

const struct vt_command *vt_command_find(const char *name) {
    for (const struct vt_command *c = vt_commands; c->name; c++)
        if (strcmp(c->name, name) == 0) return c;
    return NULL;
}

/* ---------------------------------------------------------------- values */

struct parser {
    const struct vt_command *command;
    struct vt_options *out;
    char *why;
    size_t why_size;
};

static bool __attribute__((format(printf, 2, 3))) wrong(struct parser *p, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->why, p->why_size, format, arguments);
    va_end(arguments);
    return false;
}

/* Digits only; *end is what follows them. */
static bool read_integer(const char *text, const char **end, double least, double most, int *out) {
    if (*text < '0' || *text > '9') return false;
    char *stop;
    errno = 0;
    long value = strtol(text, &stop, 10);
    if (errno || value < least || value > most) return false;
    *out = (int)value;
    *end = stop;
    return true;
}

static bool set_integer(struct parser *p, const struct option *o, const char *value, int *out) {
    const char *end;
    if (read_integer(value, &end, o->least, o->most, out) && !*end) return true;
    return wrong(p, "--%s takes a whole number from %.0f to %.0f, not \"%s\"", o->name, o->least, o->most, value);
}

static bool set_number(struct parser *p, const struct option *o, const char *value, double *out) {
    char *end;
    double number = strtod(value, &end);
    if (end != value && !*end && number >= o->least && number <= o->most) {
        *out = number;
        return true;
    }
    return wrong(p, "--%s takes a number from %g to %g, not \"%s\"", o->name, o->least, o->most, value);
}

static bool set_size(struct parser *p, const struct option *o, const char *value) {
    const char *end;
    int width, height;
    if (read_integer(value, &end, o->least, o->most, &width) && *end == 'x' &&
        read_integer(end + 1, &end, o->least, o->most, &height) && !*end) {
        p->out->width = width;
        p->out->height = height;
        return true;
    }
    return wrong(p, "--%s takes WIDTHxHEIGHT, each from %.0f to %.0f, such as 640x640, not \"%s\"", o->name, o->least,
        o->most, value);
}

static bool set_batches(struct parser *p, const struct option *o, const char *value) {
    const char *at = value;
    p->out->n_batches = 0;
    for (;;) {
        if (p->out->n_batches == VT_MAX_LIST) return wrong(p, "--%s takes at most %d numbers", o->name, VT_MAX_LIST);
        if (!read_integer(at, &at, o->least, o->most, &p->out->batches[p->out->n_batches])) break;
        p->out->n_batches++;
        if (!*at) return true;
        if (*at++ != ',') break;
    }
    return wrong(p, "--%s takes whole numbers from %.0f to %.0f separated by commas, such as 1,8, not \"%s\"", o->name,
        o->least, o->most, value);
}

/* `value` of `length` bytes. */
static bool is_choice(const char *choices, const char *value, size_t length) {
    for (const char *at = choices; length && at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strncmp(at, value, length) == 0 && (!at[length] || at[length] == '|')) return true;
    return false;
}

static bool set_value(struct parser *p, const struct option *o, const char *value) {
    void *field = (char *)p->out + o->offset;
    switch (o->kind) {
    case FLAG: *(bool *)field = true; return true;
    case TEXT:
        if (!*value) return wrong(p, "--%s needs a value that is not empty", o->name);
        *(const char **)field = value;
        return true;
    case OPTIONAL:
    case CHOICE:
        if (!is_choice(o->argument, value, strlen(value)))
            return wrong(p, "--%s takes %s, not \"%s\"", o->name, o->argument, value);
        *(const char **)field = value;
        return true;
    case CHOICES:
        if (!vt_are_choices(o->argument, value))
            return wrong(
                p, "--%s takes %s, or several with commas between them, not \"%s\"", o->name, o->argument, value);
        *(const char **)field = value;
        return true;
    case INTEGER: return set_integer(p, o, value, field);
    case NUMBER: return set_number(p, o, value, field);
    case SIZE: return set_size(p, o, value);
    case INTEGERS: return set_batches(p, o, value);
    case LIST: {
        struct vt_text_list *list = field;
        const char *equals = strchr(value, '=');
        if (!equals || equals == value || !equals[1])
            return wrong(p, "--%s takes %s, not \"%s\"", o->name, o->argument, value);
        if (list->count == VT_MAX_LIST) return wrong(p, "--%s is given more than %d times", o->name, VT_MAX_LIST);
        list->items[list->count++] = value;
        return true;
    }
    }
    return false;
}

/* ---------------------------------------------------------------- arguments */

/* `name` of `length` bytes, or a letter. */
static const struct option *find_option(const struct vt_command *command, const char *name, size_t length) {
    for (size_t i = 0; i < N_TABLE; i++) {
        const struct option *o = &table[i];
        if (!(o->commands & command->bit)) continue;
        if (strlen(o->name) == length && strncmp(o->name, name, length) == 0) return o;
        if (length == 1 && o->letter == *name) return o;
    }
    return NULL;
}

static bool unknown_option(struct parser *p, const char *argument, const char *name, size_t length) {
    char typed[64];
    snprintf(typed, sizeof typed, "%.*s", (int)(length < sizeof typed ? length : sizeof typed - 1), name);
    const char *suggestion = suggest_option(p->command, typed);
    if (suggestion) return wrong(p, "%s has no option %s; did you mean --%s?", p->command->name, argument, suggestion);
    return wrong(p, "%s has no option %s", p->command->name, argument);
}

/* Handles argv[*i], an option, and its value. */
static bool parse_option(struct parser *p, int argc, char **argv, int *i) {
    const char *argument = argv[*i], *name = argument + 1, *value = NULL;
    bool is_long = *name == '-';
    name += is_long;
    size_t length = is_long ? strcspn(name, "=") : 1;
    if (is_long && name[length] == '=') value = name + length + 1;
    if (!is_long && name[1]) value = name + 1;
    const struct option *o = is_long && length == 1 ? NULL : find_option(p->command, name, length);
    if (!o) return unknown_option(p, argument, name, length);
    if (o->kind == FLAG && value) return wrong(p, "--%s takes no value", o->name);
    if (o->kind == OPTIONAL && !value) {
        *(const char **)((char *)p->out + o->offset) = "";
        return true;
    }
    if (o->kind != FLAG && !value) {
        if (*i + 1 == argc) return wrong(p, "--%s needs a value: %s", o->name, o->argument);
        value = argv[++*i];
    }
    return set_value(p, o, value);
}

bool vt_options_parse(
    const struct vt_command *command, int argc, char **argv, struct vt_options *out, char *why, size_t why_size) {
    *out = (struct vt_options){.match_threshold = NAN, .seconds = 1};
    struct parser p = {command, out, why, why_size};
    out->operands = calloc((size_t)argc + 1, sizeof *out->operands);
    if (!out->operands) return wrong(&p, "no memory for %d arguments", argc);
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        if (only_operands || argv[i][0] != '-' || !argv[i][1])
            out->operands[out->n_operands++] = argv[i];
        else if (strcmp(argv[i], "--") == 0)
            only_operands = true;
        else if (!parse_option(&p, argc, argv, &i))
            return false;
    }
    if (out->help) return true;
    if (out->n_operands < command->min_operands) return wrong(&p, "%s needs %s", command->name, command->operands);
    if (out->n_operands > command->max_operands)
        return wrong(&p, "%s takes %s; \"%s\" is too much", command->name,
            *command->operands ? command->operands : "no operands", out->operands[command->max_operands]);
    if (out->resume && !out->output) return wrong(&p, "--resume needs --out FILE");
    if (command->bit == VT_DRAW && !out->output && !out->grid)
        return wrong(&p, "draw needs -o OUT.jpg or --grid OUT.jpg");
    return true;
}

void vt_options_fini(struct vt_options *options) {
    free(options->operands);
    options->operands = NULL;
}

/* ---------------------------------------------------------------- help */

void vt_print_usage(FILE *stream) {
    fprintf(stream, "usage: vultus COMMAND [options] ...\n\n");
    for (const struct vt_command *c = vt_commands; c->name; c++) fprintf(stream, "  %-8s %s\n", c->name, c->summary);
    fprintf(stream,
        "\n`vultus COMMAND --help` lists a command's options, `vultus --version` the version.\n\nEnvironment:\n");
    for (int s = 0; s < VT_SETTING_COUNT; s++) {
        const struct vt_setting_info *info = vt_setting_info((enum vt_setting)s);
        fprintf(stream, "  %-21s %s (else %s)\n", info->environment, info->meaning, info->fallback);
    }
}

void vt_print_command_usage(const struct vt_command *command, FILE *stream) {
    fprintf(stream, "usage: vultus %s%s%s [options]\n\n%s.\n\n", command->name, *command->operands ? " " : "",
        command->operands, command->summary);
    for (size_t i = 0; i < N_TABLE; i++) {
        const struct option *o = &table[i];
        if (!(o->commands & command->bit)) continue;
        char left[64], letter[8] = "";
        if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(left, sizeof left, o->kind == OPTIONAL ? "%s--%s[%s%s]" : "%s--%s%s%s", letter, o->name,
            o->kind == OPTIONAL ? "="
            : o->argument       ? " "
                                : "",
            o->argument ? o->argument : "");
        fprintf(stream, "  %-32s %s\n", left, o->help);
    }
}
