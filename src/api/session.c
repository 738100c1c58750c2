/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "base/file.h"
#include "base/log.h"

/* Whether the file's first bytes are a plan's. */
static enum vultus_status is_plan(const char *path, bool *plan, struct vultus_error *error) {
    struct vt_mapped_file file;
    enum vultus_status status = vt_map_file(path, &file, error);
    if (status) return status;
    *plan = vt_plan_probe(file.data, file.size);
    vt_unmap_file(&file);
    return VULTUS_OK;
}

bool vultus_is_plan(const char *path) {
    bool plan = false;
    return path && is_plan(path, &plan, NULL) == VULTUS_OK && plan;
}

static enum vultus_status open_plan(
    struct vultus_runtime *runtime, const char *path, struct vt_engine **out, struct vultus_error *error) {
    struct vt_plan *plan = NULL;
    enum vultus_status status = vt_plan_read(path, &plan, error);
    if (!status) status = vt_engine_create(plan, runtime->pool, out, error);
    if (status) vt_plan_destroy(plan);
    return status;
}

static enum vultus_status build_and_open(struct vultus_runtime *runtime, const char *path,
    const struct vultus_build_options *options, struct vt_engine **out, struct vultus_error *error) {
    struct vultus_build_result built;
    enum vultus_status status = vultus_build(runtime, path, options, &built, error);
    return status ? status : open_plan(runtime, built.path, out, error);
}

/* Failures that another back end may not have; a file that is wrong is so for all. */
static bool may_be_the_backend(enum vultus_status status) {
    return status == VULTUS_ERROR_BACKEND || status == VULTUS_ERROR_MEMORY || status == VULTUS_ERROR_UNSUPPORTED ||
           status == VULTUS_ERROR_MISMATCH;
}

/* By the first back end of the order that takes it. */
static enum vultus_status open_in_order(struct vultus_runtime *runtime, const char *path,
    const struct vultus_build_options *options, struct vt_engine **out, struct vultus_error *error) {
    struct vt_backend_choice choice;
    struct vultus_build_options one = {0};
    if (options) one = *options;
    enum vultus_status status = vt_api_choose_backend(runtime, &choice, error);
    for (size_t i = choice.n_skipped; !status && i < runtime->order.count; i++) {
        struct vultus_error failure = {VULTUS_OK, ""};
        one.backend = runtime->order.names[i];
        enum vultus_status opened = build_and_open(runtime, path, &one, out, &failure);
        bool last = i + 1 == runtime->order.count || runtime->strict || !may_be_the_backend(opened);
        if (!opened || last) return opened ? vt_fail(error, opened, "%s", failure.text) : VULTUS_OK;
        vt_log(VT_LOG_WARN, "back end %s is skipped for %s: %s", one.backend, vt_path_basename(path), failure.text);
    }
    return status;
}

static enum vultus_status add_fallback(
    struct vultus_runtime *runtime, const char *path, struct vt_engine *engine, struct vultus_error *error) {
    struct vt_engine *fallback = NULL;
    enum vultus_status status = open_plan(runtime, path, &fallback, error);
    if (!status) status = vt_engine_set_fallback(engine, fallback, error);
    if (status) vt_engine_destroy(fallback);
    return status;
}

enum vultus_status vt_api_open_engine(struct vultus_runtime *runtime, const char *path,
    const struct vultus_build_options *options, struct vt_engine **out, struct vultus_error *error) {
    bool ready = false, named = options && options->backend;
    struct vt_engine *engine = NULL;
    enum vultus_status status = is_plan(path, &ready, error);
    if (!status)
        status = ready   ? open_plan(runtime, path, &engine, error)
                 : named ? build_and_open(runtime, path, options, &engine, error)
                         : open_in_order(runtime, path, options, &engine, error);
    if (!status && options && options->fallback_plan)
        status = add_fallback(runtime, options->fallback_plan, engine, error);
    if (status)
        vt_engine_destroy(engine);
    else
        *out = engine;
    return status;
}

enum vultus_status vultus_session_open(struct vultus_runtime *runtime, const char *path,
    const struct vultus_build_options *options, struct vultus_session **out, struct vultus_error *error) {
    if (!runtime || !path || !out)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "vultus_session_open needs a runtime, a path and a place for the session");
    struct vultus_session *session = calloc(1, sizeof *session);
    if (!session) return vt_fail_memory(error, "a session", sizeof *session);
    enum vultus_status status = vt_api_open_engine(runtime, path, options, &session->engine, error);
    if (status) {
        free(session);
        return status;
    }
    *out = session;
    return VULTUS_OK;
}

void vultus_session_close(struct vultus_session *session) {
    if (!session) return;
    vt_engine_destroy(session->engine);
    free(session);
}

size_t vultus_session_inputs(const struct vultus_session *session) { return vt_engine_plan(session->engine)->n_inputs; }

size_t vultus_session_outputs(const struct vultus_session *session) {
    return vt_engine_plan(session->engine)->n_outputs;
}

int64_t vultus_session_max_batch(const struct vultus_session *session) {
    return vt_engine_plan(session->engine)->max_batch;
}

enum vultus_status vt_api_check_batch(const struct vt_plan *plan, int64_t batch, struct vultus_error *error) {
    if (batch >= 1 && batch <= plan->max_batch) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_INVALID, "a batch of %lld was asked for; this plan runs 1 to %lld",
        (long long)batch, (long long)plan->max_batch);
}

static void fill_info(struct vultus_tensor_info *info, const char *name, const struct vt_tensor *tensor) {
    *info = (struct vultus_tensor_info){
        .name = name, .dtype = vt_dtype_name(tensor->dtype), .rank = tensor->rank, .bytes = vt_tensor_bytes(tensor)};
    memcpy(info->dims, tensor->dims, sizeof info->dims);
}

enum vultus_status vultus_session_input(const struct vultus_session *session, size_t i, int64_t batch,
    struct vultus_tensor_info *info, struct vultus_error *error) {
    const struct vt_plan *plan = vt_engine_plan(session->engine);
    if (i >= plan->n_inputs)
        return vt_fail(error, VULTUS_ERROR_INVALID, "input %zu was asked for; the plan has %u", i, plan->n_inputs);
    enum vultus_status status = vt_api_check_batch(plan, batch, error);
    if (status) return status;
    struct vt_tensor tensor = vt_engine_input(session->engine, (uint32_t)i, batch);
    fill_info(info, plan->values[plan->inputs[i]].name, &tensor);
    return VULTUS_OK;
}

enum vultus_status vultus_session_output(const struct vultus_session *session, size_t i, int64_t batch,
    struct vultus_tensor_info *info, struct vultus_error *error) {
    const struct vt_plan *plan = vt_engine_plan(session->engine);
    if (i >= plan->n_outputs)
        return vt_fail(error, VULTUS_ERROR_INVALID, "output %zu was asked for; the plan has %u", i, plan->n_outputs);
    enum vultus_status status = vt_api_check_batch(plan, batch, error);
    if (status) return status;
    struct vt_tensor tensor = vt_engine_output(session->engine, (uint32_t)i, batch);
    fill_info(info, plan->values[plan->outputs[i]].name, &tensor);
    return VULTUS_OK;
}

enum vultus_status vultus_session_run(struct vultus_session *session, const void *const *inputs, void *const *outputs,
    int64_t batch, struct vultus_error *error) {
    if (!session || !inputs || !outputs)
        return vt_fail(error, VULTUS_ERROR_INVALID, "vultus_session_run needs a session, inputs and outputs");
    enum vultus_status status = vt_api_check_batch(vt_engine_plan(session->engine), batch, error);
    return status ? status : vt_engine_run(session->engine, inputs, outputs, batch, NULL, error);
}
