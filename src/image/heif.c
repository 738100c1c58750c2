/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <libheif/heif.h>

#include "image/codec_internal.h"

static enum vultus_status fail_heif(
    const struct vt_encoded *encoded, struct heif_error code, struct vultus_error *error) {
    bool unsupported = code.code == heif_error_Unsupported_feature || code.code == heif_error_Unsupported_filetype;
    return vt_fail(error, unsupported ? VULTUS_ERROR_UNSUPPORTED : VULTUS_ERROR_FORMAT,
        "%s is HEIC or AVIF that cannot be decoded: %s", encoded->name, code.message ? code.message : "damaged data");
}

static enum vultus_status copy_pixels(const struct vt_encoded *encoded, const struct heif_image *decoded,
    struct vt_image *out, struct vultus_error *error) {
    int width = heif_image_get_width(decoded, heif_channel_interleaved);
    int height = heif_image_get_height(decoded, heif_channel_interleaved);
    int stride = 0;
    const uint8_t *pixels = heif_image_get_plane_readonly(decoded, heif_channel_interleaved, &stride);
    if (!pixels || width <= 0 || height <= 0 || stride < 3 * width)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "%s is HEIC or AVIF without pixels in it", encoded->name);
    enum vultus_status status = vt_check_dimensions(encoded, (uint64_t)width, (uint64_t)height, error);
    if (!status) status = vt_image_create(width, height, out, error);
    for (int y = 0; !status && y < height; y++) {
        uint8_t *row = out->pixels + (size_t)y * out->stride;
        memcpy(row, pixels + (size_t)y * (size_t)stride, 3 * (size_t)width);
        vt_swap_red_and_blue(row, (size_t)width);
    }
    return status;
}

/* The container's own rotation and mirroring are applied by libheif; EXIF only repeats them. */
static enum vultus_status decode_handle(const struct vt_encoded *encoded, const struct heif_image_handle *handle,
    struct vt_decoded *out, struct vultus_error *error) {
    int width = heif_image_handle_get_width(handle), height = heif_image_handle_get_height(handle);
    enum vultus_status status =
        vt_check_dimensions(encoded, width > 0 ? (uint64_t)width : 0, height > 0 ? (uint64_t)height : 0, error);
    if (status) return status;
    struct heif_decoding_options *options = heif_decoding_options_alloc();
    if (!options) return vt_fail_memory(error, "options of libheif", sizeof *options);
    options->convert_hdr_to_8bit = 1;
    struct heif_image *decoded = NULL;
    struct heif_error code =
        heif_decode_image(handle, &decoded, heif_colorspace_RGB, heif_chroma_interleaved_RGB, options);
    heif_decoding_options_free(options);
    status = code.code != heif_error_Ok ? fail_heif(encoded, code, error)
                                        : copy_pixels(encoded, decoded, &out->image, error);
    heif_image_release(decoded);
    return status;
}

static enum vultus_status decode_heif(
    const struct vt_encoded *encoded, struct vt_decoded *out, struct vultus_error *error) {
    struct heif_context *context = heif_context_alloc();
    if (!context) return vt_fail(error, VULTUS_ERROR_MEMORY, "%s: libheif is out of memory", encoded->name);
    heif_context_set_maximum_image_size_limit(context, encoded->limits.dimension);
    heif_context_set_max_decoding_threads(context, 0);
    struct heif_image_handle *handle = NULL;
    struct heif_error code = heif_context_read_from_memory_without_copy(context, encoded->bytes, encoded->size, NULL);
    if (code.code == heif_error_Ok) code = heif_context_get_primary_image_handle(context, &handle);
    enum vultus_status status =
        code.code == heif_error_Ok ? decode_handle(encoded, handle, out, error) : fail_heif(encoded, code, error);
    heif_image_handle_release(handle);
    heif_context_free(context);
    return status;
}

static void heif_library(char *text, size_t size) { snprintf(text, size, "libheif %s", heif_get_version()); }

const struct vt_codec vt_codec_heif = {decode_heif, heif_library};
