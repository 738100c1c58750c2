/* SPDX-License-Identifier: Apache-2.0 */
#include "image/kernels.h"

#include <string.h>

#ifdef __AVX2__
#include <immintrin.h>
#endif

/* Four lanes by the compiler's vector extension: SSE2 or AVX on x86-64, NEON on ARM, without a line for any of them. */
typedef float f32x4 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef uint64_t u64x2 __attribute__((vector_size(16)));
typedef int16_t i16x4 __attribute__((vector_size(8)));
typedef uint16_t u16x4 __attribute__((vector_size(8)));
typedef int16_t i16x8 __attribute__((vector_size(16)));
typedef uint8_t u8x16 __attribute__((vector_size(16)));

static inline f32x4 load_f32x4(const float *p) {
    f32x4 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static void bytes_to_floats(const uint8_t *restrict bytes, float *restrict floats, size_t count) {
    for (size_t i = 0; i < count; i++) floats[i] = bytes[i];
}

/*
 * Sums run left to right in single precision, as OpenCV's do: so the bytes agree. As many steps for every cell, the
 * last ones with weights of 0: a count that changes from cell to cell would cost a mispredicted branch each.
 */
static inline __attribute__((always_inline)) void area_columns_of(
    const float *restrict source, const struct vt_resample_axis *columns, int taps, int width, float *restrict line) {
    const float *weights = columns->weights;
    for (int x = 0; x < width; x++, weights += taps) {
        const float *pixel = source + 3 * (size_t)columns->cells[x].start;
        f32x4 sum = {0};
        for (int j = 0; j < taps; j++) sum += load_f32x4(pixel + 3 * j) * weights[j];
        memcpy(line + 4 * (size_t)x, &sum, sizeof sum);
    }
}

static void area_columns(
    const float *restrict source, const struct vt_resample_axis *columns, int width, float *restrict line) {
    switch (columns->reach) { /* each an unrolled loop */
    case 3: area_columns_of(source, columns, 3, width, line); break;
    case 4: area_columns_of(source, columns, 4, width, line); break;
    case 5: area_columns_of(source, columns, 5, width, line); break;
    case 6: area_columns_of(source, columns, 6, width, line); break;
    case 7: area_columns_of(source, columns, 7, width, line); break;
    case 8: area_columns_of(source, columns, 8, width, line); break;
    default: area_columns_of(source, columns, columns->reach, width, line); break;
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

/* Four bytes to four floats. Compilers make the two interleavings one or two instructions; a plain conversion they do
 * not. */
static inline f32x4 load_pixel(const uint8_t *bgrx) {
    const u8x16 zero = {0};
    int32_t packed;
    memcpy(&packed, bgrx, sizeof packed);
    u8x16 bytes = (u8x16)(i32x4){packed};
    i16x8 shorts = (i16x8)__builtin_shufflevector(bytes, zero, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    i32x4 words = (i32x4)__builtin_shufflevector(shorts, (i16x8)zero, 0, 8, 1, 9, 2, 10, 3, 11);
    return __builtin_convertvector(words, f32x4);
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

/* Upper halves of positions are whole parts, and of the lower ones a float holds 24 bits. */
static inline void split_positions(u64x2 near, u64x2 far, i32x4 *whole, f32x4 *fraction) {
    *whole = __builtin_shufflevector((i32x4)near, (i32x4)far, 1, 3, 5, 7);
    u32x4 lower = (u32x4)__builtin_shufflevector((i32x4)near, (i32x4)far, 0, 2, 4, 6);
    *fraction = __builtin_convertvector((i32x4)(lower >> 8), f32x4) * 0x1p-24f;
}

static void place_points(int64_t start, int64_t step, size_t count, int32_t *restrict whole, float *restrict fraction) {
    uint64_t first = (uint64_t)start, by = (uint64_t)step;
    u64x2 near = {first, first + by}, far = near + 2 * by;
    i32x4 upper;
    f32x4 parts;
    size_t i = 0;
    for (; i + 4 <= count; i += 4, near += 4 * by, far += 4 * by) {
        split_positions(near, far, &upper, &parts);
        memcpy(whole + i, &upper, sizeof upper);
        memcpy(fraction + i, &parts, sizeof parts);
    }
    if (i == count) return;
    split_positions(near, far, &upper, &parts);
    memcpy(whole + i, &upper, (count - i) * sizeof *whole);
    memcpy(fraction + i, &parts, (count - i) * sizeof *fraction);
}

/* upper + (lower - upper) * fraction of two pixels that lie side by side, six bytes; eight are read. */
static inline void blend_pairs(const uint8_t *upper, const uint8_t *lower, float fraction, f32x4 *left, f32x4 *right) {
#ifdef __AVX2__
    __m256 above = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i_u *)upper)));
    __m256 below = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i_u *)lower)));
    __m256 both = above + (below - above) * fraction;
    *left = _mm256_castps256_ps128(both);
    *right = _mm256_castps256_ps128(_mm256_permutevar8x32_ps(both, _mm256_setr_epi32(3, 4, 5, 6, 7, 7, 7, 7)));
#else
    f32x4 upper_left = load_pixel(upper), upper_right = load_pixel(upper + 3);
    *left = upper_left + (load_pixel(lower) - upper_left) * fraction;
    *right = upper_right + (load_pixel(lower + 3) - upper_right) * fraction;
#endif
}

static void sample_points(const uint8_t *restrict pixels, size_t stride, const struct vt_sample_row *row, size_t first,
    size_t end, uint8_t *restrict bgr) {
    enum { CHUNK = 64 };
    float samples[3 * CHUNK + 1]; /* each pixel's fourth number gives way to the next pixel */
    for (; first < end; first += CHUNK) {
        size_t n = end - first < CHUNK ? end - first : CHUNK;
        for (size_t i = 0; i < n; i++) {
            const uint8_t *upper = pixels + (size_t)row->y[first + i] * stride + 3 * (size_t)row->x[first + i];
            f32x4 left, right;
            blend_pairs(upper, upper + stride, row->fy[first + i], &left, &right);
            f32x4 sample = left + (right - left) * row->fx[first + i];
            memcpy(samples + 3 * i, &sample, sizeof sample);
        }
        round_sums(samples, bgr + 3 * first, 3 * n);
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
