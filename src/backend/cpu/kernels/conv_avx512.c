/* SPDX-License-Identifier: Apache-2.0 */
#define KERNELS vt_conv_kernels_avx512
#include "backend/cpu/kernels/conv_kernels.inc"
