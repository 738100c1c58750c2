/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CPU_PEAK_KERNELS_H
#define VT_BACKEND_CPU_PEAK_KERNELS_H

#include <stdint.h>

/*
 * Multiplies and adds in registers, in chains enough that none waits for itself; returns the operations done, two for
 * each product. *sink gets something that depends on all of them.
 */
typedef double vt_peak_kernel(int64_t rounds, float *sink);

extern vt_peak_kernel vt_peak_kernel_generic, vt_peak_kernel_avx2, vt_peak_kernel_avx512;

#endif
