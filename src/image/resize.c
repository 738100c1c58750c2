/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "image/resample_internal.h"

/* The weighted sum of two pixels of a row; weights are in 1/2048. */
static int blend_columns(const uint8_t *row, const struct vt_linear_tap *tap, int channel) {
    return tap->weight[0] * row[3 * (size_t)tap->index[0] + (size_t)channel] +
           tap->weight[1] * row[3 * (size_t)tap->index[1] + (size_t)channel];
}

enum vultus_status vt_image_resize(const struct vt_image *source, struct vt_image *target, struct vultus_error *error) {
    struct vt_resample_axis columns = {0}, rows = {0};
    double step_x = (double)source->width / target->width, step_y = (double)source->height / target->height;
    enum vultus_status status = vt_linear_axis_init(&columns, source->width, 0, target->width, step_x, true, error);
    if (!status) status = vt_linear_axis_init(&rows, source->height, 0, target->height, step_y, false, error);
    for (int y = 0; !status && y < target->height; y++) {
        struct vt_linear_tap tap = rows.taps[y];
        const uint8_t *a = source->pixels + (size_t)tap.index[0] * source->stride;
        const uint8_t *b = source->pixels + (size_t)tap.index[1] * source->stride;
        uint8_t *out = target->pixels + (size_t)y * target->stride;
        for (int x = 0; x < target->width; x++)
            for (int k = 0; k < 3; k++) {
                int upper = blend_columns(a, &columns.taps[x], k) >> 4,
                    lower = blend_columns(b, &columns.taps[x], k) >> 4;
                *out++ = (uint8_t)(((tap.weight[0] * upper >> 16) + (tap.weight[1] * lower >> 16) + 2) >> 2);
            }
    }
    vt_resample_axis_fini(&columns);
    vt_resample_axis_fini(&rows);
    return status;
}
