/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CPU_KERNELS_AMX_H
#define VT_BACKEND_CPU_KERNELS_AMX_H

#include <stdint.h>
#include <string.h>

/*
 * Tile registers of 16 rows of 64 bytes (Intel SDM volume 1, chapter 18). With VT_AMX_EMULATED they are memory, and
 * sums are made in the order that the SDM gives for TDPBF16PS, so that machines without them can test the kernels.
 */
#define AMX_ROWS 16
#define AMX_ROW_BYTES 64

struct amx_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

#if defined(VT_AMX_EMULATED)
static _Thread_local struct {
    uint8_t rows[8];
    uint8_t bytes[8][AMX_ROWS][AMX_ROW_BYTES];
} amx_registers;

static inline void amx_configure(const struct amx_config *config) {
    memset(&amx_registers, 0, sizeof amx_registers);
    memcpy(amx_registers.rows, config->rows, sizeof amx_registers.rows);
}
static inline void amx_release(void) { memset(&amx_registers, 0, sizeof amx_registers); }
static inline void amx_load(int tile, const void *from, int64_t stride) {
    for (int r = 0; r < amx_registers.rows[tile]; r++)
        memcpy(amx_registers.bytes[tile][r], (const uint8_t *)from + r * stride, AMX_ROW_BYTES);
}
static inline void amx_store(int tile, void *to, int64_t stride) {
    for (int r = 0; r < amx_registers.rows[tile]; r++)
        memcpy((uint8_t *)to + r * stride, amx_registers.bytes[tile][r], AMX_ROW_BYTES);
}
static inline void amx_zero(int tile) { memset(amx_registers.bytes[tile], 0, sizeof amx_registers.bytes[tile]); }

#define AMX_PAIRS (AMX_ROW_BYTES / 4)
/* A row of pairs of bfloat16 as float32. */
static inline void amx_pairs(const uint8_t *row, float even[AMX_PAIRS], float odd[AMX_PAIRS]) {
    uint32_t low[AMX_PAIRS], high[AMX_PAIRS];
    memcpy(high, row, sizeof high);
    for (int i = 0; i < AMX_PAIRS; i++) {
        low[i] = high[i] << 16;
        high[i] &= 0xffff0000u;
    }
    memcpy(even, low, sizeof low);
    memcpy(odd, high, sizeof high);
}
/* The instruction rounds once for each product and sum. Products of bfloat16 are exact in float32, so that holds here.
 */
static inline void amx_add_products(int sum, int a, int b) {
    float b_even[AMX_ROWS][AMX_PAIRS], b_odd[AMX_ROWS][AMX_PAIRS];
    for (int k = 0; k < AMX_ROWS; k++) amx_pairs(amx_registers.bytes[b][k], b_even[k], b_odd[k]);
    for (int r = 0; r < amx_registers.rows[sum]; r++) {
        float a_even[AMX_PAIRS], a_odd[AMX_PAIRS], even[AMX_PAIRS] = {0}, odd[AMX_PAIRS] = {0}, total[AMX_PAIRS];
        amx_pairs(amx_registers.bytes[a][r], a_even, a_odd);
        for (int k = 0; k < AMX_ROWS; k++)
            for (int n = 0; n < AMX_PAIRS; n++) {
                even[n] += a_even[k] * b_even[k][n];
                odd[n] += a_odd[k] * b_odd[k][n];
            }
        memcpy(total, amx_registers.bytes[sum][r], sizeof total);
        for (int n = 0; n < AMX_PAIRS; n++) total[n] += even[n] + odd[n];
        memcpy(amx_registers.bytes[sum][r], total, sizeof total);
    }
}
#else
#include <immintrin.h>
/* Compilers do not know what memory these instructions read and write. */
#define AMX_FENCE() __asm__ volatile("" : : : "memory")
#define amx_configure(config)                                                                                          \
    do {                                                                                                               \
        AMX_FENCE();                                                                                                   \
        _tile_loadconfig(config);                                                                                      \
    } while (0)
#define amx_release() _tile_release()
#define amx_load(tile, from, stride) _tile_loadd(tile, from, stride)
#define amx_store(tile, to, stride)                                                                                    \
    do {                                                                                                               \
        _tile_stored(tile, to, stride);                                                                                \
        AMX_FENCE();                                                                                                   \
    } while (0)
#define amx_zero(tile) _tile_zero(tile)
#define amx_add_products(sum, a, b) _tile_dpbf16ps(sum, a, b)
#endif

#endif
