/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled once per instruction set and element type, with VT_CONV_KERNELS as the table's name.
 */
#include "backend/cpu/conv.h"
#include "backend/cpu/kernels/activate.h"
#include "backend/cpu/kernels/element.h"
#include "backend/cpu/kernels/simd.h"

#include "backend/cpu/kernels/conv_tail.inc"

#include "backend/cpu/kernels/conv_depthwise.inc"
#include "backend/cpu/kernels/conv_direct.inc"

#if !defined(VT_ELEMENT_BF16)
#include "backend/cpu/kernels/conv_winograd.inc"
#elif defined(__AMX_BF16__) || defined(VT_AMX_EMULATED)
#define HAS_AMX
#include "backend/cpu/kernels/conv_amx.inc"
#endif

/* The last `slices` slices of a row of pixels, which no channel has. */
static void clear(void *y, int64_t pixels, int slices) {
    element *at = (element *)y + (SLICES - slices) * VL;
    for (; pixels > 0; pixels--, at += PIXEL)
        for (int i = 0; i < slices; i++) put(at + i * VL, splat(0));
}

const struct vt_conv_kernels VT_CONV_KERNELS = {
    .dtype = ELEMENT_DTYPE,
    .block = PIXEL,
    .lanes = VL,
    .max_pixels = {MAX_PIXELS_1, MAX_PIXELS_2, MAX_PIXELS_3, MAX_PIXELS_4},
    .max_depthwise_pixels = MAX_DEPTHWISE_PIXELS,
    .direct = {FOR_BLOCKS_AND_TILES(DIRECT_ENTRY, direct, 1) FOR_BLOCKS_AND_TILES(DIRECT_ENTRY, direct, 2)},
    .transposed = {FOR_BLOCKS_AND_TILES(DIRECT_ENTRY, transposed, 1)},
    .plain = {FOR_BLOCKS_AND_TILES(DIRECT_ENTRY, plain, 1) FOR_BLOCKS_AND_TILES(DIRECT_ENTRY, plain, 2)},
    .depthwise = {FOR_DEPTHWISE(DEPTHWISE_ENTRY, depthwise, 1) FOR_DEPTHWISE(DEPTHWISE_ENTRY, depthwise, 2)},
    .depthwise3 = {FOR_DEPTHWISE(DEPTHWISE_ENTRY, depthwise3, 1) FOR_DEPTHWISE(DEPTHWISE_ENTRY, depthwise3, 2)},
    .clear = clear,
#if defined(HAS_AMX)
    .amx = {{amx_1_1, amx_1_2, amx_1_3, amx_1_4}, {amx_2_1, amx_2_2}},
    .amx_close = amx_close,
#endif
#if !defined(VT_ELEMENT_BF16)
    .winograd_input = winograd_input,
    .winograd_weights = winograd_weights,
    .winograd_output = winograd_output,
    .product = {FOR_PRODUCTS(PRODUCT_ENTRY)},
#endif
};
