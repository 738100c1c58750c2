/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "image/kernels.h"

enum { WEIGHT_ONE = 2048 };

enum vultus_status vt_linear_axis_init(struct vt_resample_axis *axis, int source, int margin, int target, double step,
    bool clamp_weights, struct vultus_error *error) {
    axis->taps = malloc((size_t)target * sizeof *axis->taps);
    if (!axis->taps) return vt_fail_memory(error, "resampling tables", (size_t)target * sizeof *axis->taps);
    int n = source + 2 * margin;
    for (int i = 0; i < target; i++) {
        float position = (float)((i + 0.5) * step - 0.5);
        int first = (int)floorf(position);
        float fraction = position - (float)first;
        if (clamp_weights && first < 0) first = 0, fraction = 0;
        if (clamp_weights && first >= n - 1) first = n - 1, fraction = 0;
        struct vt_linear_tap *tap = &axis->taps[i];
        for (int k = 0; k < 2; k++) {
            int index = first + k < 0 ? 0 : first + k > n - 1 ? n - 1 : first + k;
            bool inside = index >= margin && index < margin + source;
            tap->index[k] = inside ? index - margin : 0;
            tap->weight[k] = inside ? (int16_t)lrintf((k ? fraction : 1 - fraction) * WEIGHT_ONE) : 0;
        }
    }
    return VULTUS_OK;
}

/* The line of `row`, made in the slot that does not hold `other`. */
static const int16_t *line_of(const struct vt_resampler *r, struct vt_resample_scratch *scratch, int row, int other) {
    for (int slot = 0; slot < 2; slot++)
        if (scratch->line_rows[slot] == row) return scratch->lines[slot];
    int slot = scratch->line_rows[0] == other ? 1 : 0;
    const struct vt_image *picture = r->picture;
    r->kernels->expand_row(picture->pixels + (size_t)row * picture->stride, scratch->source, picture->width);
    r->kernels->linear_columns(scratch->source, &r->columns, r->width, scratch->lines[slot]);
    scratch->line_rows[slot] = row;
    return scratch->lines[slot];
}

void vt_linear_row(const struct vt_resampler *r, struct vt_resample_scratch *scratch, int y) {
    struct vt_linear_tap tap = r->rows.taps[y];
    const int16_t *a = line_of(r, scratch, tap.index[0], tap.index[1]);
    const int16_t *b = line_of(r, scratch, tap.index[1], tap.index[0]);
    r->kernels->blend_lines(a, b, tap.weight, scratch->pixels, 4 * (size_t)r->width);
}
