/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/ops.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/*
 * Fixed point: source coordinates carry 10 bits while they are summed and 5 when they are used, so that a bilinear
 * weight is (32 - fx) * (32 - fy) of 1024.
 */
enum { SUM_BITS = 10, FRACTION_BITS = 5, FRACTION = 1 << FRACTION_BITS, WEIGHT_BITS = 2 * FRACTION_BITS };

/* Source position of an output pixel in 1/32 pixels. */
struct position {
    int32_t x, y;
};

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

/* Rounds value * 1024 and keeps it so small that two of them can be added: what lies that far out is black anyway. */
static int32_t to_fixed(double value) {
    const double limit = 1 << 29;
    return (int32_t)lrint(fmax(-limit, fmin(limit, value * (1 << SUM_BITS))));
}

/* One pixel with the taps outside the picture counting as black. */
static void sample_any(const struct vt_image *source, struct position at, uint8_t *bgr) {
    int x = at.x >> FRACTION_BITS, y = at.y >> FRACTION_BITS;
    int fx = at.x & (FRACTION - 1), fy = at.y & (FRACTION - 1);
    int sums[3] = {0};
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 2; i++) {
            if (x + i < 0 || x + i >= source->width || y + j < 0 || y + j >= source->height) continue;
            const uint8_t *p = source->pixels + (size_t)(y + j) * source->stride + 3 * (size_t)(x + i);
            int weight = (i ? fx : FRACTION - fx) * (j ? fy : FRACTION - fy);
            for (int k = 0; k < 3; k++) sums[k] += weight * p[k];
        }
    for (int k = 0; k < 3; k++) bgr[k] = (uint8_t)((sums[k] + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS);
}

#ifdef __SSE2__
/* Both taps of a row come with one load of 8 bytes, which reaches 2 bytes past them. Writes 4 bytes. */
static inline void sample_inside(const struct vt_image *source, struct position at, uint8_t *bgrx) {
    int fx = at.x & (FRACTION - 1), fy = at.y & (FRACTION - 1);
    const uint8_t *p =
        source->pixels + (size_t)(at.y >> FRACTION_BITS) * source->stride + 3 * (size_t)(at.x >> FRACTION_BITS);
    const __m128i zero = _mm_setzero_si128();
    __m128i upper = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)p), zero);
    __m128i lower = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(p + source->stride)), zero);
    __m128i column = _mm_add_epi16(_mm_mullo_epi16(upper, _mm_set1_epi16((short)(FRACTION - fy))),
        _mm_mullo_epi16(lower, _mm_set1_epi16((short)fy)));
    __m128i pairs = _mm_unpacklo_epi16(column, _mm_srli_si128(column, 6));
    __m128i sums = _mm_madd_epi16(pairs, _mm_set1_epi32(fx << 16 | (FRACTION - fx)));
    sums = _mm_srli_epi32(_mm_add_epi32(sums, _mm_set1_epi32(1 << (WEIGHT_BITS - 1))), WEIGHT_BITS);
    sums = _mm_packs_epi32(sums, zero);
    int32_t pixel = _mm_cvtsi128_si32(_mm_packus_epi16(sums, zero));
    memcpy(bgrx, &pixel, 4);
}
#else
static inline void sample_inside(const struct vt_image *source, struct position at, uint8_t *bgr) {
    sample_any(source, at, bgr);
}
#endif

static void warp_row(
    const struct vt_image *source, const struct position *steps, struct position start, uint8_t *row, int width) {
    /* One column is spared on the right, so that loads stay inside the row. */
    unsigned inner_width = source->width > 2 ? (unsigned)source->width - 2 : 0;
    unsigned inner_height = (unsigned)source->height - 1;
    for (int x = 0; x < width; x++) {
        struct position at = {
            (start.x + steps[x].x) >> (SUM_BITS - FRACTION_BITS), (start.y + steps[x].y) >> (SUM_BITS - FRACTION_BITS)};
        bool inside =
            (unsigned)(at.x >> FRACTION_BITS) < inner_width && (unsigned)(at.y >> FRACTION_BITS) < inner_height;
        /* The fourth byte belongs to the next pixel, which is yet to be written. */
        if (inside && x < width - 1)
            sample_inside(source, at, row + 3 * (size_t)x);
        else
            sample_any(source, at, row + 3 * (size_t)x);
    }
}

enum vultus_status vt_warp_affine(
    const struct vt_image *source, const double matrix[6], struct vt_image *out, struct vultus_error *error) {
    double inverse[6];
    if (!invert(matrix, inverse))
        return vt_fail(error, VULTUS_ERROR_INVALID, "the warp's matrix [%g %g %g; %g %g %g] cannot be inverted",
            matrix[0], matrix[1], matrix[2], matrix[3], matrix[4], matrix[5]);
    size_t bytes = (size_t)out->width * sizeof(struct position);
    struct position *steps = malloc(bytes);
    if (!steps) return vt_fail_memory(error, "the warp's columns", bytes);
    for (int x = 0; x < out->width; x++)
        steps[x] = (struct position){to_fixed(inverse[0] * x), to_fixed(inverse[3] * x)};
    const int32_t half = 1 << (SUM_BITS - FRACTION_BITS - 1);
    for (int y = 0; y < out->height; y++) {
        struct position start = {
            to_fixed(inverse[1] * y + inverse[2]) + half, to_fixed(inverse[4] * y + inverse[5]) + half};
        warp_row(source, steps, start, out->pixels + (size_t)y * out->stride, out->width);
    }
    free(steps);
    return VULTUS_OK;
}
