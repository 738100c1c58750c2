/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TENSOR_TENSOR_H
#define VT_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

#define VT_MAX_RANK 8

/* X(enumerator, name, bytes). The order is written into plan files: append only. */
/* clang-format off */
#define VT_DTYPES(X) \
    X(NONE, "none", 0) X(F32, "float32", 4) X(F64, "float64", 8) \
    X(F16, "float16", 2) X(BF16, "bfloat16", 2) X(I64, "int64", 8) \
    X(I32, "int32", 4) X(I16, "int16", 2) X(I8, "int8", 1) \
    X(U64, "uint64", 8) X(U32, "uint32", 4) X(U16, "uint16", 2) \
    X(U8, "uint8", 1) X(BOOL, "bool", 1)
/* clang-format on */

enum vt_dtype {
#define X(e, name, bytes) VT_DTYPE_##e,
    VT_DTYPES(X)
#undef X
        VT_DTYPE_COUNT
};

size_t vt_dtype_size(enum vt_dtype dtype);
const char *vt_dtype_name(enum vt_dtype dtype);
enum vt_dtype vt_dtype_from_name(const char *name); /* VT_DTYPE_NONE when unknown */
bool vt_dtype_is_float(enum vt_dtype dtype);

/*
 * A dense row-major tensor, or a view of one: whoever made `data` owns it. Rank 0 is a scalar; a dimension may be 0.
 */
struct vt_tensor {
    enum vt_dtype dtype;
    int rank;
    int64_t dims[VT_MAX_RANK];
    void *data;
};

/* Elements and bytes; the dims were validated before (every constructor below does). */
int64_t vt_tensor_count(const struct vt_tensor *tensor);
size_t vt_tensor_bytes(const struct vt_tensor *tensor);

/* Whether the dims are non-negative and their product in bytes fits size_t; the count goes to *count (may be NULL). */
bool vt_dims_valid(int rank, const int64_t *dims, enum vt_dtype dtype, int64_t *count);

/* Sets dtype and dims and takes zeroed, 64-byte aligned data from the arena. */
enum vultus_status vt_tensor_alloc(struct vt_arena *arena, enum vt_dtype dtype, int rank, const int64_t *dims,
    struct vt_tensor *out, struct vultus_error *error);

bool vt_tensor_same_shape(const struct vt_tensor *a, const struct vt_tensor *b);

/* "float32[1,3,112,112]" into `text` (at most `size` bytes with the NUL); returns `text`. */
char *vt_tensor_describe(const struct vt_tensor *tensor, char *text, size_t size);

/* IEEE 754 half and bfloat16 to and from single precision, rounding to nearest even. */
float vt_f16_to_f32(uint16_t half);
uint16_t vt_f32_to_f16(float value);
float vt_bf16_to_f32(uint16_t bits);
uint16_t vt_f32_to_bf16(float value);

/* Element `i` converted to double / int64 (integers exactly in the latter). */
double vt_tensor_get(const struct vt_tensor *tensor, int64_t i);
int64_t vt_tensor_get_int(const struct vt_tensor *tensor, int64_t i);
/*
 * Element `i` converted from double / int64. Doubles are truncated towards 0 and saturate in integer types, NaN becomes
 * 0 there; integers that do not fit keep their low bits.
 */
void vt_tensor_set(const struct vt_tensor *tensor, int64_t i, double value);
void vt_tensor_set_int(const struct vt_tensor *tensor, int64_t i, int64_t value);

#endif
