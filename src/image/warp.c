/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "image/kernels.h"

/*
 * FIXED: source coordinates carry 10 bits while they are summed and 5 when they are used, so that a bilinear weight is
 * (32 - fx) * (32 - fy) of 1024.
 */
enum { SUM_BITS = 10, FRACTION_BITS = 5, FRACTION = 1 << FRACTION_BITS, WEIGHT_BITS = 2 * FRACTION_BITS };

static bool invert(const double m[6], double inverse[6]) {
    double determinant = m[0] * m[4] - m[1] * m[3];
    double d = 1 / determinant;
    if (determinant == 0 || !isfinite(determinant) || !isfinite(d)) return false;
    inverse[0] = m[4] * d;
    inverse[1] = m[1] * -d;
    inverse[3] = m[3] * -d;
    inverse[4] = m[0] * d;
    inverse[2] = -inverse[0] * m[2] - inverse[1] * m[5];
    inverse[5] = -inverse[3] * m[2] - inverse[4] * m[5];
    for (int i = 0; i < 6; i++)
        if (!isfinite(inverse[i])) return false;
    return true;
}

/* The pixel's channel, 0 outside the picture. */
static int tap(const struct vt_image *source, int x, int y, int channel) {
    if (x < 0 || x >= source->width || y < 0 || y >= source->height) return 0;
    return source->pixels[(size_t)y * source->stride + 3 * (size_t)x + (size_t)channel];
}

/* The kernel's arithmetic, with taps that may lie outside. */
static void sample_exact(const struct vt_image *source, const struct vt_sample_point *p, uint8_t *bgr) {
    for (int k = 0; k < 3; k++) {
        float upper_left = (float)tap(source, p->x, p->y, k), upper_right = (float)tap(source, p->x + 1, p->y, k);
        float left = upper_left + p->fy * ((float)tap(source, p->x, p->y + 1, k) - upper_left);
        float right = upper_right + p->fy * ((float)tap(source, p->x + 1, p->y + 1, k) - upper_right);
        bgr[k] = (uint8_t)lrintf(left + p->fx * (right - left));
    }
}

/* A load of the kernel's covers two pixels and two bytes more: one column is spared on the right. */
static bool is_inside(const struct vt_image *source, const struct vt_sample_point *p) {
    return p->x >= 0 && p->x < source->width - 2 && p->y >= 0 && p->y < source->height - 1;
}

/* The points of a row that lie inside the picture are neighbours, because it is convex. */
static void warp_exact_row(
    const struct vt_image *source, const struct vt_sample_point *points, uint8_t *row, int width) {
    int first = 0, end = width;
    while (first < end && !is_inside(source, &points[first])) first++;
    while (first < end && !is_inside(source, &points[end - 1])) end--;
    for (int x = 0; x < first; x++) sample_exact(source, &points[x], row + 3 * (size_t)x);
    vt_image_kernels()->sample_points(
        source->pixels, source->stride, points + first, (size_t)(end - first), row + 3 * (size_t)first);
    for (int x = end; x < width; x++) sample_exact(source, &points[x], row + 3 * (size_t)x);
}

static void warp_exact(
    const struct vt_image *source, const double inverse[6], struct vt_sample_point *points, struct vt_image *out) {
    const double step[2] = {inverse[0], inverse[3]};
    for (int y = 0; y < out->height; y++) {
        const double start[2] = {inverse[1] * y + inverse[2], inverse[4] * y + inverse[5]};
        vt_image_kernels()->place_points(start, step, (size_t)out->width, points);
        warp_exact_row(source, points, out->pixels + (size_t)y * out->stride, out->width);
    }
}

/* Rounds value * 1024 and keeps it so small that two of them can be added: what lies that far out is black anyway. */
static int to_fixed(double value) {
    const double limit = 1 << 29;
    return (int)lrint(fmax(-limit, fmin(limit, value * (1 << SUM_BITS))));
}

static void sample_fixed(const struct vt_image *source, int x, int y, uint8_t *bgr) {
    int fx = x & (FRACTION - 1), fy = y & (FRACTION - 1);
    x >>= FRACTION_BITS;
    y >>= FRACTION_BITS;
    for (int k = 0; k < 3; k++) {
        int upper = (FRACTION - fx) * tap(source, x, y, k) + fx * tap(source, x + 1, y, k);
        int lower = (FRACTION - fx) * tap(source, x, y + 1, k) + fx * tap(source, x + 1, y + 1, k);
        int sum = (FRACTION - fy) * upper + fy * lower;
        bgr[k] = (uint8_t)((sum + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS);
    }
}

static void warp_fixed(const struct vt_image *source, const double inverse[6], struct vt_image *out) {
    const int half = 1 << (SUM_BITS - FRACTION_BITS - 1), shift = SUM_BITS - FRACTION_BITS;
    for (int y = 0; y < out->height; y++) {
        int start_x = to_fixed(inverse[1] * y + inverse[2]) + half;
        int start_y = to_fixed(inverse[4] * y + inverse[5]) + half;
        uint8_t *row = out->pixels + (size_t)y * out->stride;
        for (int x = 0; x < out->width; x++)
            sample_fixed(source, (start_x + to_fixed(inverse[0] * x)) >> shift,
                (start_y + to_fixed(inverse[3] * x)) >> shift, row + 3 * (size_t)x);
    }
}

enum vultus_status vt_warp_affine(const struct vt_image *source, const double matrix[6], enum vt_warp_method method,
    struct vt_image *out, struct vultus_error *error) {
    double inverse[6];
    if (!invert(matrix, inverse))
        return vt_fail(error, VULTUS_ERROR_INVALID, "the warp's matrix [%g %g %g; %g %g %g] cannot be inverted",
            matrix[0], matrix[1], matrix[2], matrix[3], matrix[4], matrix[5]);
    if (method == VT_WARP_FIXED) {
        warp_fixed(source, inverse, out);
        return VULTUS_OK;
    }
    size_t bytes = (size_t)out->width * sizeof(struct vt_sample_point);
    struct vt_sample_point *points = malloc(bytes);
    if (!points) return vt_fail_memory(error, "the warp's row", bytes);
    warp_exact(source, inverse, points, out);
    free(points);
    return VULTUS_OK;
}
