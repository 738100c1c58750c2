/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd F(4x4, 3x3) for 3x3 convolutions of stride 1, in two orders of the same arithmetic:
 * winograd4 goes range of tiles by range of tiles with all weights transformed beforehand (many pixels, few weights);
 * winograd4_compact goes output block by output block and transforms weights on the way (many weights, few pixels).
 */
#include <string.h>

#include "backend/cpu/conv.h"
#include "base/checked.h"
#include "base/memory.h"

#define TAPS 9
/* What a thread's transformed inputs and sums may take of its second-level cache. */
#define RANGE_BYTES (448 << 10)
#define MOST_RANGE_TILES 56
/* Compact order: tiles that share one transformation of the weights, and channels transformed at a time. */
#define MOST_SHARED_TILES 64
#define CHUNK_CHANNELS 32

static bool supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_window *w = &step->params.window;
    for (int i = 0; i < 2; i++) {
        if (w->kernel[i] != 3 || w->stride[i] != 1 || w->dilation[i] != 1) return false;
    }
    return w->group == 1 && vt_conv_input(plan, step, 0)->layout == VT_LAYOUT_BLOCKED;
}

struct job {
    struct vt_conv conv;
    int64_t tile_rows, tile_columns;   /* of one item */
    int64_t inner_rows, inner_columns; /* tiles whose inputs lie within the padded plane */
    int64_t tiles;                     /* of all items, numbered item by item, row by row */
    int64_t in_blocks;
    struct vt_conv_split groups; /* of output blocks */
    struct vt_conv_split ranges; /* of tiles */
    struct vt_conv_shape product;
    int64_t v_point, u_point, m_point;
    float *shared, *scratch; /* scratch: thread_floats for each thread */
    int64_t thread_floats;
    int64_t first, count; /* compact order: the range at work */
};

/* An odd number of cache lines, so that the 36 points of a tile do not fall into the same cache sets. */
static int64_t point_floats(int64_t floats) { return (vt_div_up(floats, 16) | 1) * 16; }

static void measure(const struct vt_plan_value *x, const struct vt_plan_value *y, const struct vt_window *w,
    int64_t batch, struct job *job) {
    job->tile_rows = vt_div_up(y->dims[2], VT_WINOGRAD_OUT);
    job->tile_columns = vt_div_up(y->dims[3], VT_WINOGRAD_OUT);
    job->tiles = batch * job->tile_rows * job->tile_columns;
    int64_t spare_rows = x->dims[2] + x->pad[2] + w->pad[0] - VT_WINOGRAD_IN;
    int64_t spare_columns = x->dims[3] + x->pad[3] + w->pad[1] - VT_WINOGRAD_IN;
    job->inner_rows = spare_rows < 0 ? 0 : spare_rows / VT_WINOGRAD_OUT + 1;
    job->inner_columns = spare_columns < 0 ? 0 : spare_columns / VT_WINOGRAD_OUT + 1;
    job->in_blocks = vt_cpu_blocks(x);
}

/* Tiles that fit a thread's share of the second-level cache together with their sums. */
static int64_t range_limit(int64_t in_blocks, int64_t group, int64_t lanes) {
    int64_t tile_bytes = VT_WINOGRAD_POINTS * (in_blocks + group) * lanes * (int64_t)sizeof(float);
    int64_t limit = RANGE_BYTES / tile_bytes / 14 * 14;
    return limit < 14 ? 14 : vt_min_i64(limit, MOST_RANGE_TILES);
}

static void finish_plan(struct job *job, int64_t u_block) {
    int64_t lanes = job->conv.y->block;
    job->product = (struct vt_conv_shape){
        .x_plane = job->ranges.wide * lanes,
        .x_pixel = lanes,
        .channels = job->conv.x->dims[1],
        .w_block = u_block,
        .y_plane = job->ranges.wide * lanes,
    };
    job->v_point = point_floats(job->in_blocks * job->ranges.wide * lanes);
    job->m_point = point_floats(job->groups.wide * job->ranges.wide * lanes);
}

/* First tile and number of tiles of a range, first block and number of blocks of a group. */
static int64_t part(const struct vt_conv_split *split, int64_t i, int64_t *size) {
    *size = split->wide - (i >= split->wide_count);
    return i * split->wide - vt_max_i64(0, i - split->wide_count);
}

/* Transforms `count` tiles of one row of tiles and one input block, some of them beyond the padded plane's edge. */
static void transform_row(
    const struct job *job, int64_t item, int64_t block, int64_t row, int64_t column, int64_t count, float *v) {
    const struct vt_plan_value *x = job->conv.x;
    const struct vt_conv_kernels *kernels = job->conv.kernels;
    const struct vt_window *w = job->conv.window;
    const uint8_t *base = job->conv.x_data + item * (int64_t)x->bytes;
    int64_t x_row = vt_cpu_row(x), lanes = x->block, top = row * VT_WINOGRAD_OUT - w->pad[0];
    int64_t inner = row < job->inner_rows ? vt_min_i64(count, vt_max_i64(0, job->inner_columns - column)) : 0;
    int64_t left = column * VT_WINOGRAD_OUT - w->pad[1];
    if (inner > 0) kernels->winograd_input(vt_cpu_at(x, base, block, top, left), x_row, v, job->v_point, inner);
    int64_t height = vt_min_i64(VT_WINOGRAD_IN, x->dims[2] + x->pad[2] - top);
    for (int64_t i = inner; i < count; i++) {
        float edge[VT_WINOGRAD_IN * VT_WINOGRAD_IN * 16] = {0};
        int64_t at = left + i * VT_WINOGRAD_OUT, width = vt_min_i64(VT_WINOGRAD_IN, x->dims[3] + x->pad[3] - at);
        for (int64_t r = 0; r < height; r++) {
            memcpy(edge + r * VT_WINOGRAD_IN * lanes, vt_cpu_at(x, base, block, top + r, at),
                (size_t)(width * lanes) * sizeof(float));
        }
        kernels->winograd_input(edge, VT_WINOGRAD_IN * lanes, v + i * lanes, job->v_point, 1);
    }
}

/* Transformed inputs of tiles [first, first + count), one input block. */
static void transform_inputs(const struct job *job, int64_t first, int64_t count, int64_t block, float *v) {
    int64_t per_item = job->tile_rows * job->tile_columns;
    v += block * job->product.x_plane;
    while (count > 0) {
        int64_t in_item = first % per_item, row = in_item / job->tile_columns, column = in_item % job->tile_columns;
        int64_t n = vt_min_i64(count, job->tile_columns - column);
        transform_row(job, first / per_item, block, row, column, n, v);
        first += n;
        count -= n;
        v += n * job->conv.x->block;
    }
}

static void transform_outputs(
    const struct job *job, int64_t first, int64_t count, int64_t block, int64_t blocks, const float *m) {
    const struct vt_conv *conv = &job->conv;
    const struct vt_plan_value *y = conv->y, *residual = conv->residual;
    int64_t per_item = job->tile_rows * job->tile_columns;
    struct vt_winograd_tile tile = {.y_row = vt_cpu_row(y)};
    if (residual != NULL) tile.residual_row = vt_cpu_row(residual);
    for (int64_t b = 0; b < blocks; b++) {
        tile.block = block + b;
        for (int64_t t = 0; t < count; t++) {
            int64_t item = (first + t) / per_item, in_item = (first + t) % per_item;
            int64_t row = in_item / job->tile_columns * VT_WINOGRAD_OUT;
            int64_t column = in_item % job->tile_columns * VT_WINOGRAD_OUT;
            tile.rows = (int)vt_min_i64(VT_WINOGRAD_OUT, y->dims[2] - row);
            tile.columns = (int)vt_min_i64(VT_WINOGRAD_OUT, y->dims[3] - column);
            tile.y = vt_cpu_at(y, conv->y_data + item * (int64_t)y->bytes, block + b, row, column);
            if (residual != NULL) {
                const uint8_t *base = conv->residual_data + item * (int64_t)residual->bytes;
                tile.residual = vt_cpu_at(residual, base, block + b, row, column);
            }
            const float *sums = m + b * job->product.y_plane + t * y->block;
            conv->kernels->winograd_output(&conv->shape, &tile, sums, job->m_point);
        }
    }
}

/* Sums of one point over the channels of `shape` for `count` tiles; they start from what m holds if `add`. */
static void multiply(const struct job *job, const struct vt_conv_shape *shape, const float *v, const float *u, float *m,
    int64_t count, int64_t blocks, bool add) {
    const struct vt_conv_kernels *kernels = job->conv.kernels;
    struct vt_conv_split split = vt_conv_split(count, kernels->max_pixels[blocks - 1]);
    vt_conv_tiles *const *product = kernels->product[blocks - 1];
    product[split.wide - 1](shape, v, u, m, add ? m : NULL, 0, split.wide_count);
    if (split.count == split.wide_count) return;
    int64_t done = split.wide_count * split.wide * shape->x_pixel;
    v += done;
    m += done;
    product[split.wide - 2](shape, v, u, m, add ? m : NULL, 0, split.count - split.wide_count);
}

/*
 * Larger transformed weights come from memory in every run, at 4 times the bytes of the compact order, which is then
 * faster; but not when the compiler times one layer with its weights still in the cache.
 */
#define MOST_TRANSFORMED_BYTES (5 << 20)

bool vt_conv_winograd4_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return supports(plan, step) && vt_conv_winograd4_packed_bytes(plan, step) <= MOST_TRANSFORMED_BYTES;
}

/* [point][output block][channel][lane] */
size_t vt_conv_winograd4_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *y = vt_conv_output(plan, step);
    int64_t channels = vt_conv_input(plan, step, 0)->dims[1];
    return (size_t)(VT_WINOGRAD_POINTS * vt_cpu_blocks(y) * channels * y->block) * sizeof(float);
}

/* The 3x3 weights of `channels` channels for the outputs of one block: [channel][tap][lane]. */
static void gather_weights(
    const struct vt_plan_value *y, int64_t channels, const float *weights, int64_t block, float *to) {
    for (int64_t l = 0; l < y->block; l++) {
        int64_t o = block * y->block + l;
        for (int64_t i = 0; i < channels * TAPS; i++) {
            to[i * y->block + l] = o < y->dims[1] ? weights[o * channels * TAPS + i] : 0;
        }
    }
}

enum vultus_status vt_conv_winograd4_pack(const struct vt_plan *plan, const struct vt_plan_step *step,
    const float *weights, void *packed, struct vultus_error *error) {
    const struct vt_plan_value *y = vt_conv_output(plan, step);
    int64_t channels = vt_conv_input(plan, step, 0)->dims[1], blocks = vt_cpu_blocks(y);
    size_t bytes = (size_t)(channels * TAPS * y->block) * sizeof(float);
    float *gathered = vt_alloc_aligned(bytes);
    if (gathered == NULL) return vt_fail_memory(error, "winograd weights", bytes);
    for (int64_t b = 0; b < blocks; b++) {
        gather_weights(y, channels, weights, b, gathered);
        float *u = (float *)packed + b * channels * y->block;
        vt_conv_kernels_find(y->block)->winograd_weights(gathered, u, blocks * channels * y->block, channels);
    }
    vt_free_aligned(gathered);
    return VULTUS_OK;
}

static void plan_ranges(const struct vt_plan_value *x, const struct vt_plan_value *y, const struct vt_window *w,
    int64_t batch, int threads, struct job *job) {
    measure(x, y, w, batch, job);
    const struct vt_conv_kernels *kernels = vt_conv_kernels_find(y->block);
    int64_t limit = range_limit(job->in_blocks, 2, y->block);
    int64_t blocks = vt_cpu_blocks(y);
    job->groups = vt_conv_split(blocks, vt_conv_choose_blocks(kernels->max_pixels, limit, blocks));
    int64_t rounds = vt_div_up(vt_div_up(job->tiles, limit), threads); /* as many ranges for every thread */
    job->ranges = vt_conv_split(job->tiles, vt_div_up(job->tiles, rounds * threads));
}

static int64_t range_scratch_floats(const struct job *job, int64_t lanes) {
    int64_t v_point = point_floats(job->in_blocks * job->ranges.wide * lanes);
    int64_t m_point = point_floats(job->groups.wide * job->ranges.wide * lanes);
    return VT_WINOGRAD_POINTS * (v_point + m_point);
}

size_t vt_conv_winograd4_scratch_bytes(
    const struct vt_plan *plan, const struct vt_plan_step *step, int64_t batch, int threads) {
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0), *y = vt_conv_output(plan, step);
    struct job job;
    plan_ranges(x, y, &step->params.window, batch, threads, &job);
    return (size_t)(threads * range_scratch_floats(&job, y->block)) * sizeof(float);
}

static void range_unit(void *context, size_t unit, int thread) {
    const struct job *job = context;
    float *v = job->scratch + thread * job->thread_floats, *m = v + VT_WINOGRAD_POINTS * job->v_point;
    int64_t count, first = part(&job->ranges, (int64_t)unit, &count);
    for (int64_t b = 0; b < job->in_blocks; b++) transform_inputs(job, first, count, b, v);
    for (int64_t g = 0; g < job->groups.count; g++) {
        int64_t blocks, block = part(&job->groups, g, &blocks);
        for (int64_t p = 0; p < VT_WINOGRAD_POINTS; p++) {
            const float *u = (const float *)job->conv.weights + p * job->u_point + block * job->product.w_block;
            multiply(job, &job->product, v + p * job->v_point, u, m + p * job->m_point, count, blocks, false);
        }
        transform_outputs(job, first, count, block, blocks, m);
    }
}

enum vultus_status vt_conv_winograd4_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    struct job job;
    vt_conv_open(kernels, call, &job.conv);
    const struct vt_plan_value *y = job.conv.y;
    plan_ranges(job.conv.x, y, job.conv.window, call->batch, job.conv.threads, &job);
    finish_plan(&job, job.conv.x->dims[1] * y->block);
    job.u_point = vt_cpu_blocks(y) * job.product.w_block;
    job.scratch = (float *)(void *)call->scratch;
    job.thread_floats = range_scratch_floats(&job, y->block);
    vt_pool_run(call->pool, (size_t)job.ranges.count, range_unit, &job);
    return VULTUS_OK;
}

bool vt_conv_winograd4_compact_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return supports(plan, step);
}

/* [output block][channel][tap][lane] */
size_t vt_conv_winograd4_compact_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *y = vt_conv_output(plan, step);
    int64_t channels = vt_conv_input(plan, step, 0)->dims[1];
    return (size_t)(vt_cpu_blocks(y) * channels * TAPS * y->block) * sizeof(float);
}

enum vultus_status vt_conv_winograd4_compact_pack(const struct vt_plan *plan, const struct vt_plan_step *step,
    const float *weights, void *packed, struct vultus_error *error) {
    (void)error;
    const struct vt_plan_value *y = vt_conv_output(plan, step);
    int64_t channels = vt_conv_input(plan, step, 0)->dims[1];
    for (int64_t b = 0; b < vt_cpu_blocks(y); b++) {
        gather_weights(y, channels, weights, b, (float *)packed + b * channels * TAPS * y->block);
    }
    return VULTUS_OK;
}

static void plan_groups(const struct vt_plan_value *x, const struct vt_plan_value *y, const struct vt_window *w,
    int64_t batch, int threads, struct job *job) {
    measure(x, y, w, batch, job);
    const struct vt_conv_kernels *kernels = vt_conv_kernels_find(y->block);
    job->ranges = vt_conv_split(job->tiles, MOST_SHARED_TILES);
    int64_t blocks = vt_cpu_blocks(y);
    int64_t group = vt_conv_choose_blocks(kernels->max_pixels, job->ranges.wide, blocks);
    while (group > 1 && vt_div_up(blocks, group) < threads) group--;
    job->groups = vt_conv_split(blocks, group);
}

static int64_t chunk_point_floats(const struct job *job, int64_t lanes) {
    return point_floats(job->groups.wide * CHUNK_CHANNELS * lanes);
}

static int64_t group_scratch_floats(const struct job *job, int64_t lanes) {
    int64_t m_point = point_floats(job->groups.wide * job->ranges.wide * lanes);
    return VT_WINOGRAD_POINTS * (chunk_point_floats(job, lanes) + m_point);
}

size_t vt_conv_winograd4_compact_scratch_bytes(
    const struct vt_plan *plan, const struct vt_plan_step *step, int64_t batch, int threads) {
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0), *y = vt_conv_output(plan, step);
    struct job job;
    plan_groups(x, y, &step->params.window, batch, threads, &job);
    int64_t shared = VT_WINOGRAD_POINTS * point_floats(job.in_blocks * job.ranges.wide * y->block);
    return (size_t)(shared + threads * group_scratch_floats(&job, y->block)) * sizeof(float);
}

static void input_unit(void *context, size_t unit, int thread) {
    (void)thread;
    const struct job *job = context;
    transform_inputs(job, job->first, job->count, (int64_t)unit, job->shared);
}

/*
 * Asks for the weights that the next chunk of channels will read, a part at every point. Always inline: gcc takes a
 * function that only prefetches for one without effects and drops its call.
 */
static inline __attribute__((always_inline)) void prefetch_weights(const float *w, int64_t floats, int64_t point) {
    int64_t share = vt_div_up(floats, VT_WINOGRAD_POINTS);
    int64_t end = vt_min_i64(floats, (point + 1) * share);
    for (int64_t i = point * share; i < end; i += 16) __builtin_prefetch(w + i, 0, 2);
}

static void group_unit(void *context, size_t unit, int thread) {
    const struct job *job = context;
    int64_t channels = job->conv.x->dims[1], lanes = job->conv.y->block;
    float *u = job->scratch + thread * job->thread_floats, *m = u + VT_WINOGRAD_POINTS * job->u_point;
    int64_t blocks, block = part(&job->groups, (int64_t)unit, &blocks);
    struct vt_conv_shape product = job->product;
    for (int64_t c = 0; c < channels; c += CHUNK_CHANNELS) {
        product.channels = vt_min_i64(CHUNK_CHANNELS, channels - c);
        int64_t next = vt_min_i64(CHUNK_CHANNELS, channels - c - product.channels) * TAPS * lanes;
        const float *w = (const float *)job->conv.weights + (block * channels + c) * TAPS * lanes;
        for (int64_t b = 0; b < blocks; b++) {
            job->conv.kernels->winograd_weights(
                w + b * channels * TAPS * lanes, u + b * product.w_block, job->u_point, product.channels);
        }
        for (int64_t p = 0; p < VT_WINOGRAD_POINTS; p++) {
            for (int64_t b = 0; b < blocks; b++) {
                prefetch_weights(w + (b * channels + CHUNK_CHANNELS) * TAPS * lanes, next, p);
            }
            const float *v = job->shared + p * job->v_point + c / lanes * product.x_plane;
            multiply(job, &product, v, u + p * job->u_point, m + p * job->m_point, job->count, blocks, c > 0);
        }
    }
    transform_outputs(job, job->first, job->count, block, blocks, m);
}

enum vultus_status vt_conv_winograd4_compact_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    struct job job;
    vt_conv_open(kernels, call, &job.conv);
    int64_t lanes = job.conv.y->block;
    plan_groups(job.conv.x, job.conv.y, job.conv.window, call->batch, job.conv.threads, &job);
    finish_plan(&job, CHUNK_CHANNELS * lanes);
    job.u_point = chunk_point_floats(&job, lanes);
    job.thread_floats = group_scratch_floats(&job, lanes);
    job.shared = (float *)(void *)call->scratch;
    job.scratch = job.shared + VT_WINOGRAD_POINTS * job.v_point;
    for (int64_t r = 0; r < job.ranges.count; r++) {
        job.first = part(&job.ranges, r, &job.count);
        vt_pool_run(call->pool, (size_t)job.in_blocks, input_unit, &job);
        vt_pool_run(call->pool, (size_t)job.groups.count, group_unit, &job);
    }
    return VULTUS_OK;
}
