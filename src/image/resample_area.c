/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/kernels.h"

/* A source pixel that an output covers by this or less at its end is left out. */
#define LEAST_OVERLAP 1e-3

/* Boxes up to this side have sums that fit in 16 bits. */
enum { LARGEST_SHORT_FACTOR = 16 };

/* Pixels of a row of `n` that output i covers, and their weights (sum 1): overlap over the length inside the row. */
static int cover_by_area(int i, int n, double step, int *first, float *weights) {
    double begin = i * step, end = begin + step, length = fmin(step, n - begin);
    int whole_begin = (int)ceil(begin), whole_end = (int)floor(end);
    if (whole_end > n - 1) whole_end = n - 1;
    if (whole_begin > whole_end) whole_begin = whole_end;
    int count = 0;
    *first = whole_begin;
    if (whole_begin - begin > LEAST_OVERLAP) {
        *first = whole_begin - 1;
        weights[count++] = (float)((whole_begin - begin) / length);
    }
    for (int s = whole_begin; s < whole_end; s++) weights[count++] = (float)(1 / length);
    if (end - whole_end > LEAST_OVERLAP) weights[count++] = (float)(fmin(fmin(end - whole_end, 1), length) / length);
    return count;
}

static int cover_by_box(int i, int n, int factor, int *first, float *weights) {
    *first = i * factor;
    int count = n - *first < factor ? n - *first : factor;
    for (int s = 0; s < count; s++) weights[s] = 1;
    return count;
}

/* Margin pixels are black: leaving them out does not change the sum. */
static struct vt_area_cell without_margin(int first, int count, int source, int margin, float *weights) {
    int begin = first > margin ? first : margin;
    int end = first + count < margin + source ? first + count : margin + source;
    struct vt_area_cell cell = {.whole = count};
    if (end > begin) {
        cell.start = begin - margin;
        cell.count = end - begin;
        memmove(weights, weights + (begin - first), (size_t)cell.count * sizeof *weights);
    }
    memset(weights + cell.count, 0, (size_t)(count - cell.count) * sizeof *weights);
    return cell;
}

enum vultus_status vt_area_axis_init(struct vt_resample_axis *axis, int source, int margin, int target, double step,
    bool whole_factor, struct vultus_error *error) {
    axis->reach = whole_factor ? (int)step : (int)ceil(step) + 1;
    size_t n_weights = (size_t)target * (size_t)axis->reach;
    axis->cells = malloc((size_t)target * sizeof *axis->cells);
    axis->weights = calloc(n_weights, sizeof *axis->weights);
    if (!axis->cells || !axis->weights)
        return vt_fail_memory(error, "resampling tables", n_weights * sizeof *axis->weights);
    int n = source + 2 * margin;
    for (int i = 0; i < target; i++) {
        float *weights = axis->weights + (size_t)i * (size_t)axis->reach;
        int first, count = whole_factor ? cover_by_box(i, n, (int)step, &first, weights)
                                        : cover_by_area(i, n, step, &first, weights);
        axis->cells[i] = without_margin(first, count, source, margin, weights);
    }
    return VULTUS_OK;
}

static const float *line_of(const struct vt_resampler *r, struct vt_resample_scratch *scratch, int row) {
    if (scratch->line_rows[0] != row) {
        const struct vt_image *picture = r->picture;
        r->kernels->bytes_to_floats(
            picture->pixels + (size_t)row * picture->stride, scratch->source, 3 * (size_t)picture->width);
        r->kernels->area_columns(scratch->source, &r->columns, r->width, scratch->lines[0]);
        scratch->line_rows[0] = row;
    }
    return scratch->lines[0];
}

/* The rows of a cell, summed, then its columns: integers, so the order does not matter. */
static void sum_boxes(const struct vt_resampler *r, struct vt_resample_scratch *scratch, struct vt_area_cell cell) {
    const struct vt_image *picture = r->picture;
    size_t count = 3 * (size_t)picture->width;
    uint16_t *rows = scratch->source;
    memset(rows, 0, count * sizeof *rows);
    for (int j = 0; j < cell.count; j++)
        r->kernels->add_bytes(rows, picture->pixels + (size_t)(cell.start + j) * picture->stride, count);
    r->kernels->box_columns(rows, &r->columns, r->width, scratch->sums);
}

static void sum_areas(const struct vt_resampler *r, struct vt_resample_scratch *scratch, int y) {
    size_t count = 4 * (size_t)r->width;
    struct vt_area_cell cell = r->rows.cells[y];
    const float *weights = r->rows.weights + (size_t)y * (size_t)r->rows.reach;
    memset(scratch->sums, 0, count * sizeof *scratch->sums);
    for (int j = 0; j < cell.count; j++)
        r->kernels->add_line(scratch->sums, line_of(r, scratch, cell.start + j), weights[j], count);
}

/*
 * Whole factors average integers. OpenCV rounds the 2x2 average half up; multiplies by the reciprocal of the area
 * elsewhere; divides where the picture's end cuts a box.
 */
static void average_boxes(const struct vt_resampler *r, float *sums, int whole_rows) {
    int factor = r->factor, uncut = r->width;
    while (uncut > 0 && (whole_rows < factor || r->columns.cells[uncut - 1].whole < factor)) uncut--;
    float reciprocal = 1.0f / (float)(factor * factor);
    if (factor == 2)
        for (int i = 0; i < 4 * uncut; i++) sums[i] = (float)(((int)sums[i] + 2) >> 2);
    else
        for (int i = 0; i < 4 * uncut; i++) sums[i] *= reciprocal;
    for (int x = uncut; x < r->width; x++)
        for (int k = 0; k < 4; k++) sums[4 * x + k] /= (float)(r->columns.cells[x].whole * whole_rows);
}

void vt_area_row(const struct vt_resampler *r, struct vt_resample_scratch *scratch, int y) {
    struct vt_area_cell cell = r->rows.cells[y];
    if (r->mode == VT_RESAMPLE_BOX && r->factor <= LARGEST_SHORT_FACTOR)
        sum_boxes(r, scratch, cell);
    else
        sum_areas(r, scratch, y);
    if (r->mode == VT_RESAMPLE_BOX) average_boxes(r, scratch->sums, cell.whole);
    r->kernels->round_sums(scratch->sums, scratch->pixels, 4 * (size_t)r->width);
}
