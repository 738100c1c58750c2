/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_SAMPLES_H
#define VT_TOOLS_SAMPLES_H

#include <math.h>
#include <stdlib.h>

static inline int vt_compare_samples(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline void vt_sort_samples(double *samples, int count) {
    qsort(samples, (size_t)count, sizeof *samples, vt_compare_samples);
}

/* Nearest rank, of sorted samples. */
static inline double vt_percentile(const double *sorted, int count, double percent) {
    int rank = (int)ceil(percent / 100 * count);
    return sorted[rank > 0 ? rank - 1 : 0];
}

#endif
