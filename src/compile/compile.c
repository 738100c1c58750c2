/* SPDX-License-Identifier: Apache-2.0 */
#include "compile/compile.h"

#include <stdio.h>
#include <string.h>

#include "compile/lowering.h"
#include "pass/pass.h"

#define DEFAULT_SIDE 640
#define DEFAULT_MAX_BATCH 32

/* A free batch axis becomes one item; free height and width of a picture take the options' size. */
static enum vultus_status bind_input(struct vt_graph *graph, struct vt_value *value,
    const struct vt_compile_options *options, struct vultus_error *error) {
    int64_t dims[VT_MAX_RANK] = {0};
    if (value->rank < 0) return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "input %s has no declared rank", value->name);
    for (int i = 0; i < value->rank; i++) {
        if (vt_dim_is_constant(value->dims[i], &dims[i])) continue;
        bool picture = value->rank == 4 && i >= 2;
        if (i == 0)
            dims[i] = 1;
        else if (picture && i == 2)
            dims[i] = options->height > 0 ? options->height : DEFAULT_SIDE;
        else if (picture && i == 3)
            dims[i] = options->width > 0 ? options->width : DEFAULT_SIDE;
        else
            return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
                "axis %d of input %s is free; only the batch and a picture's height and width may be", i, value->name);
    }
    return vt_graph_bind_input(graph, value, dims, value->rank, error);
}

/* Asking for a picture size that the model fixes otherwise is an error, not silently ignored. */
static enum vultus_status check_size(
    const struct vt_graph *graph, const struct vt_compile_options *options, struct vultus_error *error) {
    for (size_t i = 0; i < graph->n_inputs; i++) {
        int64_t dims[VT_MAX_RANK];
        const struct vt_value *v = graph->inputs[i];
        if (v->rank != 4 || !vt_value_static_dims(v, dims)) continue;
        if ((options->height > 0 && dims[2] != options->height) || (options->width > 0 && dims[3] != options->width))
            return vt_fail(error, VULTUS_ERROR_INVALID,
                "input %s is fixed at %lldx%lld pixels and cannot be built for %lldx%lld", v->name, (long long)dims[3],
                (long long)dims[2], (long long)options->width, (long long)options->height);
    }
    return VULTUS_OK;
}

static void copy_text(char *target, size_t size, const char *text) {
    snprintf(target, size, "%.*s", (int)size - 1, text ? text : "");
}

static void fill_key(struct vt_plan *plan, const struct vt_compile_options *options, const struct vt_backend *backend,
    const struct vt_backend_report *report) {
    struct vt_plan_key *key = &plan->key;
    copy_text(key->precision, sizeof key->precision, options->precision ? options->precision : "fp32");
    copy_text(key->backend, sizeof key->backend, backend->name);
    copy_text(key->arch, sizeof key->arch, report->arch);
    copy_text(key->cpu, sizeof key->cpu, report->device);
    copy_text(key->libraries, sizeof key->libraries, report->libraries);
    /* Forced tactics are another build: they must not be found by those who did not ask for them. */
    snprintf(key->build, sizeof key->build, "%s%s%s", vt_backend_build(), options->only_tactics ? " only " : "",
        options->only_tactics ? options->only_tactics : "");
    snprintf(key->input_size, sizeof key->input_size, "%lldx%lld",
        (long long)(options->width > 0 ? options->width : DEFAULT_SIDE),
        (long long)(options->height > 0 ? options->height : DEFAULT_SIDE));
    snprintf(key->max_batch, sizeof key->max_batch, "%lld", (long long)plan->max_batch);
    snprintf(key->threads, sizeof key->threads, "%d", options->threads);
}

static bool is_tf32(const struct vt_compile_options *options) {
    return options->precision && strcmp(options->precision, "tf32") == 0;
}

/* The type of activations between the steps that have kernels for them; NONE for an unknown precision. */
static enum vt_dtype blocked_dtype(const struct vt_compile_options *options) {
    if (!options->precision || strcmp(options->precision, "fp32") == 0 || is_tf32(options)) return VT_DTYPE_F32;
    if (strcmp(options->precision, "fp16") == 0) return VT_DTYPE_F16;
    return strcmp(options->precision, "bf16") == 0 ? VT_DTYPE_BF16 : VT_DTYPE_NONE;
}

enum vultus_status vt_compile_key(
    const struct vt_compile_options *options, struct vt_plan_key *key, struct vultus_error *error) {
    const struct vt_backend *backend;
    struct vt_backend_report report;
    enum vultus_status status = vt_compile_backend(options, &backend, &report, error);
    if (status) return status;
    struct vt_plan plan = {.max_batch = options->max_batch > 0 ? options->max_batch : DEFAULT_MAX_BATCH};
    fill_key(&plan, options, backend, &report);
    *key = plan.key;
    return VULTUS_OK;
}

/* Those that a back end has kernels for. */
static const char *precisions(const struct vt_backend_builder *builder, char *text, size_t size) {
    snprintf(text, size, "fp32%s%s%s", builder->tf32 ? ", tf32" : "", builder->block(VT_DTYPE_F16) ? ", fp16" : "",
        builder->block(VT_DTYPE_BF16) ? ", bf16" : "");
    return text;
}

enum vultus_status vt_compile_backend(const struct vt_compile_options *options, const struct vt_backend **backend,
    struct vt_backend_report *report, struct vultus_error *error) {
    const char *name = options->backend ? options->backend : "cpu";
    *backend = vt_backend_find(name);
    if (!*backend) return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "this build does not include back end %s", name);
    (*backend)->probe(report);
    if (!report->usable)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "back end %s cannot be used here: %s; where none is named the first usable one is taken", name,
            report->reason);
    if (!(*backend)->builder)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "this build cannot compile for back end %s", name);
    enum vt_dtype dtype = blocked_dtype(options);
    const struct vt_backend_builder *builder = (*backend)->builder;
    char known[40];
    if (dtype == VT_DTYPE_NONE || builder->block(dtype) == 0 || (is_tf32(options) && !builder->tf32))
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "precision %s is not one that back end %s builds: %s",
            options->precision, name, precisions(builder, known, sizeof known));
    return VULTUS_OK;
}

static enum vultus_status optimise(struct vt_graph *graph, const struct vt_compile_options *options,
    const struct vt_backend *backend, struct vultus_error *error) {
    enum vultus_status status = vt_compile_bind(graph, options, error);
    if (!status) status = vt_pass_run_all(graph, error);
    if (!status && backend->builder->planes == VT_LAYOUT_CHANNELS_LAST)
        status = vt_pass_products_to_convolutions(graph, NULL, error);
    return status;
}

enum vultus_status vt_compile_bind(
    struct vt_graph *graph, const struct vt_compile_options *options, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; !status && i < graph->n_inputs; i++)
        status = bind_input(graph, graph->inputs[i], options, error);
    if (!status) status = check_size(graph, options, error);
    return status ? status : vt_graph_infer(graph, error);
}

static enum vultus_status lower_and_tune(
    struct vt_lowering *lowering, const struct vt_compile_options *options, struct vt_pool *pool) {
    enum vultus_status status = vt_lower_graph(lowering);
    if (!status) status = vt_tune(lowering, options, pool);
    if (!status) status = vt_plan_memory(lowering);
    return status ? status : vt_store_constants(lowering);
}

/* The options' strings may die before the plan does. */
static bool copy_model(struct vt_plan *plan, const struct vt_plan_model *model) {
    const char **texts[] = {
        &plan->model.name, &plan->model.function, &plan->model.origin, &plan->model.licence, &plan->model.channels};
    plan->model = *model;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!(*texts[i] = vt_arena_strdup(&plan->arena, *texts[i] ? *texts[i] : ""))) return false;
    return true;
}

enum vultus_status vt_compile(struct vt_graph *graph, const struct vt_compile_options *options, struct vt_pool *pool,
    struct vt_plan **out, struct vultus_error *error) {
    const struct vt_backend *backend;
    struct vt_backend_report report;
    struct vultus_error failure = {VULTUS_OK, ""};
    struct vt_plan *plan = NULL;
    enum vultus_status status = vt_compile_backend(options, &backend, &report, &failure);
    if (!status) status = optimise(graph, options, backend, &failure);
    if (!status) status = vt_plan_create(&plan, &failure);
    if (!status) {
        plan->max_batch = options->max_batch > 0 ? options->max_batch : DEFAULT_MAX_BATCH;
        fill_key(plan, options, backend, &report);
        if (!copy_model(plan, &options->model)) status = vt_fail_memory(&failure, "a plan's texts", sizeof plan->model);
    }
    if (!status) {
        struct vt_lowering lowering = {.graph = graph,
            .backend = backend,
            .plan = plan,
            .blocked_dtype = blocked_dtype(options),
            .block = backend->builder->block(blocked_dtype(options)),
            .error = &failure};
        status = lower_and_tune(&lowering, options, pool);
    }
    if (status) {
        vt_plan_destroy(plan);
        return vt_fail(error, status, "%s", failure.text);
    }
    *out = plan;
    return VULTUS_OK;
}
