/* SPDX-License-Identifier: Apache-2.0 */
#include <spng.h>
#include <stdio.h>

#include "image/codec_internal.h"

/* Colour profiles and texts come compressed: what they may unpack to is bounded. */
enum { CHUNK_LIMIT = 8 << 20, CHUNK_CACHE_LIMIT = 16 << 20 };

static enum vultus_status fail_png(const struct vt_encoded *encoded, int code, struct vultus_error *error) {
    if (code == SPNG_EMEM) return vt_fail(error, VULTUS_ERROR_MEMORY, "%s: libspng is out of memory", encoded->name);
    return vt_fail(
        error, VULTUS_ERROR_FORMAT, "%s is PNG that cannot be decoded: %s", encoded->name, spng_strerror(code));
}

/* eXIf may follow the pixels. Whatever is wrong with it, the picture stands. */
static int find_orientation(spng_ctx *png) {
    struct spng_exif exif;
    if (spng_decode_chunks(png) || spng_get_exif(png, &exif)) return 1;
    return vt_exif_orientation((const uint8_t *)exif.data, exif.length);
}

static enum vultus_status decode(
    spng_ctx *png, const struct vt_encoded *encoded, struct vt_image *out, struct vultus_error *error) {
    struct spng_ihdr header;
    int code = spng_set_png_buffer(png, encoded->bytes, encoded->size);
    if (!code) code = spng_set_chunk_limits(png, CHUNK_LIMIT, CHUNK_CACHE_LIMIT);
    if (!code) code = spng_set_crc_action(png, SPNG_CRC_ERROR, SPNG_CRC_DISCARD);
    if (!code) code = spng_get_ihdr(png, &header);
    if (code) return fail_png(encoded, code, error);
    enum vultus_status status = vt_check_dimensions(encoded, header.width, header.height, error);
    if (!status) status = vt_image_create((int)header.width, (int)header.height, out, error);
    if (status) return status;
    /* This format drops alpha and keeps the high byte of 16-bit samples. */
    code = spng_decode_image(png, out->pixels, out->stride * (size_t)out->height, SPNG_FMT_RGB8, 0);
    return code ? fail_png(encoded, code, error) : VULTUS_OK;
}

static enum vultus_status decode_png(
    const struct vt_encoded *encoded, struct vt_decoded *out, struct vultus_error *error) {
    spng_ctx *png = spng_ctx_new(0);
    if (!png) return vt_fail(error, VULTUS_ERROR_MEMORY, "%s: libspng is out of memory", encoded->name);
    enum vultus_status status = decode(png, encoded, &out->image, error);
    if (!status) {
        out->orientation = find_orientation(png);
        vt_swap_red_and_blue(out->image.pixels, (size_t)out->image.width * (size_t)out->image.height);
    }
    spng_ctx_free(png);
    return status;
}

static void png_library(char *text, size_t size) { snprintf(text, size, "libspng %s", spng_version_string()); }

const struct vt_codec vt_codec_png = {decode_png, png_library};
