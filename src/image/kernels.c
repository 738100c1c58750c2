/* SPDX-License-Identifier: Apache-2.0 */
#include "image/kernels.h"

#include <string.h>

/* Four lanes by the compiler's vector extension: SSE2 or AVX on x86-64, NEON on ARM, without a line for any of them. */
typedef float f32x4 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef int16_t i16x4 __attribute__((vector_size(8)));
typedef uint16_t u16x4 __attribute__((vector_size(8)));
typedef uint8_t u8x4 __attribute__((vector_size(4)));

static inline f32x4 load_f32x4(const float *p) {
    f32x4 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static void bytes_to_floats(const uint8_t *restrict bytes, float *restrict floats, size_t count) {
    for (size_t i = 0; i < count; i++) floats[i] = bytes[i];
}

/* Sums run left to right in single precision, as OpenCV's do: so the bytes agree. */
static void area_columns(
    const float *restrict source, const struct vt_resample_axis *columns, int width, float *restrict line) {
    for (int x = 0; x < width; x++) {
        struct vt_area_cell cell = columns->cells[x];
        const float *weights = columns->weights + cell.offset, *pixel = source + 3 * (size_t)cell.start;
        f32x4 sum = {0};
        for (int j = 0; j < cell.count; j++) sum += load_f32x4(pixel + 3 * j) * weights[j];
        memcpy(line + 4 * (size_t)x, &sum, sizeof sum);
    }
}

static void add_line(float *restrict sums, const float *restrict line, float weight, size_t count) {
    for (size_t i = 0; i < count; i++) sums[i] += weight * line[i];
}

static void add_bytes(uint16_t *restrict sums, const uint8_t *restrict bytes, size_t count) {
    for (size_t i = 0; i < count; i++) sums[i] = (uint16_t)(sums[i] + bytes[i]);
}

static void box_columns(
    const uint16_t *restrict source, const struct vt_resample_axis *columns, int width, float *restrict sums) {
    for (int x = 0; x < width; x++) {
        struct vt_area_cell cell = columns->cells[x];
        const uint16_t *pixel = source + 3 * (size_t)cell.start;
        u16x4 sum = {0};
        for (int j = 0; j < cell.count; j++) {
            u16x4 tap;
            memcpy(&tap, pixel + 3 * j, sizeof tap);
            sum += tap;
        }
        f32x4 result = __builtin_convertvector(__builtin_convertvector(sum, i32x4), f32x4);
        memcpy(sums + 4 * (size_t)x, &result, sizeof result);
    }
}

/* Adding 1.5 * 2^23 rounds a small float to an integer, ties to even, and leaves it in the low bits. */
#define ROUNDING 12582912.0f

static void round_sums(const float *restrict sums, uint8_t *restrict pixels, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float shifted = sums[i] + ROUNDING;
        uint32_t bits;
        memcpy(&bits, &shifted, 4);
        pixels[i] = (uint8_t)bits;
    }
}

static inline f32x4 load_pixel(const uint8_t *bgrx) {
    u8x4 pixel;
    memcpy(&pixel, bgrx, sizeof pixel);
    return __builtin_convertvector(__builtin_convertvector(pixel, i32x4), f32x4);
}

/* Single precision holds the weighted sums exactly. */
static void linear_columns(
    const uint8_t *restrict source, const struct vt_resample_axis *columns, int width, int16_t *restrict line) {
    for (int x = 0; x < width; x++) {
        struct vt_linear_tap tap = columns->taps[x];
        f32x4 sum = load_pixel(source + 4 * (size_t)tap.index[0]) * (float)tap.weight[0] +
                    load_pixel(source + 4 * (size_t)tap.index[1]) * (float)tap.weight[1];
        i16x4 shifted = __builtin_convertvector(__builtin_convertvector(sum, i32x4) >> 4, i16x4);
        memcpy(line + 4 * (size_t)x, &shifted, sizeof shifted);
    }
}

static void blend_lines(const int16_t *restrict a, const int16_t *restrict b, const int16_t weights[2],
    uint8_t *restrict pixels, size_t count) {
    int32_t weight_a = weights[0], weight_b = weights[1];
    for (size_t i = 0; i < count; i++) {
        int16_t part_a = (int16_t)(weight_a * a[i] >> 16), part_b = (int16_t)(weight_b * b[i] >> 16);
        pixels[i] = (uint8_t)((int16_t)(part_a + part_b + 2) >> 2);
    }
}

static void expand_row(const uint8_t *restrict bgr, uint8_t *restrict bgrx, int width) {
    for (int x = 0; x < width; x++) {
        uint32_t pixel = (uint32_t)bgr[3 * x] | (uint32_t)bgr[3 * x + 1] << 8 | (uint32_t)bgr[3 * x + 2] << 16;
        memcpy(bgrx + 4 * (size_t)x, &pixel, 4);
    }
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "pixels are taken apart by shifts");

/* Channels come apart by shifts, so that the loop vectorises without shuffles. */
static void row_to_planes(const uint8_t *restrict bgrx, int width, const struct vt_normalisation *normalisation,
    float *restrict planes, size_t plane_stride) {
    for (int k = 0; k < 3; k++) {
        int shift = 8 * (normalisation->rgb ? 2 - k : k);
        float mean = normalisation->mean[k], inverse_std = normalisation->inverse_std[k];
        float *restrict plane = planes + (size_t)k * plane_stride;
        for (int x = 0; x < width; x++) {
            uint32_t pixel;
            memcpy(&pixel, bgrx + 4 * (size_t)x, 4);
            plane[x] = ((float)(int32_t)(pixel >> shift & 255) - mean) * inverse_std;
        }
    }
}

static void place_points(
    const double start[2], const double step[2], size_t count, struct vt_sample_point *restrict points) {
    const double far = 1 << 20;
    for (size_t i = 0; i < count; i++) {
        double x = start[0] + step[0] * (double)(int)i, y = start[1] + step[1] * (double)(int)i;
        x = x < -far ? -far : x > far ? far : x;
        y = y < -far ? -far : y > far ? far : y;
        int32_t left = (int32_t)x, top = (int32_t)y;
        left -= x < left;
        top -= y < top;
        points[i] = (struct vt_sample_point){left, top, (float)(x - left), (float)(y - top)};
    }
}

typedef float f32x8 __attribute__((vector_size(32)));
typedef int32_t i32x8 __attribute__((vector_size(32)));
typedef uint8_t u8x8 __attribute__((vector_size(8)));

/* B, G, R of the point between its four pixels, and a lane of no meaning. */
static inline i32x4 sample_point(const uint8_t *pixels, size_t stride, struct vt_sample_point point) {
    const uint8_t *p = pixels + (size_t)point.y * stride + 3 * (size_t)point.x;
    u8x8 bytes[2];
    memcpy(&bytes[0], p, sizeof bytes[0]);
    memcpy(&bytes[1], p + stride, sizeof bytes[1]);
    f32x8 upper = __builtin_convertvector(__builtin_convertvector(bytes[0], i32x8), f32x8);
    f32x8 lower = __builtin_convertvector(__builtin_convertvector(bytes[1], i32x8), f32x8);
    f32x8 column = upper + (lower - upper) * point.fy;
    f32x4 left = {column[0], column[1], column[2], 0}, right = {column[3], column[4], column[5], 0};
    f32x4 shifted = left + (right - left) * point.fx + ROUNDING;
    i32x4 bits;
    memcpy(&bits, &shifted, sizeof bits);
    return bits;
}

static void sample_points(const uint8_t *restrict pixels, size_t stride, const struct vt_sample_point *points,
    size_t count, uint8_t *restrict bgr) {
    for (size_t i = 0; i < count; i++) {
        u8x4 pixel = __builtin_convertvector(sample_point(pixels, stride, points[i]), u8x4);
        /* The fourth byte belongs to the next pixel, which is yet to be written. */
        memcpy(bgr + 3 * i, &pixel, i + 1 < count ? 4 : 3);
    }
}

/* The build compiles this file several times, each time under another name. */
const struct vt_image_kernels VT_IMAGE_KERNELS = {
    .bytes_to_floats = bytes_to_floats,
    .area_columns = area_columns,
    .add_line = add_line,
    .add_bytes = add_bytes,
    .box_columns = box_columns,
    .round_sums = round_sums,
    .linear_columns = linear_columns,
    .blend_lines = blend_lines,
    .expand_row = expand_row,
    .row_to_planes = row_to_planes,
    .place_points = place_points,
    .sample_points = sample_points,
};
