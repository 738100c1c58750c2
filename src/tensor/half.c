/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tensor/tensor.h"

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float vt_f16_to_f32(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 0x3ff;
    if (exponent == 31) return float_of(sign | 0x7f800000 | mantissa << 13);
    if (exponent) return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
    float magnitude = (float)mantissa * 0x1p-24f; /* subnormal: exact, and normal in single precision */
    return sign ? -magnitude : magnitude;
}

/* `bits` without its lowest `shift` bits, rounded to nearest, ties to even. A carry moves up into the exponent. */
static uint32_t round_off(uint32_t bits, int shift) {
    uint32_t kept = bits >> shift, half = 1u << (shift - 1), rest = bits & (2 * half - 1);
    return kept + (rest > half || (rest == half && (kept & 1)));
}

uint16_t vt_f32_to_f16(float value) {
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff)); /* NaN, made quiet */
    if (magnitude >= 0x47800000) return (uint16_t)(sign | 0x7c00);                            /* 2^16 and more */
    if (magnitude >= 0x38800000)                                                              /* 2^-14: normal */
        return (uint16_t)(sign | (round_off(magnitude, 13) - (112u << 10)));
    int shift = 126 - (int)(magnitude >> 23); /* to units of 2^-24 */
    if (shift > 24) return (uint16_t)sign;    /* below 2^-25 */
    return (uint16_t)(sign | round_off((magnitude & 0x7fffff) | 0x800000, shift));
}

float vt_bf16_to_f32(uint16_t bits) { return float_of((uint32_t)bits << 16); }

uint16_t vt_f32_to_bf16(float value) {
    uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40); /* NaN, made quiet */
    return (uint16_t)round_off(bits, 16);
}
