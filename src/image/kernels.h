/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_IMAGE_KERNELS_H
#define VT_IMAGE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "image/resample_internal.h"

/* Where a row of a warp looks: the upper left of four pixels, and how far towards the others. */
struct vt_sample_row {
    int32_t *x, *y;
    float *fx, *fy;
};

/*
 * The inner loops of picture operations: one source, compiled once for the baseline and once for each instruction set
 * that makes it faster. All variants give the same bytes. Pixels called BGRX have a fourth byte of no meaning.
 */
struct vt_image_kernels {
    void (*bytes_to_floats)(const uint8_t *bytes, float *floats, size_t count);
    /* line[4 * x ..] = weighted sum of the source's pixels (3 floats each) under cell x. Reads one float past the last.
     */
    void (*area_columns)(const float *source, const struct vt_resample_axis *columns, int width, float *line);
    /* sums += weight * line */
    void (*add_line)(float *sums, const float *line, float weight, size_t count);
    void (*add_bytes)(uint16_t *sums, const uint8_t *bytes, size_t count);
    /* sums[4 * x ..] = sum of the pixels (3 numbers each) under cell x. Reads one number past the last. */
    void (*box_columns)(const uint16_t *source, const struct vt_resample_axis *columns, int width, float *sums);
    /* Rounds to nearest, ties to even. */
    void (*round_sums)(const float *sums, uint8_t *pixels, size_t count);
    /* line[4 * x ..] = (11-bit weighted sum of two BGRX pixels) >> 4 */
    void (*linear_columns)(const uint8_t *source, const struct vt_resample_axis *columns, int width, int16_t *line);
    void (*blend_lines)(const int16_t *a, const int16_t *b, const int16_t weights[2], uint8_t *pixels, size_t count);
    /* BGR to BGRX. */
    void (*expand_row)(const uint8_t *bgr, uint8_t *bgrx, int width);
    /* BGRX to normalised planes, `plane_stride` floats apart. */
    void (*row_to_planes)(const uint8_t *bgrx, int width, const struct vt_normalisation *normalisation, float *planes,
        size_t plane_stride);
    /* start + i * step, all in 2^-32 pixels, as whole part and fraction. */
    void (*place_points)(int64_t start, int64_t step, size_t count, int32_t *whole, float *fraction);
    /* Bilinear samples of a BGR picture at points [first, end) to bgr + 3 * first; two bytes after each point's
     * right pixels are read. */
    void (*sample_points)(
        const uint8_t *pixels, size_t stride, const struct vt_sample_row *row, size_t first, size_t end, uint8_t *bgr);
};

extern const struct vt_image_kernels vt_image_kernels_baseline, vt_image_kernels_avx2;

/* The fastest of this machine. */
const struct vt_image_kernels *vt_image_kernels(void);

#endif
