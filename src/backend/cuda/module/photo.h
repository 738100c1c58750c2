/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_MODULE_PHOTO_H
#define VT_BACKEND_CUDA_MODULE_PHOTO_H

#include "backend/photo.h"

extern const struct vt_photo_backend vt_cuda_photos;

#endif
