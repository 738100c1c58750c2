/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a step takes by each of its tactics: by the host's clock around runs, or by a clock of the back end's own.
 */
#include "compile/timing.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/memory.h"

/* A network whose weights exceed the caches finds each step's weights in DRAM; timing must not find them in cache. */
#define COLD_BYTES ((uint64_t)64 << 20)
#define MAX_COPIES 16
/* A step this slow alone gains nothing from other tactics in company that one item does not show. */
#define SLOW_NS 4000000u

enum vultus_status vt_timer_open(
    struct vt_timer *timer, struct vt_lowering *lowering, struct vt_pool *pool, struct vultus_error *error) {
    const struct vt_plan *plan = lowering->plan;
    const struct vt_backend_builder *builder = lowering->backend->builder;
    *timer = (struct vt_timer){.lowering = lowering, .pool = pool, .batches = {1}, .n_batches = 1};
    for (const int64_t *batch = builder->batches; *batch; batch++) {
        int64_t most = vt_min_i64(*batch, plan->max_batch);
        if (most > timer->batches[timer->n_batches - 1]) timer->batches[timer->n_batches++] = most;
    }
    for (uint32_t i = 0; i < plan->n_steps; i++)
        timer->weights_total += (uint64_t)lowering->step_notes[i].weights_count * sizeof(float);
    return builder->clock ? builder->clock->open(&timer->stopwatch, error) : VULTUS_OK;
}

void vt_timer_close(struct vt_timer *timer) {
    const struct vt_backend_clock *clock = timer->lowering->backend->builder->clock;
    if (clock) clock->close(timer->stopwatch);
}

/* ------------------------------------------------------------ a plan of one step */

/* A plan of one step whose activations are the caller's memory. Arrays are borrowed from the real plan where possible.
 */
struct trial {
    struct vt_plan plan;
    struct vt_plan_step step;
    struct vt_executable *executable; /* when the host's clock is used */
    uint8_t *weights;
};

static void trial_fini(struct trial *t, const struct vt_backend *backend) {
    backend->destroy(t->executable);
    vt_free_aligned(t->weights);
    free(t->plan.values);
}

/* Copies the packed weights, the last value, and the step's constants behind each other. */
static bool trial_constants(struct trial *t, const struct vt_timer *timer, const struct vt_candidate *c) {
    const struct vt_lowering *l = timer->lowering;
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
    t->plan.weights_bytes = total > timer->weights_total ? total : timer->weights_total;
    return true;
}

static enum vultus_status trial_init(
    struct trial *t, const struct vt_timer *timer, const struct vt_plan_step *step, const struct vt_candidate *c) {
    struct vt_lowering *l = timer->lowering;
    *t = (struct trial){
        .plan = {
            .key = l->plan->key, .max_batch = l->plan->max_batch, .n_values = l->plan->n_values + 1, .n_steps = 1}};
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
    if (!trial_constants(t, timer, c)) {
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
    return VULTUS_OK;
}

static enum vultus_status trial_make_ready(struct trial *t, const struct vt_timer *timer) {
    const struct vt_lowering *l = timer->lowering;
    enum vultus_status status = l->backend->create(&t->plan, timer->pool, 0, &t->executable, l->error);
    if (status) trial_fini(t, l->backend);
    return status;
}

/* ------------------------------------------------------------ by the host's clock */

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
static enum vultus_status measure(const struct vt_timer *timer, struct trial *trials, size_t copies, int64_t batch,
    const void *const *inputs, void *const *outputs, double *ns) {
    enum { LEAST = 5, MOST = 25 };
    double times[MOST];
    size_t n = 0;
    double spent = 0;
    for (size_t run = 0; n < MOST && (n < LEAST || spent < 4e6); run++) {
        uint64_t start = vt_now_ns();
        enum vultus_status status = timer->lowering->backend->run(
            trials[run % copies].executable, inputs, outputs, batch, NULL, timer->lowering->error);
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

static enum vultus_status time_by_host(const struct vt_timer *timer, const struct vt_plan_step *step,
    struct vt_candidate *c, const struct step_data *data) {
    size_t copies = 1;
    if (c->packed_bytes && timer->weights_total > COLD_BYTES / 2)
        copies = (size_t)vt_min_i64(MAX_COPIES, vt_div_up((int64_t)COLD_BYTES, (int64_t)c->packed_bytes));
    struct trial trials[MAX_COPIES];
    enum vultus_status status = VULTUS_OK;
    size_t made = 0;
    while (made < copies && !(status = trial_init(&trials[made], timer, step, c)) &&
           !(status = trial_make_ready(&trials[made], timer)))
        made++;
    void *outputs[1] = {data->output};
    for (size_t b = 0; !status && b < timer->n_batches; b++) {
        status = measure(timer, trials, copies, timer->batches[b], data->inputs, outputs, &c->ns[b]);
        if (c->ns[b] > SLOW_NS) break;
    }
    for (size_t i = 0; i < made; i++) trial_fini(&trials[i], timer->lowering->backend);
    return status;
}

/* ------------------------------------------------------------ by the back end's clock */

/* What a whole batch took by the fastest of the candidates timed so far. */
static void find_fastest(const struct vt_timer *timer, const struct vt_candidate *candidates, size_t n, double *ns) {
    for (size_t b = 0; b < timer->n_batches; b++) {
        ns[b] = 0;
        for (size_t i = 0; i < n; i++) {
            double taken = candidates[i].ns[b] * (double)timer->batches[b];
            if (taken > 0 && (ns[b] == 0 || taken < ns[b])) ns[b] = taken;
        }
    }
}

static enum vultus_status time_by_backend(const struct vt_timer *timer, const struct vt_plan_step *step,
    struct vt_candidate *c, const double *fastest, const struct step_data *data) {
    const struct vt_backend *backend = timer->lowering->backend;
    struct trial trial;
    double ns[VT_PLAN_MAX_CHOICES] = {0};
    enum vultus_status status = trial_init(&trial, timer, step, c);
    if (status) return status;
    struct vt_timing timing = {.plan = &trial.plan,
        .inputs = data->inputs,
        .batches = timer->batches,
        .fastest = fastest,
        .n_batches = timer->n_batches,
        .network_weights = timer->weights_total};
    status = backend->builder->clock->measure(timer->stopwatch, &timing, ns, timer->lowering->error);
    for (size_t b = 0; !status && b < timer->n_batches; b++) c->ns[b] = ns[b] / (double)timer->batches[b];
    trial_fini(&trial, backend);
    return status;
}

enum vultus_status vt_time_candidates(
    const struct vt_timer *timer, const struct vt_plan_step *step, struct vt_candidate *candidates, size_t n) {
    struct vt_lowering *l = timer->lowering;
    bool by_host = !l->backend->builder->clock;
    struct step_data data;
    enum vultus_status status = VULTUS_OK;
    if (!step_data_init(&data, l->plan, step, by_host ? timer->batches[timer->n_batches - 1] : 1))
        status = vt_fail_memory(l->error, "timing a step", l->plan->values[step->outputs[0]].bytes);
    for (size_t i = 0; !status && i < n; i++) {
        double fastest[VT_PLAN_MAX_CHOICES];
        find_fastest(timer, candidates, i, fastest);
        status = by_host ? time_by_host(timer, step, &candidates[i], &data)
                         : time_by_backend(timer, step, &candidates[i], fastest, &data);
    }
    step_data_fini(&data);
    return status;
}
