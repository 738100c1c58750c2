/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CPU_KERNELS_ACTIVATE_H
#define VT_BACKEND_CPU_KERNELS_ACTIVATE_H

#include "backend/cpu/kernels/simd.h"
#include "ops/ops.h"

/*
 * How far a result is from the exact one, in float32: nothing for RELU, CLIP and NONE; two roundings for LEAKY_RELU,
 * PRELU and HARD_SIGMOID; 4 units in the last place for SIGMOID and ELU, of 1 for TANH; 2^-23 * |x| for HARD_SWISH.
 */
ALWAYS_INLINE vf activate(enum vt_activation activation, vf x, float alpha, float beta, vf slope) {
    switch (activation) {
    case VT_ACT_RELU: return vmax(x, splat(0));
    case VT_ACT_LEAKY_RELU: return vmax(x, splat(0)) + splat(alpha) * vmin(x, splat(0));
    case VT_ACT_PRELU: return vmax(x, splat(0)) + slope * vmin(x, splat(0));
    case VT_ACT_CLIP: return vmin(vmax(x, splat(alpha)), splat(beta));
    case VT_ACT_SIGMOID: return vsigmoid(x);
    case VT_ACT_TANH: return splat(2) * vsigmoid(x + x) - splat(1);
    case VT_ACT_ELU: return vmax(x, splat(0)) + splat(alpha) * vexpm1(vmin(x, splat(0)));
    case VT_ACT_HARD_SIGMOID: return vmin(vmax(x * splat(alpha) + splat(beta), splat(0)), splat(1));
    case VT_ACT_HARD_SWISH: return x * vmin(vmax(x * splat(1.0f / 6) + splat(0.5f), splat(0)), splat(1));
    case VT_ACT_NONE:
    case VT_ACT_COUNT: break;
    }
    return x;
}

#endif
