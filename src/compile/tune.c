/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/memory.h"
#include "compile/lowering.h"

#define MAX_TACTICS 16
/* Batches at which a step is timed: alone and in company. */
#define COMPANY 8
/* A network whose weights exceed the caches finds each step's weights in DRAM; timing must not find them in cache. */
#define COLD_BYTES ((uint64_t)64 << 20)
#define MAX_COPIES 16
/* A step this slow alone gains nothing from other tactics in company that one item does not show. */
#define SLOW_NS 4000000u

struct candidate {
    const char *tactic, *class;
    void *packed; /* vt_alloc_aligned, or NULL */
    size_t packed_bytes;
    double ns[2]; /* per item, alone and in company; 0: not timed */
};

struct tuner {
    struct vt_lowering *lowering;
    const struct vt_compile_options *options;
    struct vt_pool *pool;
    uint64_t weights_total; /* of the whole network, packed plainly */
    int64_t batches[2];
    int n_batches;
    uint32_t times_capacity;
};

static void release_candidates(struct candidate *c, size_t n) {
    for (size_t i = 0; i < n; i++) vt_free_aligned(c[i].packed);
}

/* ------------------------------------------------------------ timing one candidate */

/* A plan of one step whose activations are the caller's memory. Arrays are borrowed from the real plan where possible.
 */
struct trial {
    struct vt_plan plan;
    struct vt_plan_step step;
    struct vt_executable *executable;
    uint8_t *weights;
};

static void trial_fini(struct trial *t, const struct vt_backend *backend) {
    backend->destroy(t->executable);
    vt_free_aligned(t->weights);
    free(t->plan.values);
}

/* Copies the packed weights, the last value, and the step's constants behind each other. */
static bool trial_constants(struct trial *t, const struct tuner *tuner, const struct candidate *c) {
    const struct vt_lowering *l = tuner->lowering;
    size_t total = vt_round_up(c->packed_bytes, VT_PLAN_ALIGNMENT);
    for (uint32_t i = 0; i < t->plan.n_values; i++)
        if (t->plan.values[i].storage == VT_STORAGE_CONSTANT)
            total += vt_round_up(t->plan.values[i].bytes, VT_PLAN_ALIGNMENT);
    t->weights = vt_alloc_aligned(total + VT_PLAN_ALIGNMENT);
    if (!t->weights) return false;
    size_t offset = vt_round_up(c->packed_bytes, VT_PLAN_ALIGNMENT);
    if (c->packed_bytes) memcpy(t->weights, c->packed, c->packed_bytes);
    for (uint32_t i = 0; i < l->plan->n_values; i++) {
        struct vt_plan_value *v = &t->plan.values[i];
        if (v->storage != VT_STORAGE_CONSTANT || !l->value_notes[i].constant) continue;
        memcpy(t->weights + offset, l->value_notes[i].constant, v->bytes);
        v->offset = offset;
        offset += vt_round_up(v->bytes, VT_PLAN_ALIGNMENT);
    }
    t->plan.weights = t->weights;
    /* Back ends group items by what the whole network's weights ask for. */
    t->plan.weights_bytes = total > tuner->weights_total ? total : tuner->weights_total;
    return true;
}

static enum vultus_status trial_init(
    struct trial *t, const struct tuner *tuner, const struct vt_plan_step *step, const struct candidate *c) {
    struct vt_lowering *l = tuner->lowering;
    *t = (struct trial){.plan = {.max_batch = l->plan->max_batch, .n_values = l->plan->n_values + 1, .n_steps = 1}};
    t->plan.values = calloc(t->plan.n_values, sizeof *t->plan.values);
    if (!t->plan.values) return vt_fail_memory(l->error, "timing a step", t->plan.n_values * sizeof *t->plan.values);
    bool *used = calloc(t->plan.n_values, sizeof *used);
    if (!used) {
        free(t->plan.values);
        return vt_fail_memory(l->error, "timing a step", t->plan.n_values);
    }
    for (uint32_t i = 0; i < step->n_inputs; i++)
        if (step->inputs[i] != VT_PLAN_NONE) used[step->inputs[i]] = true;
    for (uint32_t i = 0; i < step->n_outputs; i++) used[step->outputs[i]] = true;
    for (uint32_t i = 0; i < l->plan->n_values; i++)
        if (used[i] && l->plan->values[i].border != VT_PLAN_NONE) used[l->plan->values[i].border] = true;
    for (uint32_t i = 0; i < l->plan->n_values; i++) {
        t->plan.values[i] = l->plan->values[i];
        if (!used[i]) t->plan.values[i].bytes = 0;
    }
    free(used);
    for (uint32_t i = 0; i < step->n_inputs; i++)
        if (step->inputs[i] != VT_PLAN_NONE && t->plan.values[step->inputs[i]].storage != VT_STORAGE_CONSTANT) {
            t->plan.values[step->inputs[i]].storage = VT_STORAGE_INPUT;
            t->plan.values[step->inputs[i]].offset = i;
        }
    t->plan.values[step->outputs[0]].storage = VT_STORAGE_OUTPUT;
    t->plan.values[step->outputs[0]].offset = 0;
    uint32_t packed = l->plan->n_values;
    t->plan.values[packed] = (struct vt_plan_value){.name = "packed",
        .dtype = VT_DTYPE_U8,
        .rank = 1,
        .dims = {(int64_t)c->packed_bytes},
        .storage = VT_STORAGE_CONSTANT,
        .border = VT_PLAN_NONE,
        .bytes = 0};
    if (!trial_constants(t, tuner, c)) {
        trial_fini(t, l->backend);
        return vt_fail_memory(l->error, "timing a step", c->packed_bytes);
    }
    t->plan.values[packed].bytes = c->packed_bytes;
    t->step = *step;
    t->step.choices[0] =
        (struct vt_tactic_choice){l->plan->max_batch, c->tactic, c->packed_bytes ? packed : VT_PLAN_NONE};
    t->step.n_choices = 1;
    t->plan.steps = &t->step;
    t->plan.n_inputs = step->n_inputs;
    t->plan.inputs = step->inputs;
    t->plan.n_outputs = step->n_outputs;
    t->plan.outputs = step->outputs;
    enum vultus_status status = l->backend->create(&t->plan, tuner->pool, 0, &t->executable, l->error);
    if (status) trial_fini(t, l->backend);
    return status;
}

/* Activations for a batch: small random-looking numbers, never zeros or denormals. */
static void *activations(const struct vt_plan_value *value, int64_t batch) {
    uint64_t bytes = value->bytes * (uint64_t)batch;
    void *data = vt_alloc_aligned(bytes + VT_PLAN_ALIGNMENT);
    if (!data) return NULL;
    uint32_t state = 12345;
    for (uint64_t i = 0; i < bytes / sizeof(float); i++) {
        state = state * 1664525u + 1013904223u;
        float number = (float)(int32_t)(state >> 8) * 0x1p-24f - 0.25f;
        if (value->dtype == VT_DTYPE_BF16 || value->dtype == VT_DTYPE_F16)
            ((uint16_t *)data)[2 * i] = ((uint16_t *)data)[2 * i + 1] =
                value->dtype == VT_DTYPE_BF16 ? vt_f32_to_bf16(number) : vt_f32_to_f16(number);
        else
            ((float *)data)[i] = number;
    }
    return data;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Lower quartile of the time of one run (interruptions only ever add), rotating among copies of the weights. */
static enum vultus_status measure(struct tuner *tuner, struct trial *trials, size_t copies, int64_t batch,
    const void *const *inputs, void *const *outputs, double *ns) {
    enum { LEAST = 5, MOST = 25 };
    double times[MOST];
    size_t n = 0;
    double spent = 0;
    for (size_t run = 0; n < MOST && (n < LEAST || spent < 4e6); run++) {
        uint64_t start = vt_now_ns();
        enum vultus_status status = tuner->lowering->backend->run(
            trials[run % copies].executable, inputs, outputs, batch, NULL, tuner->lowering->error);
        if (status) return status;
        double elapsed = (double)(vt_now_ns() - start);
        if (run < copies && run < 2) continue; /* the first runs allocate workspace */
        times[n++] = elapsed;
        spent += elapsed;
    }
    qsort(times, n, sizeof *times, ascending);
    *ns = times[n / 4] / (double)batch;
    return VULTUS_OK;
}

/* Memory of the step's activations for the largest timed batch. */
struct step_data {
    const void *inputs[VT_MAX_STEP_INPUTS];
    void *output;
};

static void step_data_fini(struct step_data *d) {
    for (size_t i = 0; i < VT_MAX_STEP_INPUTS; i++) vt_free_aligned((void *)d->inputs[i]);
    vt_free_aligned(d->output);
}

static bool step_data_init(
    struct step_data *d, const struct vt_plan *plan, const struct vt_plan_step *step, int64_t batch) {
    *d = (struct step_data){0};
    for (uint32_t i = 0; i < step->n_inputs && i < VT_MAX_STEP_INPUTS; i++) {
        if (step->inputs[i] == VT_PLAN_NONE || plan->values[step->inputs[i]].storage == VT_STORAGE_CONSTANT) continue;
        if (!(d->inputs[i] = activations(&plan->values[step->inputs[i]], batch))) return false;
    }
    return (d->output = activations(&plan->values[step->outputs[0]], batch)) != NULL;
}

static enum vultus_status time_candidate(
    struct tuner *tuner, const struct vt_plan_step *step, struct candidate *c, const struct step_data *data) {
    size_t copies = 1;
    if (c->packed_bytes && tuner->weights_total > COLD_BYTES / 2)
        copies = (size_t)vt_min_i64(MAX_COPIES, vt_div_up((int64_t)COLD_BYTES, (int64_t)c->packed_bytes));
    struct trial trials[MAX_COPIES];
    enum vultus_status status = VULTUS_OK;
    size_t made = 0;
    while (made < copies && !(status = trial_init(&trials[made], tuner, step, c))) made++;
    void *outputs[1] = {data->output};
    for (int b = 0; !status && b < tuner->n_batches; b++) {
        status = measure(tuner, trials, copies, tuner->batches[b], data->inputs, outputs, &c->ns[b]);
        if (c->ns[b] > SLOW_NS) break;
    }
    for (size_t i = 0; i < made; i++) trial_fini(&trials[i], tuner->lowering->backend);
    return status;
}

/* ------------------------------------------------------------ choosing */

/* Per-item time of the best member of a class at batch slot b; candidates not timed in company count as when alone. */
static double slot_time(const struct candidate *c, int slot) { return c->ns[slot] > 0 ? c->ns[slot] : c->ns[0]; }

static const struct candidate *best_of_class(const struct candidate *c, size_t n, const char *class, int slot) {
    const struct candidate *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (strcmp(c[i].class, class) == 0 && (!best || slot_time(&c[i], slot) < slot_time(best, slot))) best = &c[i];
    return best;
}

/*
 * Measurements repeat to a few percent, so a class listed later must beat the best before it by more than that: back
 * ends list what they would rather run first (their own kernels, which never allocate, before a library's).
 */
#define CLEARLY_FASTER 0.96

/* The class whose best members are fastest, alone and in company counting alike. */
static void choose(const struct tuner *tuner, const struct candidate *c, size_t n, const struct candidate *chosen[2]) {
    double least = 0;
    for (size_t i = 0; i < n; i++) {
        const struct candidate *members[2];
        double sum = 0;
        for (int b = 0; b < tuner->n_batches; b++) {
            members[b] = best_of_class(c, n, c[i].class, b);
            sum += slot_time(members[b], b);
        }
        if (i > 0 && sum >= least * CLEARLY_FASTER) continue;
        least = sum;
        chosen[0] = members[0];
        chosen[1] = members[tuner->n_batches - 1];
    }
}

/* ------------------------------------------------------------ candidates */

static enum vultus_status list_candidates(
    struct tuner *tuner, uint32_t step_index, struct candidate *out, size_t *n_out) {
    struct vt_lowering *l = tuner->lowering;
    const struct vt_backend_builder *builder = l->backend->builder;
    struct vt_plan_step *step = &l->plan->steps[step_index];
    const char *names[MAX_TACTICS], *classes[MAX_TACTICS];
    size_t n = builder->tactics(l->plan, step, names, classes, MAX_TACTICS), kept = 0;
    bool filter = false;
    for (size_t i = 0; tuner->options->only_tactics && i < n; i++)
        filter = filter || strstr(names[i], tuner->options->only_tactics);
    for (size_t i = 0; i < n; i++)
        if (!filter || strstr(names[i], tuner->options->only_tactics))
            out[kept++] = (struct candidate){.tactic = names[i], .class = classes[i]};
    if (kept == 0)
        return vt_fail(l->error, VULTUS_ERROR_UNSUPPORTED, "step %s (%s): back end %s has no tactic for it", step->name,
            step->kind == VT_STEP_REFERENCE ? vt_op_info(step->op)->name : vt_step_name(step->kind), l->backend->name);
    *n_out = tuner->options->time_tactics ? kept : 1;
    return VULTUS_OK;
}

static enum vultus_status pack_candidate(struct tuner *tuner, uint32_t step_index, struct candidate *c) {
    struct vt_lowering *l = tuner->lowering;
    const struct vt_plan_step *step = &l->plan->steps[step_index];
    c->packed_bytes = l->backend->builder->packed_bytes(l->plan, step, c->tactic);
    if (c->packed_bytes == 0) return VULTUS_OK;
    c->packed = vt_alloc_aligned(c->packed_bytes);
    if (!c->packed) return vt_fail_memory(l->error, "packed weights", c->packed_bytes);
    memset(c->packed, 0, c->packed_bytes);
    return l->backend->builder->pack(l->plan, step, c->tactic, l->step_notes[step_index].weights, c->packed, l->error);
}

/* ------------------------------------------------------------ recording */

static bool record_time(
    struct tuner *tuner, uint32_t step, int64_t batch, const struct candidate *c, double ns, bool chosen) {
    struct vt_plan *plan = tuner->lowering->plan;
    if (plan->n_times == tuner->times_capacity) {
        uint32_t capacity = tuner->times_capacity ? tuner->times_capacity * 2 : 256;
        struct vt_tactic_time *larger = vt_arena_alloc_array(&plan->arena, capacity, sizeof *larger);
        if (!larger) return false;
        if (plan->n_times) memcpy(larger, plan->times, plan->n_times * sizeof *larger);
        plan->times = larger;
        tuner->times_capacity = capacity;
    }
    plan->times[plan->n_times++] =
        (struct vt_tactic_time){step, batch, c->tactic, (float)(ns * (double)batch * 1e-3), chosen};
    return true;
}

/* The packed weights become a constant of the plan, once per step when both batches share a tactic. */
static enum vultus_status add_choice(
    struct vt_lowering *l, uint32_t step_index, int64_t max_batch, struct candidate *c) {
    struct vt_plan_step *step = &l->plan->steps[step_index];
    uint32_t packed = VT_PLAN_NONE;
    if (c->packed_bytes) {
        void *kept = vt_arena_alloc_aligned(&l->plan->arena, c->packed_bytes, VT_PLAN_ALIGNMENT);
        int64_t count = (int64_t)c->packed_bytes;
        if (!kept) return vt_fail_memory(l->error, "packed weights", c->packed_bytes);
        memcpy(kept, c->packed, c->packed_bytes);
        packed = vt_lower_new_constant(l, step->name, VT_DTYPE_U8, 1, &count, kept);
        if (packed == VT_PLAN_NONE) return vt_fail_memory(l->error, "packed weights", c->packed_bytes);
    }
    step->choices[step->n_choices++] = (struct vt_tactic_choice){max_batch, c->tactic, packed};
    l->plan->required_features |= l->backend->builder->required_features(c->tactic);
    return VULTUS_OK;
}

static enum vultus_status record(
    struct tuner *tuner, uint32_t step, const struct candidate *c, size_t n, const struct candidate *const chosen[2]) {
    struct vt_lowering *l = tuner->lowering;
    for (int b = 0; n > 1 && b < tuner->n_batches; b++)
        for (size_t i = 0; i < n; i++)
            if (c[i].ns[b] > 0 && !record_time(tuner, step, tuner->batches[b], &c[i], c[i].ns[b], &c[i] == chosen[b]))
                return vt_fail_memory(l->error, "tactic times", sizeof(struct vt_tactic_time));
    enum vultus_status status = VULTUS_OK;
    if (chosen[0] != chosen[1]) status = add_choice(l, step, tuner->batches[0], (struct candidate *)chosen[0]);
    return status ? status : add_choice(l, step, l->plan->max_batch, (struct candidate *)chosen[1]);
}

/* ------------------------------------------------------------ one step after the other */

/* Steps of equal shape share one timing. */
static bool same_work(const struct vt_plan *plan, const struct vt_plan_step *a, const struct vt_plan_step *b) {
    if (a->kind != b->kind || a->n_inputs != b->n_inputs || memcmp(&a->params, &b->params, sizeof a->params))
        return false;
    for (uint32_t i = 0; i <= a->n_inputs; i++) {
        uint32_t x = i < a->n_inputs ? a->inputs[i] : a->outputs[0], y = i < b->n_inputs ? b->inputs[i] : b->outputs[0];
        if ((x == VT_PLAN_NONE) != (y == VT_PLAN_NONE)) return false;
        if (x == VT_PLAN_NONE) continue;
        const struct vt_plan_value *v = &plan->values[x], *w = &plan->values[y];
        if (v->layout != w->layout || v->rank != w->rank || memcmp(v->dims, w->dims, sizeof v->dims) ||
            memcmp(v->pad, w->pad, sizeof v->pad))
            return false;
    }
    return true;
}

/* Copies the times of an earlier step of equal shape; false when there is none. */
static bool reuse_times(const struct tuner *tuner, uint32_t step, struct candidate *c, size_t n) {
    const struct vt_plan *plan = tuner->lowering->plan;
    for (uint32_t earlier = 0; earlier < step; earlier++) {
        if (!same_work(plan, &plan->steps[earlier], &plan->steps[step])) continue;
        for (uint32_t t = 0; t < plan->n_times; t++) {
            if (plan->times[t].step != earlier) continue;
            for (size_t i = 0; i < n; i++)
                for (int b = 0; b < tuner->n_batches; b++)
                    if (plan->times[t].batch == tuner->batches[b] && strcmp(plan->times[t].tactic, c[i].tactic) == 0)
                        c[i].ns[b] = plan->times[t].microseconds * 1e3 / (double)tuner->batches[b];
        }
        return true;
    }
    return false;
}

/* Packs and times every candidate. */
static enum vultus_status time_all(struct tuner *tuner, uint32_t step, struct candidate *c, size_t n) {
    struct vt_lowering *l = tuner->lowering;
    struct step_data data;
    enum vultus_status status = VULTUS_OK;
    if (!step_data_init(&data, l->plan, &l->plan->steps[step], tuner->batches[tuner->n_batches - 1]))
        status = vt_fail_memory(l->error, "timing a step", l->plan->values[l->plan->steps[step].outputs[0]].bytes);
    for (size_t i = 0; !status && i < n; i++) {
        status = pack_candidate(tuner, step, &c[i]);
        if (!status) status = time_candidate(tuner, &l->plan->steps[step], &c[i], &data);
    }
    step_data_fini(&data);
    return status;
}

static enum vultus_status tune_step(struct tuner *tuner, uint32_t step) {
    struct candidate candidates[MAX_TACTICS];
    size_t n = 0;
    enum vultus_status status = list_candidates(tuner, step, candidates, &n);
    if (status) return status;
    if (n > 1 && !reuse_times(tuner, step, candidates, n)) status = time_all(tuner, step, candidates, n);
    if (!status) {
        const struct candidate *chosen[2];
        choose(tuner, candidates, n, chosen);
        for (int b = 0; !status && b < 2; b++)
            if (!chosen[b]->packed) status = pack_candidate(tuner, step, (struct candidate *)chosen[b]);
        if (!status) status = record(tuner, step, candidates, n, chosen);
    }
    release_candidates(candidates, n);
    return status;
}

enum vultus_status vt_tune(
    struct vt_lowering *lowering, const struct vt_compile_options *options, struct vt_pool *pool) {
    struct vt_plan *plan = lowering->plan;
    struct tuner tuner = {.lowering = lowering, .options = options, .pool = pool, .batches = {1}, .n_batches = 1};
    if (plan->max_batch > 1) tuner.batches[tuner.n_batches++] = vt_min_i64(COMPANY, plan->max_batch);
    for (uint32_t i = 0; i < plan->n_steps; i++)
        tuner.weights_total += (uint64_t)lowering->step_notes[i].weights_count * sizeof(float);
    enum vultus_status status = VULTUS_OK;
    for (uint32_t i = 0; !status && i < plan->n_steps; i++) {
        if (options->progress) options->progress(options->progress_context, i, plan->n_steps, plan->steps[i].name);
        status = tune_step(&tuner, i);
    }
    if (!status && options->progress)
        options->progress(options->progress_context, plan->n_steps, plan->n_steps, "done");
    return status;
}
