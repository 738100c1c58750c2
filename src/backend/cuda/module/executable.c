/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans on a GPU. A batch's inputs go into pinned memory and from there to the device, all steps run, and the outputs
 * come back the same way: one stream's work, recorded as a graph when a batch size comes for the first time. A GPU
 * whose memory is the host's reads and writes the pinned memory itself. Operators without a kernel run on the host,
 * between the graphs of what comes before and behind them.
 */
#include "backend/cuda/module/executable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/module/devices.h"
#include "backend/cuda/module/host_step.h"
#include "backend/cuda/module/photo.h"
#include "backend/cuda/module/tactic.h"
#include "backend/cuda/module/weights.h"
#include "base/checked.h"
#include "config.h"

/* Larger batches go through the network in parts. */
#define MOST_TOGETHER 1024
/* Recorded batch sizes that are kept: as many as a server's batches have. */
#define RECORDINGS 64

/* A batch size's graphs, one for each part. */
struct recording {
    int64_t batch;
    bool exchange; /* with copies of inputs and outputs */
    struct vt_cuda_graph **graphs;
};

/* An input or output: where it is on the device, and in pinned memory, per item of the batch. */
struct binding {
    uint64_t bytes;  /* of one item */
    uint64_t offset; /* from the first binding */
};

struct vt_executable {
    const struct vt_plan *plan;
    int device;            /* an ordinal */
    bool integrated;       /* the bindings are not copied */
    struct vt_arena arena; /* of the tables below */
    struct vt_cuda_step *steps;
    struct binding *inputs, *outputs;
    uint64_t bindings_bytes; /* of one item, all of them */
    struct vt_cuda_weights *weights;
    struct vt_cuda_stream *stream;
    struct vt_cuda_event **events; /* n_steps + 1, once a run was profiled */
    uint8_t *memory, *host;        /* the device's; pinned: the bindings for the host */
    uint8_t *bindings;             /* behind the activations in the device's, or the pinned ones as it sees them */
    int64_t capacity;              /* items that these hold */
    uint32_t *part_ends; /* the steps of each part end before that one, which the host runs, or with the plan */
    uint32_t n_parts;
    size_t staging_bytes; /* of the host's steps, for one item, behind the pinned bindings */
    struct recording recordings[RECORDINGS];
    size_t next_recording;
};

/* ------------------------------------------------------------ create */

static enum vultus_status check_machine(const struct vt_plan *plan, struct vultus_error *error) {
    struct vt_backend_report here;
    vt_cuda_probe(&here);
    if (!here.usable) return vt_fail(error, VULTUS_ERROR_MISMATCH, "the plan needs a GPU: %s", here.reason);
    if (plan->key.arch[0] && strcmp(plan->key.arch, here.arch) != 0)
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "the plan's arch is %s, this GPU's is %s; build the plan for it",
            plan->key.arch, here.arch);
    if (plan->required_features & ~vt_cuda_features())
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "the plan needs GPU features 0x%x, of which this one lacks 0x%x",
            plan->required_features, plan->required_features & ~vt_cuda_features());
    return VULTUS_OK;
}

/* Several values may be views of one input; those that nothing reads have no bytes. */
static enum vultus_status place_bindings(struct vt_executable *e, struct vultus_error *error) {
    const struct vt_plan *plan = e->plan;
    e->inputs = vt_arena_alloc_array(&e->arena, (size_t)plan->n_inputs + 1, sizeof *e->inputs);
    e->outputs = vt_arena_alloc_array(&e->arena, (size_t)plan->n_outputs + 1, sizeof *e->outputs);
    if (!e->inputs || !e->outputs)
        return vt_fail_memory(
            error, "an executable's bindings", (plan->n_inputs + plan->n_outputs) * sizeof *e->inputs);
    for (uint32_t i = 0; i < plan->n_values; i++) {
        const struct vt_plan_value *v = &plan->values[i];
        bool input = v->storage == VT_STORAGE_INPUT;
        if ((!input && v->storage != VT_STORAGE_OUTPUT) || v->bytes == 0) continue;
        if (v->offset >= (input ? plan->n_inputs : plan->n_outputs))
            return vt_fail(error, VULTUS_ERROR_FORMAT, "value %s is %s %llu, of which there are %u", v->name,
                input ? "input" : "output", (unsigned long long)v->offset, input ? plan->n_inputs : plan->n_outputs);
        struct binding *b = (input ? e->inputs : e->outputs) + v->offset;
        if (b->bytes && b->bytes != v->bytes)
            return vt_fail(error, VULTUS_ERROR_FORMAT, "views of %s differ in size: %llu and %llu bytes", v->name,
                (unsigned long long)b->bytes, (unsigned long long)v->bytes);
        if (b->bytes) continue;
        *b = (struct binding){v->bytes, e->bindings_bytes};
        e->bindings_bytes += vt_round_up(v->bytes, VT_PLAN_ALIGNMENT);
    }
    return VULTUS_OK;
}

static void forget_recording(struct vt_executable *e, struct recording *r) {
    for (uint32_t part = 0; r->graphs && part < e->n_parts; part++) vt_cuda_graph_destroy(r->graphs[part]);
    free(r->graphs);
    *r = (struct recording){0};
}

static void forget_memory(struct vt_executable *e) {
    for (size_t i = 0; i < RECORDINGS; i++) forget_recording(e, &e->recordings[i]);
    vt_cuda_release(e->memory);
    vt_cuda_release_host(e->host);
    e->memory = e->host = e->bindings = NULL;
    e->capacity = 0;
}

static void destroy(struct vt_executable *e) {
    struct vultus_error ignored; /* of a device that is lost, with all that was on it */
    if (!e) return;
    vt_cuda_use(e->device, &ignored);
    forget_memory(e);
    for (uint32_t i = 0; e->events && i <= e->plan->n_steps; i++) vt_cuda_event_destroy(e->events[i]);
    vt_cuda_stream_destroy(e->stream);
    vt_cuda_weights_release(e->weights);
    vt_arena_fini(&e->arena);
    free(e);
}

/* Where the host's steps cut the plan. */
static enum vultus_status divide(struct vt_executable *e, struct vultus_error *error) {
    uint32_t n_steps = e->plan->n_steps;
    e->part_ends = vt_arena_alloc_array(&e->arena, (size_t)n_steps + 1, sizeof *e->part_ends);
    if (!e->part_ends) return vt_fail_memory(error, "an executable's parts", n_steps * sizeof *e->part_ends);
    for (uint32_t i = 0; i < n_steps; i++) {
        if (!vt_cuda_is_host_step(&e->steps[i])) continue;
        size_t bytes = vt_cuda_host_step_bytes(&e->steps[i]);
        e->part_ends[e->n_parts++] = i;
        if (bytes > e->staging_bytes) e->staging_bytes = bytes;
    }
    e->part_ends[e->n_parts++] = n_steps;
    return VULTUS_OK;
}

static enum vultus_status prepare(struct vt_executable *e, struct vultus_error *error) {
    enum vultus_status status = vt_cuda_use(e->device, error);
    if (!status) status = vt_cuda_prepare(e->plan, &e->arena, &e->steps, error);
    if (!status) status = divide(e, error);
    if (!status) status = place_bindings(e, error);
    if (!status) status = vt_cuda_weights_acquire(e->plan, e->device, &e->weights, error);
    return status ? status : vt_cuda_stream_create(&e->stream, error);
}

static enum vultus_status create(const struct vt_plan *plan, struct vt_pool *pool, int device,
    struct vt_executable **out, struct vultus_error *error) {
    (void)pool; /* the device's own parallelism is all that is used */
    const struct vt_cuda_device_info *info;
    enum vultus_status status = check_machine(plan, error);
    if (!status) status = vt_cuda_device_facts(device, &info, error);
    if (status) return status;
    struct vt_executable *e = calloc(1, sizeof *e);
    if (!e) return vt_fail_memory(error, "an executable", sizeof *e);
    e->plan = plan;
    e->device = vt_cuda_device_ordinal(device);
    e->integrated = info->integrated;
    vt_arena_init(&e->arena, 0);
    status = prepare(e, error);
    if (status)
        destroy(e);
    else
        *out = e;
    return status;
}

/* ------------------------------------------------------------ run */

/* Room for `batch` items together; it only ever grows. */
static enum vultus_status reserve(struct vt_executable *e, int64_t batch, struct vultus_error *error) {
    uint64_t arena_bytes = e->plan->arena_bytes;
    size_t item, pinned, activations, all, host;
    if (batch <= e->capacity) return VULTUS_OK;
    if (!vt_add_size(arena_bytes, e->bindings_bytes, &item) || !vt_mul_size(item, (size_t)batch, &all) ||
        !vt_mul_size(arena_bytes, (size_t)batch, &activations) ||
        !vt_add_size(e->bindings_bytes, e->staging_bytes, &pinned) || !vt_mul_size(pinned, (size_t)batch, &host))
        return vt_fail(error, VULTUS_ERROR_LIMIT, "a batch of %lld items needs more memory than can be addressed",
            (long long)batch);
    forget_memory(e);
    enum vultus_status status = vt_cuda_allocate(e->integrated ? activations : all, (void **)&e->memory, error);
    if (!status) status = vt_cuda_allocate_host(host, (void **)&e->host, error);
    if (!status && e->integrated) status = vt_cuda_mapped(e->host, (void **)&e->bindings, error);
    if (!status && !e->integrated) e->bindings = e->memory + activations;
    if (status)
        forget_memory(e);
    else
        e->capacity = batch;
    return status;
}

static uint8_t *binding_on_device(const struct vt_executable *e, const struct binding *b, int64_t batch) {
    return e->bindings + b->offset * (uint64_t)batch;
}

static void *locate(const struct vt_executable *e, const struct vt_plan_value *v, int64_t batch) {
    switch (v->storage) {
    case VT_STORAGE_INPUT: return binding_on_device(e, &e->inputs[v->offset], batch);
    case VT_STORAGE_OUTPUT: return binding_on_device(e, &e->outputs[v->offset], batch);
    case VT_STORAGE_CONSTANT: return (void *)(vt_cuda_weights_data(e->weights) + v->offset);
    case VT_STORAGE_ARENA: break;
    }
    return e->memory + v->offset * (uint64_t)batch;
}

/* A step's operands on the device; both arrays have VT_PLAN_MAX_OPERANDS entries, all NULL. */
static struct vt_cuda_call describe_step(
    const struct vt_executable *e, const struct vt_cuda_step *p, int64_t batch, void **in_data, void **out_data) {
    uint32_t packed = p->step->choices[vt_plan_step_choice(p->step, batch)].packed;
    for (uint32_t i = 0; i < p->step->n_inputs; i++)
        if (p->in[i]) in_data[i] = locate(e, p->in[i], batch);
    for (uint32_t i = 0; i < p->step->n_outputs; i++)
        if (p->out[i]) out_data[i] = locate(e, p->out[i], batch);
    return (struct vt_cuda_call){.plan = e->plan,
        .step = p->step,
        .in = p->in,
        .out = p->out,
        .in_data = in_data,
        .out_data = out_data,
        .weights = vt_cuda_weights_data(e->weights),
        .packed = packed == VT_PLAN_NONE ? NULL : locate(e, &e->plan->values[packed], batch),
        .batch = batch,
        .stream = vt_cuda_stream_native(e->stream)};
}

static enum vultus_status launch_step(
    const struct vt_executable *e, const struct vt_cuda_step *p, int64_t batch, struct vultus_error *error) {
    void *in_data[VT_PLAN_MAX_OPERANDS] = {NULL}, *out_data[VT_PLAN_MAX_OPERANDS] = {NULL};
    struct vt_cuda_call call = describe_step(e, p, batch, in_data, out_data);
    return vt_cuda_check(p->tactics[vt_plan_step_choice(p->step, batch)]->launch(&call), p->step->name, error);
}

static enum vultus_status run_on_host(const struct vt_executable *e, const struct vt_cuda_step *p, int64_t batch,
    struct vt_cuda_stream *stream, struct vultus_error *error) {
    void *in_data[VT_PLAN_MAX_OPERANDS] = {NULL}, *out_data[VT_PLAN_MAX_OPERANDS] = {NULL};
    struct vt_cuda_call call = describe_step(e, p, batch, in_data, out_data);
    return vt_cuda_run_host_step(&call, stream, e->host + e->bindings_bytes * (uint64_t)e->capacity, error);
}

static enum vultus_status copy_bindings(struct vt_executable *e, const struct binding *bindings, uint32_t n,
    int64_t batch, enum vt_cuda_direction direction, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (uint32_t i = 0; !status && !e->integrated && i < n; i++) {
        uint8_t *device = binding_on_device(e, &bindings[i], batch);
        uint8_t *host = e->host + bindings[i].offset * (uint64_t)batch;
        size_t bytes = bindings[i].bytes * (size_t)batch;
        bool in = direction == VT_CUDA_TO_DEVICE;
        if (bytes) status = vt_cuda_copy(e->stream, in ? device : host, in ? host : device, bytes, direction, error);
    }
    return status;
}

/* How a batch's steps are queued. */
struct way {
    bool exchange; /* with copies of inputs and outputs */
    bool timed;    /* not recorded, with events behind every step */
    struct vt_cuda_stream *stream;
};

static enum vultus_status queue_part(
    struct vt_executable *e, uint32_t part, int64_t batch, const struct way *way, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    bool timed = way->timed;
    if (part == 0 && way->exchange)
        status = copy_bindings(e, e->inputs, e->plan->n_inputs, batch, VT_CUDA_TO_DEVICE, error);
    if (!status && timed && part == 0) status = vt_cuda_event_record(e->events[0], e->stream, error);
    for (uint32_t i = part ? e->part_ends[part - 1] + 1 : 0; !status && i < e->part_ends[part]; i++) {
        status = launch_step(e, &e->steps[i], batch, error);
        if (!status && timed) status = vt_cuda_event_record(e->events[i + 1], e->stream, error);
    }
    if (status || part + 1 < e->n_parts || !way->exchange) return status;
    return copy_bindings(e, e->outputs, e->plan->n_outputs, batch, VT_CUDA_TO_HOST, error);
}

/* Between two of the host's steps there may be nothing. */
static bool is_empty(const struct vt_executable *e, uint32_t part, bool exchange) {
    uint32_t first = part ? e->part_ends[part - 1] + 1 : 0;
    bool copies = exchange && !e->integrated && (part == 0 || part + 1 == e->n_parts);
    return first == e->part_ends[part] && !copies;
}

static enum vultus_status record_part(struct vt_executable *e, uint32_t part, int64_t batch, bool exchange,
    struct vt_cuda_graph **graph, struct vultus_error *error) {
    const struct way way = {exchange, false, e->stream};
    enum vultus_status status = vt_cuda_graph_begin(e->stream, error), ended;
    if (status) return status;
    status = queue_part(e, part, batch, &way, error);
    ended = vt_cuda_graph_end(e->stream, graph, status ? NULL : error);
    return status ? status : ended;
}

/* The batch size's graphs, recorded when it comes for the first time. */
static enum vultus_status find_recording(
    struct vt_executable *e, int64_t batch, bool exchange, struct recording **out, struct vultus_error *error) {
    for (size_t i = 0; i < RECORDINGS; i++)
        if (e->recordings[i].batch == batch && e->recordings[i].exchange == exchange) {
            *out = &e->recordings[i];
            return VULTUS_OK;
        }
    struct recording *r = &e->recordings[e->next_recording++ % RECORDINGS];
    forget_recording(e, r);
    r->graphs = calloc(e->n_parts, sizeof *r->graphs);
    if (!r->graphs) return vt_fail_memory(error, "a batch's graphs", e->n_parts * sizeof *r->graphs);
    enum vultus_status status = VULTUS_OK;
    for (uint32_t part = 0; !status && part < e->n_parts; part++)
        if (!is_empty(e, part, exchange)) status = record_part(e, part, batch, exchange, &r->graphs[part], error);
    if (status) {
        forget_recording(e, r);
    } else {
        r->batch = batch;
        r->exchange = exchange;
    }
    *out = r;
    return status;
}

/* Of what a graph copies only its launches tell. */
static void count_exchange(const struct vt_executable *e, int64_t batch) {
    for (uint32_t i = 0; !e->integrated && i < e->plan->n_inputs; i++)
        vt_cuda_count_copy(e->inputs[i].bytes * (uint64_t)batch, VT_CUDA_TO_DEVICE);
    for (uint32_t i = 0; !e->integrated && i < e->plan->n_outputs; i++)
        vt_cuda_count_copy(e->outputs[i].bytes * (uint64_t)batch, VT_CUDA_TO_HOST);
}

/* Part by part, with the host's steps between them. */
static enum vultus_status queue_all(
    struct vt_executable *e, int64_t batch, const struct way *way, struct vultus_error *error) {
    struct recording *recording = NULL;
    bool timed = way->timed;
    enum vultus_status status = timed ? VULTUS_OK : find_recording(e, batch, way->exchange, &recording, error);
    for (uint32_t part = 0; !status && part < e->n_parts; part++) {
        uint32_t end = e->part_ends[part];
        if (timed)
            status = queue_part(e, part, batch, way, error);
        else if (recording->graphs[part])
            status = vt_cuda_graph_launch(recording->graphs[part], way->stream, error);
        if (!status && part + 1 < e->n_parts) status = run_on_host(e, &e->steps[end], batch, way->stream, error);
        if (!status && part + 1 < e->n_parts && timed)
            status = vt_cuda_event_record(e->events[end + 1], e->stream, error);
    }
    if (!status && way->exchange && !timed) count_exchange(e, batch);
    return status;
}

/* ------------------------------------------------------------ beside a run's own exchange */

enum vultus_status vt_cuda_executable_reserve(struct vt_executable *e, int64_t batch, struct vultus_error *error) {
    return reserve(e, batch, error);
}

void *vt_cuda_executable_input(const struct vt_executable *e, uint32_t i, int64_t batch) {
    return binding_on_device(e, &e->inputs[i], batch);
}

const void *vt_cuda_executable_output(const struct vt_executable *e, uint32_t i, int64_t batch) {
    return binding_on_device(e, &e->outputs[i], batch);
}

const struct vt_plan *vt_cuda_executable_plan(const struct vt_executable *e) { return e->plan; }

enum vultus_status vt_cuda_executable_queue(
    struct vt_executable *e, int64_t batch, struct vt_cuda_stream *stream, struct vultus_error *error) {
    return queue_all(e, batch, &(struct way){false, false, stream}, error);
}

static enum vultus_status make_events(struct vt_executable *e, struct vultus_error *error) {
    if (e->events) return VULTUS_OK;
    e->events = vt_arena_alloc_array(&e->arena, (size_t)e->plan->n_steps + 1, sizeof(struct vt_cuda_event *));
    if (!e->events) return vt_fail_memory(error, "a profile's events", e->plan->n_steps * sizeof(void *));
    enum vultus_status status = VULTUS_OK;
    for (uint32_t i = 0; !status && i <= e->plan->n_steps; i++) status = vt_cuda_event_create(&e->events[i], error);
    return status;
}

static enum vultus_status read_events(
    const struct vt_executable *e, struct vt_step_profile *profile, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (uint32_t i = 0; !status && i < e->plan->n_steps; i++) {
        uint64_t nanoseconds = 0;
        status = vt_cuda_event_nanoseconds(e->events[i], e->events[i + 1], &nanoseconds, error);
        profile[i].nanoseconds += nanoseconds;
    }
    return status;
}

/* Items [first, first + batch) of the caller's arrays to and from pinned memory. */
static void exchange_in(const struct vt_executable *e, const void *const *inputs, int64_t first, int64_t batch) {
    for (uint32_t i = 0; i < e->plan->n_inputs; i++) {
        const struct binding *b = &e->inputs[i];
        if (b->bytes)
            memcpy(e->host + b->offset * (uint64_t)batch, (const uint8_t *)inputs[i] + (uint64_t)first * b->bytes,
                b->bytes * (size_t)batch);
    }
}

static void exchange_out(const struct vt_executable *e, void *const *outputs, int64_t first, int64_t batch) {
    for (uint32_t i = 0; i < e->plan->n_outputs; i++) {
        const struct binding *b = &e->outputs[i];
        if (b->bytes)
            memcpy((uint8_t *)outputs[i] + (uint64_t)first * b->bytes, e->host + b->offset * (uint64_t)batch,
                b->bytes * (size_t)batch);
    }
}

static enum vultus_status run(struct vt_executable *e, const void *const *inputs, void *const *outputs, int64_t batch,
    struct vt_step_profile *profile, struct vultus_error *error) {
    if (batch < 1 || batch > VT_PLAN_MAX_BATCH)
        return vt_fail(error, VULTUS_ERROR_LIMIT, "a batch of %lld items cannot be run, 1 to %d can", (long long)batch,
            VT_PLAN_MAX_BATCH);
    enum vultus_status status = vt_cuda_use(e->device, error);
    if (!status) status = reserve(e, vt_min_i64(batch, MOST_TOGETHER), error);
    if (!status && profile) {
        memset(profile, 0, e->plan->n_steps * sizeof *profile);
        status = make_events(e, error);
    }
    for (int64_t first = 0; !status && first < batch; first += MOST_TOGETHER) {
        int64_t count = vt_min_i64(batch - first, MOST_TOGETHER);
        exchange_in(e, inputs, first, count);
        status = queue_all(e, count, &(struct way){true, profile != NULL, e->stream}, error);
        if (!status) status = vt_cuda_stream_wait(e->stream, error);
        if (!status) exchange_out(e, outputs, first, count);
        if (!status && profile) status = read_events(e, profile, error);
    }
    return status;
}

/* The memory, and the graphs of as many batch sizes as are kept. */
static enum vultus_status reserve_batches(struct vt_executable *e, int64_t batch, struct vultus_error *error) {
    struct recording *ignored;
    enum vultus_status status = vt_cuda_use(e->device, error);
    if (!status) status = reserve(e, vt_min_i64(batch, MOST_TOGETHER), error);
    for (int64_t size = 1; !status && size <= vt_min_i64(batch, RECORDINGS); size++)
        status = find_recording(e, size, true, &ignored, error);
    return status;
}

static size_t workspace_bytes(const struct vt_executable *e) {
    return (size_t)e->capacity * (e->plan->arena_bytes + e->bindings_bytes);
}

const struct vt_backend vt_cuda_module_backend = {
    .name = "cuda",
    .probe = vt_cuda_probe,
    .elsewhere = true,
    .devices = vt_cuda_device_count,
    .create = create,
    .run = run,
    .reserve = reserve_batches,
    .workspace_bytes = workspace_bytes,
    .describe_tactic = vt_cuda_describe_tactic,
    .peak_flops = vt_cuda_peak_flops,
    .destroy = destroy,
    .photos = &vt_cuda_photos,
#if VT_HAVE_COMPILER
    .builder = &vt_cuda_builder,
#endif
};
