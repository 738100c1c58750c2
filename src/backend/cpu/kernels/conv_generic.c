/* SPDX-License-Identifier: Apache-2.0 */
#define KERNELS vt_conv_kernels_generic
#include "backend/cpu/kernels/conv_kernels.inc"
