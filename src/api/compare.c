/* SPDX-License-Identifier: Apache-2.0 */
#include "api/compare.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "compare/agreement.h"

_Static_assert((int)VULTUS_METRIC_MAX_ABS == (int)VT_METRIC_MAX_ABS && VT_METRIC_COUNT == VULTUS_METRIC_MAX_ABS + 1 &&
                   (int)VULTUS_VERDICT_FAIL == (int)VT_VERDICT_FAIL,
    "both sides number metrics and verdicts alike");

#define LARGEST_CHUNK 8 /* items that are computed together */
#define MOST_ITEMS 1000000

const char *vultus_metric_name(enum vultus_metric metric) {
    return (unsigned)metric < VT_METRIC_COUNT ? vt_metric_name((enum vt_metric)metric) : "unknown";
}

/* A comparison in progress. */
struct compare {
    const struct vultus_compare_options *options;
    const char *path; /* as the caller named the plan or model */
    struct vt_pool *pool;
    struct vt_engine *engine;
    const struct vt_plan *plan;
    char *model; /* what the oracle interprets; NULL: it has no part in this */
    struct vt_oracle *oracle;
    struct vt_items items;
    void **inputs, **outputs, **wanted; /* arrays of `chunk` items; wanted: of the oracle */
    int64_t chunk;
    struct vt_agreement *agreements; /* by output */
};

/* ------------------------------------------------------------ preparing */

static bool is_plan_path(const char *path) {
    struct vt_mapped_file file;
    if (vt_map_file(path, &file, NULL)) return false;
    bool plan = vt_plan_probe(file.data, file.size);
    vt_unmap_file(&file);
    return plan;
}

/* The model that was named, else the path itself, else the plan's model in the plan's folder. */
static char *choose_model(const struct compare *c) {
    if (c->options->model) return strdup(c->options->model);
    if (!is_plan_path(c->path)) return strdup(c->path);
    struct vt_strbuf path = {0};
    vt_strbuf_append(&path, c->path, (size_t)(vt_path_basename(c->path) - c->path));
    vt_strbuf_printf(&path, "%s.onnx", c->plan->model.name);
    return vt_strbuf_take(&path);
}

static enum vultus_status open_oracle(struct compare *c, struct vultus_error *error) {
    if (!(c->model = choose_model(c))) return vt_fail_memory(error, "a path", strlen(c->path));
    if (!c->options->model && !vt_path_exists(c->model))
        return vt_fail(error, VULTUS_ERROR_NOT_FOUND,
            "%s is a plan, and its model is not beside it as %s; name the model, or a file of reference outputs",
            c->path, c->model);
    return vt_oracle_open(c->model, c->plan, c->pool, &c->oracle, error);
}

static enum vultus_status check_options(const struct vultus_compare_options *o, struct vultus_error *error) {
    if (o->samples < 0 || o->samples > MOST_ITEMS)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "%d items were asked for; 1 to %d are possible", o->samples, MOST_ITEMS);
    for (size_t i = 0; i < o->n_thresholds; i++) {
        const struct vultus_threshold *t = &o->thresholds[i];
        if ((unsigned)t->metric >= VT_METRIC_COUNT)
            return vt_fail(error, VULTUS_ERROR_INVALID, "threshold %zu is of no metric (%d)", i, (int)t->metric);
        const char *rule = vt_threshold_rule_broken((enum vt_metric)t->metric, (struct vt_threshold){t->pass, t->fail});
        if (rule)
            return vt_fail(error, VULTUS_ERROR_INVALID, "thresholds %g and %g of %s: %s", t->pass, t->fail,
                vultus_metric_name(t->metric), rule);
    }
    return VULTUS_OK;
}

/* An array for each value, of a chunk of items. */
static enum vultus_status make_arrays(
    const struct compare *c, const uint32_t *values, uint32_t count, void ***out, struct vultus_error *error) {
    void **arrays = *out = calloc((size_t)count + 1, sizeof *arrays);
    if (!arrays) return vt_fail_memory(error, "arrays", count * sizeof *arrays);
    for (uint32_t i = 0; i < count; i++) {
        size_t bytes;
        if (!vt_mul_size(c->plan->values[values[i]].bytes, (size_t)c->chunk, &bytes) ||
            !(arrays[i] = vt_alloc_aligned(bytes + 1)))
            return vt_fail_memory(error, "items", c->plan->values[values[i]].bytes);
    }
    return VULTUS_OK;
}

static enum vultus_status prepare(struct compare *c, struct vultus_runtime *runtime, struct vultus_error *error) {
    enum vultus_status status = check_options(c->options, error);
    if (!status) status = vt_api_open_engine(runtime, c->path, &c->options->build, &c->engine, error);
    if (status) return status;
    c->plan = vt_engine_plan(c->engine);
    status = vt_items_init(&c->items, c->engine, c->options, error);
    if (!status && !c->options->reference) status = open_oracle(c, error);
    c->chunk = vt_min_i64(vt_min_i64(LARGEST_CHUNK, c->plan->max_batch), c->items.count);
    if (!status) status = make_arrays(c, c->plan->inputs, c->plan->n_inputs, &c->inputs, error);
    if (!status) status = make_arrays(c, c->plan->outputs, c->plan->n_outputs, &c->outputs, error);
    if (!status && c->oracle) status = make_arrays(c, c->plan->outputs, c->plan->n_outputs, &c->wanted, error);
    if (!status && !(c->agreements = calloc(c->plan->n_outputs, sizeof *c->agreements)))
        status = vt_fail_memory(error, "measures", c->plan->n_outputs * sizeof *c->agreements);
    return status;
}

static void free_arrays(void **arrays, uint32_t count) {
    for (uint32_t i = 0; arrays && i < count; i++) vt_free_aligned(arrays[i]);
    free(arrays);
}

static void finish(struct compare *c) {
    if (c->plan) {
        free_arrays(c->inputs, c->plan->n_inputs);
        free_arrays(c->outputs, c->plan->n_outputs);
        free_arrays(c->wanted, c->plan->n_outputs);
    }
    free(c->agreements);
    vt_items_fini(&c->items);
    vt_oracle_close(c->oracle);
    vt_engine_destroy(c->engine);
    free(c->model);
}

/* ------------------------------------------------------------ running */

static enum vultus_status compare_chunk(struct compare *c, int64_t first, int64_t count, struct vultus_error *error) {
    const void *const *inputs = (const void *const *)c->inputs;
    enum vultus_status status = vt_items_inputs(&c->items, first, count, c->inputs, error);
    if (!status) status = vt_engine_run(c->engine, inputs, c->outputs, count, NULL, error);
    if (!status && c->oracle) status = vt_oracle_run(c->oracle, inputs, c->wanted, count, error);
    for (uint32_t i = 0; !status && i < c->plan->n_outputs; i++) {
        const struct vt_plan_value *v = &c->plan->values[c->plan->outputs[i]];
        for (int64_t k = 0; k < count; k++) {
            struct vt_tensor ours = vt_api_item(v, c->outputs[i], k);
            struct vt_tensor wanted =
                c->oracle ? vt_api_item(v, c->wanted[i], k) : vt_api_item(v, c->items.wanted[i].data, first + k);
            vt_agreement_add(&c->agreements[i], &ours, &wanted);
        }
    }
    return status;
}

static enum vultus_status compare_items(struct compare *c, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    const struct vultus_compare_options *o = c->options;
    for (int64_t first = 0; !status && first < c->items.count; first += c->chunk) {
        if (o->progress) o->progress(o->progress_context, (uint32_t)first, (uint32_t)c->items.count, "items");
        status = compare_chunk(c, first, vt_min_i64(c->chunk, c->items.count - first), error);
    }
    return status;
}

/* ------------------------------------------------------------ judging */

/* The comparison and all it points to. */
struct result {
    struct vultus_comparison comparison; /* first, so that its address is the result's */
    struct vt_arena arena;
};

static struct vt_threshold threshold_of(const struct compare *c, enum vt_metric metric) {
    const char *precision = c->plan->key.precision;
    struct vt_threshold chosen = vt_metric_threshold(metric, precision);
    for (size_t i = 0; i < c->options->n_thresholds; i++) {
        const struct vultus_threshold *t = &c->options->thresholds[i];
        if ((enum vt_metric)t->metric == metric && (!t->precision || strcmp(t->precision, precision) == 0))
            chosen = (struct vt_threshold){t->pass, t->fail};
    }
    return chosen;
}

static void judge_output(const struct compare *c, uint32_t i, struct vultus_output_comparison *out) {
    static const enum vt_metric of_embeddings[] = {VT_METRIC_COSINE_MEAN, VT_METRIC_COSINE_MIN, VT_METRIC_L2_MEAN};
    static const enum vt_metric of_others[] = {VT_METRIC_RELATIVE_L2, VT_METRIC_MAX_ABS};
    const struct vt_agreement *agreement = &c->agreements[i];
    out->embedding = vt_items_embedding(c->plan, i);
    out->n_measures = out->embedding ? 3 : 2;
    out->largest_difference = agreement->difference_most;
    out->largest_element = agreement->element_most;
    for (int m = 0; m < out->n_measures; m++) {
        enum vt_metric metric = out->embedding ? of_embeddings[m] : of_others[m];
        struct vt_threshold t = threshold_of(c, metric);
        double value = vt_agreement_value(agreement, metric);
        out->measures[m] = (struct vultus_measure){
            (enum vultus_metric)metric, value, t.pass, t.fail, (enum vultus_verdict)vt_metric_judge(metric, value, t)};
    }
}

static enum vultus_status judge(const struct compare *c, struct vultus_comparison **out, struct vultus_error *error) {
    struct result *r = calloc(1, sizeof *r);
    if (!r) return vt_fail_memory(error, "a comparison", sizeof *r);
    vt_arena_init(&r->arena, 0);
    struct vultus_comparison *comparison = &r->comparison;
    const char *inputs = c->options->inputs ? c->options->inputs : c->options->reference;
    bool random = c->items.given.dtype == VT_DTYPE_NONE;
    comparison->plan = vt_arena_strdup(&r->arena, c->path);
    comparison->precision = vt_arena_strdup(&r->arena, c->plan->key.precision);
    comparison->inputs = vt_arena_strdup(&r->arena, random ? "random" : inputs);
    comparison->reference = vt_arena_strdup(&r->arena, c->oracle ? c->model : c->options->reference);
    comparison->interpreted = c->oracle != NULL;
    comparison->samples = c->items.count;
    comparison->n_outputs = c->plan->n_outputs;
    comparison->outputs = vt_arena_alloc_array(&r->arena, c->plan->n_outputs, sizeof *comparison->outputs);
    bool complete =
        comparison->plan && comparison->precision && comparison->inputs && comparison->reference && comparison->outputs;
    for (uint32_t i = 0; complete && i < c->plan->n_outputs; i++) {
        struct vultus_output_comparison *output = &comparison->outputs[i];
        output->name = vt_arena_strdup(&r->arena, c->plan->values[c->plan->outputs[i]].name);
        complete = output->name != NULL;
        judge_output(c, i, output);
        for (int m = 0; m < output->n_measures; m++)
            if (output->measures[m].verdict > comparison->verdict) comparison->verdict = output->measures[m].verdict;
    }
    if (!complete) {
        vultus_comparison_free(comparison);
        return vt_fail_memory(error, "a comparison", sizeof *r);
    }
    *out = comparison;
    return VULTUS_OK;
}

enum vultus_status vultus_compare(struct vultus_runtime *runtime, const char *path,
    const struct vultus_compare_options *options, struct vultus_comparison **out, struct vultus_error *error) {
    static const struct vultus_compare_options defaults;
    if (!runtime || !path || !out)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "vultus_compare needs a runtime, a path and a place for the comparison");
    struct compare c = {.options = options ? options : &defaults, .path = path, .pool = runtime->pool};
    enum vultus_status status = prepare(&c, runtime, error);
    if (!status) status = compare_items(&c, error);
    if (!status) status = judge(&c, out, error);
    finish(&c);
    return status;
}

void vultus_comparison_free(struct vultus_comparison *comparison) {
    if (!comparison) return;
    struct result *r = (struct result *)comparison;
    vt_arena_fini(&r->arena);
    free(r);
}
