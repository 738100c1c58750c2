/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image.h"

#include <stdlib.h>

#include "base/checked.h"

enum vultus_status vt_image_create(int width, int height, struct vt_image *out, struct vultus_error *error) {
    if (width <= 0 || height <= 0)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "a picture of %d x %d pixels cannot be made: sides start at 1", width, height);
    size_t stride, bytes;
    if (!vt_mul_size((size_t)width, 3, &stride) || !vt_mul_size(stride, (size_t)height, &bytes))
        return vt_fail(
            error, VULTUS_ERROR_LIMIT, "a picture of %d x %d pixels does not fit the address space", width, height);
    uint8_t *pixels = calloc(bytes, 1);
    if (!pixels) return vt_fail_memory(error, "a picture", bytes);
    *out = (struct vt_image){.pixels = pixels, .width = width, .height = height, .stride = stride};
    return VULTUS_OK;
}

void vt_image_release(struct vt_image *image) {
    free(image->pixels);
    *image = (struct vt_image){0};
}
