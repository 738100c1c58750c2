/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <math.h>

/* xorshift64* (Vigna 2016). */
uint64_t vt_random_bits(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Du;
}

double vt_random_uniform(uint64_t *state) { return ((double)(vt_random_bits(state) >> 11) + 0.5) * 0x1p-53; }

/* Box and Muller's transform. */
void vt_random_normal(uint64_t *state, float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double radius = sqrt(-2 * log(vt_random_uniform(state)));
        values[i] = (float)(radius * cos(2 * M_PI * vt_random_uniform(state)));
    }
}
