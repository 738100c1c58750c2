/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "config.h"
#include "image/codec_internal.h"

static const struct vt_image_limits default_limits = {
    .bytes = (size_t)64 << 20, .pixels = 100 * 1000 * 1000, .dimension = 32768};

enum format {
    FORMAT_JPEG,
    FORMAT_PNG,
    FORMAT_WEBP,
    FORMAT_GIF,
    FORMAT_BMP,
    FORMAT_TIFF,
    FORMAT_HEIF,
    FORMATS,
    FORMAT_OTHER
};

/* What this build reads. A codec that it leaves out is NULL here, and nothing refers to its library. */
static const struct {
    const struct vt_codec *codec;
    const char *option; /* of meson, that leaves it out */
} formats[FORMATS] = {
    [FORMAT_JPEG] = {VT_HAVE_JPEG ? &vt_codec_jpeg : NULL, "jpeg"},
    [FORMAT_PNG] = {VT_HAVE_PNG ? &vt_codec_png : NULL, "png"},
    [FORMAT_WEBP] = {VT_HAVE_WEBP ? &vt_codec_webp : NULL, "webp"},
    [FORMAT_GIF] = {VT_HAVE_GIF ? &vt_codec_gif : NULL, "gif"},
    [FORMAT_BMP] = {&vt_codec_bmp, ""},
    [FORMAT_TIFF] = {VT_HAVE_TIFF ? &vt_codec_tiff : NULL, "tiff"},
    [FORMAT_HEIF] = {VT_HAVE_HEIF ? &vt_codec_heif : NULL, "heif"},
};

/* Formats by the bytes they start with. */
static const struct signature {
    enum format format;
    const char *name;
    size_t offset;
    const char *bytes;
    size_t length;
} signatures[] = {
    {FORMAT_JPEG, "JPEG", 0, "\xff\xd8\xff", 3},
    {FORMAT_PNG, "PNG", 0, "\x89PNG\r\n\x1a\n", 8},
    {FORMAT_WEBP, "WebP", 8, "WEBP", 4},
    {FORMAT_GIF, "GIF", 0, "GIF8", 4},
    {FORMAT_TIFF, "TIFF", 0, "II*\0", 4},
    {FORMAT_TIFF, "TIFF", 0, "MM\0*", 4},
    {FORMAT_TIFF, "BigTIFF", 0, "II+\0", 4},
    {FORMAT_TIFF, "BigTIFF", 0, "MM\0+", 4},
    {FORMAT_HEIF, "AVIF", 4, "ftypavif", 8},
    {FORMAT_HEIF, "AVIF", 4, "ftypavis", 8},
    {FORMAT_HEIF, "HEIC", 4, "ftyphei", 7},
    {FORMAT_HEIF, "HEIC", 4, "ftyphev", 7},
    {FORMAT_HEIF, "HEIC", 4, "ftypmif1", 8},
    {FORMAT_HEIF, "HEIC", 4, "ftypmsf1", 8},
    {FORMAT_OTHER, "JPEG 2000", 4, "jP  \r\n\x87\n", 8},
    {FORMAT_OTHER, "JPEG XL", 0, "\xff\x0a", 2},
    {FORMAT_OTHER, "JPEG XL", 4, "JXL \r\n\x87\n", 8},
    {FORMAT_OTHER, "PDF", 0, "%PDF", 4},
    {FORMAT_BMP, "BMP", 0, "BM", 2},
};

static const struct signature *find_signature(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        const struct signature *s = &signatures[i];
        if (size >= s->offset + s->length && memcmp(bytes + s->offset, s->bytes, s->length) == 0) return s;
    }
    return NULL;
}

static enum vultus_status fail_unknown(const struct vt_encoded *encoded, struct vultus_error *error) {
    if (encoded->size == 0) return vt_fail(error, VULTUS_ERROR_FORMAT, "%s is empty", encoded->name);
    char start[3 * 8 + 1] = "";
    for (size_t i = 0; i < encoded->size && i < 8; i++)
        snprintf(start + 3 * i, sizeof start - 3 * i, " %02x", encoded->bytes[i]);
    return vt_fail(
        error, VULTUS_ERROR_FORMAT, "%s starts with%s, which is no picture format known here", encoded->name, start);
}

static enum vultus_status dispatch(
    const struct vt_encoded *encoded, struct vt_decoded *out, struct vultus_error *error) {
    const struct signature *signature = find_signature(encoded->bytes, encoded->size);
    if (!signature) return fail_unknown(encoded, error);
    if (signature->format == FORMAT_OTHER)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "%s looks like %s, which is not read here; JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC and AVIF are",
            encoded->name, signature->name);
    const struct vt_codec *codec = formats[signature->format].codec;
    if (!codec)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "%s is %s, which this build leaves out (option %s)",
            encoded->name, signature->name, formats[signature->format].option);
    return codec->decode(encoded, out, error);
}

enum vultus_status vt_check_dimensions(
    const struct vt_encoded *encoded, uint64_t width, uint64_t height, struct vultus_error *error) {
    const struct vt_image_limits *limits = &encoded->limits;
    if (width == 0 || height == 0)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "%s says that it is %llu x %llu pixels large", encoded->name,
            (unsigned long long)width, (unsigned long long)height);
    uint64_t dimension = (uint64_t)limits->dimension;
    if (width > dimension || height > dimension)
        return vt_fail(error, VULTUS_ERROR_LIMIT, "%s is %llu x %llu pixels large, over the limit of %d a side",
            encoded->name, (unsigned long long)width, (unsigned long long)height, limits->dimension);
    if (width * height > (uint64_t)limits->pixels)
        return vt_fail(error, VULTUS_ERROR_LIMIT, "%s is %llu x %llu pixels large, over the limit of %lld in all",
            encoded->name, (unsigned long long)width, (unsigned long long)height, (long long)limits->pixels);
    return VULTUS_OK;
}

void vt_swap_red_and_blue(uint8_t *pixels, size_t count) {
    for (uint8_t *p = pixels, *end = pixels + 3 * count; p < end; p += 3) {
        uint8_t first = p[0];
        p[0] = p[2];
        p[2] = first;
    }
}

static struct vt_image_limits effective_limits(const struct vt_image_limits *limits) {
    struct vt_image_limits result = default_limits;
    if (limits && limits->bytes) result.bytes = limits->bytes;
    if (limits && limits->pixels > 0) result.pixels = limits->pixels;
    if (limits && limits->dimension > 0) result.dimension = limits->dimension;
    return result;
}

bool vt_image_is_simple_jpeg(
    const uint8_t *bytes, size_t size, const struct vt_image_limits *limits, int *width, int *height) {
    const struct vt_encoded encoded = {bytes, size, "the picture", effective_limits(limits), 0, 0};
    const struct signature *signature = find_signature(bytes, size);
    if (size > encoded.limits.bytes || !signature || signature->format == FORMAT_OTHER) return false;
    const struct vt_codec *codec = formats[signature->format].codec;
    return codec && codec->is_simple && codec->is_simple(&encoded, width, height);
}

/* Tells size and place of the whole picture, upright. Mirroring puts the last, incomplete block first. */
static void describe_scale(const struct vt_decoded *decoded, struct vt_image_scale *scale) {
    bool mirrored, flipped;
    vt_orientation_mirrors(decoded->orientation, &mirrored, &flipped);
    bool swaps = vt_orientation_swaps(decoded->orientation);
    int width = decoded->width ? decoded->width : decoded->image.width;
    int height = decoded->height ? decoded->height : decoded->image.height;
    scale->reduction = decoded->reduction;
    scale->width = swaps ? height : width;
    scale->height = swaps ? width : height;
    int upright_width = swaps ? decoded->image.height : decoded->image.width;
    int upright_height = swaps ? decoded->image.width : decoded->image.height;
    scale->left = mirrored ? scale->width - decoded->reduction * upright_width : 0;
    scale->top = flipped ? scale->height - decoded->reduction * upright_height : 0;
}

enum vultus_status vt_image_decode_scaled(const uint8_t *bytes, size_t size, const char *name,
    const struct vt_image_limits *limits, struct vt_image_scale *scale, struct vt_image *out,
    struct vultus_error *error) {
    struct vt_encoded encoded = {
        bytes, size, name ? name : "the picture", effective_limits(limits), scale->enough_width, scale->enough_height};
    if (size > encoded.limits.bytes)
        return vt_fail(error, VULTUS_ERROR_LIMIT, "%s has %zu bytes, over the limit of %zu", encoded.name, size,
            encoded.limits.bytes);
    struct vt_decoded decoded = {.orientation = 1, .reduction = 1};
    enum vultus_status status = dispatch(&encoded, &decoded, error);
    if (!status) describe_scale(&decoded, scale);
    if (!status) status = vt_image_orient(&decoded.image, decoded.orientation, error);
    if (status) {
        vt_image_release(&decoded.image);
        return status;
    }
    *out = decoded.image;
    return VULTUS_OK;
}

enum vultus_status vt_image_decode(const uint8_t *bytes, size_t size, const char *name,
    const struct vt_image_limits *limits, struct vt_image *out, struct vultus_error *error) {
    struct vt_image_scale whole = {0};
    return vt_image_decode_scaled(bytes, size, name, limits, &whole, out, error);
}

enum vultus_status vt_image_read_bytes(
    const char *path, const struct vt_image_limits *limits, uint8_t **bytes, size_t *size, struct vultus_error *error) {
    return vt_read_file(path, effective_limits(limits).bytes, bytes, size, error);
}

enum vultus_status vt_image_read(
    const char *path, const struct vt_image_limits *limits, struct vt_image *out, struct vultus_error *error) {
    uint8_t *bytes;
    size_t size;
    enum vultus_status status = vt_image_read_bytes(path, limits, &bytes, &size, error);
    if (status) return status;
    status = vt_image_decode(bytes, size, strcmp(path, "-") == 0 ? "standard input" : path, limits, out, error);
    free(bytes);
    return status;
}

#if !VT_HAVE_JPEG
enum vultus_status vt_image_encode_jpeg(
    const struct vt_image *image, int quality, uint8_t **bytes, size_t *size, struct vultus_error *error) {
    (void)image, (void)quality, (void)bytes, (void)size;
    return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "writing JPEG was left out of this build (option jpeg)");
}
#endif

void vt_image_codecs(char *text, size_t size) {
    size_t used = 0;
    *text = '\0';
    for (int f = 0; f < FORMATS; f++) {
        char library[48];
        if (!formats[f].codec) continue;
        formats[f].codec->library(library, sizeof library);
        int length = snprintf(text + used, size - used, "%s%s", used ? ", " : "", library);
        if (length < 0 || (size_t)length >= size - used) return;
        used += (size_t)length;
    }
}
