/* SPDX-License-Identifier: Apache-2.0
 *
 * Direct convolution over blocked or plain inputs. Pointwise convolutions are the same loops with one tap.
 */
#include <string.h>

#include "backend/cpu/conv.h"
#include "base/checked.h"

#define MOST_PLAIN_TAPS 256 /* a list of them is made for each run */

bool vt_conv_direct_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return vt_conv_input(plan, step, 0)->layout == VT_LAYOUT_BLOCKED && step->params.window.group == 1;
}

bool vt_conv_plain_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0);
    const struct vt_window *w = &step->params.window;
    return x->layout == VT_LAYOUT_PLAIN && w->group == 1 && x->dims[1] * w->kernel[0] * w->kernel[1] <= MOST_PLAIN_TAPS;
}

/* Weights of one block of outputs: `group` channels lie together, in blocked inputs as many as there are lanes. */
static int64_t block_weights(const struct vt_window *w, int64_t channels, int64_t group, int64_t lanes) {
    return vt_div_up(channels, group) * group * w->kernel[0] * w->kernel[1] * lanes;
}

/* Weights between neighbouring lanes: bfloat16 goes in pairs of input channels. */
static int64_t w_lane(const struct vt_plan_value *x) { return x->dtype == VT_DTYPE_BF16 ? 2 : 1; }

static size_t packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step, int64_t group) {
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0), *y = vt_conv_output(plan, step);
    int64_t count = block_weights(&step->params.window, x->dims[1], group, y->block);
    return (size_t)(vt_cpu_blocks(y) * count) * vt_dtype_size(x->dtype);
}

size_t vt_conv_direct_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return packed_bytes(plan, step, vt_conv_output(plan, step)->block);
}
size_t vt_conv_plain_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step) {
    return packed_bytes(plan, step, 1);
}

int64_t vt_conv_packed_index(const struct vt_conv_packing *p, int64_t output, int64_t channel, int64_t tap) {
    int64_t row = (channel / p->group * p->taps + tap) * p->group + channel % p->group / p->pair * p->pair;
    return output / p->lanes * p->per_block + row * p->lanes + output % p->lanes * p->pair + channel % p->pair;
}

/*
 * What rounding takes from one tap is given to the next: neighbouring pixels are alike, so errors that add up to
 * nothing over a kernel's taps do less harm than the nearest numbers would. float32 is not rounded.
 */
static void pack(
    const struct vt_plan *plan, const struct vt_plan_step *step, int64_t group, const float *weights, void *packed) {
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0), *y = vt_conv_output(plan, step);
    int64_t channels = x->dims[1], taps = step->params.window.kernel[0] * step->params.window.kernel[1];
    struct vt_conv_packing packing = {.taps = taps,
        .group = group,
        .pair = w_lane(x),
        .lanes = y->block,
        .per_block = block_weights(&step->params.window, channels, group, y->block)};
    memset(packed, 0, packed_bytes(plan, step, group));
    for (int64_t o = 0; o < y->dims[1]; o++) {
        for (int64_t c = 0; c < channels; c++) {
            const float *kernel = weights + (o * channels + c) * taps;
            float carry = 0;
            for (int64_t t = 0; t < taps; t++) {
                int64_t at = vt_conv_packed_index(&packing, o, c, t);
                vt_cpu_set(x->dtype, packed, at, kernel[t] + carry);
                carry += kernel[t] - vt_cpu_get(x->dtype, packed, at);
            }
        }
    }
}

enum vultus_status vt_conv_direct_pack(const struct vt_plan *plan, const struct vt_plan_step *step,
    const float *weights, void *packed, struct vultus_error *error) {
    (void)error;
    pack(plan, step, vt_conv_output(plan, step)->block, weights, packed);
    return VULTUS_OK;
}
enum vultus_status vt_conv_plain_pack(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
    void *packed, struct vultus_error *error) {
    (void)error;
    pack(plan, step, 1, weights, packed);
    return VULTUS_OK;
}

/* Weights that a unit keeps using should leave room for rows in a second-level cache of 1 MiB or more. */
#define WEIGHTS_PER_UNIT (384 << 10)
/* Most output rows of a unit with a plain input, whose rows are copied. */
#define PLAIN_ROWS 16

struct job {
    struct vt_conv conv;
    vt_conv_tiles *const (*tiles)[VT_CONV_MAX_PIXELS]; /* of the stride */
    int widest[VT_CONV_MAX_BLOCKS];
    struct vt_conv_split groups;   /* of output slices */
    int64_t chunk_groups, chunks;  /* groups per unit */
    int64_t rows, bands;           /* output rows per unit */
    int64_t band_rows, band_width; /* of a plain input with its padding, for one unit */
    float *scratch;                /* for each thread one band of every channel */
};

static void split_job(struct job *job) {
    const struct vt_conv *conv = &job->conv;
    const struct vt_plan_value *y = conv->y;
    const struct vt_window *w = conv->window;
    int64_t slices = conv->slices, slice_weights = conv->shape.w_block / conv->per_block;
    for (int b = 0; b < VT_CONV_MAX_BLOCKS; b++) {
        job->widest[b] = w->stride[1] <= 2 ? conv->kernels->max_pixels[b] : 1;
    }
    job->groups = vt_conv_split(slices, vt_conv_choose_blocks(job->widest, y->dims[3], slices));
    int64_t group_bytes = slice_weights * job->groups.wide * conv->w_size;
    job->chunk_groups = vt_max_i64(1, vt_min_i64(job->groups.count, WEIGHTS_PER_UNIT / group_bytes));
    job->chunks = vt_div_up(job->groups.count, job->chunk_groups);
    double flops = 2.0 * (double)(y->dims[2] * y->dims[3] * conv->batch) * (double)(slice_weights * slices);
    job->rows = vt_conv_rows_per_unit(y->dims[2], job->chunks * conv->batch, flops, conv->threads);
    job->bands = vt_div_up(y->dims[2], job->rows);
}

/* Input rows of a band, row by row with the output row `first` as its origin; x_row: bytes between output rows. */
struct band {
    const uint8_t *x;
    int64_t x_row, item, first, rows;
};

static void run_band(const struct job *job, const struct band *band, int64_t chunk) {
    int64_t group = chunk * job->chunk_groups, end = vt_min_i64(group + job->chunk_groups, job->groups.count);
    for (; group < end; group++) {
        int64_t narrow = vt_max_i64(0, group - job->groups.wide_count);
        struct vt_conv_slices slices = {
            group * job->groups.wide - narrow, job->groups.wide - (group >= job->groups.wide_count)};
        struct vt_conv_split split = vt_conv_split(job->conv.y->dims[3], job->widest[slices.count - 1]);
        for (int64_t i = 0; i < band->rows; i++) {
            vt_conv_row(&job->conv, job->tiles[slices.count - 1], &split, band->x + i * band->x_row, band->item,
                &slices, band->first + i);
        }
    }
}

static int64_t locate(const struct job *job, size_t unit, struct band *band) {
    int64_t per_chunk = job->conv.batch * job->bands, in_chunk = (int64_t)unit % per_chunk;
    band->item = in_chunk / job->bands;
    band->first = in_chunk % job->bands * job->rows;
    band->rows = vt_min_i64(job->rows, job->conv.y->dims[2] - band->first);
    return (int64_t)unit / per_chunk;
}

static void direct_unit(void *context, size_t unit, int thread) {
    (void)thread;
    const struct job *job = context;
    const struct vt_conv *conv = &job->conv;
    const struct vt_window *w = conv->window;
    struct band band;
    int64_t chunk = locate(job, unit, &band);
    const uint8_t *item = conv->x_data + band.item * (int64_t)conv->x->bytes;
    band.x = vt_cpu_at(conv->x, item, 0, band.first * w->stride[0] - w->pad[0], -w->pad[1]);
    band.x_row = w->stride[0] * vt_cpu_row(conv->x) * conv->x_size;
    run_band(job, &band, chunk);
}

enum vultus_status vt_conv_direct_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    struct job job;
    vt_conv_open(kernels, call, &job.conv);
    job.conv.w_lane = w_lane(job.conv.x);
    job.conv.shape.w_block = block_weights(job.conv.window, job.conv.x->dims[1], job.conv.y->block, job.conv.y->block);
    job.tiles = job.conv.kernels->direct[job.conv.window->stride[1] == 2];
    split_job(&job);
    vt_pool_run(call->pool, (size_t)(job.chunks * job.conv.batch * job.bands), direct_unit, &job);
    return VULTUS_OK;
}

/* Copies the input rows of a band with zeros where the padding is. */
static void copy_band(const struct job *job, const struct band *band, float *to) {
    const struct vt_window *w = job->conv.window;
    int64_t channels = job->conv.x->dims[1], height = job->conv.x->dims[2], width = job->conv.x->dims[3];
    const float *item = (const float *)(const void *)(job->conv.x_data + band->item * (int64_t)job->conv.x->bytes);
    int64_t left = vt_min_i64(w->pad[1], job->band_width);
    int64_t columns = vt_min_i64(width, job->band_width - left);
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t r = 0; r < job->band_rows; r++, to += job->band_width) {
            int64_t row = band->first * w->stride[0] - w->pad[0] + r;
            if (row < 0 || row >= height) {
                memset(to, 0, (size_t)job->band_width * sizeof *to);
                continue;
            }
            memset(to, 0, (size_t)left * sizeof *to);
            memcpy(to + left, item + (c * height + row) * width, (size_t)columns * sizeof *to);
            memset(to + left + columns, 0, (size_t)(job->band_width - left - columns) * sizeof *to);
        }
    }
}

static int64_t span(const struct vt_window *w, int axis, int64_t outputs) {
    return (outputs - 1) * w->stride[axis] + (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

static void plain_unit(void *context, size_t unit, int thread) {
    const struct job *job = context;
    struct band band;
    int64_t chunk = locate(job, unit, &band);
    float *copy = job->scratch + thread * job->conv.x->dims[1] * job->band_rows * job->band_width;
    copy_band(job, &band, copy);
    band.x = (const uint8_t *)copy;
    band.x_row = job->conv.window->stride[0] * job->band_width * (int64_t)sizeof *copy;
    run_band(job, &band, chunk);
}

static int64_t list_taps(const struct job *job, int32_t *taps) {
    const struct vt_window *w = job->conv.window;
    int64_t count = 0;
    for (int64_t c = 0; c < job->conv.x->dims[1]; c++) {
        for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
            int64_t row = (c * job->band_rows + ky * w->dilation[0]) * job->band_width;
            for (int64_t kx = 0; kx < w->kernel[1]; kx++) taps[count++] = (int32_t)(row + kx * w->dilation[1]);
        }
    }
    return count;
}

enum vultus_status vt_conv_plain_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    struct job job;
    vt_conv_open(kernels, call, &job.conv);
    const struct vt_window *w = job.conv.window;
    struct vt_conv_shape *s = &job.conv.shape;
    s->w_block = block_weights(w, s->channels, 1, job.conv.y->block);
    job.tiles = job.conv.kernels->plain[w->stride[1] == 2];
    split_job(&job);
    job.rows = vt_min_i64(job.rows, PLAIN_ROWS);
    job.bands = vt_div_up(job.conv.y->dims[2], job.rows);
    job.band_rows = span(w, 0, job.rows);
    job.band_width = span(w, 1, job.conv.y->dims[3]);
    s->x_pixel = w->stride[1];
    int32_t taps[MOST_PLAIN_TAPS];
    s->taps = taps;
    s->tap_count = list_taps(&job, taps);
    job.scratch = (float *)(void *)call->scratch;
    vt_pool_run(call->pool, (size_t)(job.chunks * job.conv.batch * job.bands), plain_unit, &job);
    return VULTUS_OK;
}

size_t vt_conv_plain_scratch_bytes(
    const struct vt_plan *plan, const struct vt_plan_step *step, int64_t batch, int threads) {
    (void)batch;
    const struct vt_window *w = &step->params.window;
    const struct vt_plan_value *x = vt_conv_input(plan, step, 0), *y = vt_conv_output(plan, step);
    int64_t rows = vt_min_i64(PLAIN_ROWS, y->dims[2]);
    return (size_t)(threads * x->dims[1] * span(w, 0, rows) * span(w, 1, y->dims[3])) * sizeof(float);
}
