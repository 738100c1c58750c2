/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/plane.h"
#include "base/checked.h"

/* Sizes that keep positions far from overflow; real windows are a few pixels wide. */
#define LARGEST_WINDOW_VALUE (INT64_C(1) << 20)

/* Every window of the axis has a tap inside the input, and so a result. */
static bool axis_fits(const struct vt_window *w, int axis, int64_t in, int64_t out) {
    int64_t kernel = w->kernel[axis], stride = w->stride[axis], dilation = w->dilation[axis], before = w->pad[axis];
    if (kernel < 1 || stride < 1 || dilation < 1 || before < 0 || w->pad[axis + 2] < 0) return false;
    if (vt_max_i64(vt_max_i64(kernel, stride), vt_max_i64(dilation, before)) > LARGEST_WINDOW_VALUE) return false;
    for (int64_t i = 0; i < out; i++) {
        int64_t origin = i * stride - before;
        int64_t first = origin < 0 ? vt_div_up(-origin, dilation) : 0;
        if (first >= kernel || origin + first * dilation >= in) return false;
    }
    return true;
}

static bool channels_fit(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cpu_input(plan, step, 0), *y = vt_cpu_output(plan, step, 0);
    return vt_plane_fits(x) && vt_plane_fits(y) && x->dtype == y->dtype && x->block == y->block &&
           x->dims[1] == y->dims[1];
}

static bool pool_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (step->params.mode != VT_POOL_MAX && step->params.mode != VT_POOL_AVERAGE) return false;
    if (!channels_fit(plan, step)) return false;
    const struct vt_plan_value *x = vt_cpu_input(plan, step, 0), *y = vt_cpu_output(plan, step, 0);
    return axis_fits(&step->params.window, 0, x->dims[2], y->dims[2]) &&
           axis_fits(&step->params.window, 1, x->dims[3], y->dims[3]);
}

static void pool_rows(const struct vt_plane_job *job, const struct vt_plane_span *span) {
    const struct vt_plan_value *x = job->call->in[0], *y = job->call->out[0];
    struct vt_plane_pool row = {.x = vt_plane_in(job, 0, span, 0),
        .x_row = vt_cpu_row(x),
        .rows = x->dims[2],
        .columns = x->dims[3],
        .y_columns = y->dims[3],
        .window = &job->call->step->params.window,
        .average = job->call->step->params.mode == VT_POOL_AVERAGE};
    for (row.y_row = span->row_begin; row.y_row < span->row_end; row.y_row++) {
        row.y = vt_plane_out(job, span, row.y_row);
        job->kernels->pool(&row);
    }
}

static enum vultus_status pool_run(const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    const struct vt_window *w = &call->step->params.window;
    struct vt_plane_job job = vt_plane_job(call, pool_rows);
    job.row_cost *= w->kernel[0] * w->kernel[1];
    vt_plane_run(&job);
    return VULTUS_OK;
}

const struct vt_cpu_tactic vt_cpu_pool_tactic = {
    .name = "pool", .class = "plane", .kind = VT_STEP_POOL, .supports = pool_supports, .run = pool_run};

/* ------------------------------------------------------------ over the whole plane */

static bool global_pool_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *y = vt_cpu_output(plan, step, 0);
    return step->params.mode == VT_POOL_GLOBAL_AVERAGE && channels_fit(plan, step) && y->dims[2] == 1 &&
           y->dims[3] == 1;
}

static void global_pool_rows(const struct vt_plane_job *job, const struct vt_plane_span *span) {
    static const float zeros[VT_PLANE_MAX_LANES];
    const struct vt_plan_value *x = job->call->in[0];
    double sum[VT_PLANE_MAX_LANES] = {0}, squares[VT_PLANE_MAX_LANES] = {0};
    for (int64_t row = 0; row < x->dims[2]; row++)
        job->kernels->moments(vt_plane_in(job, 0, span, row), x->dims[3], zeros, sum, squares);
    void *y = vt_plane_out(job, span, 0);
    for (int lane = 0; lane < job->kernels->lanes; lane++)
        vt_cpu_set(x->dtype, y, lane, (float)(sum[lane] / (double)(x->dims[2] * x->dims[3])));
}

static enum vultus_status global_pool_run(const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    struct vt_plane_job job = vt_plane_job(call, global_pool_rows);
    job.row_cost = call->in[0]->dims[2] * call->in[0]->dims[3] * call->in[0]->block;
    vt_plane_run(&job);
    return VULTUS_OK;
}

const struct vt_cpu_tactic vt_cpu_global_pool_tactic = {.name = "pool:global",
    .class = "plane",
    .kind = VT_STEP_POOL,
    .supports = global_pool_supports,
    .run = global_pool_run};
