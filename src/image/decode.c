/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "config.h"
#include "image/codec_internal.h"

static const struct vt_image_limits default_limits = {
    .bytes = (size_t)64 << 20, .pixels = 100 * 1000 * 1000, .dimension = 32768};

enum format { FORMAT_UNKNOWN, FORMAT_JPEG, FORMAT_PNG, FORMAT_OTHER };

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
    {FORMAT_OTHER, "WebP", 8, "WEBP", 4},
    {FORMAT_OTHER, "GIF", 0, "GIF8", 4},
    {FORMAT_OTHER, "TIFF", 0, "II*\0", 4},
    {FORMAT_OTHER, "TIFF", 0, "MM\0*", 4},
    {FORMAT_OTHER, "AVIF", 4, "ftypavif", 8},
    {FORMAT_OTHER, "HEIC", 4, "ftypheic", 8},
    {FORMAT_OTHER, "HEIC", 4, "ftypheix", 8},
    {FORMAT_OTHER, "HEIC", 4, "ftypmif1", 8},
    {FORMAT_OTHER, "HEIC", 4, "ftypmsf1", 8},
    {FORMAT_OTHER, "JPEG 2000", 4, "jP  \r\n\x87\n", 8},
    {FORMAT_OTHER, "JPEG XL", 0, "\xff\x0a", 2},
    {FORMAT_OTHER, "JPEG XL", 4, "JXL \r\n\x87\n", 8},
    {FORMAT_OTHER, "PDF", 0, "%PDF", 4},
    {FORMAT_OTHER, "BMP", 0, "BM", 2},
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
    return vt_fail(error, VULTUS_ERROR_FORMAT,
        "%s starts with%s, which is neither JPEG nor PNG nor a picture format known here", encoded->name, start);
}

static enum vultus_status dispatch(
    const struct vt_encoded *encoded, struct vt_image *out, int *orientation, struct vultus_error *error) {
    (void)out, (void)orientation; /* unused in a build without codecs */
    const struct signature *signature = find_signature(encoded->bytes, encoded->size);
    switch (signature ? signature->format : FORMAT_UNKNOWN) {
    case FORMAT_JPEG:
#if VT_HAVE_JPEG
        return vt_decode_jpeg(encoded, out, orientation, error);
#else
        return vt_fail(
            error, VULTUS_ERROR_UNSUPPORTED, "%s is JPEG, which this build leaves out (option jpeg)", encoded->name);
#endif
    case FORMAT_PNG:
#if VT_HAVE_PNG
        return vt_decode_png(encoded, out, orientation, error);
#else
        return vt_fail(
            error, VULTUS_ERROR_UNSUPPORTED, "%s is PNG, which this build leaves out (option png)", encoded->name);
#endif
    case FORMAT_OTHER:
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "%s looks like %s, which is not in this build yet; JPEG and PNG are", encoded->name, signature->name);
    case FORMAT_UNKNOWN: break;
    }
    return fail_unknown(encoded, error);
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

static struct vt_image_limits effective_limits(const struct vt_image_limits *limits) {
    struct vt_image_limits result = default_limits;
    if (limits && limits->bytes) result.bytes = limits->bytes;
    if (limits && limits->pixels > 0) result.pixels = limits->pixels;
    if (limits && limits->dimension > 0) result.dimension = limits->dimension;
    return result;
}

enum vultus_status vt_image_decode(const uint8_t *bytes, size_t size, const char *name,
    const struct vt_image_limits *limits, struct vt_image *out, struct vultus_error *error) {
    struct vt_encoded encoded = {bytes, size, name ? name : "the picture", effective_limits(limits)};
    if (size > encoded.limits.bytes)
        return vt_fail(error, VULTUS_ERROR_LIMIT, "%s has %zu bytes, over the limit of %zu", encoded.name, size,
            encoded.limits.bytes);
    struct vt_image image = {0};
    int orientation = 1;
    enum vultus_status status = dispatch(&encoded, &image, &orientation, error);
    if (!status) status = vt_image_orient(&image, orientation, error);
    if (status) {
        vt_image_release(&image);
        return status;
    }
    *out = image;
    return VULTUS_OK;
}

enum vultus_status vt_image_read(
    const char *path, const struct vt_image_limits *limits, struct vt_image *out, struct vultus_error *error) {
    uint8_t *bytes;
    size_t size;
    enum vultus_status status = vt_read_file(path, effective_limits(limits).bytes, &bytes, &size, error);
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
    char jpeg[48] = "", png[48] = "";
#if VT_HAVE_JPEG
    vt_jpeg_library(jpeg, sizeof jpeg);
#endif
#if VT_HAVE_PNG
    vt_png_library(png, sizeof png);
#endif
    snprintf(text, size, "%s%s%s", jpeg, *jpeg && *png ? ", " : "", png);
}
