/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "image/kernels.h"

const struct vt_image_kernels *vt_image_kernels(void) {
#ifdef __x86_64__
    if (vt_cpu_has(VT_CPU_AVX2)) return &vt_image_kernels_avx2;
#endif
    return &vt_image_kernels_baseline;
}

static enum vultus_status init_axes(struct vt_resampler *r, double step, struct vultus_error *error) {
    const struct vt_image *picture = r->picture;
    enum vultus_status status;
    if (r->mode == VT_RESAMPLE_COPY) return VULTUS_OK;
    if (r->mode == VT_RESAMPLE_LINEAR) {
        status = vt_linear_axis_init(&r->columns, picture->width, r->margin_x, r->width, step, true, error);
        return status ? status
                      : vt_linear_axis_init(&r->rows, picture->height, r->margin_y, r->height, step, false, error);
    }
    bool whole = r->mode == VT_RESAMPLE_BOX;
    status = vt_area_axis_init(&r->columns, picture->width, r->margin_x, r->width, step, whole, error);
    return status ? status : vt_area_axis_init(&r->rows, picture->height, r->margin_y, r->height, step, whole, error);
}

enum vt_resample_mode vt_resample_choose(double scale, double *step) {
    *step = 1 / scale;
    if (scale == 1) return VT_RESAMPLE_COPY;
    if (scale > 1) return VT_RESAMPLE_LINEAR;
    if (fabs(*step - rint(*step)) >= DBL_EPSILON) return VT_RESAMPLE_AREA;
    *step = rint(*step);
    return VT_RESAMPLE_BOX;
}

enum vultus_status vt_resampler_init(struct vt_resampler *r, const struct vt_image *picture, double margin,
    const struct vt_letterbox *letterbox, struct vultus_error *error) {
    *r = (struct vt_resampler){.kernels = vt_image_kernels(),
        .picture = picture,
        .margin_x = vt_margin_pixels(picture->width, margin),
        .margin_y = vt_margin_pixels(picture->height, margin),
        .width = letterbox->width,
        .height = letterbox->height};
    double step;
    r->mode = vt_resample_choose(letterbox->scale, &step);
    r->factor = (int)rint(step);

    enum vultus_status status = init_axes(r, step, error);
    if (status) vt_resampler_fini(r);
    return status;
}

void vt_resample_axis_fini(struct vt_resample_axis *axis) {
    free(axis->cells);
    free(axis->weights);
    free(axis->taps);
}

void vt_resampler_fini(struct vt_resampler *r) {
    vt_resample_axis_fini(&r->columns);
    vt_resample_axis_fini(&r->rows);
    *r = (struct vt_resampler){0};
}

static size_t line_bytes(const struct vt_resampler *r) {
    return vt_round_up(4 * (size_t)r->width * sizeof(float), VT_CACHE_LINE);
}

/* Cells read up to `reach` pixels past the row, and the widest vector load one number more. */
static size_t source_bytes(const struct vt_resampler *r) {
    return vt_round_up(4 * ((size_t)r->picture->width + (size_t)r->columns.reach + 1) * sizeof(float), VT_CACHE_LINE);
}

size_t vt_resample_scratch_bytes(const struct vt_resampler *r) { return 4 * line_bytes(r) + source_bytes(r); }

void vt_resample_scratch_init(const struct vt_resampler *r, void *memory, struct vt_resample_scratch *scratch) {
    uint8_t *next = memory;
    size_t line = line_bytes(r);
    scratch->pixels = next;
    scratch->sums = (float *)(next + line);
    scratch->lines[0] = next + 2 * line;
    scratch->lines[1] = next + 3 * line;
    scratch->source = next + 4 * line;
    scratch->line_rows[0] = scratch->line_rows[1] = -1;
    if (r->mode == VT_RESAMPLE_AREA || r->mode == VT_RESAMPLE_BOX) {
        size_t used = 3 * (size_t)r->picture->width * sizeof(float);
        memset((uint8_t *)scratch->source + used, 0, source_bytes(r) - used);
    }
}

static void copy_row(const struct vt_resampler *r, struct vt_resample_scratch *scratch, int y) {
    const struct vt_image *picture = r->picture;
    int row = y - r->margin_y;
    if (r->margin_x || row < 0 || row >= picture->height) memset(scratch->pixels, 0, 4 * (size_t)r->width);
    if (row >= 0 && row < picture->height)
        r->kernels->expand_row(
            picture->pixels + (size_t)row * picture->stride, scratch->pixels + 4 * (size_t)r->margin_x, picture->width);
}

void vt_resample_row(const struct vt_resampler *r, struct vt_resample_scratch *scratch, int y) {
    switch (r->mode) {
    case VT_RESAMPLE_COPY: copy_row(r, scratch, y); break;
    case VT_RESAMPLE_LINEAR: vt_linear_row(r, scratch, y); break;
    case VT_RESAMPLE_AREA:
    case VT_RESAMPLE_BOX: vt_area_row(r, scratch, y); break;
    }
}
