/* SPDX-License-Identifier: Apache-2.0 */
#include "number.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Any double, by trying: slow. */
static size_t write_by_trying(char *text, double value) {
    int length = 0;
    for (int digits = 1; digits <= 17; digits++) {
        length = snprintf(text, VT_NUMBER_SIZE, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    if (!strpbrk(text, ".e")) length += snprintf(text + length, VT_NUMBER_SIZE - (size_t)length, ".0");
    return (size_t)length;
}

static size_t write_integer(char *text, uint64_t value) {
    char reversed[20];
    size_t n = 0, length;
    do {
        reversed[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    length = n;
    while (n) *text++ = reversed[--n];
    return length;
}

/* Adds one to the last of the decimal digits in front of `end`; false: they were all nines. */
static int carry(char *first, char *end) {
    while (end > first) {
        end--;
        if (*end == '.') continue;
        if (*end != '9') {
            ++*end;
            return 1;
        }
        *end = '0';
    }
    return 0;
}

/*
 * Free-format digit generation (Steele and White 1990) in 128-bit fixed point, for magnitudes whose fraction and
 * rounding interval fit: the value is (mantissa << 1) / 2^shift, and texts within `half` of it read back as it.
 */
size_t vt_write_number(char *text, double value) {
    if (isnan(value)) return (size_t)snprintf(text, VT_NUMBER_SIZE, "NaN");
    if (isinf(value)) return (size_t)snprintf(text, VT_NUMBER_SIZE, value < 0 ? "-Infinity" : "Infinity");
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t mantissa = bits & ((1ull << 52) - 1);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1075; /* the value is mantissa * 2^exponent */
    double size = fabs(value);
    /* Between 2^52 and the number below it is only half the distance; such mantissas are rare. */
    if (size < 1e-6 || size >= 0x1p32 || mantissa == 0) return write_by_trying(text, value);
    mantissa |= 1ull << 52;
    int shift = 1 - exponent;
    unsigned __int128 one = (unsigned __int128)1 << shift, rest = (unsigned __int128)mantissa << 1, half = 1;
    char *at = text;
    if (value < 0) *at++ = '-';
    char *first = at;
    at += write_integer(at, (uint64_t)(rest >> shift));
    *at++ = '.';
    rest &= one - 1;
    int inclusive = mantissa % 2 == 0; /* ties are read as the even mantissa */
    for (;;) {
        rest *= 10;
        half *= 10;
        *at++ = (char)('0' + (int)(rest >> shift));
        rest &= one - 1;
        int low = inclusive ? rest <= half : rest < half;
        int high = inclusive ? rest + half >= one : rest + half > one;
        if (!low && !high) continue;
        int odd = (at[-1] - '0') % 2; /* of two that are as near the even one is taken */
        int up = low && high ? rest * 2 + (unsigned)odd > one : high;
        if (up && !carry(first, at)) return write_by_trying(text, value);
        return (size_t)(at - text);
    }
}
