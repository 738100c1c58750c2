/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/memory.h"
#include "compile/timing.h"

#define MAX_TACTICS 32

struct tuner {
    struct vt_lowering *lowering;
    const struct vt_compile_options *options;
    struct vt_timer timer;
    uint32_t times_capacity;
};

static void release_candidates(struct vt_candidate *c, size_t n) {
    for (size_t i = 0; i < n; i++) vt_free_aligned(c[i].packed);
}

/* ------------------------------------------------------------ choosing */

/* Candidates not timed in company count as when alone. */
static double slot_time(const struct vt_candidate *c, size_t slot) { return c->ns[slot] > 0 ? c->ns[slot] : c->ns[0]; }

static const struct vt_candidate *best_of_class(
    const struct vt_candidate *c, size_t n, const char *class, size_t slot) {
    const struct vt_candidate *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (strcmp(c[i].class, class) == 0 && (!best || slot_time(&c[i], slot) < slot_time(best, slot))) best = &c[i];
    return best;
}

/*
 * Measurements repeat to a few percent, so what is listed later must beat the best before it by more than that: back
 * ends list what they would rather run first (their own kernels, which never allocate, before a library's).
 */
#define CLEARLY_FASTER 0.96

/* The class whose best members are fastest, all timed batches counting alike. */
static void choose_class(
    const struct vt_timer *timer, const struct vt_candidate *c, size_t n, const struct vt_candidate **chosen) {
    double least = 0;
    for (size_t i = 0; i < n; i++) {
        const struct vt_candidate *members[VT_PLAN_MAX_CHOICES];
        double sum = 0;
        for (size_t b = 0; b < timer->n_batches; b++) {
            members[b] = best_of_class(c, n, c[i].class, b);
            sum += slot_time(members[b], b);
        }
        if (i > 0 && sum >= least * CLEARLY_FASTER) continue;
        least = sum;
        memcpy(chosen, members, timer->n_batches * sizeof *members);
    }
}

/* For each batch the fastest there is. */
static void choose_each(
    const struct vt_timer *timer, const struct vt_candidate *c, size_t n, const struct vt_candidate **chosen) {
    for (size_t b = 0; b < timer->n_batches; b++) {
        chosen[b] = &c[0];
        for (size_t i = 1; i < n; i++)
            if (slot_time(&c[i], b) < slot_time(chosen[b], b) * CLEARLY_FASTER) chosen[b] = &c[i];
    }
}

/* ------------------------------------------------------------ candidates */

static enum vultus_status list_candidates(
    struct tuner *tuner, uint32_t step_index, struct vt_candidate *out, size_t *n_out) {
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
            out[kept++] = (struct vt_candidate){.tactic = names[i], .class = classes[i], .value = VT_PLAN_NONE};
    if (kept == 0)
        return vt_fail(l->error, VULTUS_ERROR_UNSUPPORTED, "step %s (%s): back end %s has no tactic for it", step->name,
            step->kind == VT_STEP_REFERENCE ? vt_op_info(step->op)->name : vt_step_name(step->kind), l->backend->name);
    *n_out = tuner->options->time_tactics ? kept : 1;
    return VULTUS_OK;
}

static enum vultus_status pack_candidate(struct tuner *tuner, uint32_t step_index, struct vt_candidate *c) {
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
    struct tuner *tuner, uint32_t step, int64_t batch, const struct vt_candidate *c, double ns, bool chosen) {
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

/* The packed weights become a constant of the plan, once for all tactics of a step that want the same bytes. */
static enum vultus_status add_constant(
    struct vt_lowering *l, const char *name, struct vt_candidate *c, const struct vt_candidate *all, size_t n) {
    for (size_t i = 0; i < n && c->value == VT_PLAN_NONE; i++)
        if (all[i].value != VT_PLAN_NONE && all[i].packed_bytes == c->packed_bytes &&
            memcmp(all[i].packed, c->packed, c->packed_bytes) == 0)
            c->value = all[i].value;
    if (c->value != VT_PLAN_NONE || c->packed_bytes == 0) return VULTUS_OK;
    void *kept = vt_arena_alloc_aligned(&l->plan->arena, c->packed_bytes, VT_PLAN_ALIGNMENT);
    int64_t count = (int64_t)c->packed_bytes;
    if (!kept) return vt_fail_memory(l->error, "packed weights", c->packed_bytes);
    memcpy(kept, c->packed, c->packed_bytes);
    c->value = vt_lower_new_constant(l, name, VT_DTYPE_U8, 1, &count, kept);
    return c->value != VT_PLAN_NONE ? VULTUS_OK : vt_fail_memory(l->error, "packed weights", c->packed_bytes);
}

/* One choice for each run of batches that share a tactic. */
static enum vultus_status add_choices(struct tuner *tuner, uint32_t step_index, struct vt_candidate *c, size_t n,
    const struct vt_candidate *const *chosen) {
    struct vt_lowering *l = tuner->lowering;
    struct vt_plan_step *step = &l->plan->steps[step_index];
    size_t last = tuner->timer.n_batches - 1;
    for (size_t b = 0; b <= last; b++) {
        if (b < last && chosen[b + 1] == chosen[b]) continue;
        struct vt_candidate *candidate = &c[chosen[b] - c];
        enum vultus_status status = add_constant(l, step->name, candidate, c, n);
        if (status) return status;
        step->choices[step->n_choices++] = (struct vt_tactic_choice){
            b < last ? tuner->timer.batches[b] : l->plan->max_batch, candidate->tactic, candidate->value};
        l->plan->required_features |= l->backend->builder->required_features(candidate->tactic);
    }
    return VULTUS_OK;
}

static enum vultus_status record(
    struct tuner *tuner, uint32_t step, struct vt_candidate *c, size_t n, const struct vt_candidate *const *chosen) {
    for (size_t b = 0; n > 1 && b < tuner->timer.n_batches; b++)
        for (size_t i = 0; i < n; i++)
            if (c[i].ns[b] > 0 &&
                !record_time(tuner, step, tuner->timer.batches[b], &c[i], c[i].ns[b], &c[i] == chosen[b]))
                return vt_fail_memory(tuner->lowering->error, "tactic times", sizeof(struct vt_tactic_time));
    return add_choices(tuner, step, c, n, chosen);
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
        if (v->dtype != w->dtype || v->layout != w->layout || v->rank != w->rank ||
            memcmp(v->dims, w->dims, sizeof v->dims) || memcmp(v->pad, w->pad, sizeof v->pad))
            return false;
    }
    return true;
}

/* Copies the times of an earlier step of equal shape; false when there is none. */
static bool reuse_times(const struct tuner *tuner, uint32_t step, struct vt_candidate *c, size_t n) {
    const struct vt_plan *plan = tuner->lowering->plan;
    const struct vt_timer *timer = &tuner->timer;
    uint32_t earlier = 0;
    while (earlier < step && !same_work(plan, &plan->steps[earlier], &plan->steps[step])) earlier++;
    if (earlier == step) return false;
    for (uint32_t t = 0; t < plan->n_times; t++) {
        if (plan->times[t].step != earlier) continue;
        for (size_t i = 0; i < n; i++)
            for (size_t b = 0; b < timer->n_batches; b++)
                if (plan->times[t].batch == timer->batches[b] && strcmp(plan->times[t].tactic, c[i].tactic) == 0)
                    c[i].ns[b] = plan->times[t].microseconds * 1e3 / (double)timer->batches[b];
    }
    return true;
}

/* Packs and times every candidate. */
static enum vultus_status time_all(struct tuner *tuner, uint32_t step, struct vt_candidate *c, size_t n) {
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; !status && i < n; i++) status = pack_candidate(tuner, step, &c[i]);
    return status ? status : vt_time_candidates(&tuner->timer, &tuner->lowering->plan->steps[step], c, n);
}

static enum vultus_status tune_step(struct tuner *tuner, uint32_t step) {
    struct vt_candidate candidates[MAX_TACTICS];
    size_t n = 0;
    enum vultus_status status = list_candidates(tuner, step, candidates, &n);
    if (status) return status;
    if (n > 1 && !reuse_times(tuner, step, candidates, n)) status = time_all(tuner, step, candidates, n);
    if (!status) {
        const struct vt_candidate *chosen[VT_PLAN_MAX_CHOICES];
        bool mix = tuner->lowering->backend->builder->classes_may_mix;
        (mix ? choose_each : choose_class)(&tuner->timer, candidates, n, chosen);
        for (size_t b = 0; !status && b < tuner->timer.n_batches; b++)
            if (!chosen[b]->packed) status = pack_candidate(tuner, step, &candidates[chosen[b] - candidates]);
        if (!status) status = record(tuner, step, candidates, n, chosen);
    }
    release_candidates(candidates, n);
    return status;
}

enum vultus_status vt_tune(
    struct vt_lowering *lowering, const struct vt_compile_options *options, struct vt_pool *pool) {
    struct vt_plan *plan = lowering->plan;
    struct tuner tuner = {.lowering = lowering, .options = options};
    enum vultus_status status = vt_timer_open(&tuner.timer, lowering, pool, lowering->error);
    if (status) return status;
    for (uint32_t i = 0; !status && i < plan->n_steps; i++) {
        if (options->progress) options->progress(options->progress_context, i, plan->n_steps, plan->steps[i].name);
        status = tune_step(&tuner, i);
    }
    vt_timer_close(&tuner.timer);
    if (!status && options->progress)
        options->progress(options->progress_context, plan->n_steps, plan->n_steps, "done");
    return status;
}
