/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/api_internal.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/log.h"
#include "compile/compile.h"
#include "face/recognise.h"
#include "onnx/onnx.h"
#include "plan/store.h"

/* One build in progress. */
struct build {
    struct vultus_runtime *runtime;
    const struct vultus_build_options *options;
    const char *model_path;
    struct vt_mapped_file model;
    struct vt_compile_options compile;
    struct vt_plan_key key;
    char *stem;      /* of the model's file name */
    char *plan_path; /* where the plan belongs */
    int lock;        /* -1: not held */
    struct vultus_build_result *result;
};

static void build_fini(struct build *b) {
    if (b->lock >= 0) vt_unlock_file(b->lock);
    vt_unmap_file(&b->model);
    free(b->plan_path);
    free(b->stem);
}

/* What the catalogue knows of the model; bare files are recognised from their shapes later. */
static enum vultus_status look_up_model(struct build *b, struct vultus_error *error) {
    struct vt_plan_model *model = &b->compile.model;
    const struct vt_catalogue_entry *e;
    model->name = b->stem;
    enum vultus_status status = vt_api_find_model(b->runtime, b->key.model_sha256, b->stem, &e, error);
    if (status || !e) return status;
    *model = (struct vt_plan_model){.name = b->stem,
        .function = e->function,
        .origin = "catalogue",
        .licence = e->licence,
        .channels = e->channels};
    memcpy(model->mean, e->mean, sizeof model->mean);
    memcpy(model->std, e->std, sizeof model->std);
    return VULTUS_OK;
}

/* malloc'd path of the plan; the name shows what differs from the defaults. */
static char *plan_path(const struct build *b, const char *directory) {
    bool chosen_size = b->options->width > 0 && strcmp(b->key.input_size, "640x640") != 0;
    int64_t batch = b->options->max_batch == 32 ? 0 : b->options->max_batch;
    int threads = b->runtime->threads == vt_cpu_count() ? 0 : b->runtime->threads;
    char *name = vt_store_plan_name(
        b->stem, b->key.precision, b->key.arch, chosen_size ? b->key.input_size : NULL, batch, threads);
    char *path = name ? vt_path_join(directory, name) : NULL;
    free(name);
    return path;
}

static enum vultus_status check_options(const struct vultus_build_options *o, struct vultus_error *error) {
    if (o->width < 0 || o->height < 0 || o->width > 8192 || o->height > 8192 || (o->width == 0) != (o->height == 0))
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "an input size of %dx%d was asked for; both sides must be 1 to 8192", o->width, o->height);
    if (o->max_batch < 0 || o->max_batch > 1024)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "a max batch of %d was asked for; it must be 1 to 1024", o->max_batch);
    return VULTUS_OK;
}

enum vultus_status vt_api_digest_onnx(
    const struct vt_mapped_file *file, const char *path, char hex[VT_SHA256_HEX], struct vultus_error *error) {
    char *folder = vt_path_directory(path);
    if (!folder) return vt_fail_memory(error, "a path", strlen(path));
    enum vultus_status status = vt_onnx_sha256(file->data, file->size, path, folder, hex, error);
    free(folder);
    return status;
}

/* Reads the model, computes the key it would be built under and where its plan belongs. */
static enum vultus_status prepare(struct build *b, struct vultus_error *error) {
    enum vultus_status status = check_options(b->options, error);
    if (!status) status = vt_map_file(b->model_path, &b->model, error);
    if (status) return status;
    if (vt_plan_probe(b->model.data, b->model.size))
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "%s is a plan already; building takes an ONNX model", b->model_path);
    const char *backend = b->options->backend;
    struct vt_backend_choice choice;
    if (!backend && (status = vt_api_choose_backend(b->runtime, &choice, error))) return status;
    b->compile = (struct vt_compile_options){.backend = backend ? backend : choice.backend->name,
        .precision = b->options->precision,
        .width = b->options->width,
        .height = b->options->height,
        .max_batch = b->options->max_batch,
        .threads = b->runtime->threads,
        .time_tactics = true,
        .progress = b->options->progress,
        .progress_context = b->options->progress_context};
    const char *only = getenv("VULTUS_TACTICS");
    b->compile.only_tactics = only && *only ? only : NULL;
    status = vt_compile_key(&b->compile, &b->key, error);
    if (!status) status = vt_api_digest_onnx(&b->model, b->model_path, b->key.model_sha256, error);
    if (status) return status;
    b->stem = vt_path_stem(b->model_path);
    const char *directory = b->options->output_directory ? b->options->output_directory : b->runtime->plan_directory;
    if (!directory) {
        char *none = vt_store_default_directory(error); /* writes the sentence */
        free(none);
        return VULTUS_ERROR_INVALID;
    }
    status = vt_make_directories(directory, error);
    if (status) return status;
    b->plan_path = b->stem ? plan_path(b, directory) : NULL;
    if (!b->plan_path) return vt_fail_memory(error, "a path", strlen(directory));
    return look_up_model(b, error);
}

/* Processes that want the same plan wait here; whoever comes second finds it built. */
static enum vultus_status take_lock(struct build *b, struct vultus_error *error) {
    size_t size = strlen(b->plan_path) + sizeof ".lock";
    char *path = malloc(size);
    if (!path) return vt_fail_memory(error, "a path", size);
    snprintf(path, size, "%s.lock", b->plan_path);
    enum vultus_status status = vt_lock_file(path, &b->lock, error);
    free(path);
    return status;
}

static void static_shape(const struct vt_value *value, struct vt_tensor *shape) {
    *shape = (struct vt_tensor){.dtype = value->dtype};
    if (vt_value_static_dims(value, shape->dims)) shape->rank = value->rank;
}

#define MOST_RECOGNISED 16

/* A model that the catalogue does not know is told by its shapes. */
static void recognise(const struct vt_graph *graph, struct vt_plan_model *model) {
    struct vt_tensor inputs[MOST_RECOGNISED], outputs[MOST_RECOGNISED];
    if (model->function || graph->n_inputs > MOST_RECOGNISED || graph->n_outputs > MOST_RECOGNISED) return;
    for (size_t i = 0; i < graph->n_inputs; i++) static_shape(graph->inputs[i], &inputs[i]);
    for (size_t i = 0; i < graph->n_outputs; i++) static_shape(graph->outputs[i], &outputs[i]);
    vt_recognise_function(inputs, graph->n_inputs, outputs, graph->n_outputs, model);
    model->origin = "shapes";
    vt_log(VT_LOG_INFO, "%s is not in the catalogue; its shapes say: %s", model->name,
        model->function && *model->function ? model->function : "unknown function");
}

enum vultus_status vt_api_read_onnx(
    const struct vt_mapped_file *file, const char *path, struct vt_graph **out, struct vultus_error *error) {
    struct vultus_error failure;
    char *folder = vt_path_directory(path);
    if (!folder) return vt_fail_memory(error, "a path", strlen(path));
    const struct vt_onnx_limits limits = {.folder = folder};
    enum vultus_status status = vt_onnx_read(file->data, file->size, path, &limits, out, &failure);
    free(folder);
    if (status == VULTUS_ERROR_FORMAT && !vt_onnx_probe(file->data, file->size))
        return vt_fail(error, status, "%s is neither an ONNX model nor a plan", path);
    return status ? vt_fail(error, status, "%s", failure.text) : VULTUS_OK;
}

static enum vultus_status compile(struct build *b, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    struct vt_graph *graph = NULL;
    struct vt_plan *plan = NULL;
    enum vultus_status status = vt_api_read_onnx(&b->model, b->model_path, &graph, error);
    if (!status) status = vt_compile_bind(graph, &b->compile, error);
    if (!status) {
        recognise(graph, &b->compile.model);
        status = vt_compile(graph, &b->compile, b->runtime->pool, &plan, error);
    }
    if (!status) {
        memcpy(plan->key.model_sha256, b->key.model_sha256, sizeof plan->key.model_sha256);
        plan->build_seconds = (float)(vt_ms_since(start) * 1e-3);
        status = vt_plan_write(plan, b->plan_path, error);
    }
    vt_plan_destroy(plan);
    vt_graph_destroy(graph);
    return status;
}

/* "conv:winograd4:avx512 x42, ..." in order of first use. */
static void summarise_tactics(const struct vt_plan *plan, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        const char *tactic = plan->steps[i].choices[0].tactic;
        uint32_t count = 0;
        bool seen = false;
        for (uint32_t j = 0; j < plan->n_steps; j++) {
            if (strcmp(plan->steps[j].choices[0].tactic, tactic) != 0) continue;
            seen = seen || j < i;
            count++;
        }
        if (seen || used >= size) continue;
        int n = snprintf(text + used, size - used, "%s%s x%u", used ? ", " : "", tactic, count);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* Opens the plan that is now there and reports on it. */
static enum vultus_status report(struct build *b, bool cached, uint64_t start, struct vultus_error *error) {
    struct vultus_build_result *r = b->result;
    struct vt_plan *plan;
    enum vultus_status status = vt_plan_read(b->plan_path, &plan, error);
    if (status) return status;
    struct stat info;
    r->bytes = stat(b->plan_path, &info) == 0 ? (uint64_t)info.st_size : 0;
    snprintf(r->path, sizeof r->path, "%s", b->plan_path);
    r->cached = cached;
    r->steps = plan->n_steps;
    summarise_tactics(plan, r->tactics, sizeof r->tactics);
    vt_plan_destroy(plan);
    r->seconds = vt_ms_since(start) * 1e-3;
    return VULTUS_OK;
}

/* Whether a matching, whole plan is there; else result->miss says why not. */
static bool find(struct build *b, uint64_t start) {
    char *miss = b->result->miss;
    struct vultus_error error;
    if (b->options->force) {
        snprintf(miss, sizeof b->result->miss, "building was forced");
        return false;
    }
    if (vt_store_look_up(b->plan_path, &b->key, miss, sizeof b->result->miss) != VT_STORE_HIT) return false;
    if (!report(b, true, start, &error)) return true;
    snprintf(miss, sizeof b->result->miss, "%s", error.text);
    return false;
}

static enum vultus_status build_or_find(struct build *b, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    enum vultus_status status = prepare(b, error);
    if (status || find(b, start)) return status;
    status = take_lock(b, error);
    if (status || find(b, start)) return status;
    vt_log(VT_LOG_INFO, "building %s: %s", b->plan_path, b->result->miss);
    status = compile(b, error);
    return status ? status : report(b, false, start, error);
}

enum vultus_status vultus_build(struct vultus_runtime *runtime, const char *model_path,
    const struct vultus_build_options *options, struct vultus_build_result *result, struct vultus_error *error) {
    static const struct vultus_build_options defaults;
    struct vultus_build_result local = {.cached = false};
    if (!runtime || !model_path)
        return vt_fail(error, VULTUS_ERROR_INVALID, "vultus_build needs a runtime and the path of a model");
    struct build b = {.runtime = runtime,
        .options = options ? options : &defaults,
        .model_path = model_path,
        .lock = -1,
        .result = &local};
    enum vultus_status status = build_or_find(&b, error);
    build_fini(&b);
    if (!status && local.cached) local.miss[0] = '\0';
    if (!status && result) *result = local;
    return status;
}
