/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "api/api_internal.h"
#include "image/ops.h"

enum vultus_status vultus_picture_decode(struct vultus_runtime *runtime, const void *bytes, size_t size,
    const char *name, struct vultus_picture *out, struct vultus_error *error) {
    if (!runtime || (!bytes && size) || !out)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "vultus_picture_decode needs a runtime, bytes and a place for the picture");
    struct vt_image image = {0};
    bool entered = vt_pool_enter(runtime->pool);
    enum vultus_status status = vt_image_decode(bytes, size, name ? name : "picture", &runtime->limits, &image, error);
    vt_pool_leave(runtime->pool, entered);
    if (!status) *out = vt_api_picture(&image);
    return status;
}

enum vultus_status vultus_picture_read(
    struct vultus_runtime *runtime, const char *path, struct vultus_picture *out, struct vultus_error *error) {
    if (!runtime || !path || !out)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "vultus_picture_read needs a runtime, a path and a place for the picture");
    struct vt_image image = {0};
    enum vultus_status status = vt_image_read(path, &runtime->limits, &image, error);
    if (!status) *out = vt_api_picture(&image);
    return status;
}

enum vultus_status vultus_picture_create(
    int width, int height, struct vultus_picture *out, struct vultus_error *error) {
    struct vt_image image = {0};
    enum vultus_status status = vt_image_create(width, height, &image, error);
    if (!status) *out = vt_api_picture(&image);
    return status;
}

void vultus_picture_release(struct vultus_picture *picture) {
    struct vt_image image = vt_api_image(picture);
    vt_image_release(&image);
    *picture = (struct vultus_picture){0};
}

enum vultus_status vultus_picture_write_jpeg(
    const struct vultus_picture *picture, int quality, const char *path, struct vultus_error *error) {
    if (!picture || !picture->pixels || !path)
        return vt_fail(error, VULTUS_ERROR_INVALID, "vultus_picture_write_jpeg needs a picture and a path");
    struct vt_image image = vt_api_image(picture);
    uint8_t *bytes = NULL;
    size_t size = 0;
    enum vultus_status status = vt_image_encode_jpeg(&image, quality, &bytes, &size, error);
    if (!status) status = vt_write_file_atomically(path, bytes, size, error);
    free(bytes);
    return status;
}

enum vultus_status vultus_picture_encode_jpeg(
    const struct vultus_picture *picture, int quality, uint8_t **bytes, size_t *size, struct vultus_error *error) {
    if (!picture || !picture->pixels || !bytes || !size)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "vultus_picture_encode_jpeg needs a picture and a place for the bytes");
    struct vt_image image = vt_api_image(picture);
    return vt_image_encode_jpeg(&image, quality, bytes, size, error);
}

void vultus_picture_paste(const struct vultus_picture *source, struct vultus_picture *target, int x, int y) {
    struct vt_image from = vt_api_image(source), to = vt_api_image(target);
    vt_copy_image(&from, &to, x, y);
}
