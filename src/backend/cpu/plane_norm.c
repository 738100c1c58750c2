/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "backend/cpu/plane.h"
#include "base/checked.h"

/*
 * Group normalisation in three phases: per lane, the sums of x - pivot and of its square over chunks of rows (bounds
 * fixed by the shape, so that bytes do not depend on threads); per group, mean and variance from those; x * scale +
 * shift per lane. The pivot, the channel's first pixel, keeps the variance exact where the mean is large beside it.
 */
#define CHUNK_FLOATS 16384

struct chunk_sums {
    double sum[VT_PLANE_MAX_LANES], squares[VT_PLANE_MAX_LANES];
};

struct norm {
    int64_t chunks, chunk_rows;
    struct chunk_sums *sums; /* [item][block][chunk] */
    float *scale, *shift;    /* [item][block][lane] */
};

static int64_t rows_per_chunk(const struct vt_plan_value *x) {
    return vt_min_i64(x->dims[2], vt_div_up(CHUNK_FLOATS, x->dims[3] * x->block));
}

static bool supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cpu_input(plan, step, 0), *y = vt_cpu_output(plan, step, 0);
    if (!vt_plane_fits(x) || !vt_plane_fits(y) || !vt_plane_same_shape(x, y)) return false;
    for (uint32_t i = 1; i < 3; i++)
        if (!vt_cpu_input(plan, step, i) || !vt_plane_channels_fit(plan, step, i, x->dims[1])) return false;
    return step->params.groups > 0 && x->dims[1] % step->params.groups == 0 && step->params.tail.act1 != VT_ACT_PRELU &&
           step->params.tail.act2 == VT_ACT_NONE;
}

static size_t scratch_bytes(const struct vt_plan *plan, const struct vt_plan_step *step, int64_t batch, int threads) {
    (void)threads;
    const struct vt_plan_value *x = vt_cpu_input(plan, step, 0);
    size_t planes = (size_t)(batch * vt_cpu_blocks(x)), chunks = (size_t)vt_div_up(x->dims[2], rows_per_chunk(x));
    return planes * (chunks * sizeof(struct chunk_sums) + 2 * (size_t)x->block * sizeof(float));
}

static void sum_chunk(const struct vt_plane_job *job, const struct vt_plane_span *span) {
    const struct norm *norm = job->context;
    const struct vt_plan_value *x = job->call->in[0];
    for (int64_t chunk = span->row_begin; chunk < span->row_end; chunk++) {
        struct chunk_sums *sums = &norm->sums[(span->item * job->blocks + span->block) * norm->chunks + chunk];
        memset(sums, 0, sizeof *sums);
        int64_t end = vt_min_i64((chunk + 1) * norm->chunk_rows, x->dims[2]);
        const void *pivot = vt_plane_in(job, 0, span, 0);
        for (int64_t row = chunk * norm->chunk_rows; row < end; row++)
            job->kernels->moments(vt_plane_in(job, 0, span, row), x->dims[3], pivot, sums->sum, sums->squares);
    }
}

/* Mean of one channel and the sum of squared distances from it. */
static void channel_moments(const struct vt_plane_job *job, const struct norm *norm, int64_t item, int64_t channel,
    double *mean, double *spread) {
    const struct vt_plan_value *x = job->call->in[0];
    int64_t block = channel / x->block, lane = channel % x->block, count = x->dims[2] * x->dims[3];
    const struct chunk_sums *sums = &norm->sums[(item * job->blocks + block) * norm->chunks];
    double sum = 0, squares = 0;
    for (int64_t chunk = 0; chunk < norm->chunks; chunk++) {
        sum += sums[chunk].sum[lane];
        squares += sums[chunk].squares[lane];
    }
    struct vt_plane_span at = {.item = item, .block = block};
    *mean = (double)vt_cpu_get(x->dtype, vt_plane_in(job, 0, &at, 0), lane) + sum / (double)count;
    *spread = fmax(0, squares - sum * sum / (double)count);
}

static void resolve_group(const struct vt_plane_job *job, const struct norm *norm, int64_t item, int64_t group) {
    const struct vt_plan_value *x = job->call->in[0];
    const struct vt_step_params *params = &job->call->step->params;
    const float *scale = job->call->in_data[1], *shift = job->call->in_data[2];
    int64_t size = x->dims[1] / params->groups, first = group * size;
    double mean = 0, between = 0, within = 0, channel_mean, spread;
    for (int64_t c = first; c < first + size; c++) {
        channel_moments(job, norm, item, c, &channel_mean, &spread);
        mean += channel_mean;
        within += spread;
    }
    mean /= (double)size;
    for (int64_t c = first; c < first + size; c++) {
        channel_moments(job, norm, item, c, &channel_mean, &spread);
        between += (channel_mean - mean) * (channel_mean - mean);
    }
    double pixels = (double)(x->dims[2] * x->dims[3]);
    double variance = (within / pixels + between) / (double)size;
    double inverse = 1 / sqrt(variance + (double)params->epsilon);
    float *item_scale = norm->scale + item * job->blocks * x->block,
          *item_shift = norm->shift + item * job->blocks * x->block;
    for (int64_t c = first; c < first + size; c++) {
        item_scale[c] = (float)((double)scale[c] * inverse);
        item_shift[c] = (float)((double)shift[c] - mean * (double)scale[c] * inverse);
    }
}

static void apply_rows(const struct vt_plane_job *job, const struct vt_plane_span *span) {
    const struct norm *norm = job->context;
    const struct vt_plan_value *x = job->call->in[0];
    int64_t lanes = (span->item * job->blocks + span->block) * x->block;
    for (int64_t row = span->row_begin; row < span->row_end; row++)
        job->kernels->affine(vt_plane_out(job, span, row), vt_plane_in(job, 0, span, row), x->dims[3],
            norm->scale + lanes, norm->shift + lanes, &job->act);
}

static enum vultus_status run(const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    const struct vt_plan_value *x = call->in[0];
    int64_t planes = call->batch * vt_cpu_blocks(x), chunk_rows = rows_per_chunk(x);
    struct norm norm = {.chunks = vt_div_up(x->dims[2], chunk_rows), .chunk_rows = chunk_rows};
    norm.sums = (struct chunk_sums *)call->scratch;
    norm.scale = (float *)(norm.sums + planes * norm.chunks);
    norm.shift = norm.scale + planes * x->block;
    struct vt_plane_job job = vt_plane_job(call, sum_chunk);
    job.context = &norm;
    job.row_count = norm.chunks;
    job.row_cost *= chunk_rows;
    vt_plane_run(&job);
    memset(norm.scale, 0, 2 * (size_t)(planes * x->block) * sizeof(float));
    for (int64_t item = 0; item < call->batch; item++)
        for (int64_t group = 0; group < call->step->params.groups; group++) resolve_group(&job, &norm, item, group);
    job = vt_plane_job(call, apply_rows);
    job.context = &norm;
    vt_plane_run(&job);
    return VULTUS_OK;
}

const struct vt_cpu_tactic vt_cpu_group_norm_tactic = {.name = "group_norm",
    .class = "plane",
    .kind = VT_STEP_GROUP_NORM,
    .supports = supports,
    .scratch_bytes = scratch_bytes,
    .run = run};
