/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CPU_CONV_H
#define VT_BACKEND_CPU_CONV_H

#include "backend/cpu/cpu.h"

/*
 * Between the drivers of the own convolutions (conv_*.c, compiled for any CPU) and their kernels (kernels/, compiled
 * once per instruction set and element type). Kernels compute slices: the channels of a block that fill a vector, of
 * float32 a whole block. Strides are in elements of what they are strides of.
 */
#define VT_CONV_MAX_BLOCKS 4  /* output slices of one tile */
#define VT_CONV_MAX_PIXELS 16 /* output pixels of one tile */

/* y = act2(act1(sum) + residual); the bias is where the sum starts. */
struct vt_conv_tail {
    struct vt_tail what;
    const float *slope; /* per output channel, padded to whole blocks; PRELU only */
    bool slow;          /* an activation that needs exp */
};

/* What the tiles of one call have in common. */
struct vt_conv_shape {
    int64_t x_plane;                 /* between input blocks */
    int64_t x_pixel;                 /* between the inputs of neighbouring outputs */
    int64_t x_tap_row, x_tap_column; /* between taps, dilation included */
    int64_t kernel_rows, kernel_columns;
    int64_t channels;    /* input channels that count; others are not read */
    const int32_t *taps; /* plain input: offsets from the first tap, channel by channel */
    int64_t tap_count;
    int64_t w_block; /* between output blocks of the weights */
    int64_t y_plane, residual_plane;
    int64_t y_pixel;   /* between neighbouring outputs, of y and of residual */
    bool y_float32;    /* y is, in blocks as those of a bfloat16 input */
    const float *bias; /* per output channel, padded to whole blocks; NULL: zeros */
    struct vt_conv_tail tail;
};

/*
 * Computes `tiles` tiles side by side in one output row, for a fixed number of output slices from `slice` on. x is at
 * the first tap of the first pixel in input block 0, w at the weights of `slice`, y and residual (may be NULL) at the
 * first pixel of `slice`. Weights: [output block][input block][kernel row][kernel column][input channel][lane], of
 * depthwise kernels, whose x is at `slice` too: [block][kernel row][kernel column][lane]. In tables of
 * bfloat16, weights of blocked inputs go in pairs of channels: [input channel / 2][lane][input channel % 2]; those of
 * depthwise kernels and of plain inputs, and these inputs, are float32. Neighbouring outputs lie side by side, but
 * those of transposed kernels s->y_pixel apart.
 */
typedef void vt_conv_tiles(const struct vt_conv_shape *shape, const void *x, const void *w, void *y,
    const void *residual, int64_t slice, int64_t tiles);

/*
 * Winograd F(4x4, 3x3): a tile of 4x4 outputs comes from 6x6 inputs by way of 36 points. `..._point` is the distance
 * between the points of transformed inputs, weights or sums.
 */
#define VT_WINOGRAD_OUT 4
#define VT_WINOGRAD_IN 6
#define VT_WINOGRAD_POINTS 36

/* Where a tile's outputs go; rows and columns that lie inside the plane. */
struct vt_winograd_tile {
    float *y;
    const float *residual; /* or NULL */
    int64_t y_row, residual_row;
    int64_t block;
    int rows, columns;
};

/*
 * Convolution on tile registers (AMX). A tile is up to 16 pixels of `rows` output rows, `columns` of each, whose inputs
 * lie in one line of the plane; what lies between the rows is computed and dropped.
 */
#define VT_AMX_LANES 16    /* output channels of a slice */
#define VT_AMX_PIXELS 16   /* most of a tile */
#define VT_AMX_MAX_TILES 4 /* sums held at once: tiles x slices */

struct vt_amx_tile {
    const uint16_t *x;        /* the first tap of the first pixel in input block 0 */
    uint8_t *y;               /* the first pixel, at the slice */
    const uint16_t *residual; /* as y, or NULL */
    int64_t rows, columns;
    int pixels; /* from the first of the first row to the last of the last */
};

/* What the tiles of one thread's unit share. */
struct vt_amx {
    int64_t pitch;               /* pixels between rows of a tile */
    int64_t y_row, residual_row; /* bytes and elements between output rows */
    int64_t w_slice;             /* weights between slices */
    uint32_t configured;         /* what the tile registers are set to; 0: nothing */
};

/* Computes some tiles for one or two slices. Weights: [slice][input block][kernel row][kernel column][input channel /
 * 2][lane][input channel % 2]. */
typedef void vt_amx_tiles(const struct vt_conv_shape *shape, struct vt_amx *amx, const struct vt_amx_tile *tiles,
    const void *w, int64_t slice);

struct vt_conv_kernels {
    enum vt_dtype dtype;
    int64_t block, lanes;               /* channels of blocks and of slices */
    int max_pixels[VT_CONV_MAX_BLOCKS]; /* widest tile by slices - 1 */
    int max_depthwise_pixels;
    /* By [stride - 1][slices - 1][pixels - 1]; one-pixel tiles serve any stride. */
    vt_conv_tiles *direct[2][VT_CONV_MAX_BLOCKS][VT_CONV_MAX_PIXELS];
    vt_conv_tiles *plain[2][VT_CONV_MAX_BLOCKS][VT_CONV_MAX_PIXELS];      /* the same for a plain input */
    vt_conv_tiles *transposed[1][VT_CONV_MAX_BLOCKS][VT_CONV_MAX_PIXELS]; /* the same, outputs apart */
    vt_conv_tiles *depthwise[2][VT_CONV_MAX_PIXELS];                      /* any kernel */
    vt_conv_tiles *depthwise3[2][VT_CONV_MAX_PIXELS];                     /* 3x3, not dilated: the same bytes, faster */
    /* Zeros in the last `slices` slices of the block in `pixels` pixels from y on. */
    void (*clear)(void *y, int64_t pixels, int slices);

    /* bfloat16 alone, and not with every instruction set. By [slices - 1][tiles - 1]; a fourth tile must have as many
     * pixels as the first. amx_close ends a unit. */
    vt_amx_tiles *amx[2][VT_AMX_MAX_TILES];
    void (*amx_close)(struct vt_amx *amx);

    /* float32 alone. */
    /* `tiles` neighbours of one input block. */
    void (*winograd_input)(const float *x, int64_t x_row, float *v, int64_t v_point, int64_t tiles);
    /* w: [channel][3][3][lane]; the values of successive channels follow each other in u. */
    void (*winograd_weights)(const float *w, float *u, int64_t u_point, int64_t channels);
    void (*winograd_output)(
        const struct vt_conv_shape *shape, const struct vt_winograd_tile *tile, const float *m, int64_t m_point);
    /* By [blocks - 1][tiles - 1]: sums of products at one point; starts from `residual`, no bias, no tail. */
    vt_conv_tiles *product[VT_CONV_MAX_BLOCKS][VT_CONV_MAX_PIXELS];
};

extern const struct vt_conv_kernels vt_conv_kernels_generic;
extern const struct vt_conv_kernels vt_conv_kernels_avx2;
extern const struct vt_conv_kernels vt_conv_kernels_avx512;
extern const struct vt_conv_kernels vt_conv_kernels_bf16_generic;
extern const struct vt_conv_kernels vt_conv_kernels_bf16_avx2;
extern const struct vt_conv_kernels vt_conv_kernels_bf16_avx512;
extern const struct vt_conv_kernels vt_conv_kernels_bf16_amx;

/* Everything a driver needs of one call. */
struct vt_conv {
    const struct vt_conv_kernels *kernels;
    const struct vt_window *window;
    const struct vt_plan_value *x, *y, *residual; /* residual may be NULL */
    const uint8_t *x_data, *residual_data;
    uint8_t *y_data;
    const void *weights;
    int64_t slices;                 /* with output channels in them */
    int64_t per_block;              /* slices of a block */
    int64_t x_size, w_size, y_size; /* bytes of an element that kernels read, of a weight, of an output */
    int64_t w_lane;                 /* weights between neighbouring lanes */
    int64_t batch;
    int threads;
    struct vt_conv_shape shape; /* all of it but w_block and the strides of a plain input */
};

/* The values of a step's inputs and outputs; NULL for missing ones. */
const struct vt_plan_value *vt_conv_input(const struct vt_plan *plan, const struct vt_plan_step *step, uint32_t i);
const struct vt_plan_value *vt_conv_output(const struct vt_plan *plan, const struct vt_plan_step *step);

/* The float32 kernels of a step whose output has blocks of that many channels, or NULL. */
const struct vt_conv_kernels *vt_conv_kernels_find(int64_t block);

void vt_conv_open(const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vt_conv *conv);

/* What all own convolutions ask for: shapes and layouts that fit each other, and a border wide enough if x is blocked.
 */
bool vt_conv_step_fits(
    const struct vt_plan *plan, const struct vt_plan_step *step, const struct vt_conv_kernels *kernels);
/* The part of it that is about y and residual, and whether a value is of the kernels' planes. */
bool vt_conv_outputs_fit(
    const struct vt_plan *plan, const struct vt_plan_step *step, const struct vt_conv_kernels *kernels);
bool vt_conv_is_blocked(const struct vt_plan_value *value, const struct vt_conv_kernels *kernels);

/* `width` cut into `count` parts, the first `wide_count` of `wide`, the others of wide - 1. */
struct vt_conv_split {
    int64_t count, wide, wide_count;
};
struct vt_conv_split vt_conv_split(int64_t width, int64_t limit);

/* How many of `blocks` output slices a tile should have in rows of `width` pixels, given the widest tiles by slices
 * - 1. */
int vt_conv_choose_blocks(const int *widest, int64_t width, int64_t blocks);

/* An output slice and how many. */
struct vt_conv_slices {
    int64_t first, count;
};

/* Computes row `row` of the slices; x as for tiles, which are a table's by pixels - 1. Slices of the last block that no
 * channel has are cleared with the last of the others. */
void vt_conv_row(const struct vt_conv *conv, vt_conv_tiles *const *tiles, const struct vt_conv_split *split,
    const void *x, int64_t item, const struct vt_conv_slices *slices, int64_t row);

/* Zeros in the channels of the last block that no output has, where they are a slice or more. */
void vt_conv_clear_idle(const struct vt_conv *conv, int64_t item, int64_t row);

/* Units of rows: how many rows each so that all of `rows` x `others` make about the wished number of units. */
int64_t vt_conv_rows_per_unit(int64_t rows, int64_t others, double flops, int threads);

/* The same without clearing: the part of a row that begins at conv->y_data. */
void vt_conv_row_part(const struct vt_conv *conv, vt_conv_tiles *const *tiles, const struct vt_conv_split *split,
    const void *x, int64_t item, const struct vt_conv_slices *slices, int64_t row);

/* How weights [outputs][channels][taps] of blocked convolutions are packed: per output block `per_block` numbers. */
struct vt_conv_packing {
    int64_t taps;
    int64_t group; /* input channels that lie together: a block, of plain inputs 1 */
    int64_t pair;  /* of them that lie together for each lane: 2 of bfloat16, else 1 */
    int64_t lanes, per_block;
};
int64_t vt_conv_packed_index(const struct vt_conv_packing *packing, int64_t output, int64_t channel, int64_t tap);

/* The drivers, one file each. */
bool vt_conv_direct_supports(const struct vt_plan *plan, const struct vt_plan_step *step);
size_t vt_conv_direct_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step);
enum vultus_status vt_conv_direct_pack(const struct vt_plan *plan, const struct vt_plan_step *step,
    const float *weights, void *packed, struct vultus_error *error);
enum vultus_status vt_conv_direct_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error);

bool vt_conv_plain_supports(const struct vt_plan *plan, const struct vt_plan_step *step);
size_t vt_conv_plain_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step);
enum vultus_status vt_conv_plain_pack(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
    void *packed, struct vultus_error *error);
size_t vt_conv_plain_scratch_bytes(
    const struct vt_plan *plan, const struct vt_plan_step *step, int64_t batch, int threads);
enum vultus_status vt_conv_plain_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error);

/* On tile registers. */
bool vt_conv_amx_supports(const struct vt_plan *plan, const struct vt_plan_step *step);
size_t vt_conv_amx_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step);
enum vultus_status vt_conv_amx_pack(const struct vt_plan *plan, const struct vt_plan_step *step, const float *weights,
    void *packed, struct vultus_error *error);
enum vultus_status vt_conv_amx_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error);

/* The same bytes from more pixels at once and fewer outputs, so that fewer weights are read. */
bool vt_conv_amx_tall_supports(const struct vt_plan *plan, const struct vt_plan_step *step);
size_t vt_conv_amx_tall_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step);
enum vultus_status vt_conv_amx_tall_pack(const struct vt_plan *plan, const struct vt_plan_step *step,
    const float *weights, void *packed, struct vultus_error *error);
enum vultus_status vt_conv_amx_tall_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error);

bool vt_conv_depthwise_supports(const struct vt_plan *plan, const struct vt_plan_step *step);
size_t vt_conv_depthwise_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step);
enum vultus_status vt_conv_depthwise_pack(const struct vt_plan *plan, const struct vt_plan_step *step,
    const float *weights, void *packed, struct vultus_error *error);
enum vultus_status vt_conv_depthwise_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error);

/* Winograd with weights transformed when they are packed: 4 times the bytes. */
bool vt_conv_winograd4_supports(const struct vt_plan *plan, const struct vt_plan_step *step);
size_t vt_conv_winograd4_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step);
enum vultus_status vt_conv_winograd4_pack(const struct vt_plan *plan, const struct vt_plan_step *step,
    const float *weights, void *packed, struct vultus_error *error);
size_t vt_conv_winograd4_scratch_bytes(
    const struct vt_plan *plan, const struct vt_plan_step *step, int64_t batch, int threads);
enum vultus_status vt_conv_winograd4_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error);

/* The same bytes with weights transformed in every run, for layers whose weights come from memory each time. */
bool vt_conv_winograd4_compact_supports(const struct vt_plan *plan, const struct vt_plan_step *step);
size_t vt_conv_winograd4_compact_packed_bytes(const struct vt_plan *plan, const struct vt_plan_step *step);
enum vultus_status vt_conv_winograd4_compact_pack(const struct vt_plan *plan, const struct vt_plan_step *step,
    const float *weights, void *packed, struct vultus_error *error);
size_t vt_conv_winograd4_compact_scratch_bytes(
    const struct vt_plan *plan, const struct vt_plan_step *step, int64_t batch, int threads);
enum vultus_status vt_conv_winograd4_compact_run(
    const struct vt_conv_kernels *kernels, const struct vt_cpu_call *call, struct vultus_error *error);

#endif
