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

/* The kernel's arithmetic at point i, with taps that may lie outside. */
static void sample_exact(const struct vt_image *source, const struct vt_sample_row *row, int i, uint8_t *bgr) {
    int x = row->x[i], y = row->y[i];
    float fx = row->fx[i], fy = row->fy[i];
    for (int k = 0; k < 3; k++) {
        float upper_left = (float)tap(source, x, y, k), upper_right = (float)tap(source, x + 1, y, k);
        float left = upper_left + ((float)tap(source, x, y + 1, k) - upper_left) * fy;
        float right = upper_right + ((float)tap(source, x + 1, y + 1, k) - upper_right) * fy;
        bgr[k] = (uint8_t)lrintf(left + (right - left) * fx);
    }
}

/* The kernel reads two bytes past the right pixel: one column is spared. */
static bool is_inside(const struct vt_image *source, const struct vt_sample_row *row, int i) {
    return row->x[i] >= 0 && row->x[i] < source->width - 2 && row->y[i] >= 0 && row->y[i] < source->height - 1;
}

/* The points of a row that lie inside the picture are neighbours, because it is convex. */
static void warp_exact_row(const struct vt_image *source, const struct vt_sample_row *row, int width, uint8_t *bgr) {
    int first = 0, end = width;
    while (first < end && !is_inside(source, row, first)) first++;
    while (first < end && !is_inside(source, row, end - 1)) end--;
    for (int i = 0; i < first; i++) sample_exact(source, row, i, bgr + 3 * (size_t)i);
    vt_image_kernels()->sample_points(source->pixels, source->stride, row, (size_t)first, (size_t)end, bgr);
    for (int i = end; i < width; i++) sample_exact(source, row, i, bgr + 3 * (size_t)i);
}

/* In 2^-32 pixels; what is beyond `limit` pixels is moved there. */
static int64_t to_position(double pixels, double limit) { return llrint(fmax(-limit, fmin(limit, pixels)) * 0x1p32); }

static enum vultus_status warp_exact(
    const struct vt_image *source, const double inverse[6], struct vt_image *out, struct vultus_error *error) {
    size_t width = (size_t)out->width, bytes = width * (2 * sizeof(int32_t) + 2 * sizeof(float));
    int32_t *memory = malloc(bytes);
    if (!memory) return vt_fail_memory(error, "the warp's row", bytes);
    struct vt_sample_row row = {memory, memory + width, (float *)(memory + 2 * width), (float *)(memory + 3 * width)};
    /* Far beyond any picture, and yet a row of steps from there does not overflow. */
    const double far = 0x1p29, most_step = far / out->width;
    int64_t step_x = to_position(inverse[0], most_step), step_y = to_position(inverse[3], most_step);
    for (int y = 0; y < out->height; y++) {
        int64_t start_x = to_position(inverse[1] * y + inverse[2], far);
        int64_t start_y = to_position(inverse[4] * y + inverse[5], far);
        vt_image_kernels()->place_points(start_x, step_x, width, row.x, row.fx);
        vt_image_kernels()->place_points(start_y, step_y, width, row.y, row.fy);
        warp_exact_row(source, &row, out->width, out->pixels + (size_t)y * out->stride);
    }
    free(memory);
    return VULTUS_OK;
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

enum vultus_status vt_warp_inverse(const double matrix[6], double inverse[6], struct vultus_error *error) {
    if (invert(matrix, inverse)) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_INVALID, "the warp's matrix [%g %g %g; %g %g %g] cannot be inverted", matrix[0],
        matrix[1], matrix[2], matrix[3], matrix[4], matrix[5]);
}

enum vultus_status vt_warp_affine(const struct vt_image *source, const double matrix[6], enum vt_warp_method method,
    struct vt_image *out, struct vultus_error *error) {
    double inverse[6];
    enum vultus_status status = vt_warp_inverse(matrix, inverse, error);
    if (status) return status;
    if (method == VT_WARP_FIXED) {
        warp_fixed(source, inverse, out);
        return VULTUS_OK;
    }
    return warp_exact(source, inverse, out, error);
}
