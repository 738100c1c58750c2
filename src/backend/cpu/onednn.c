/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions by oneDNN. Its primitives run on one thread each, and our pool runs slices of output channels whose
 * bounds depend on nothing but the step: so its OpenMP runtime starts no threads, and bytes depend neither on the batch
 * nor on the thread count. oneDNN adds the bias; the rest of the tail follows in our own pass while the slice is hot,
 * since its PReLU post-op falls to reference code. oneDNN allocates on every execution.
 */
#include "backend/cpu/cpu.h"
#include "config.h"

#if VT_HAVE_ONEDNN

#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/plane.h"
#include "base/checked.h"
#include "base/cpu.h"
#include "base/digest.h"
#include "base/memory.h"

/* Channels that one primitive computes at a time: as many as its kernels hold in registers, in at least two slices. */
#define SLICE_CHANNELS 64

/* Its code generators count in int. */
#define LARGEST_SIZE 65536

/* ------------------------------------------------------------ the library */

static dnnl_engine_t engine; /* never destroyed: primitives of any plan refer to it */
static int (*omp_get_max_threads)(void);
static void (*omp_set_num_threads)(int);

/* To what VULTUS_CPU allows. The library refuses the call when somebody used it before, which is fine. */
static void hold_to_mask(void) {
    if (!vt_cpu_has(VT_CPU_AVX512))
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    else if (!vt_cpu_has(VT_CPU_AVX512_VNNI))
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core);
    else if (!vt_cpu_has(VT_CPU_AMX))
        dnnl_set_max_cpu_isa(
            vt_cpu_has(VT_CPU_AVX512_BF16) ? dnnl_cpu_isa_avx512_core_bf16 : dnnl_cpu_isa_avx512_core_vnni);
}

static void start(void) {
    hold_to_mask();
    /* Else the first primitive looks for a profiler's library in every folder of the loader. */
    dnnl_set_jit_profiling_flags(DNNL_JIT_PROFILE_NONE);
    *(void **)&omp_get_max_threads = dlsym(RTLD_DEFAULT, "omp_get_max_threads");
    *(void **)&omp_set_num_threads = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success) engine = NULL;
}

static bool ready(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
    return engine != NULL;
}

const char *vt_cpu_onednn_version(void) {
    static char text[32];
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    const dnnl_version_t *version = dnnl_version();
    pthread_mutex_lock(&lock);
    if (!text[0]) snprintf(text, sizeof text, "onednn %d.%d.%d", version->major, version->minor, version->patch);
    pthread_mutex_unlock(&lock);
    return text;
}

/* The number of threads that OpenMP would start belongs to the calling thread: the application's own is given back. */
static int single_thread(void) {
    if (!omp_get_max_threads || !omp_set_num_threads) return 0;
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    return threads;
}

static void restore_threads(int threads) {
    if (threads > 0) omp_set_num_threads(threads);
}

/* ------------------------------------------------------------ a step as slices */

struct shape {
    const struct vt_plan_value *x, *y;
    int64_t in_channels, slice_channels, slices, last_channels; /* whole blocks, or a plain input's channels */
    bool depthwise, plain;
};

static struct shape shape_of(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cpu_input(plan, step, 0), *y = vt_cpu_output(plan, step, 0);
    struct shape s = {
        .x = x, .y = y, .plain = x->layout == VT_LAYOUT_PLAIN, .depthwise = step->params.window.group > 1};
    int64_t blocks = vt_cpu_blocks(y);
    s.in_channels = s.plain ? x->dims[1] : vt_cpu_blocks(x) * x->block;
    s.slices = vt_min_i64(blocks, vt_max_i64(2, vt_div_up(blocks * y->block, SLICE_CHANNELS)));
    int64_t slice_blocks = vt_div_up(blocks, s.slices);
    s.slices = vt_div_up(blocks, slice_blocks);
    s.slice_channels = slice_blocks * y->block;
    s.last_channels = (blocks - (s.slices - 1) * slice_blocks) * y->block;
    return s;
}

/* The primitive reads a blocked input with its border as a picture without padding, so the border must be the window's.
 */
static bool axis_fits(const struct vt_window *w, int axis, const struct vt_plan_value *x, int64_t out) {
    int64_t before = w->pad[axis], after = w->pad[axis + 2];
    if (w->kernel[axis] < 1 || w->stride[axis] < 1 || w->dilation[axis] < 1 || before < 0 || after < 0) return false;
    if (vt_max_i64(vt_max_i64(w->kernel[axis], w->stride[axis]), vt_max_i64(before, after)) > LARGEST_SIZE ||
        vt_max_i64(vt_max_i64(x->dims[2 + axis], x->dims[1]), w->dilation[axis]) > LARGEST_SIZE)
        return false;
    if (x->layout == VT_LAYOUT_BLOCKED && x->pad[axis] != before) return false;
    if (x->layout == VT_LAYOUT_BLOCKED) after = x->pad[axis + 2];
    int64_t extent = (w->kernel[axis] - 1) * w->dilation[axis] + 1, room = x->dims[2 + axis] + before + after - extent;
    return room >= 0 && room / w->stride[axis] + 1 == out;
}

static bool tail_fits(const struct vt_plan *plan, const struct vt_plan_step *step, const struct vt_plan_value *y) {
    const struct vt_plan_value *residual = vt_cpu_input(plan, step, 3);
    const struct vt_tail *tail = &step->params.tail;
    if (residual && (!vt_plane_fits(residual) || !vt_plane_same_shape(residual, y))) return false;
    return vt_plane_channels_fit(plan, step, 1, y->dims[1]) && vt_plane_channels_fit(plan, step, 2, y->dims[1]) &&
           (tail->act1 != VT_ACT_PRELU || vt_cpu_input(plan, step, 2)) && tail->act2 != VT_ACT_PRELU;
}

static bool step_fits(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cpu_input(plan, step, 0), *y = vt_cpu_output(plan, step, 0);
    const struct vt_window *w = &step->params.window;
    if (!x || !vt_plane_fits(y) || y->dtype != VT_DTYPE_F32 || (y->block != 8 && y->block != 16) ||
        x->dtype != VT_DTYPE_F32 || x->rank != 4 || x->dims[0] != 1)
        return false;
    bool depthwise = w->group > 1;
    if (depthwise && (w->group != x->dims[1] || w->group != y->dims[1])) return false;
    if (x->layout == VT_LAYOUT_PLAIN ? depthwise : !vt_plane_fits(x) || x->block != y->block) return false;
    return w->group >= 1 && axis_fits(w, 0, x, y->dims[2]) && axis_fits(w, 1, x, y->dims[3]) &&
           tail_fits(plan, step, y);
}

/* ------------------------------------------------------------ primitives */

static void window_of(const struct shape *s, const struct vt_window *w, dnnl_dims_t strides, dnnl_dims_t dilations,
    dnnl_dims_t before, dnnl_dims_t after) {
    for (int axis = 0; axis < 2; axis++) {
        strides[axis] = w->stride[axis];
        dilations[axis] = w->dilation[axis] - 1;
        before[axis] = s->plain ? w->pad[axis] : 0;
        after[axis] = s->plain ? w->pad[axis + 2] : 0;
    }
}

/* Describes the slice of `channels` output channels; NULL when the library has only reference code for it. */
static dnnl_primitive_desc_t describe(const struct shape *s, const struct vt_window *w, int64_t channels) {
    const struct vt_plan_value *x = s->x, *y = s->y;
    int64_t rows = x->dims[2], columns = x->dims[3], in = s->depthwise ? channels : s->in_channels;
    if (!s->plain) {
        rows += x->pad[0] + x->pad[2];
        columns += x->pad[1] + x->pad[3];
    }
    dnnl_format_tag_t blocked = y->block == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    dnnl_memory_desc_t x_md, w_md, b_md, y_md;
    dnnl_status_t status = dnnl_memory_desc_init_by_tag(
        &x_md, 4, (dnnl_dims_t){1, in, rows, columns}, dnnl_f32, s->plain ? dnnl_nchw : blocked);
    if (s->depthwise)
        status |= dnnl_memory_desc_init_by_tag(
            &w_md, 5, (dnnl_dims_t){channels, 1, 1, w->kernel[0], w->kernel[1]}, dnnl_f32, dnnl_format_tag_any);
    else
        status |= dnnl_memory_desc_init_by_tag(
            &w_md, 4, (dnnl_dims_t){channels, in, w->kernel[0], w->kernel[1]}, dnnl_f32, dnnl_format_tag_any);
    status |= dnnl_memory_desc_init_by_tag(&b_md, 1, (dnnl_dims_t){channels}, dnnl_f32, dnnl_a);
    status |=
        dnnl_memory_desc_init_by_tag(&y_md, 4, (dnnl_dims_t){1, channels, y->dims[2], y->dims[3]}, dnnl_f32, blocked);
    dnnl_dims_t strides, dilations, before, after;
    window_of(s, w, strides, dilations, before, after);
    dnnl_convolution_desc_t desc;
    if (!status)
        status = dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct,
            &x_md, &w_md, &b_md, &y_md, strides, dilations, before, after);
    dnnl_primitive_attr_t attr = NULL;
    if (!status) status = dnnl_primitive_attr_create(&attr);
    if (!status) status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    dnnl_primitive_desc_t made = NULL;
    if (!status && dnnl_primitive_desc_create(&made, &desc, attr, engine, NULL)) made = NULL;
    if (attr) dnnl_primitive_attr_destroy(attr);
    return made;
}

static const dnnl_memory_desc_t *md_of(dnnl_primitive_desc_t desc, dnnl_query_t what) {
    return dnnl_primitive_desc_query_md(desc, what, 0);
}

static bool is_dense(const dnnl_memory_desc_t *md) {
    return memcmp(md->dims, md->padded_dims, (size_t)md->ndims * sizeof *md->dims) == 0;
}

/* Reference code is useless, and weights with padding of their own would be written to. */
static bool is_wanted(dnnl_primitive_desc_t desc) {
    const char *info = NULL;
    return dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &info) == dnnl_success && info &&
           !strstr(info, "ref") && is_dense(md_of(desc, dnnl_query_weights_md));
}

/*
 * Packed weights are opaque and belong to the code that the library generates for one CPU: in front of them stands what
 * they look like, so that a plan from elsewhere is refused instead of misread.
 */
struct header {
    uint64_t slice_layout, last_layout;
    uint8_t zeros[VT_PLAN_ALIGNMENT - 2 * sizeof(uint64_t)];
};

static uint64_t layout_checksum(dnnl_primitive_desc_t desc) {
    const dnnl_memory_desc_t *md = md_of(desc, dnnl_query_weights_md);
    const dnnl_blocking_desc_t *blocking = &md->format_desc.blocking;
    int64_t words[4 * DNNL_MAX_NDIMS + 4] = {md->ndims, md->data_type, md->format_kind, blocking->inner_nblks};
    int64_t *next = words + 4;
    for (int i = 0; i < md->ndims; i++) {
        *next++ = md->dims[i];
        *next++ = blocking->strides[i];
    }
    for (int i = 0; i < blocking->inner_nblks; i++) {
        *next++ = blocking->inner_blks[i];
        *next++ = blocking->inner_idxs[i];
    }
    return vt_checksum64(words, sizeof words);
}

/* The descriptions of all slices but the last, and of the last. */
struct description {
    struct shape shape;
    dnnl_primitive_desc_t slice, last; /* the same when their channels are */
    size_t slice_bytes, last_bytes;    /* of packed weights, rounded up */
    struct header header;
};

static void release_description(struct description *d) {
    if (d->last && d->last != d->slice) dnnl_primitive_desc_destroy(d->last);
    if (d->slice) dnnl_primitive_desc_destroy(d->slice);
}

static bool describe_step(const struct vt_plan *plan, const struct vt_plan_step *step, struct description *d) {
    *d = (struct description){.shape = shape_of(plan, step)};
    int threads = single_thread();
    d->slice = describe(&d->shape, &step->params.window, d->shape.slice_channels);
    bool equal = d->shape.slice_channels == d->shape.last_channels;
    d->last = equal ? d->slice : describe(&d->shape, &step->params.window, d->shape.last_channels);
    restore_threads(threads);
    if (!d->slice || !d->last || !is_wanted(d->slice) || !is_wanted(d->last)) {
        release_description(d);
        return false;
    }
    d->slice_bytes = vt_round_up(dnnl_memory_desc_get_size(md_of(d->slice, dnnl_query_weights_md)), VT_PLAN_ALIGNMENT);
    d->last_bytes = vt_round_up(dnnl_memory_desc_get_size(md_of(d->last, dnnl_query_weights_md)), VT_PLAN_ALIGNMENT);
    d->header.slice_layout = layout_checksum(d->slice);
    d->header.last_layout = layout_checksum(d->last);
    return true;
}

static bool supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return step_fits(plan, step) && ready();
}

static bool offers(const struct vt_plan *plan, const struct vt_plan_step *step) {
    struct description d;
    if (!describe_step(plan, step, &d)) return false;
    release_description(&d);
    return true;
}

/* ------------------------------------------------------------ weights: the header, then slice after slice */

static size_t packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    struct description d;
    if (!ready() || !describe_step(plan, step, &d)) return 0;
    size_t bytes = sizeof d.header + d.slice_bytes * (size_t)(d.shape.slices - 1) + d.last_bytes;
    release_description(&d);
    return bytes;
}

/* Weights of the slice from channel `first` on, dense, zeros for channels that only fill blocks. */
static void gather_slice(const struct shape *s, const struct vt_window *w, const float *weights, int64_t first,
    int64_t channels, float *dense) {
    int64_t taps = w->kernel[0] * w->kernel[1], in = s->depthwise ? 1 : s->in_channels;
    int64_t used_in = s->depthwise ? 1 : s->x->dims[1];
    memset(dense, 0, (size_t)(channels * in * taps) * sizeof *dense);
    for (int64_t c = first; c < vt_min_i64(first + channels, s->y->dims[1]); c++)
        memcpy(dense + (c - first) * in * taps, weights + c * used_in * taps, (size_t)(used_in * taps) * sizeof *dense);
}

static dnnl_status_t reorder(const dnnl_memory_desc_t *from, void *source, const dnnl_memory_desc_t *to, void *target) {
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t in = NULL, out = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&desc, from, engine, to, engine, NULL);
    if (!status) status = dnnl_primitive_create(&primitive, desc);
    if (!status) status = dnnl_memory_create(&in, from, engine, source);
    if (!status) status = dnnl_memory_create(&out, to, engine, target);
    if (!status) status = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    if (!status) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, in}, {DNNL_ARG_TO, out}};
        status = dnnl_primitive_execute(primitive, stream, 2, args);
    }
    if (!status) status = dnnl_stream_wait(stream);
    if (stream) dnnl_stream_destroy(stream);
    if (out) dnnl_memory_destroy(out);
    if (in) dnnl_memory_destroy(in);
    if (primitive) dnnl_primitive_destroy(primitive);
    if (desc) dnnl_primitive_desc_destroy(desc);
    return status;
}

static dnnl_status_t pack_slice(const struct description *d, dnnl_primitive_desc_t desc, float *dense, void *packed) {
    const dnnl_memory_desc_t *to = md_of(desc, dnnl_query_weights_md);
    dnnl_memory_desc_t from;
    dnnl_status_t status =
        dnnl_memory_desc_init_by_tag(&from, to->ndims, to->dims, dnnl_f32, d->shape.depthwise ? dnnl_goihw : dnnl_oihw);
    return status ? status : reorder(&from, dense, to, packed);
}

static enum vultus_status pack(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
    void *packed, struct vultus_error *error) {
    struct description d;
    const struct vt_window *w = &step->params.window;
    if (!ready() || !describe_step(plan, step, &d))
        return vt_fail(error, VULTUS_ERROR_BACKEND, "step %s: oneDNN has no convolution for it", step->name);
    int64_t taps = w->kernel[0] * w->kernel[1], in = d.shape.depthwise ? 1 : d.shape.in_channels;
    size_t bytes = (size_t)(d.shape.slice_channels * in * taps) * sizeof(float);
    float *dense = vt_alloc_aligned(bytes);
    enum vultus_status status = dense ? VULTUS_OK : vt_fail_memory(error, "a slice of weights", bytes);
    memcpy(packed, &d.header, sizeof d.header);
    int threads = single_thread();
    for (int64_t slice = 0; !status && slice < d.shape.slices; slice++) {
        bool last = slice == d.shape.slices - 1;
        gather_slice(&d.shape, w, weights, slice * d.shape.slice_channels,
            last ? d.shape.last_channels : d.shape.slice_channels, dense);
        dnnl_status_t failed = pack_slice(
            &d, last ? d.last : d.slice, dense, (uint8_t *)packed + sizeof d.header + (size_t)slice * d.slice_bytes);
        if (failed)
            status = vt_fail(error, VULTUS_ERROR_BACKEND, "step %s: oneDNN failed to pack weights (status %d)",
                step->name, (int)failed);
    }
    restore_threads(threads);
    vt_free_aligned(dense);
    release_description(&d);
    return status;
}

/* ------------------------------------------------------------ state of an executable */

enum { X, WEIGHTS, BIAS, Y, SCRATCHPAD, MEMORIES };

/* What one thread needs to run one of the two kinds of slices. */
struct runner {
    dnnl_memory_t memories[MEMORIES];
    uint8_t *scratchpad;
};

struct thread_state {
    dnnl_stream_t stream;
    struct runner slice, last;
};

struct state {
    struct description description;
    dnnl_primitive_t slice, last;
    float *bias; /* whole blocks */
    struct thread_state *threads;
    int n_threads;
};

static void release_runner(struct runner *r) {
    for (int i = 0; i < MEMORIES; i++)
        if (r->memories[i]) dnnl_memory_destroy(r->memories[i]);
    vt_free_aligned(r->scratchpad);
}

static void release(void *opaque) {
    struct state *s = opaque;
    for (int i = 0; i < s->n_threads; i++) {
        release_runner(&s->threads[i].slice);
        release_runner(&s->threads[i].last);
        if (s->threads[i].stream) dnnl_stream_destroy(s->threads[i].stream);
    }
    free(s->threads);
    if (s->last && s->last != s->slice) dnnl_primitive_destroy(s->last);
    if (s->slice) dnnl_primitive_destroy(s->slice);
    release_description(&s->description);
    free(s->bias);
    free(s);
}

static dnnl_status_t init_runner(struct runner *r, dnnl_primitive_desc_t desc) {
    static const dnnl_query_t queries[MEMORIES] = {[X] = dnnl_query_src_md,
        [WEIGHTS] = dnnl_query_weights_md,
        [Y] = dnnl_query_dst_md,
        [SCRATCHPAD] = dnnl_query_scratchpad_md};
    const dnnl_memory_desc_t *scratchpad = md_of(desc, dnnl_query_scratchpad_md);
    size_t bytes = dnnl_memory_desc_get_size(scratchpad);
    r->scratchpad = vt_alloc_aligned(bytes + VT_CACHE_LINE);
    if (!r->scratchpad) return dnnl_out_of_memory;
    for (int i = 0; i < MEMORIES; i++) {
        const dnnl_memory_desc_t *md =
            i == BIAS ? dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 1) : md_of(desc, queries[i]);
        dnnl_status_t status =
            dnnl_memory_create(&r->memories[i], md, engine, i == SCRATCHPAD ? r->scratchpad : DNNL_MEMORY_NONE);
        if (status) return status;
    }
    return dnnl_success;
}

/* Makes what every thread of the pool needs. */
static enum vultus_status make_threads(struct state *s, int threads, struct vultus_error *error) {
    s->threads = calloc((size_t)threads, sizeof *s->threads);
    if (!s->threads) return vt_fail_memory(error, "threads of a convolution", (size_t)threads * sizeof *s->threads);
    for (; s->n_threads < threads; s->n_threads++) {
        struct thread_state *t = &s->threads[s->n_threads];
        dnnl_status_t status = dnnl_stream_create(&t->stream, engine, dnnl_stream_default_flags);
        if (!status) status = init_runner(&t->slice, s->description.slice);
        if (!status) status = init_runner(&t->last, s->description.last);
        if (status) {
            s->n_threads++; /* so that release finds what was made */
            return vt_fail(error, VULTUS_ERROR_BACKEND, "oneDNN failed to prepare a thread (status %d)", (int)status);
        }
    }
    return VULTUS_OK;
}

static enum vultus_status prepare(const struct vt_plan *plan, const struct vt_plan_step *step, const void *packed,
    int n_threads, void **out, struct vultus_error *error) {
    struct state *s = calloc(1, sizeof *s);
    if (!s) return vt_fail_memory(error, "a convolution", sizeof *s);
    if (!ready() || !describe_step(plan, step, &s->description)) {
        free(s);
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "step %s: oneDNN has no convolution for it here", step->name);
    }
    if (!packed || memcmp(packed, &s->description.header, sizeof s->description.header) != 0) {
        release(s);
        return vt_fail(error, VULTUS_ERROR_MISMATCH,
            "step %s: its weights were packed for another CPU or version of oneDNN; build the plan anew", step->name);
    }
    const struct vt_plan_value *y = s->description.shape.y, *bias = vt_cpu_input(plan, step, 1);
    s->bias = calloc((size_t)(vt_cpu_blocks(y) * y->block), sizeof *s->bias);
    if (!s->bias) {
        release(s);
        return vt_fail_memory(error, "a bias", (unsigned long long)y->dims[1] * sizeof(float));
    }
    if (bias) memcpy(s->bias, plan->weights + bias->offset, (size_t)y->dims[1] * sizeof *s->bias);
    int threads = single_thread();
    dnnl_status_t status = dnnl_primitive_create(&s->slice, s->description.slice);
    if (!status && s->description.last == s->description.slice)
        s->last = s->slice;
    else if (!status)
        status = dnnl_primitive_create(&s->last, s->description.last);
    restore_threads(threads);
    if (status) {
        release(s);
        return vt_fail(error, VULTUS_ERROR_BACKEND, "step %s: oneDNN failed to make a convolution (status %d)",
            step->name, (int)status);
    }
    enum vultus_status made = make_threads(s, n_threads, error);
    if (made) {
        release(s);
        return made;
    }
    *out = s;
    return VULTUS_OK;
}

/* ------------------------------------------------------------ run */

static bool has_border(const struct vt_plan_value *v) { return v->pad[0] | v->pad[1] | v->pad[2] | v->pad[3]; }

/* oneDNN writes dense planes: where the output has a border, into scratch first. */
static size_t slice_floats(const struct shape *s) {
    return (size_t)(s->slice_channels * s->y->dims[2] * s->y->dims[3]);
}

static size_t scratch_bytes(const struct vt_plan *plan, const struct vt_plan_step *step, int64_t batch, int threads) {
    (void)batch;
    struct shape s = shape_of(plan, step);
    return has_border(s.y) ? (size_t)threads * vt_round_up(slice_floats(&s) * sizeof(float), VT_CACHE_LINE) : 0;
}

struct run {
    const struct vt_cpu_call *call;
    struct state *state;
    struct vt_plane_job job;
    bool needs_tail;
    int failed; /* written by any thread, read when all are done */
};

static void finish_slice(const struct run *run, int64_t item, int64_t first_block, int64_t blocks, const float *dense) {
    const struct vt_plan_value *y = run->call->out[0];
    const struct vt_tail *tail = &run->call->step->params.tail;
    float lanes[VT_PLANE_MAX_LANES];
    for (int64_t b = 0; b < blocks; b++) {
        struct vt_plane_span span = {.item = item, .block = first_block + b};
        const float *slope = run->call->in[2] ? vt_plane_channels(&run->job, 2, span.block, lanes) : NULL;
        for (int64_t row = 0; row < y->dims[2]; row++, dense += y->dims[3] * y->block)
            run->job.kernels->finish(vt_plane_out(&run->job, &span, row), dense,
                run->call->in[3] ? vt_plane_in(&run->job, 3, &span, row) : NULL, y->dims[3], tail, slope);
    }
}

static void run_slice(void *context, size_t unit, int thread) {
    struct run *run = context;
    const struct vt_cpu_call *call = run->call;
    const struct description *d = &run->state->description;
    const struct shape *s = &d->shape;
    int64_t item = (int64_t)unit / s->slices, slice = (int64_t)unit % s->slices;
    int64_t first_block = slice * s->slice_channels / s->y->block;
    bool last = slice == s->slices - 1;
    struct thread_state *t = &run->state->threads[call->thread + thread];
    struct runner *r = last ? &t->last : &t->slice;
    const uint8_t *x = (const uint8_t *)call->in_data[0] + (uint64_t)item * vt_cpu_item_bytes(s->x);
    if (s->depthwise) x += (size_t)(first_block * vt_cpu_plane(s->x)) * sizeof(float);
    float *y =
        (float *)((uint8_t *)call->out_data[0] + (uint64_t)item * s->y->bytes) + first_block * vt_cpu_plane(s->y);
    if (has_border(s->y))
        y = (float *)(call->scratch + (size_t)thread * vt_round_up(slice_floats(s) * sizeof(float), VT_CACHE_LINE));
    void *handles[] = {[X] = (void *)x,
        [WEIGHTS] = (uint8_t *)call->packed + sizeof d->header + (size_t)slice * d->slice_bytes,
        [BIAS] = run->state->bias + slice * s->slice_channels,
        [Y] = y};
    int threads = single_thread();
    dnnl_status_t status = dnnl_success;
    for (int i = 0; !status && i < SCRATCHPAD; i++) status = dnnl_memory_set_data_handle(r->memories[i], handles[i]);
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, r->memories[X]}, {DNNL_ARG_WEIGHTS, r->memories[WEIGHTS]},
        {DNNL_ARG_BIAS, r->memories[BIAS]}, {DNNL_ARG_DST, r->memories[Y]},
        {DNNL_ARG_SCRATCHPAD, r->memories[SCRATCHPAD]}};
    if (!status)
        status = dnnl_primitive_execute(last ? run->state->last : run->state->slice, t->stream, MEMORIES, args);
    if (!status) status = dnnl_stream_wait(t->stream);
    restore_threads(threads);
    if (status) __atomic_store_n(&run->failed, (int)status, __ATOMIC_RELAXED);
    if (run->needs_tail)
        finish_slice(run, item, first_block, (last ? s->last_channels : s->slice_channels) / s->y->block, y);
}

static enum vultus_status run(const struct vt_cpu_call *call, struct vultus_error *error) {
    const struct vt_tail *tail = &call->step->params.tail;
    struct state *s = call->state;
    struct run run = {.call = call, .state = s, .job = vt_plane_job(call, NULL)};
    run.needs_tail = has_border(call->out[0]) || tail->act1 != VT_ACT_NONE || tail->act2 != VT_ACT_NONE || call->in[3];
    vt_pool_run(call->pool, (size_t)(call->batch * s->description.shape.slices), run_slice, &run);
    if (run.failed)
        return vt_fail(error, VULTUS_ERROR_BACKEND, "step %s: oneDNN failed to convolve (status %d)", call->step->name,
            run.failed);
    return VULTUS_OK;
}

static const struct vt_cpu_tactic conv_tactic = {.name = "conv:onednn",
    .class = "onednn",
    .kind = VT_STEP_CONV,
    .features = VT_CPU_AVX2,
    .supports = supports,
    .offers = offers,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .scratch_bytes = scratch_bytes,
    .prepare = prepare,
    .release = release,
    .run = run};

const struct vt_cpu_tactic *const vt_cpu_onednn_tactics[] = {&conv_tactic, NULL};

#else

const struct vt_cpu_tactic *const vt_cpu_onednn_tactics[] = {NULL};

const char *vt_cpu_onednn_version(void) { return ""; }

#endif
