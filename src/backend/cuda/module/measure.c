/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a step takes on the device. Its launches are recorded as a graph, so that the host's part of launching does
 * not show, and the graph is launched between two events. In a network whose weights exceed the device's cache a step
 * finds its own in memory: then each launch of the graph has its own copy, and the cache is swept before.
 */
#include "backend/cuda/module/measure.h"

#include <stdlib.h>

#include "backend/cuda/module/devices.h"
#include "backend/cuda/module/prepare.h"
#include "backend/cuda/module/weights.h"
#include "base/checked.h"

enum { LEAST_LAUNCHES = 3, MOST_LAUNCHES = 20, LEAST_SAMPLES = 3, MOST_SAMPLES = 7 };
/* Of one sample, and of all samples of a batch: more only costs time. */
static const double sample_ns = 200e3, samples_ns = 10e6;
/* A tactic that took this much longer than another is out of the race. */
static const double hopeless = 4;
static const size_t most_copied = (size_t)256 << 20;

struct block {
    uint8_t *data;
    size_t bytes;
};

struct vt_stopwatch {
    struct vt_cuda_stream *stream;
    struct vt_cuda_event *events[2 * MOST_SAMPLES];
    size_t cache;                        /* of the device, bytes */
    struct block values, weights, sweep; /* kept from one tactic to the next */
};

/* One tactic with its operands on the device. */
struct trial {
    struct vt_stopwatch *watch;
    const struct vt_plan *plan;
    struct vt_cuda_step step;
    void *in[VT_PLAN_MAX_OPERANDS], *out[VT_PLAN_MAX_OPERANDS]; /* NULL for constants */
    size_t copies, copy_bytes;                                  /* of the constants */
};

static void close_watch(struct vt_stopwatch *w) {
    struct vultus_error ignored;
    if (!w) return;
    vt_cuda_use(vt_cuda_device_ordinal(0), &ignored);
    vt_cuda_stream_destroy(w->stream);
    for (size_t i = 0; i < 2 * MOST_SAMPLES; i++) vt_cuda_event_destroy(w->events[i]);
    vt_cuda_release(w->values.data);
    vt_cuda_release(w->weights.data);
    vt_cuda_release(w->sweep.data);
    free(w);
}

static enum vultus_status open_watch(struct vt_stopwatch **out, struct vultus_error *error) {
    const struct vt_cuda_device_info *info;
    enum vultus_status status = vt_cuda_device_facts(0, &info, error);
    if (!status) status = vt_cuda_use(vt_cuda_device_ordinal(0), error);
    if (status) return status;
    struct vt_stopwatch *w = calloc(1, sizeof *w);
    if (!w) return vt_fail_memory(error, "a stopwatch", sizeof *w);
    w->cache = info->cache;
    status = vt_cuda_stream_create(&w->stream, error);
    for (size_t i = 0; !status && i < 2 * MOST_SAMPLES; i++) status = vt_cuda_event_create(&w->events[i], error);
    if (status)
        close_watch(w);
    else
        *out = w;
    return status;
}

static enum vultus_status make_room(struct block *block, size_t bytes, struct vultus_error *error) {
    if (bytes <= block->bytes) return VULTUS_OK;
    vt_cuda_release(block->data);
    *block = (struct block){NULL, 0};
    enum vultus_status status = vt_cuda_allocate(bytes, (void **)&block->data, error);
    if (!status) block->bytes = bytes;
    return status;
}

/* ------------------------------------------------------------ operands */

/* Every value that is no constant lies in the block, for the largest batch. */
static enum vultus_status place_values(struct trial *t, int64_t most, struct vultus_error *error) {
    const struct vt_plan_step *step = t->step.step;
    size_t total = 0, offsets[2 * VT_PLAN_MAX_OPERANDS];
    uint32_t n = step->n_inputs + step->n_outputs;
    for (uint32_t i = 0; i < n; i++) {
        const struct vt_plan_value *v = i < step->n_inputs ? t->step.in[i] : t->step.out[i - step->n_inputs];
        size_t bytes;
        offsets[i] = total;
        if (!v || v->storage == VT_STORAGE_CONSTANT) continue;
        if (!vt_mul_size(v->bytes, (size_t)most, &bytes) || bytes > SIZE_MAX / 2 - total)
            return vt_fail(error, VULTUS_ERROR_LIMIT, "step %s: %lld items of %s are more than can be addressed",
                step->name, (long long)most, v->name);
        total += vt_round_up(bytes, 256);
    }
    enum vultus_status status = make_room(&t->watch->values, total, error);
    for (uint32_t i = 0; !status && i < n; i++) {
        const struct vt_plan_value *v = i < step->n_inputs ? t->step.in[i] : t->step.out[i - step->n_inputs];
        void *data = v && v->storage != VT_STORAGE_CONSTANT ? t->watch->values.data + offsets[i] : NULL;
        *(i < step->n_inputs ? &t->in[i] : &t->out[i - step->n_inputs]) = data;
    }
    return status;
}

/* One item from the host, the others from that, twice as many each time. */
static enum vultus_status upload(
    struct trial *t, uint8_t *to, const void *from, size_t bytes, size_t count, struct vultus_error *error) {
    enum vultus_status status = vt_cuda_copy(t->watch->stream, to, from, bytes, VT_CUDA_TO_DEVICE, error);
    for (size_t done = 1; !status && done < count; done *= 2) {
        size_t more = done <= count - done ? done : count - done;
        status = vt_cuda_copy(t->watch->stream, to + done * bytes, to, more * bytes, VT_CUDA_ON_DEVICE, error);
    }
    return status;
}

static enum vultus_status upload_operands(struct trial *t, const struct vt_timing *timing, struct vultus_error *error) {
    const struct vt_plan *plan = t->plan;
    bool cold = timing->network_weights > t->watch->cache / 2;
    t->copy_bytes = vt_cuda_constant_bytes(plan);
    t->copies = 1;
    if (cold && t->copy_bytes)
        t->copies = (size_t)vt_min_i64(MOST_LAUNCHES, vt_max_i64((int64_t)(most_copied / t->copy_bytes), 1));
    enum vultus_status status = place_values(t, timing->batches[timing->n_batches - 1], error);
    if (!status) status = make_room(&t->watch->weights, t->copies * t->copy_bytes, error);
    if (!status && cold) status = make_room(&t->watch->sweep, 2 * t->watch->cache, error);
    if (!status && t->copy_bytes)
        status = upload(t, t->watch->weights.data, plan->weights, t->copy_bytes, t->copies, error);
    for (uint32_t i = 0; !status && i < t->step.step->n_inputs; i++)
        if (t->in[i])
            status = upload(t, t->in[i], timing->inputs[i], t->step.in[i]->bytes,
                (size_t)timing->batches[timing->n_batches - 1], error);
    return status;
}

/* ------------------------------------------------------------ launches */

static enum vultus_status launch(const struct trial *t, size_t copy, int64_t batch, struct vultus_error *error) {
    const struct vt_plan_step *step = t->step.step;
    const uint8_t *weights = t->watch->weights.data + copy * t->copy_bytes;
    void *in[VT_PLAN_MAX_OPERANDS] = {NULL}, *out[VT_PLAN_MAX_OPERANDS] = {NULL};
    uint32_t packed = step->choices[0].packed;
    for (uint32_t i = 0; i < step->n_inputs; i++)
        in[i] = t->in[i] ? t->in[i] : t->step.in[i] ? (void *)(weights + t->step.in[i]->offset) : NULL;
    for (uint32_t i = 0; i < step->n_outputs; i++) out[i] = t->out[i];
    struct vt_cuda_call call = {.plan = t->plan,
        .step = step,
        .in = t->step.in,
        .out = t->step.out,
        .in_data = in,
        .out_data = out,
        .weights = weights,
        .packed = packed == VT_PLAN_NONE ? NULL : weights + t->plan->values[packed].offset,
        .batch = batch,
        .stream = vt_cuda_stream_native(t->watch->stream)};
    return vt_cuda_check(t->step.tactics[0]->launch(&call), step->choices[0].tactic, error);
}

static enum vultus_status between(const struct vt_stopwatch *w, size_t sample, double *ns, struct vultus_error *error) {
    uint64_t nanoseconds = 0;
    enum vultus_status status =
        vt_cuda_event_nanoseconds(w->events[2 * sample], w->events[2 * sample + 1], &nanoseconds, error);
    *ns = vt_max_i64((int64_t)nanoseconds, 1);
    return status;
}

/* A second launch: the first one loads the kernel. */
static enum vultus_status time_roughly(const struct trial *t, int64_t batch, double *ns, struct vultus_error *error) {
    const struct vt_stopwatch *w = t->watch;
    enum vultus_status status = launch(t, 0, batch, error);
    if (!status) status = vt_cuda_event_record(w->events[0], w->stream, error);
    if (!status) status = launch(t, t->copies - 1, batch, error);
    if (!status) status = vt_cuda_event_record(w->events[1], w->stream, error);
    if (!status) status = vt_cuda_stream_wait(w->stream, error);
    return status ? status : between(w, 0, ns, error);
}

static enum vultus_status record(
    const struct trial *t, int64_t batch, size_t launches, struct vt_cuda_graph **graph, struct vultus_error *error) {
    enum vultus_status status = vt_cuda_graph_begin(t->watch->stream, error), ended;
    if (status) return status;
    for (size_t i = 0; !status && i < launches; i++) status = launch(t, i % t->copies, batch, error);
    ended = vt_cuda_graph_end(t->watch->stream, graph, status ? NULL : error);
    return status ? status : ended;
}

static enum vultus_status queue_samples(
    const struct trial *t, struct vt_cuda_graph *graph, size_t samples, struct vultus_error *error) {
    const struct vt_stopwatch *w = t->watch;
    enum vultus_status status = vt_cuda_graph_launch(graph, w->stream, error);
    for (size_t i = 0; !status && i < samples; i++) {
        if (w->sweep.bytes) status = vt_cuda_clear(w->stream, w->sweep.data, w->sweep.bytes, error);
        if (!status) status = vt_cuda_event_record(w->events[2 * i], w->stream, error);
        if (!status) status = vt_cuda_graph_launch(graph, w->stream, error);
        if (!status) status = vt_cuda_event_record(w->events[2 * i + 1], w->stream, error);
    }
    return status ? status : vt_cuda_stream_wait(w->stream, error);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The lower quartile: interruptions only ever add. */
static enum vultus_status time_exactly(
    const struct trial *t, int64_t batch, double roughly, double *ns, struct vultus_error *error) {
    size_t launches = (size_t)vt_clamp_i64((int64_t)(sample_ns / roughly), LEAST_LAUNCHES, MOST_LAUNCHES);
    size_t samples =
        (size_t)vt_clamp_i64((int64_t)(samples_ns / (roughly * (double)launches)), LEAST_SAMPLES, MOST_SAMPLES);
    double taken[MOST_SAMPLES];
    struct vt_cuda_graph *graph = NULL;
    enum vultus_status status = record(t, batch, launches, &graph, error);
    if (!status) status = queue_samples(t, graph, samples, error);
    for (size_t i = 0; !status && i < samples; i++) status = between(t->watch, i, &taken[i], error);
    vt_cuda_graph_destroy(graph);
    if (status) return status;
    qsort(taken, samples, sizeof *taken, ascending);
    *ns = taken[samples / 4] / (double)launches;
    return VULTUS_OK;
}

static enum vultus_status time_batches(
    const struct trial *t, const struct vt_timing *timing, double *ns, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (size_t b = 0; !status && b < timing->n_batches; b++) {
        double roughly = 0;
        status = time_roughly(t, timing->batches[b], &roughly, error);
        ns[b] = roughly;
        if (!status && (timing->fastest[b] == 0 || roughly < hopeless * timing->fastest[b]))
            status = time_exactly(t, timing->batches[b], roughly, &ns[b], error);
    }
    return status;
}

static enum vultus_status measure(
    struct vt_stopwatch *watch, const struct vt_timing *timing, double *ns, struct vultus_error *error) {
    struct trial t = {.watch = watch, .plan = timing->plan};
    struct vt_arena arena;
    struct vt_cuda_step *steps = NULL;
    vt_arena_init(&arena, 0);
    enum vultus_status status = vt_cuda_use(vt_cuda_device_ordinal(0), error);
    if (!status) status = vt_cuda_prepare(timing->plan, &arena, &steps, error);
    if (!status) {
        t.step = steps[0];
        status = upload_operands(&t, timing, error);
    }
    if (!status) status = time_batches(&t, timing, ns, error);
    vt_arena_fini(&arena);
    return status;
}

const struct vt_backend_clock vt_cuda_clock = {.open = open_watch, .measure = measure, .close = close_watch};
