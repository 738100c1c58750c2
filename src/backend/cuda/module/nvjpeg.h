/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_MODULE_NVJPEG_H
#define VT_BACKEND_CUDA_MODULE_NVJPEG_H

#include "backend/cuda/module/device.h"

/*
 * NVIDIA's JPEG decoder, loaded at run time: the device's own engine where it has one and takes the picture, else the
 * library's kernels.
 */

/* Whether there is one that can be used; else why not. The first call loads it. Thread-safe. */
bool vt_cuda_jpeg_usable(char *reason, size_t size);

/* Memory of one decoder, made on first need and kept. One thread and one stream at a time. */
struct vt_cuda_jpeg;
enum vultus_status vt_cuda_jpeg_create(struct vt_cuda_jpeg **out, struct vultus_error *error);
void vt_cuda_jpeg_destroy(struct vt_cuda_jpeg *jpeg); /* NULL is fine; its stream's work must have ended */

/*
 * Queues decoding to rows of BGR without gaps, in device memory. UNSUPPORTED with the reason when it does not take the
 * picture or reads another size in it; nothing was written then.
 */
enum vultus_status vt_cuda_jpeg_decode(struct vt_cuda_jpeg *jpeg, const uint8_t *bytes, size_t size, uint8_t *bgr,
    int width, int height, struct vt_cuda_stream *stream, struct vultus_error *error);

#endif
