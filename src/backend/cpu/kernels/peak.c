/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled once per instruction set, with VT_PEAK_KERNEL as the function's name.
 */
#include "backend/cpu/peak_kernels.h"

#include "backend/cpu/kernels/simd.h"

/* Two units with a latency of four or five cycles need ten chains; factor and term want registers too. */
#define CHAINS (VECTOR_REGISTERS - 4)

double VT_PEAK_KERNEL(int64_t rounds, float *sink) {
    vf sums[CHAINS], factor = splat(0.75f), term = splat(0.25f); /* every chain goes to 1 and begins elsewhere */
    UNROLL for (int c = 0; c < CHAINS; c++) sums[c] = splat((float)(c + 2));
    for (int64_t round = 0; round < rounds; round++)
        UNROLL for (int c = 0; c < CHAINS; c++) sums[c] = keep(sums[c] * factor + term);
    UNROLL for (int c = 1; c < CHAINS; c++) sums[0] += sums[c];
    *sink = sums[0][0];
    return 2.0 * VL * CHAINS * (double)rounds;
}
