/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_IMAGE_RESAMPLE_INTERNAL_H
#define VT_IMAGE_RESAMPLE_INTERNAL_H

#include "image/ops.h"

/*
 * Rows of a letterboxed picture, one at a time, as four bytes a pixel: B, G, R and a byte of no meaning. The picture is
 * seen as if `margin` black pixels surrounded it.
 */
enum vt_resample_mode {
    VT_RESAMPLE_COPY,
    VT_RESAMPLE_AREA,
    VT_RESAMPLE_BOX, /* area interpolation by a whole factor */
    VT_RESAMPLE_LINEAR
};

/* Area: output i is the sum of weights[i * reach + j] * source[start + j] over j < count; from there to reach weights
 * are 0. whole: source pixels it covers, the margin's included. */
struct vt_area_cell {
    int start, count, whole;
};

/* Linear: output is weight[0] * source[index[0]] + weight[1] * source[index[1]], weights in 1/2048. */
struct vt_linear_tap {
    int index[2];
    int16_t weight[2];
};

struct vt_resample_axis {
    struct vt_area_cell *cells;
    float *weights;
    int reach;
    struct vt_linear_tap *taps;
};

struct vt_image_kernels;

struct vt_resampler {
    const struct vt_image_kernels *kernels;
    enum vt_resample_mode mode;
    const struct vt_image *picture;
    int margin_x, margin_y;
    int width, height; /* of the output */
    int factor;        /* BOX */
    struct vt_resample_axis columns, rows;
};

/* Memory of one thread; which source rows it holds ready is remembered from call to call. */
struct vt_resample_scratch {
    uint8_t *pixels; /* the output row: 4 * width */
    void *source; /* a source row: AREA floats and `reach` black pixels, BOX sums of rows in uint16_t, LINEAR four bytes
                     a pixel */
    float *sums;  /* AREA, BOX: 4 * width */
    void *lines[2]; /* horizontally resampled source rows: AREA floats, LINEAR int16_t; 4 * width */
    int line_rows[2];
};

/* How pictures are scaled by that factor; *step gets source pixels per output, of a BOX a whole number. */
enum vt_resample_mode vt_resample_choose(double scale, double *step);

enum vultus_status vt_resampler_init(struct vt_resampler *resampler, const struct vt_image *picture, double margin,
    const struct vt_letterbox *letterbox, struct vultus_error *error);
void vt_resampler_fini(struct vt_resampler *resampler);

/* Lays `scratch` out in memory of that many bytes (a multiple of a cache line), aligned to a cache line. */
size_t vt_resample_scratch_bytes(const struct vt_resampler *resampler);
void vt_resample_scratch_init(const struct vt_resampler *resampler, void *memory, struct vt_resample_scratch *scratch);

/* Writes row `y` of the output to scratch->pixels. */
void vt_resample_row(const struct vt_resampler *resampler, struct vt_resample_scratch *scratch, int y);

/* Tables of one axis of `source` pixels between margins, `target` outputs, `step` source pixels per output. */
enum vultus_status vt_area_axis_init(struct vt_resample_axis *axis, int source, int margin, int target, double step,
    bool whole_factor, struct vultus_error *error);
enum vultus_status vt_linear_axis_init(struct vt_resample_axis *axis, int source, int margin, int target, double step,
    bool clamp_weights, struct vultus_error *error);
void vt_resample_axis_fini(struct vt_resample_axis *axis);
void vt_area_row(const struct vt_resampler *resampler, struct vt_resample_scratch *scratch, int y);
void vt_linear_row(const struct vt_resampler *resampler, struct vt_resample_scratch *scratch, int y);

#endif
