/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CPU_KERNELS_ACTIVATE_H
#define VT_BACKEND_CPU_KERNELS_ACTIVATE_H

#include "backend/cpu/kernels/simd.h"
#include "ops/ops.h"

ALWAYS_INLINE vf activate(enum vt_activation activation, vf x, float alpha, float beta, vf slope) {
    switch (activation) {
    case VT_ACT_RELU: return vmax(x, splat(0));
    case VT_ACT_LEAKY_RELU: return vmax(x, splat(0)) + splat(alpha) * vmin(x, splat(0));
    case VT_ACT_PRELU: return vmax(x, splat(0)) + slope * vmin(x, splat(0));
    case VT_ACT_CLIP: return vmin(vmax(x, splat(alpha)), splat(beta));
    case VT_ACT_SIGMOID: return vsigmoid(x);
    case VT_ACT_TANH: return splat(2) * vsigmoid(x + x) - splat(1);
    case VT_ACT_NONE:
    case VT_ACT_COUNT: break;
    }
    return x;
}

#endif
