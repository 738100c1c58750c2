/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TENSOR_NPZ_H
#define VT_TENSOR_NPZ_H

#include "tensor/tensor.h"

/*
 * Reads one array of NumPy's .npz format, a zip archive whose member NAME.npy is that array, stored or deflated. *found
 * is false, and `out` untouched, when it has none of that name. The bytes are treated as hostile: arrays of more than
 * 4 GiB, encrypted members, and sizes that deflate cannot reach are refused. Data comes from the arena. UNSUPPORTED in
 * builds without minizip.
 */
enum vultus_status vt_npz_read(const char *path, const char *name, struct vt_arena *arena, struct vt_tensor *out,
    bool *found, struct vultus_error *error);

#endif
