/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/compare.h"
#include "graph/interpreter.h"

#define LARGEST_TENSOR_BYTES ((size_t)4 << 30)

struct vt_oracle {
    const struct vt_plan *plan;
    struct vt_pool *pool;
    struct vt_mapped_file model;
    struct vt_graph **graphs; /* one for each thread, since running uses a graph's values as scratch */
    int threads;
};

static enum vultus_status check_model(const struct vt_oracle *oracle, const char *path, struct vultus_error *error) {
    char sha256[VT_SHA256_HEX];
    const char *wanted = oracle->plan->key.model_sha256;
    enum vultus_status status = vt_api_digest_onnx(&oracle->model, path, sha256, error);
    if (status || strcmp(sha256, wanted) == 0) return status;
    return vt_fail(error, VULTUS_ERROR_MISMATCH,
        "%s is not the model that the plan was built from: its SHA-256 is %.16s..., the plan's model_sha256 %.16s...",
        path, sha256, wanted);
}

/* Fixes the inputs to the plan's shapes, which are those of one item. */
static enum vultus_status bind(const struct vt_plan *plan, struct vt_graph *graph, struct vultus_error *error) {
    if (graph->n_inputs != plan->n_inputs || graph->n_outputs != plan->n_outputs)
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "the model has %zu inputs and %zu outputs, its plan %u and %u",
            graph->n_inputs, graph->n_outputs, plan->n_inputs, plan->n_outputs);
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; !status && i < graph->n_inputs; i++) {
        const struct vt_plan_value *v = &plan->values[plan->inputs[i]];
        status = vt_graph_bind_input(graph, graph->inputs[i], v->dims, v->rank, error);
    }
    return status ? status : vt_graph_infer(graph, error);
}

enum vultus_status vt_oracle_open(const char *path, const struct vt_plan *plan, struct vt_pool *pool,
    struct vt_oracle **out, struct vultus_error *error) {
    struct vt_oracle *oracle = calloc(1, sizeof *oracle);
    if (!oracle) return vt_fail_memory(error, "an oracle", sizeof *oracle);
    *oracle = (struct vt_oracle){.plan = plan, .pool = pool, .threads = vt_pool_threads(pool)};
    enum vultus_status status = vt_map_file(path, &oracle->model, error);
    if (!status) status = check_model(oracle, path, error);
    if (!status && !(oracle->graphs = calloc((size_t)oracle->threads, sizeof *oracle->graphs)))
        status = vt_fail_memory(error, "graphs", (size_t)oracle->threads * sizeof *oracle->graphs);
    for (int i = 0; !status && i < oracle->threads; i++) {
        status = vt_api_read_onnx(&oracle->model, path, &oracle->graphs[i], error);
        if (!status) status = bind(plan, oracle->graphs[i], error);
    }
    if (status) {
        vt_oracle_close(oracle);
        return status;
    }
    *out = oracle;
    return VULTUS_OK;
}

void vt_oracle_close(struct vt_oracle *oracle) {
    if (!oracle) return;
    for (int i = 0; oracle->graphs && i < oracle->threads; i++) vt_graph_destroy(oracle->graphs[i]);
    free(oracle->graphs);
    vt_unmap_file(&oracle->model);
    free(oracle);
}

/* ------------------------------------------------------------ run */

struct job {
    const struct vt_oracle *oracle;
    const void *const *inputs;
    void *const *outputs;
    pthread_mutex_t lock;
    enum vultus_status status; /* the first failure, under lock */
    struct vultus_error *error;
};

static enum vultus_status run_item(
    const struct job *job, size_t item, struct vt_graph *graph, struct vt_arena *arena, struct vultus_error *error) {
    const struct vt_plan *plan = job->oracle->plan;
    struct vt_tensor *tensors = vt_arena_alloc_array(arena, graph->n_inputs + graph->n_outputs, sizeof *tensors);
    if (!tensors) return vt_fail_memory(error, "tensors", graph->n_inputs + graph->n_outputs);
    struct vt_tensor *results = tensors + graph->n_inputs;
    for (size_t i = 0; i < graph->n_inputs; i++)
        tensors[i] = vt_api_item(&plan->values[plan->inputs[i]], job->inputs[i], (int64_t)item);
    enum vultus_status status = vt_graph_run(graph, tensors, results, arena, error);
    for (size_t i = 0; !status && i < graph->n_outputs; i++) {
        struct vt_tensor target = vt_api_item(&plan->values[plan->outputs[i]], job->outputs[i], (int64_t)item);
        char text[128];
        if (results[i].dtype != target.dtype || vt_tensor_bytes(&results[i]) != vt_tensor_bytes(&target))
            return vt_fail(error, VULTUS_ERROR_MISMATCH, "output %zu of the model is %s, which the plan's is not", i,
                vt_tensor_describe(&results[i], text, sizeof text));
        memcpy(target.data, results[i].data, vt_tensor_bytes(&target));
    }
    return status;
}

static void run_unit(void *context, size_t unit, int thread) {
    struct job *job = context;
    struct vultus_error error;
    struct vt_arena arena;
    vt_arena_init(&arena, LARGEST_TENSOR_BYTES);
    enum vultus_status status = run_item(job, unit, job->oracle->graphs[thread], &arena, &error);
    vt_arena_fini(&arena);
    if (!status) return;
    pthread_mutex_lock(&job->lock);
    if (!job->status) job->status = vt_fail(job->error, status, "%s", error.text);
    pthread_mutex_unlock(&job->lock);
}

enum vultus_status vt_oracle_run(struct vt_oracle *oracle, const void *const *inputs, void *const *outputs,
    int64_t count, struct vultus_error *error) {
    struct job job = {oracle, inputs, outputs, PTHREAD_MUTEX_INITIALIZER, VULTUS_OK, error};
    vt_pool_run(oracle->pool, (size_t)count, run_unit, &job);
    return job.status;
}
