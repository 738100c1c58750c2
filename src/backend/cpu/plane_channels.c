/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels joined and split: planes are copied in runs of lanes that neither side's blocks interrupt.
 */
#include <string.h>

#include "backend/cpu/plane.h"
#include "base/checked.h"

/* Channels of one value that are the output's channels from `first` on. */
struct part {
    const struct vt_plan_value *value;
    const uint8_t *data;
    int64_t first, skipped; /* the value's own channels before them */
};

struct copies {
    const struct vt_plan_value *y;
    uint8_t *y_data;
    const struct part *parts; /* ascending */
    uint32_t n_parts;
};

#define COPY_PIXELS(bytes)                                                                                             \
    for (int64_t i = 0; i < pixels; i++, y += pixel, x += pixel) memcpy(y, x, bytes)

/* `bytes` of every pixel; the usual counts by instructions of their own. */
static void copy_pixels(uint8_t *y, const uint8_t *x, int64_t pixels, size_t pixel, size_t bytes) {
    switch (bytes) {
    case 8: COPY_PIXELS(8); break;
    case 16: COPY_PIXELS(16); break;
    case 24: COPY_PIXELS(24); break;
    case 32: COPY_PIXELS(32); break;
    case 48: COPY_PIXELS(48); break;
    default:
        if (bytes == pixel)
            memcpy(y, x, (size_t)pixels * pixel);
        else
            COPY_PIXELS(bytes);
    }
}

/* The lanes from `lane` on of the span's rows, as many as the part's block has; returns how many. */
static int64_t copy_run(
    const struct copies *c, const struct part *part, const struct vt_plane_span *span, int64_t lane) {
    const struct vt_plan_value *x = part->value, *y = c->y;
    int64_t channel = span->block * y->block + lane, from = channel - part->first + part->skipped;
    int64_t end = vt_min_i64(y->dims[1], part->first + x->dims[1] - part->skipped);
    int64_t lanes = vt_min_i64(vt_min_i64(y->block - lane, x->block - from % x->block), end - channel);
    size_t size = vt_dtype_size(y->dtype), pixel = (size_t)y->block * size;
    uint8_t *y_item = c->y_data + (uint64_t)span->item * y->bytes;
    const uint8_t *x_item = part->data + (uint64_t)span->item * vt_cpu_item_bytes(x);
    for (int64_t row = span->row_begin; row < span->row_end; row++) {
        uint8_t *to = vt_cpu_at(y, y_item, span->block, row, 0);
        const uint8_t *at = vt_cpu_at(x, x_item, from / x->block, row, 0);
        copy_pixels(
            to + (size_t)lane * size, at + (size_t)(from % x->block) * size, y->dims[3], pixel, (size_t)lanes * size);
    }
    return lanes;
}

/* Whole rows, since lanes past the last channel alone would be many small pieces. */
static void clear_rows(const struct copies *c, const struct vt_plane_span *span) {
    const struct vt_plan_value *y = c->y;
    size_t bytes = (size_t)(y->dims[3] * y->block) * vt_dtype_size(y->dtype);
    uint8_t *item = c->y_data + (uint64_t)span->item * y->bytes;
    for (int64_t row = span->row_begin; row < span->row_end; row++)
        memset(vt_cpu_at(y, item, span->block, row, 0), 0, bytes);
}

static void copy_rows(const struct vt_plane_job *job, const struct vt_plane_span *span) {
    const struct copies *c = job->context;
    int64_t first = span->block * c->y->block, used = vt_min_i64(c->y->block, c->y->dims[1] - first), lane = 0;
    uint32_t part = 0;
    if (used < c->y->block) clear_rows(c, span);
    while (lane < used) {
        while (part + 1 < c->n_parts && c->parts[part + 1].first <= first + lane) part++;
        lane += copy_run(c, &c->parts[part], span, lane);
    }
}

static void copy(const struct vt_cpu_call *call, const struct copies *copies) {
    struct vt_plane_job job = {.call = call,
        .rows = copy_rows,
        .blocks = vt_cpu_blocks(copies->y),
        .row_count = copies->y->dims[2],
        .row_cost = copies->y->dims[3] * copies->y->block,
        .context = copies};
    vt_plane_run(&job);
}

/* The same type, block, height and width. */
static bool is_part(const struct vt_plan_value *part, const struct vt_plan_value *whole) {
    return vt_plane_fits(part) && part->dtype == whole->dtype && part->block == whole->block &&
           part->dims[2] == whole->dims[2] && part->dims[3] == whole->dims[3];
}

static bool concat_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *y = vt_cpu_output(plan, step, 0);
    int64_t channels = 0;
    if (!vt_plane_fits(y) || step->n_inputs > VT_PLAN_MAX_OPERANDS) return false;
    for (uint32_t i = 0; i < step->n_inputs; i++) {
        const struct vt_plan_value *x = vt_cpu_input(plan, step, i);
        if (!is_part(x, y)) return false;
        channels += x->dims[1];
    }
    return channels == y->dims[1];
}

static enum vultus_status concat_run(const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    struct part parts[VT_PLAN_MAX_OPERANDS];
    int64_t first = 0;
    for (uint32_t i = 0; i < call->step->n_inputs; i++) {
        parts[i] = (struct part){call->in[i], call->in_data[i], first, 0};
        first += call->in[i]->dims[1];
    }
    struct copies copies = {call->out[0], call->out_data[0], parts, call->step->n_inputs};
    copy(call, &copies);
    return VULTUS_OK;
}

const struct vt_cpu_tactic vt_cpu_concat_tactic = {
    .name = "concat", .class = "plane", .kind = VT_STEP_CONCAT, .supports = concat_supports, .run = concat_run};

static bool split_supports(const struct vt_plan *plan, const struct vt_plan_step *step) {
    const struct vt_plan_value *x = vt_cpu_input(plan, step, 0);
    int64_t channels = 0;
    if (!vt_plane_fits(x)) return false;
    for (uint32_t i = 0; i < step->n_outputs; i++) {
        const struct vt_plan_value *y = vt_cpu_output(plan, step, i);
        if (!is_part(y, x)) return false;
        channels += y->dims[1];
    }
    return channels == x->dims[1];
}

static enum vultus_status split_run(const struct vt_cpu_call *call, struct vultus_error *error) {
    (void)error;
    struct part part = {call->in[0], call->in_data[0], 0, 0};
    for (uint32_t i = 0; i < call->step->n_outputs; i++) {
        struct copies copies = {call->out[i], call->out_data[i], &part, 1};
        copy(call, &copies);
        part.skipped += call->out[i]->dims[1];
    }
    return VULTUS_OK;
}

const struct vt_cpu_tactic vt_cpu_split_tactic = {
    .name = "split", .class = "plane", .kind = VT_STEP_SPLIT, .supports = split_supports, .run = split_run};
