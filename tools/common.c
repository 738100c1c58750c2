/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "config/starter.h"

#define DEFAULT_MAX_BYTES ((size_t)64 << 20)

/* ---------------------------------------------------------------- failures */

void vt_cli_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fputs("vultus: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

int vt_cli_fail(const struct vultus_error *error) {
    vt_cli_say("%s", error->text);
    return VT_EXIT_FAILURE;
}

int vt_cli_fail_memory(void) {
    vt_cli_say("out of memory");
    return VT_EXIT_FAILURE;
}

/* ---------------------------------------------------------------- runtime and plans */

struct vultus_runtime *vt_cli_runtime(const struct vt_options *options) {
    struct vultus_runtime_options wanted = {
        .threads = options->threads,
        .plan_directory = options->plans,
        .max_picture_bytes = (size_t)options->max_bytes,
        .max_picture_pixels = options->max_pixels,
        .max_picture_dimension = options->max_side,
        .backends = options->backends,
        .strict = options->strict,
        .devices = options->devices,
    };
    struct vultus_runtime *runtime = NULL;
    struct vultus_error error;
    if (vultus_runtime_create(&wanted, &runtime, &error) < 0) vt_cli_fail(&error);
    return runtime;
}

/* A terminal gets a line that is rewritten, everything else a line now and then. */
void vt_cli_progress_show(void *context, uint32_t done, uint32_t total, const char *what) {
    struct vt_cli_progress *progress = context;
    bool terminal = isatty(STDERR_FILENO) == 1;
    uint64_t now = vt_now_ns(), pause = terminal ? 50000000u : 5000000000u;
    if (!progress->last_ns) progress->last_ns = now; /* a build that is over at once shows nothing */
    if (now - progress->last_ns < pause) return;
    progress->last_ns = now;
    progress->shown = true;
    fprintf(stderr, terminal ? "\r\033[Kvultus: %s %s: %u/%u %s" : "vultus: %s %s: %u/%u %s\n", progress->doing,
        progress->model, done, total, what);
    fflush(stderr);
}

void vt_cli_progress_end(struct vt_cli_progress *progress) {
    if (progress->shown && isatty(STDERR_FILENO) == 1) fputs("\r\033[K", stderr);
    progress->shown = false;
}

struct vultus_build_options vt_cli_build_options(
    const struct vt_options *options, const char *model, struct vt_cli_progress *progress) {
    progress->doing = "building";
    progress->model = vt_path_basename(model);
    return (struct vultus_build_options){
        .precision = options->precision,
        .backend = options->backend,
        .width = options->width,
        .height = options->height,
        .max_batch = options->max_batch,
        .output_directory = options->out,
        .force = options->force,
        .progress = vt_cli_progress_show,
        .progress_context = progress,
    };
}

/* ---------------------------------------------------------------- models */

static void tell_starter_pack(const char *model) {
    static bool told;
    const struct vt_setting_info *det = vt_setting_info(VT_SETTING_DETECTOR),
                                 *rec = vt_setting_info(VT_SETTING_RECOGNISER);
    if (!told)
        vt_cli_say("taking the starter models of %.*s, which are for trying out (name others with %s, %s, %s, %s)",
            (int)(vt_path_basename(model) - model - 1), model, det->flag, rec->flag, det->environment,
            rec->environment);
    told = true;
}

char *vt_cli_model(enum vt_setting setting, const char *flag_value) {
    const char *named = vt_setting_text(setting, flag_value);
    if (named) {
        char *copy = strdup(named);
        if (!copy) vt_cli_fail_memory();
        return copy;
    }
    const char *starter = setting == VT_SETTING_DETECTOR ? VT_STARTER_DETECTOR : VT_STARTER_RECOGNISER;
    struct vultus_error error;
    char *path = NULL;
    if (vt_starter_path(starter, &path, &error) < 0)
        vt_cli_fail(&error);
    else
        tell_starter_pack(path);
    return path;
}

bool vt_cli_pipeline_open(const struct vt_options *options, bool with_recogniser, struct vt_cli_pipeline *out) {
    *out = (struct vt_cli_pipeline){.verbose = options->verbose};
    struct vt_cli_progress progress[3] = {0};
    struct vultus_error error;
    out->detector = vt_cli_resolve(options, vt_cli_model(VT_SETTING_DETECTOR, options->det), "scrfd");
    if (!out->detector) goto fail;
    if (with_recogniser)
        out->recogniser = vt_cli_resolve(options, vt_cli_model(VT_SETTING_RECOGNISER, options->rec), "arcface");
    if (with_recogniser && !out->recogniser) goto fail;
    if (!vt_cli_attribute_models(options, &out->attribute_models)) goto fail;
    if (!(out->runtime = vt_cli_runtime(options))) goto fail;
    struct vultus_pipeline_options wanted = {
        .detector = out->detector,
        .recogniser = out->recogniser,
        .detector_build = vt_cli_build_options(options, out->detector, &progress[0]),
        .attribute_models = (const char *const *)out->attribute_models.paths,
        .n_attribute_models = out->attribute_models.count,
        .attribute_build = vt_cli_build_options(options, "models of attributes", &progress[2]),
    };
    wanted.attribute_build.width = wanted.attribute_build.height = 0;
    if (out->recogniser) {
        wanted.recogniser_build = vt_cli_build_options(options, out->recogniser, &progress[1]);
        wanted.recogniser_build.width = wanted.recogniser_build.height = 0; /* --input-size is the detector's */
    }
    enum vultus_status status = vultus_pipeline_open(out->runtime, &wanted, &out->pipeline, &error);
    for (int i = 0; i < 3; i++) vt_cli_progress_end(&progress[i]);
    if (status >= 0) return true;
    vt_cli_fail(&error);
fail:
    vt_cli_pipeline_close(out);
    return false;
}

static void tell_bus(const struct vultus_pipeline *pipeline) {
    struct vultus_pipeline_statistics s;
    vultus_pipeline_measure(pipeline, &s);
    vt_cli_say("photos that stayed on a GPU: %llu; bytes to it: %llu, from it: %llu",
        (unsigned long long)s.resident_pictures, (unsigned long long)s.bytes_to_device,
        (unsigned long long)s.bytes_from_device);
}

void vt_cli_pipeline_close(struct vt_cli_pipeline *pipeline) {
    if (pipeline->verbose && pipeline->pipeline) tell_bus(pipeline->pipeline);
    vultus_pipeline_close(pipeline->pipeline);
    vultus_runtime_destroy(pipeline->runtime);
    free(pipeline->detector);
    free(pipeline->recogniser);
    vt_file_list_fini(&pipeline->attribute_models);
    *pipeline = (struct vt_cli_pipeline){0};
}

static enum vultus_robust robust_of(const char *word) {
    if (word && strcmp(word, "off") == 0) return VULTUS_ROBUST_OFF;
    return word && strcmp(word, "full") == 0 ? VULTUS_ROBUST_FULL : VULTUS_ROBUST_AUTO;
}

struct vultus_analyze_options vt_cli_analyze_options(const struct vt_options *options) {
    return (struct vultus_analyze_options){
        .threshold = (float)options->threshold,
        .robust = robust_of(options->robust),
        .tile = options->tile,
        .attributes = vt_cli_attributes(options),
        .limit_faces = options->limit_faces,
        .min_face_size = options->min_face_size,
        .whole_picture = options->full_decode,
    };
}

size_t vt_cli_most_bytes(const struct vt_options *options) {
    return options->max_bytes ? (size_t)options->max_bytes : DEFAULT_MAX_BYTES;
}

enum vultus_status vt_cli_analyze_file(const struct vt_cli_pipeline *models, const struct vt_options *options,
    const char *file, const struct vultus_analyze_options *analyze, struct vultus_faces **faces, double *read_ms,
    struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    uint8_t *bytes;
    size_t size;
    enum vultus_status status = vt_read_file(file, vt_cli_most_bytes(options), &bytes, &size, error);
    if (status < 0) return status;
    *read_ms = vt_ms_since(start);
    const char *name = strcmp(file, "-") == 0 ? "standard input" : file;
    status = vultus_analyze_encoded(models->pipeline, bytes, size, name, analyze, faces, error);
    free(bytes);
    return status;
}

/* ---------------------------------------------------------------- files */

bool vt_file_list_append(struct vt_file_list *list, char *path) {
    if (path && list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 16;
        char **paths = realloc(list->paths, capacity * sizeof *paths);
        if (!paths) {
            free(path);
            path = NULL;
        } else {
            list->paths = paths;
            list->capacity = capacity;
        }
    }
    if (!path) {
        vt_cli_fail_memory();
        return false;
    }
    list->paths[list->count++] = path;
    return true;
}

bool vt_has_picture_suffix(const char *name) {
    static const char *const suffixes[] = {
        ".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof suffixes / sizeof *suffixes; i++)
        if (strcasecmp(dot, suffixes[i]) == 0) return true;
    return false;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* A subfolder that cannot be read stays in the list, so that it is told of like a photo that cannot. */
static bool append_entries(struct vt_file_list *list, const char *path, bool recursive);

static bool append_entry(struct vt_file_list *list, const char *folder, const char *name, bool recursive) {
    struct stat about;
    char *path = vt_path_join(folder, name);
    if (!path) return vt_file_list_append(list, NULL);
    if (recursive && lstat(path, &about) == 0 && S_ISDIR(about.st_mode)) {
        bool fine = append_entries(list, path, true);
        free(path);
        return fine;
    }
    if (vt_has_picture_suffix(name)) return vt_file_list_append(list, path);
    free(path);
    return true;
}

static bool append_entries(struct vt_file_list *list, const char *path, bool recursive) {
    DIR *folder = opendir(path);
    if (!folder) return vt_file_list_append(list, strdup(path));
    bool fine = true;
    for (struct dirent *entry; fine && (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fine = append_entry(list, path, entry->d_name, recursive);
    closedir(folder);
    return fine;
}

static bool append_folder(struct vt_file_list *list, const char *path, bool recursive) {
    if (access(path, R_OK | X_OK) != 0) {
        vt_cli_say("cannot read the folder %s: %s", path, strerror(errno));
        return false;
    }
    size_t first = list->count;
    bool fine = append_entries(list, path, recursive);
    if (fine && list->count == first) {
        vt_cli_say("there are no pictures (.jpg, .png, .webp, .gif, .bmp, .tif, .heic, .avif) in the folder %s", path);
        return false;
    }
    if (fine) qsort(list->paths + first, list->count - first, sizeof *list->paths, by_name);
    return fine;
}

bool vt_file_list_expand(const struct vt_options *options, struct vt_file_list *out) {
    *out = (struct vt_file_list){0};
    for (size_t i = 0; i < options->n_operands; i++) {
        const char *path = options->operands[i];
        struct stat about;
        bool folder = strcmp(path, "-") != 0 && stat(path, &about) == 0 && S_ISDIR(about.st_mode);
        if (folder ? !append_folder(out, path, options->recursive) : !vt_file_list_append(out, strdup(path)))
            return false;
    }
    return true;
}

void vt_file_list_fini(struct vt_file_list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->paths[i]);
    free(list->paths);
    *list = (struct vt_file_list){0};
}
