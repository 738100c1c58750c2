/* SPDX-License-Identifier: Apache-2.0
 *
 * Direct convolution of bfloat16 planes on tile registers.
 */
#include <string.h>

#include "backend/cpu/conv.h"
#include "base/checked.h"

/* Weights that all threads read again and again should leave room for pixels in a second-level cache of 2 MiB. */
#define SHARED_WEIGHTS (1 << 20)
/* Tile registers do this many times the products of vectors, on whose speed vt_conv_rows_per_unit counts. */
#define SPEED 8

bool vt_conv_amx_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0);
    return x->layout == VT_LAYOUT_BLOCKED && step->params.window.group == 1;
}

static int64_t slice_weights(const struct vt_window *w, const struct vt_plan_value *x) {
    return vt_cpu_blocks(x) * w->kernel[0] * w->kernel[1] * x->block * VT_AMX_LANES;
}

size_t vt_conv_amx_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0), *y = vt_conv_output(plan, step);
    int64_t slices = vt_div_up(y->dims[1], VT_AMX_LANES);
    return (size_t)(slices * slice_weights(&step->params.window, x)) * sizeof(uint16_t);
}

/* Rounding errors are handed on from tap to tap as conv_direct.c does. */
enum vultus_status vt_conv_amx_pack(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
    void *packed, struct vultus_error *error) {
    (void)error;
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0), *y = vt_conv_output(plan, step);
    const struct vt_window *w = &step->params.window;
    int64_t taps = w->kernel[0] * w->kernel[1], per_slice = slice_weights(w, x), channels = x->dims[1];
    uint16_t *to = packed;
    memset(packed, 0, vt_conv_amx_packed_bytes(plan, step));
    for (int64_t o = 0; o < y->dims[1]; o++) {
        for (int64_t c = 0; c < channels; c++) {
            int64_t lane = o % VT_AMX_LANES * 2 + c % 2, row = c % x->block / 2 * 2 * VT_AMX_LANES;
            int64_t at = o / VT_AMX_LANES * per_slice + c / x->block * taps * x->block * VT_AMX_LANES + row + lane;
            const float *kernel = weights + (o * channels + c) * taps;
            float carry = 0;
            for (int64_t t = 0; t < taps; t++, at += x->block * VT_AMX_LANES) {
                to[at] = vt_f32_to_bf16(kernel[t] + carry);
                carry += kernel[t] - vt_bf16_to_f32(to[at]);
            }
        }
    }
    return VULTUS_OK;
}

struct job {
    struct vt_conv conv;
    struct vt_amx amx; /* the start of every unit's */
    int64_t slices;    /* of VT_AMX_LANES outputs */
    int group, tiles;  /* slices and tiles computed at once */
    int64_t tile_rows; /* rows of a tile, as many as lie in one line; 1 where a row has several tiles */
    struct vt_conv_split columns;
    int64_t chunk, chunks; /* slices per unit */
    int64_t rows, bands;   /* output rows per unit */
};

/* The tiles of one call of a kernel. */
struct pending {
    struct vt_amx_tile tiles[VT_AMX_MAX_TILES];
    int count;
};

static void place_tile(
    const struct job *job, int64_t item, int64_t slice, int64_t row, int64_t column, struct vt_amx_tile *tile) {
    const struct vt_conv *conv = &job->conv;
    const struct vt_window *w = conv->window;
    int64_t per_block = conv->y->block / VT_AMX_LANES, lane = slice % per_block * VT_AMX_LANES;
    const uint8_t *x = conv->x_data + item * (int64_t)conv->x->bytes;
    tile->x = vt_cpu_at(conv->x, x, 0, row * w->stride[0] - w->pad[0], column * w->stride[1] - w->pad[1]);
    tile->y = vt_cpu_at(conv->y, conv->y_data + item * (int64_t)conv->y->bytes, slice / per_block, row, column);
    tile->y += lane * conv->y_size;
    tile->residual = NULL;
    if (conv->residual != NULL) {
        const uint8_t *residual = conv->residual_data + item * (int64_t)conv->residual->bytes;
        tile->residual = vt_cpu_at(conv->residual, residual, slice / per_block, row, column);
        tile->residual += lane;
    }
}

static void flush(const struct job *job, struct vt_amx *amx, struct pending *pending, int64_t slice, int group) {
    if (pending->count == 0) return;
    const uint16_t *w = (const uint16_t *)job->conv.weights + slice * amx->w_slice;
    job->conv.kernels->amx[group - 1][pending->count - 1](&job->conv.shape, amx, pending->tiles, w, slice);
    pending->count = 0;
}

static void add_tile(const struct job *job, struct vt_amx *amx, struct pending *pending, const struct vt_amx_tile *tile,
    int64_t slice, int group) {
    if (pending->count == VT_AMX_MAX_TILES - 1 && tile->pixels != pending->tiles[0].pixels)
        flush(job, amx, pending, slice, group);
    pending->tiles[pending->count++] = *tile;
    if (pending->count == (group == 2 ? VT_AMX_MAX_TILES / 2 : job->tiles)) flush(job, amx, pending, slice, group);
}

/* All pixels of a band for `group` slices. */
static void run_band(
    const struct job *job, struct vt_amx *amx, int64_t item, int64_t first, int64_t end, int64_t slice, int group) {
    const struct vt_conv_split *split = &job->columns;
    struct pending pending = {.count = 0};
    for (int64_t row = first; row < end; row += job->tile_rows) {
        struct vt_amx_tile tile = {.rows = vt_min_i64(job->tile_rows, end - row)};
        for (int64_t i = 0, column = 0; i < split->count; i++, column += tile.columns) {
            tile.columns = split->wide - (i >= split->wide_count);
            tile.pixels = (int)((tile.rows - 1) * amx->pitch + tile.columns);
            place_tile(job, item, slice, row, column, &tile);
            add_tile(job, amx, &pending, &tile, slice, group);
        }
    }
    flush(job, amx, &pending, slice, group);
}

static void amx_unit(void *context, size_t unit, int thread) {
    (void)thread;
    const struct job *job = context;
    int64_t per_chunk = job->conv.batch * job->bands, in_chunk = (int64_t)unit % per_chunk;
    int64_t item = in_chunk / job->bands, first = in_chunk % job->bands * job->rows;
    int64_t end = vt_min_i64(first + job->rows, job->conv.y->dims[2]);
    int64_t slice = (int64_t)unit / per_chunk * job->chunk, last = vt_min_i64(slice + job->chunk, job->slices);
    struct vt_amx amx = job->amx;
    for (; slice < last; slice += job->group)
        run_band(job, &amx, item, first, end, slice, (int)vt_min_i64(job->group, last - slice));
    job->conv.kernels->amx_close(&amx);
    if (last < job->slices) return;
    for (int64_t row = first; row < end; row++) vt_conv_clear_idle(&job->conv, item, row);
}

/* How many rows of up to 16 pixels in all lie in one line. */
static void shape_tiles(struct job *job) {
    const struct vt_conv *conv = &job->conv;
    int64_t width = conv->y->dims[3], x_row = conv->window->stride[0] * vt_cpu_row(conv->x);
    job->columns = vt_conv_split(width, VT_AMX_PIXELS);
    job->tile_rows = 1;
    if (x_row % conv->shape.x_pixel != 0) return;
    job->amx.pitch = x_row / conv->shape.x_pixel;
    if (width <= VT_AMX_PIXELS) job->tile_rows = 1 + (VT_AMX_PIXELS - width) / job->amx.pitch;
}

/*
 * Where weights outweigh the pixels threads take different outputs, so that each reads its part of the weights once;
 * elsewhere rows, as long as the weights of a unit stay in its cache.
 */
static void share_work(struct job *job) {
    const struct vt_conv *conv = &job->conv;
    const struct vt_plan_value *x = conv->x, *y = conv->y;
    int64_t group_bytes = job->group * job->amx.w_slice * (int64_t)sizeof(uint16_t);
    int64_t groups = vt_div_up(job->slices, job->group),
            chunk_groups = vt_max_i64(1, vt_min_i64(groups, SHARED_WEIGHTS / group_bytes));
    bool by_outputs = groups * group_bytes > (int64_t)x->bytes * conv->batch && groups >= conv->threads;
    if (by_outputs) chunk_groups = vt_min_i64(chunk_groups, vt_div_up(groups, conv->threads));
    job->chunk = chunk_groups * job->group;
    job->chunks = vt_div_up(job->slices, job->chunk);
    double flops = 2.0 * (double)(y->dims[2] * y->dims[3] * conv->batch) * (double)(job->amx.w_slice * job->slices);
    int64_t lines = vt_div_up(y->dims[2], job->tile_rows);
    job->rows = lines * job->tile_rows;
    if (!by_outputs)
        job->rows =
            job->tile_rows * vt_conv_rows_per_unit(lines, job->chunks * conv->batch, flops / SPEED, conv->threads);
    job->bands = vt_div_up(y->dims[2], job->rows);
}

static enum vultus_status run(const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, int group) {
    struct job job = {.group = group, .tiles = VT_AMX_MAX_TILES / group};
    vt_conv_open(kernels, call, &job.conv);
    const struct vt_plan_value *residual = job.conv.residual;
    job.slices = vt_div_up(job.conv.y->dims[1], VT_AMX_LANES);
    job.amx.w_slice = slice_weights(job.conv.window, job.conv.x);
    job.amx.y_row = vt_cpu_row(job.conv.y) * job.conv.y_size;
    job.amx.residual_row = residual != NULL ? vt_cpu_row(residual) : 0;
    shape_tiles(&job);
    share_work(&job);
    vt_pool_run(call->pool, (size_t)(job.chunks * job.conv.batch * job.bands), amx_unit, &job);
    return VULTUS_OK;
}

enum vultus_status vt_conv_amx_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    return run(kernels, call, 2);
}

bool vt_conv_amx_tall_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return vt_conv_amx_supports(plan, step);
}
size_t vt_conv_amx_tall_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return vt_conv_amx_packed_bytes(plan, step);
}
enum vultus_status vt_conv_amx_tall_pack(const struct vt_plan *plan, const struct vt_plan_step *step,
    const float *weights, void *packed, struct vultus_error *error) {
    return vt_conv_amx_pack(plan, step, weights, packed, error);
}
enum vultus_status vt_conv_amx_tall_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    return run(kernels, call, 1);
}
