/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/plane.h"
#include "base/arena.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "config.h"

/*
 * A thread that takes items through the network by itself keeps their activations in its own cache and waits for
 * nobody. Weights that do not stay in the cache from one item to the next are worth sharing by a few items.
 */
#define LARGE_WEIGHTS ((uint64_t)16 << 20)
#define CHUNK_WITH_LARGE_WEIGHTS 4

struct choice {
    const struct vt_cpu_tactic *tactic;
    const void *packed;
    void *state;
};

/* A step resolved at create. */
struct prepared_step {
    const struct vt_plan_step *step;
    const struct vt_plan_value **in, **out;
    struct choice choices[VT_PLAN_MAX_CHOICES];
    bool has_border; /* some output has one */
};

/* Room that was made before; working it out anew would cost more than a small network's run. */
struct reservation {
    int64_t count;
    int threads, groups;
    size_t stride; /* bytes from group to group */
};
#define RESERVATIONS 4

struct vt_executable {
    const struct vt_plan *plan;
    struct vt_pool *pool;
    struct vt_arena arena; /* of the tables below */
    struct prepared_step *steps;
    uint8_t *workspace;
    size_t workspace_bytes;
    struct reservation reservations[RESERVATIONS];
    size_t next_reservation;
    int64_t chunk; /* items that one thread takes through the network together when there are enough for all threads */
};

static void probe(struct vt_backend_report *report) {
    *report = (struct vt_backend_report){.usable = true};
    strncpy(report->arch, vt_cpu_arch_name(), sizeof report->arch - 1);
    vt_cpu_model_name(report->device, sizeof report->device);
    vt_cpu_describe(report->reason, sizeof report->reason);
    strncpy(report->libraries, vt_cpu_onednn_version(), sizeof report->libraries - 1);
}

/* ------------------------------------------------------------ create */

static bool border_fits(const struct vt_plan *plan, const struct vt_plan_value *v) {
    if (v->border == VT_PLAN_NONE) return true;
    const struct vt_plan_value *border = &plan->values[v->border];
    return border->storage == VT_STORAGE_CONSTANT && border->dtype == VT_DTYPE_F32 &&
           border->bytes / sizeof(float) >= (uint64_t)(vt_cpu_blocks(v) * v->block);
}

static enum vultus_status check_values(
    const struct vt_executable *e, const struct prepared_step *p, struct vultus_error *error) {
    for (uint32_t i = 0; i < p->step->n_outputs; i++) {
        const struct vt_plan_value *v = p->out[i];
        if (!v || v->layout != VT_LAYOUT_BLOCKED) continue;
        if (!vt_plane_fits(v))
            return vt_fail(error, VULTUS_ERROR_MISMATCH,
                "step %s: value %s has blocks of %d channels, which the CPU %s cannot work on", p->step->name, v->name,
                (int)v->block, vt_cpu_arch_name());
        if (!border_fits(e->plan, v))
            return vt_fail(error, VULTUS_ERROR_FORMAT,
                "step %s: the border of value %s is not a constant of its channels", p->step->name, v->name);
    }
    return VULTUS_OK;
}

static enum vultus_status find_tactic(const struct vt_plan *plan, const struct vt_plan_step *step, const char *name,
    const struct vt_cpu_tactic **out, struct vultus_error *error) {
    const struct vt_cpu_tactic *tactic = vt_cpu_tactic_find(name);
    if (!tactic)
        return vt_fail(
            error, VULTUS_ERROR_MISMATCH, "step %s wants tactic %s, which this build does not have", step->name, name);
    if (!vt_cpu_has(tactic->features))
        return vt_fail(error, VULTUS_ERROR_MISMATCH,
            "step %s wants tactic %s, which needs CPU features (0x%x) that this machine lacks (it has 0x%x)",
            step->name, name, tactic->features, vt_cpu_features());
    if (tactic->kind != step->kind || !tactic->supports(plan, step))
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "step %s (%s) cannot be run by tactic %s on this CPU", step->name,
            vt_step_name(step->kind), name);
    *out = tactic;
    return VULTUS_OK;
}

static enum vultus_status find_packed(const struct vt_plan *plan, const struct vt_plan_step *step,
    const struct vt_tactic_choice *wanted, struct choice *choice, struct vultus_error *error) {
    size_t needed = choice->tactic->packed_bytes ? choice->tactic->packed_bytes(plan, step) : 0, found = 0;
    if (wanted->packed != VT_PLAN_NONE) {
        const struct vt_plan_value *v = &plan->values[wanted->packed];
        if (v->storage == VT_STORAGE_CONSTANT) found = v->bytes;
        choice->packed = plan->weights + v->offset;
    }
    if (found != needed)
        return vt_fail(error, VULTUS_ERROR_MISMATCH,
            "step %s: tactic %s packs weights into %zu bytes, the plan has %zu", step->name, wanted->tactic, needed,
            found);
    return VULTUS_OK;
}

static enum vultus_status prepare_choices(
    const struct vt_executable *e, struct prepared_step *p, struct vultus_error *error) {
    const struct vt_plan_step *step = p->step;
    if (step->n_choices < 1 || step->n_choices > VT_PLAN_MAX_CHOICES)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "step %s has %u tactics, allowed are 1 to %d", step->name,
            step->n_choices, VT_PLAN_MAX_CHOICES);
    for (uint32_t i = 0; i < step->n_choices; i++) {
        struct choice choice = {0};
        enum vultus_status status = find_tactic(e->plan, step, step->choices[i].tactic, &choice.tactic, error);
        if (!status) status = find_packed(e->plan, step, &step->choices[i], &choice, error);
        if (!status && choice.tactic->prepare)
            status =
                choice.tactic->prepare(e->plan, step, choice.packed, vt_pool_threads(e->pool), &choice.state, error);
        if (status) return status;
        p->choices[i] = choice;
    }
    return VULTUS_OK;
}

static enum vultus_status prepare_step(
    struct vt_executable *e, struct prepared_step *p, const struct vt_plan_step *step, struct vultus_error *error) {
    size_t n_in = step->n_inputs < VT_CPU_LEAST_INPUTS ? VT_CPU_LEAST_INPUTS : step->n_inputs, n_out = step->n_outputs;
    if (step->n_inputs > VT_PLAN_MAX_OPERANDS || step->n_outputs > VT_PLAN_MAX_OPERANDS)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "step %s has %u inputs and %u outputs, allowed are %d each",
            step->name, step->n_inputs, step->n_outputs, VT_PLAN_MAX_OPERANDS);
    p->step = step;
    p->in = vt_arena_alloc_array(&e->arena, n_in, sizeof *p->in);
    p->out = vt_arena_alloc_array(&e->arena, n_out + 1, sizeof *p->out);
    if (!p->in || !p->out) return vt_fail_memory(error, "a step's tables", (n_in + n_out) * sizeof(void *));
    for (uint32_t i = 0; i < step->n_inputs; i++) p->in[i] = vt_cpu_input(e->plan, step, i);
    for (uint32_t i = 0; i < step->n_outputs; i++) {
        const struct vt_plan_value *v = p->out[i] = vt_cpu_output(e->plan, step, i);
        if (v && v->layout == VT_LAYOUT_BLOCKED && (v->pad[0] | v->pad[1] | v->pad[2] | v->pad[3]))
            p->has_border = true;
    }
    enum vultus_status status = check_values(e, p, error);
    return status ? status : prepare_choices(e, p, error);
}

static void destroy(struct vt_executable *e) {
    if (!e) return;
    for (uint32_t i = 0; e->steps && i < e->plan->n_steps; i++)
        for (uint32_t c = 0; c < VT_PLAN_MAX_CHOICES; c++)
            if (e->steps[i].choices[c].state) e->steps[i].choices[c].tactic->release(e->steps[i].choices[c].state);
    vt_arena_fini(&e->arena);
    vt_free_pages(e->workspace, e->workspace_bytes);
    free(e);
}

static enum vultus_status create(const struct vt_plan *plan, struct vt_pool *pool, int device,
    struct vt_executable **out, struct vultus_error *error) {
    (void)device;
    struct vt_executable *e = calloc(1, sizeof *e);
    if (!e) return vt_fail_memory(error, "an executable", sizeof *e);
    e->plan = plan;
    e->pool = pool;
    e->chunk = plan->weights_bytes > LARGE_WEIGHTS ? CHUNK_WITH_LARGE_WEIGHTS : 1;
    vt_arena_init(&e->arena, 0);
    enum vultus_status status = VULTUS_OK;
    if (!vt_cpu_has(plan->required_features))
        status =
            vt_fail(error, VULTUS_ERROR_MISMATCH, "the plan needs CPU features 0x%x, of which this machine lacks 0x%x",
                plan->required_features, plan->required_features & ~vt_cpu_features());
    if (!status && !(e->steps = vt_arena_alloc_array(&e->arena, (size_t)plan->n_steps + 1, sizeof *e->steps)))
        status = vt_fail_memory(error, "an executable's steps", plan->n_steps * sizeof *e->steps);
    for (uint32_t i = 0; !status && i < plan->n_steps; i++)
        status = prepare_step(e, &e->steps[i], &plan->steps[i], error);
    if (status) {
        destroy(e);
        return status;
    }
    *out = e;
    return VULTUS_OK;
}

/* ------------------------------------------------------------ run */

static const struct choice *choose(const struct prepared_step *p, int64_t batch) {
    return &p->choices[vt_plan_step_choice(p->step, batch)];
}

/* Items that go through the steps together, where they are and who works on them. */
struct group {
    const void *const *inputs; /* the caller's arrays, from the batch's first item on */
    void *const *outputs;
    int64_t first, count; /* of the caller's batch */
    uint8_t *activations, *scratch;
    struct vt_pool *pool; /* NULL: this thread alone */
    int thread;           /* its number then */
};

/* The most scratch that any step wants for `count` items. */
static size_t scratch_bytes(const struct vt_executable *e, int64_t count, int threads) {
    size_t most = 0;
    for (uint32_t i = 0; i < e->plan->n_steps; i++) {
        const struct prepared_step *p = &e->steps[i];
        for (uint32_t c = 0; c < p->step->n_choices; c++) {
            const struct vt_cpu_tactic *tactic = p->choices[c].tactic;
            size_t bytes = tactic->scratch_bytes ? tactic->scratch_bytes(e->plan, p->step, count, threads) : 0;
            if (bytes > most) most = bytes;
        }
    }
    return most;
}

/* Activations and scratch of a group; false on overflow. */
static bool group_bytes(const struct vt_executable *e, int64_t count, int threads, size_t *bytes) {
    return vt_mul_size(e->plan->arena_bytes, (size_t)count, bytes) &&
           vt_add_size(*bytes, scratch_bytes(e, count, threads), bytes) && *bytes <= SIZE_MAX - VT_CACHE_LINE;
}

/* Makes room for the groups of `r` and fills its stride; the workspace only ever grows. */
static enum vultus_status make_room(struct vt_executable *e, struct reservation *r, struct vultus_error *error) {
    size_t total;
    if (!group_bytes(e, r->count, r->threads, &r->stride) ||
        !vt_mul_size(r->stride = vt_round_up(r->stride, VT_CACHE_LINE), (size_t)r->groups, &total) ||
        total > SIZE_MAX - VT_CACHE_LINE)
        return vt_fail(error, VULTUS_ERROR_LIMIT, "a batch of %lld items needs more memory than can be addressed",
            (long long)r->count * r->groups);
    total += VT_CACHE_LINE; /* vectors may be loaded past the end */
    if (total <= e->workspace_bytes) return VULTUS_OK;
    vt_free_pages(e->workspace, e->workspace_bytes);
    e->workspace_bytes = 0;
    memset(e->reservations, 0, sizeof e->reservations);
    e->workspace = vt_alloc_pages(total);
    if (!e->workspace) return vt_fail_memory(error, "a workspace", total);
    e->workspace_bytes = total;
    return VULTUS_OK;
}

/* Room for `groups` groups at a time of `count` items, each with scratch for `threads` threads. */
static enum vultus_status reserve(
    struct vt_executable *e, int64_t count, int threads, int groups, size_t *stride, struct vultus_error *error) {
    struct reservation r = {count, threads, groups, 0};
    for (size_t i = 0; i < RESERVATIONS; i++) {
        const struct reservation *known = &e->reservations[i];
        if (known->count == count && known->threads == threads && known->groups == groups) {
            *stride = known->stride;
            return VULTUS_OK;
        }
    }
    enum vultus_status status = make_room(e, &r, error);
    if (status) return status;
    e->reservations[e->next_reservation++ % RESERVATIONS] = r;
    *stride = r.stride;
    return VULTUS_OK;
}

static void *locate(const struct vt_executable *e, const struct vt_plan_value *v, const struct group *g) {
    switch (v->storage) {
    case VT_STORAGE_INPUT: return (uint8_t *)g->inputs[v->offset] + (uint64_t)g->first * v->bytes;
    case VT_STORAGE_OUTPUT: return (uint8_t *)g->outputs[v->offset] + (uint64_t)g->first * v->bytes;
    case VT_STORAGE_CONSTANT: return (void *)(e->plan->weights + v->offset);
    case VT_STORAGE_ARENA: break;
    }
    return g->activations + v->offset * (uint64_t)g->count;
}

static void fill_borders(
    const struct vt_executable *e, const struct prepared_step *p, const struct group *g, void *const *out_data) {
    for (uint32_t i = 0; i < p->step->n_outputs; i++) {
        const struct vt_plan_value *v = p->out[i];
        if (!v || v->layout != VT_LAYOUT_BLOCKED) continue;
        const float *border =
            v->border == VT_PLAN_NONE ? NULL : (const float *)(e->plan->weights + e->plan->values[v->border].offset);
        vt_cpu_fill_border(v, out_data[i], border, g->count, g->pool);
    }
}

static enum vultus_status run_step(
    const struct vt_executable *e, const struct prepared_step *p, const struct group *g, struct vultus_error *error) {
    const struct choice *choice = choose(p, g->count);
    const void *in_data[VT_PLAN_MAX_OPERANDS] = {NULL};
    void *out_data[VT_PLAN_MAX_OPERANDS];
    for (uint32_t i = 0; i < p->step->n_inputs; i++)
        if (p->in[i]) in_data[i] = locate(e, p->in[i], g);
    for (uint32_t i = 0; i < p->step->n_outputs; i++)
        if (p->out[i]) out_data[i] = locate(e, p->out[i], g);
    struct vt_cpu_call call = {.plan = e->plan,
        .step = p->step,
        .in = p->in,
        .out = p->out,
        .in_data = in_data,
        .out_data = out_data,
        .batch = g->count,
        .packed = choice->packed,
        .scratch = g->scratch,
        .state = choice->state,
        .pool = g->pool,
        .thread = g->thread};
    enum vultus_status status = choice->tactic->run(&call, error);
    if (!status && p->has_border && !choice->tactic->fills_border) fill_borders(e, p, g, out_data);
    return status;
}

/* All threads work on one group, step by step. */
static enum vultus_status run_together(
    struct vt_executable *e, struct group *g, struct vt_step_profile *profile, struct vultus_error *error) {
    size_t stride;
    enum vultus_status status = reserve(e, g->count, vt_pool_threads(e->pool), 1, &stride, error);
    g->activations = e->workspace;
    g->scratch = e->workspace + e->plan->arena_bytes * (uint64_t)g->count;
    g->pool = e->pool;
    uint64_t start = profile ? vt_now_ns() : 0;
    for (uint32_t i = 0; !status && i < e->plan->n_steps; i++) {
        status = run_step(e, &e->steps[i], g, error);
        if (!profile) continue;
        uint64_t end = vt_now_ns();
        profile[i].nanoseconds = end - start;
        start = end;
    }
    return status;
}

/* Groups of which every thread takes one after the other through the whole network. */
struct apart_job {
    const struct vt_executable *e;
    struct group whole; /* count: of each group */
    size_t stride;
    pthread_mutex_t lock;
    enum vultus_status status; /* the first failure, under lock */
    struct vultus_error *error;
};

static void run_group(void *context, size_t unit, int thread) {
    struct apart_job *job = context;
    struct group g = job->whole;
    struct vultus_error error;
    enum vultus_status status = VULTUS_OK;
    g.first += (int64_t)unit * g.count;
    g.thread = thread;
    g.activations = job->e->workspace + (size_t)thread * job->stride;
    g.scratch = g.activations + job->e->plan->arena_bytes * (uint64_t)g.count;
    for (uint32_t i = 0; !status && i < job->e->plan->n_steps; i++)
        status = run_step(job->e, &job->e->steps[i], &g, &error);
    if (!status) return;
    pthread_mutex_lock(&job->lock);
    if (!job->status) job->status = vt_fail(job->error, status, "%s", error.text);
    pthread_mutex_unlock(&job->lock);
}

/* `groups` groups of g->count items; moves g->first behind them. */
static enum vultus_status run_apart(
    struct vt_executable *e, struct group *g, int64_t groups, struct vultus_error *error) {
    struct apart_job job = {.e = e, .whole = *g, .lock = PTHREAD_MUTEX_INITIALIZER, .error = error};
    enum vultus_status status = reserve(e, g->count, 1, vt_pool_threads(e->pool), &job.stride, error);
    if (status) return status;
    vt_pool_run(e->pool, (size_t)groups, run_group, &job);
    g->first += groups * g->count;
    return job.status;
}

static enum vultus_status run(struct vt_executable *e, const void *const *inputs, void *const *outputs, int64_t batch,
    struct vt_step_profile *profile, struct vultus_error *error) {
    if (batch < 1) return vt_fail(error, VULTUS_ERROR_INVALID, "a batch of %lld items cannot be run", (long long)batch);
    if (batch > VT_PLAN_MAX_BATCH)
        return vt_fail(error, VULTUS_ERROR_LIMIT, "a batch of %lld items is over the limit of %d", (long long)batch,
            VT_PLAN_MAX_BATCH);
    struct group g = {.inputs = inputs, .outputs = outputs};
    int64_t threads = vt_pool_threads(e->pool), left = batch;
    enum vultus_status status = VULTUS_OK;
    unsigned denormals = vt_cpu_flush_denormals();
    for (; !status && !profile && left > 1 && left >= threads; left = batch - g.first) {
        g.count = vt_min_i64(e->chunk, left / threads);
        status = run_apart(e, &g, left / (g.count * threads) * threads, error);
    }
    if (!status && left > 0) {
        g.count = left;
        status = run_together(e, &g, profile, error);
    }
    vt_cpu_restore_denormals(denormals);
    return status;
}

static size_t workspace_bytes(const struct vt_executable *e) { return e->workspace_bytes; }

const struct vt_backend vt_backend_cpu = {
    .name = "cpu",
    .probe = probe,
    .create = create,
    .run = run,
    .workspace_bytes = workspace_bytes,
    .describe_tactic = vt_cpu_describe_tactic,
    .peak_flops = vt_cpu_peak_flops,
    .destroy = destroy,
#if VT_HAVE_COMPILER
    .builder = &vt_cpu_builder,
#endif
};
