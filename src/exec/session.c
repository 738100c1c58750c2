/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/session.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/devices.h"
#include "base/cpu.h"
#include "base/log.h"

/* Executables that no run uses at the moment are linked through `next`. */
struct slot {
    struct vt_executable *executable;
    int device; /* index of those in use */
    struct slot *next;
};

struct device {
    int running; /* runs on it at the moment */
    bool lost;   /* it failed while others were left */
};

struct vt_engine {
    struct vt_plan *plan;
    const struct vt_backend *backend;
    struct vt_pool *pool;
    struct vt_batcher *batcher; /* NULL: every run is by itself */
    pthread_mutex_t lock;
    struct slot *idle;      /* under lock; last in, first out, so that warm workspaces are used again */
    struct device *devices; /* under lock */
    int n_devices, n_lost;
    struct vt_engine *fallback;
    _Atomic bool failed;             /* the fallback runs everything; set once, after `failure` is written */
    char failure[VULTUS_ERROR_TEXT]; /* under lock until then */
};

/* Kernels, layouts and packed weights of a plan are those of the instruction set that it was built for. */
static enum vultus_status check_processor(const struct vt_plan *plan, struct vultus_error *error) {
    unsigned needed = plan->required_features | vt_cpu_arch_feature(plan->key.arch);
    if (vt_cpu_has(needed)) return VULTUS_OK;
    char lacking[128], features[128];
    const char *mask = getenv("VULTUS_CPU");
    vt_cpu_describe_features(needed & ~vt_cpu_features(), lacking, sizeof lacking);
    vt_cpu_describe(features, sizeof features);
    return vt_fail(error, VULTUS_ERROR_MISMATCH,
        "the plan's arch is %s and it needs %s, which %s%.32s does not have: it has %s; build the plan for it",
        plan->key.arch, lacking, mask && *mask ? "VULTUS_CPU=" : "this machine", mask && *mask ? mask : "", features);
}

static enum vultus_status check_machine(
    const struct vt_plan *plan, const struct vt_backend *backend, struct vultus_error *error) {
    struct vt_backend_report report;
    const char *build = vt_backend_build();
    /* A plan made in memory carries no build: it is this one's. */
    if (plan->key.build[0] && strncmp(plan->key.build, build, strlen(build)) != 0)
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "the plan's build is %s, this library is %s; build the plan anew",
            plan->key.build, build);
    backend->probe(&report);
    if (!report.usable)
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "the plan is for back end %s, which is not usable here: %s",
            backend->name, report.reason);
    if (strcmp(backend->name, "cpu") == 0) return check_processor(plan, error);
    /* Kernels and packed weights were chosen for one architecture. A plan made in memory may name none. */
    if (plan->key.arch[0] && strcmp(plan->key.arch, report.arch) != 0)
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "the plan's arch is %s, and %s is %s; build the plan for it",
            plan->key.arch, report.device, report.arch);
    return VULTUS_OK;
}

/* A value without a batch axis gets one in front. */
static enum vultus_status check_ranks(const struct vt_plan *plan, struct vultus_error *error) {
    for (uint32_t i = 0; i < plan->n_inputs + plan->n_outputs; i++) {
        bool is_input = i < plan->n_inputs;
        const struct vt_plan_value *v = &plan->values[is_input ? plan->inputs[i] : plan->outputs[i - plan->n_inputs]];
        if (v->rank >= VT_MAX_RANK)
            return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "%s %s has rank %d, supported are ranks below %d",
                is_input ? "input" : "output", v->name, v->rank, VT_MAX_RANK);
    }
    return VULTUS_OK;
}

static struct slot *new_slot(const struct vt_engine *engine, int device, struct vultus_error *error) {
    struct slot *slot = calloc(1, sizeof *slot);
    if (!slot) {
        vt_fail_memory(error, "an engine's slot", sizeof *slot);
        return NULL;
    }
    slot->device = device;
    if (engine->backend->create(engine->plan, engine->pool, device, &slot->executable, error)) {
        free(slot);
        return NULL;
    }
    return slot;
}

/* An executable on every device: one that takes no plans is found out now. */
static enum vultus_status make_slots(struct vt_engine *engine, struct vultus_error *error) {
    engine->n_devices = engine->backend->devices ? engine->backend->devices() : 1;
    engine->devices = calloc((size_t)engine->n_devices, sizeof *engine->devices);
    if (!engine->devices) return vt_fail_memory(error, "an engine's devices", sizeof *engine->devices);
    for (int d = engine->n_devices - 1; d >= 0; d--) {
        struct vultus_error failure = {VULTUS_OK, ""};
        struct slot *slot = new_slot(engine, d, &failure);
        if (!slot) return vt_fail(error, failure.status, "%s", failure.text);
        slot->next = engine->idle;
        engine->idle = slot;
    }
    return VULTUS_OK;
}

static void release_slots(struct vt_engine *engine) {
    while (engine->idle) {
        struct slot *slot = engine->idle;
        engine->idle = slot->next;
        engine->backend->destroy(slot->executable);
        free(slot);
    }
    free(engine->devices);
}

enum vultus_status vt_engine_create(
    struct vt_plan *plan, struct vt_pool *pool, struct vt_engine **out, struct vultus_error *error) {
    const struct vt_backend *backend = vt_backend_find(plan->key.backend);
    if (!backend)
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "the plan's backend is \"%s\", which this build does not have",
            plan->key.backend);
    enum vultus_status status = check_machine(plan, backend, error);
    if (!status) status = check_ranks(plan, error);
    if (status) return status;
    struct vt_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return vt_fail_memory(error, "an engine", sizeof *engine);
    *engine = (struct vt_engine){.plan = plan, .backend = backend, .pool = pool};
    status = make_slots(engine, error);
    if (status) {
        release_slots(engine);
        free(engine);
        return status;
    }
    pthread_mutex_init(&engine->lock, NULL);
    *out = engine;
    return VULTUS_OK;
}

void vt_engine_destroy(struct vt_engine *engine) {
    if (!engine) return;
    vt_batcher_destroy(engine->batcher);
    vt_engine_destroy(engine->fallback);
    release_slots(engine);
    pthread_mutex_destroy(&engine->lock);
    vt_plan_destroy(engine->plan);
    free(engine);
}

const struct vt_plan *vt_engine_plan(const struct vt_engine *engine) { return engine->plan; }

static enum vultus_status check_run(const struct vt_engine *engine, const void *const *inputs, void *const *outputs,
    int64_t batch, struct vultus_error *error) {
    const struct vt_plan *plan = engine->plan;
    if (batch < 1 || batch > plan->max_batch)
        return vt_fail(error, VULTUS_ERROR_INVALID, "a batch of %lld items was asked for, the plan runs 1 to %lld",
            (long long)batch, (long long)plan->max_batch);
    for (uint32_t i = 0; i < plan->n_inputs; i++)
        if (!inputs[i]) return vt_fail(error, VULTUS_ERROR_INVALID, "input %u has no data", i);
    for (uint32_t i = 0; i < plan->n_outputs; i++)
        if (!outputs[i]) return vt_fail(error, VULTUS_ERROR_INVALID, "output %u has no room", i);
    return VULTUS_OK;
}

/* ---------------------------------------------------------------- falling back */

static bool same_values(const struct vt_plan *a, const uint32_t *a_places, const struct vt_plan *b,
    const uint32_t *b_places, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const struct vt_plan_value *v = &a->values[a_places[i]], *w = &b->values[b_places[i]];
        if (v->dtype != w->dtype || v->rank != w->rank ||
            memcmp(v->dims, w->dims, (size_t)v->rank * sizeof *v->dims) != 0)
            return false;
    }
    return true;
}

enum vultus_status vt_engine_set_fallback(
    struct vt_engine *engine, struct vt_engine *fallback, struct vultus_error *error) {
    const struct vt_plan *a = engine->plan, *b = fallback->plan;
    if (strcmp(a->key.model_sha256, b->key.model_sha256) != 0 || a->n_inputs != b->n_inputs ||
        a->n_outputs != b->n_outputs || a->max_batch > b->max_batch ||
        !same_values(a, a->inputs, b, b->inputs, a->n_inputs) ||
        !same_values(a, a->outputs, b, b->outputs, a->n_outputs))
        return vt_fail(error, VULTUS_ERROR_MISMATCH,
            "the plan to fall back on is of another model, input size or batch than the one for %s", a->key.backend);
    engine->fallback = fallback;
    return VULTUS_OK;
}

const char *vt_engine_backend(const struct vt_engine *engine) {
    return atomic_load(&engine->failed) ? engine->fallback->plan->key.backend : engine->plan->key.backend;
}

const char *vt_engine_failure(const struct vt_engine *engine) {
    return atomic_load(&engine->failed) ? engine->failure : NULL;
}

/* A device that failed once is not asked again: whoever waits for it in the middle of a request waits for nothing. */
static void give_up_backend(struct vt_engine *engine, const struct vultus_error *failure) {
    pthread_mutex_lock(&engine->lock);
    bool first = !atomic_load(&engine->failed);
    if (first) snprintf(engine->failure, sizeof engine->failure, "%s", failure->text);
    atomic_store(&engine->failed, true);
    pthread_mutex_unlock(&engine->lock);
    if (first)
        vt_log(VT_LOG_WARN, "back end %s failed, %s takes over for %s: %s", engine->plan->key.backend,
            engine->fallback->plan->key.backend, engine->plan->model.name ? engine->plan->model.name : "the network",
            failure->text);
}

/* ---------------------------------------------------------------- devices */

/* The one with the fewest runs of those that are left. Called with the lock. */
static int next_device(const struct vt_engine *engine) {
    int best = -1;
    for (int d = 0; d < engine->n_devices; d++)
        if (!engine->devices[d].lost && (best < 0 || engine->devices[d].running < engine->devices[best].running))
            best = d;
    return best;
}

static struct slot *take_idle(struct vt_engine *engine, int device) {
    struct slot **link = &engine->idle;
    while (*link && (*link)->device != device) link = &(*link)->next;
    struct slot *slot = *link;
    if (slot) *link = slot->next;
    return slot;
}

/* The last one stays: there is no other that could do what it does not. False: the run is to be made elsewhere. */
static bool is_last_device(struct vt_engine *engine, int device, const struct vultus_error *failure) {
    pthread_mutex_lock(&engine->lock);
    bool first = !engine->devices[device].lost, last = first && engine->n_lost + 1 == engine->n_devices;
    if (first && !last) {
        engine->devices[device].lost = true;
        engine->n_lost++;
    }
    int left = engine->n_devices - engine->n_lost;
    pthread_mutex_unlock(&engine->lock);
    if (first && !last)
        vt_log(VT_LOG_WARN, "device %d failed and is not used any more, %d of %d go on with %s: %s",
            vt_devices_in_use()->ordinals[device], left, engine->n_devices,
            engine->plan->model.name ? engine->plan->model.name : "the network", failure->text);
    return last;
}

static enum vultus_status run_on_device(struct vt_engine *engine, int *device, const void *const *inputs,
    void *const *outputs, int64_t batch, struct vt_step_profile *profile, struct vultus_error *failure) {
    pthread_mutex_lock(&engine->lock);
    *device = next_device(engine);
    engine->devices[*device].running++;
    struct slot *slot = take_idle(engine, *device);
    pthread_mutex_unlock(&engine->lock);
    if (!slot) slot = new_slot(engine, *device, failure);
    enum vultus_status status = failure->status;
    if (slot) {
        bool aside = engine->backend->elsewhere && vt_pool_step_aside(engine->pool);
        status = engine->backend->run(slot->executable, inputs, outputs, batch, profile, failure);
        vt_pool_step_back(engine->pool, aside);
    }
    pthread_mutex_lock(&engine->lock);
    engine->devices[*device].running--;
    if (slot) {
        slot->next = engine->idle;
        engine->idle = slot;
    }
    pthread_mutex_unlock(&engine->lock);
    return status;
}

static bool is_the_device(enum vultus_status status) {
    return status == VULTUS_ERROR_BACKEND || status == VULTUS_ERROR_MEMORY;
}

/* A device that fails is taken out, and another one makes the run; the last one's failure is the back end's. */
static enum vultus_status run_here(struct vt_engine *engine, const void *const *inputs, void *const *outputs,
    int64_t batch, struct vt_step_profile *profile, struct vultus_error *error) {
    for (;;) {
        struct vultus_error failure = {VULTUS_OK, ""};
        int device;
        enum vultus_status status = run_on_device(engine, &device, inputs, outputs, batch, profile, &failure);
        if (!status) return VULTUS_OK;
        if (!is_the_device(status) || is_last_device(engine, device, &failure))
            return vt_fail(error, status, "%s", failure.text);
    }
}

static enum vultus_status run_alone(struct vt_engine *engine, const void *const *inputs, void *const *outputs,
    int64_t batch, struct vt_step_profile *profile, struct vultus_error *error) {
    /* Steps of the fallback are others, so a profile is of this plan or fails. */
    if (!engine->fallback || profile) return run_here(engine, inputs, outputs, batch, profile, error);
    if (!atomic_load(&engine->failed)) {
        struct vultus_error failure = {VULTUS_OK, ""};
        enum vultus_status status = run_here(engine, inputs, outputs, batch, NULL, &failure);
        if (!is_the_device(status)) return status ? vt_fail(error, status, "%s", failure.text) : VULTUS_OK;
        give_up_backend(engine, &failure);
    }
    return run_here(engine->fallback, inputs, outputs, batch, NULL, error);
}

enum vultus_status vt_engine_run(struct vt_engine *engine, const void *const *inputs, void *const *outputs,
    int64_t batch, struct vt_step_profile *profile, struct vultus_error *error) {
    enum vultus_status status = check_run(engine, inputs, outputs, batch, error);
    if (status) return status;
    bool entered = vt_pool_enter(engine->pool);
    status = engine->batcher && !profile ? vt_batcher_run(engine->batcher, inputs, outputs, batch, error)
                                         : run_alone(engine, inputs, outputs, batch, profile, error);
    vt_pool_leave(engine->pool, entered);
    return status;
}

static enum vultus_status run_shared(
    void *context, const void *const *inputs, void *const *outputs, int64_t batch, struct vultus_error *error) {
    return run_alone(context, inputs, outputs, batch, NULL, error);
}

const struct vt_photo_backend *vt_engine_photos(const struct vt_engine *engine) {
    return atomic_load(&engine->failed) ? NULL : engine->backend->photos;
}

int vt_engine_devices(const struct vt_engine *engine) { return engine->n_devices; }

enum vultus_status vt_engine_create_executable(
    const struct vt_engine *engine, int device, struct vt_executable **out, struct vultus_error *error) {
    return engine->backend->create(engine->plan, engine->pool, device, out, error);
}

void vt_engine_destroy_executable(const struct vt_engine *engine, struct vt_executable *executable) {
    engine->backend->destroy(executable);
}

static struct vt_tensor batched(const struct vt_plan_value *v, bool has_batch_axis, int64_t batch) {
    struct vt_tensor t = {.dtype = v->dtype, .rank = has_batch_axis ? v->rank : v->rank + 1, .dims = {batch}};
    const int64_t *item_dims = has_batch_axis ? v->dims + 1 : v->dims;
    for (int i = 1; i < t.rank; i++) t.dims[i] = item_dims[i - 1];
    return t;
}

struct vt_tensor vt_engine_input(const struct vt_engine *engine, uint32_t i, int64_t batch) {
    const struct vt_plan_value *v = &engine->plan->values[engine->plan->inputs[i]];
    return batched(v, v->rank > 0 && v->dims[0] == 1, batch);
}

struct vt_tensor vt_engine_output(const struct vt_engine *engine, uint32_t i, int64_t batch) {
    const struct vt_plan *plan = engine->plan;
    return batched(&plan->values[plan->outputs[i]], plan->output_has_batch_axis[i], batch);
}

double vt_engine_peak_flops(const struct vt_engine *engine) {
    return engine->backend->peak_flops(engine->pool, engine->plan->key.precision);
}

/* Nobody runs yet: each device's executable is idle. */
static enum vultus_status reserve(struct vt_engine *engine, int64_t batch, struct vultus_error *error) {
    const struct vt_plan *plan = engine->plan;
    size_t workspace = 0;
    if (!engine->backend->reserve) return VULTUS_OK;
    for (struct slot *slot = engine->idle; slot; slot = slot->next) {
        struct vultus_error failure = {VULTUS_OK, ""};
        if (engine->backend->reserve(slot->executable, batch, &failure))
            return vt_fail(error, failure.status, "%s", failure.text);
        workspace = engine->backend->workspace_bytes(slot->executable);
    }
    vt_log(VT_LOG_INFO, "memory of %s on %s: %.1f MiB of weights, %.1f MiB for batches of up to %lld, on each of %d %s",
        plan->model.name ? plan->model.name : "the network", plan->key.backend, (double)plan->weights_bytes / 0x1p20,
        (double)workspace / 0x1p20, (long long)batch, engine->n_devices, engine->n_devices == 1 ? "device" : "devices");
    return VULTUS_OK;
}

enum vultus_status vt_engine_share_batches(
    struct vt_engine *engine, int64_t most_items, uint32_t most_delay_us, struct vultus_error *error) {
    const struct vt_plan *plan = engine->plan;
    size_t input_bytes[VT_BATCH_TENSORS], output_bytes[VT_BATCH_TENSORS];
    for (uint32_t i = 0; i < plan->n_inputs && i < VT_BATCH_TENSORS; i++) {
        struct vt_tensor input = vt_engine_input(engine, i, 1);
        input_bytes[i] = vt_tensor_bytes(&input);
    }
    for (uint32_t i = 0; i < plan->n_outputs && i < VT_BATCH_TENSORS; i++) {
        struct vt_tensor output = vt_engine_output(engine, i, 1);
        output_bytes[i] = vt_tensor_bytes(&output);
    }
    bool all = most_items <= 0 || most_items > plan->max_batch;
    struct vt_batcher_options options = {.run = run_shared,
        .context = engine,
        .most_items = all ? plan->max_batch : most_items,
        .most_delay_us = most_delay_us,
        .leaders = engine->n_devices,
        .pool = engine->pool,
        .n_inputs = plan->n_inputs,
        .n_outputs = plan->n_outputs,
        .input_bytes = input_bytes,
        .output_bytes = output_bytes};
    enum vultus_status status = reserve(engine, options.most_items, error);
    return status ? status : vt_batcher_create(&options, &engine->batcher, error);
}

struct vt_batcher *vt_engine_batcher(const struct vt_engine *engine) {
    return engine->batcher;
}
