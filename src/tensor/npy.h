/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TENSOR_NPY_H
#define VT_TENSOR_NPY_H

#include "tensor/tensor.h"

/*
 * NumPy's .npy format, versions 1 to 3 (numpy.org, NEP 1). Little-endian C order; Fortran order and object arrays are
 * refused. The bytes are treated as hostile. Data comes from the arena.
 */
enum vultus_status vt_npy_read(
    const char *path, struct vt_arena *arena, struct vt_tensor *out, struct vultus_error *error);
enum vultus_status vt_npy_parse(const uint8_t *bytes, size_t size, const char *name, struct vt_arena *arena,
    struct vt_tensor *out, struct vultus_error *error);

/* Version 1.0, written atomically. bfloat16 has no npy type and is refused. */
enum vultus_status vt_npy_write(const char *path, const struct vt_tensor *tensor, struct vultus_error *error);

#endif
