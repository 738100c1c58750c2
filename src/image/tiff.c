/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#include "image/codec_internal.h"

/* No camera or scanner writes more; each sample of a pixel is decoded, wanted or not. */
enum { MOST_SAMPLES = 8 };

/* A file in memory as libtiff sees it, and what libtiff last complained of. */
struct source {
    const uint8_t *bytes;
    uint64_t size, at;
    char complaint[160];
};

static tmsize_t read_bytes(thandle_t handle, void *out, tmsize_t wanted) {
    struct source *source = handle;
    uint64_t left = source->at < source->size ? source->size - source->at : 0;
    uint64_t count = (uint64_t)wanted < left ? (uint64_t)wanted : left;
    if (count) memcpy(out, source->bytes + source->at, count);
    source->at += count;
    return (tmsize_t)count;
}

static tmsize_t write_nothing(thandle_t handle, void *bytes, tmsize_t size) {
    (void)handle, (void)bytes, (void)size;
    return 0;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    struct source *source = handle;
    source->at = (whence == SEEK_CUR ? source->at : whence == SEEK_END ? source->size : 0) + offset;
    return source->at;
}

static int close_nothing(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle) { return ((struct source *)handle)->size; }

static int keep_complaint(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)module;
    struct source *source = user;
    vsnprintf(source->complaint, sizeof source->complaint, format, arguments);
    return 1; /* handled */
}

static int ignore_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)user, (void)module, (void)format, (void)arguments;
    return 1;
}

static enum vultus_status fail_tiff(const struct vt_encoded *encoded, const char *why, struct vultus_error *error) {
    return vt_fail(error, VULTUS_ERROR_FORMAT, "%s is TIFF that cannot be decoded: %s", encoded->name,
        *why ? why : "damaged data");
}

/* Memory maps are left out: reading by copies, libtiff checks every length. */
static TIFF *open_source(const struct vt_encoded *encoded, struct source *source) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return NULL;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)encoded->limits.pixels * MOST_SAMPLES);
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_complaint, source);
    TIFFOpenOptionsSetWarningHandlerExtR(options, ignore_warning, source);
    TIFF *tiff = TIFFClientOpenExt(
        encoded->name, "rm", source, read_bytes, write_nothing, seek, close_nothing, size_of, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

/*
 * libtiff multiplies colours with an alpha that the file does not call associated. Called associated, it leaves them as
 * they are stored, which is what happens to alpha in every format here.
 */
static void leave_alpha_alone(TIFF *tiff) {
    uint16_t count = 0, *kinds = NULL, associated[MOST_SAMPLES];
    if (!TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds) || count == 0 || count > MOST_SAMPLES) return;
    for (int i = 0; i < MOST_SAMPLES; i++) associated[i] = EXTRASAMPLE_ASSOCALPHA;
    TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, (int)count, associated);
}

static void copy_rows(const uint32_t *raster, struct vt_image *image, uint32_t first, uint32_t rows) {
    for (uint32_t y = 0; y < rows; y++) {
        uint8_t *out = image->pixels + (size_t)(first + y) * image->stride;
        const uint32_t *in = raster + (size_t)y * (size_t)image->width;
        for (int x = 0; x < image->width; x++, out += 3) {
            out[0] = (uint8_t)TIFFGetB(in[x]);
            out[1] = (uint8_t)TIFFGetG(in[x]);
            out[2] = (uint8_t)TIFFGetR(in[x]);
        }
    }
}

/* Band by band, as the file stores strips or rows of tiles, so that each is unpacked once. */
static enum vultus_status read_bands(TIFF *tiff, TIFFRGBAImage *reader, const struct vt_encoded *encoded,
    struct vt_image *image, struct vultus_error *error) {
    uint32_t height = (uint32_t)image->height, band = 0;
    if (TIFFIsTiled(tiff))
        TIFFGetField(tiff, TIFFTAG_TILELENGTH, &band);
    else
        TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &band);
    if (band == 0 || band > height) band = height;
    size_t bytes = (size_t)band * (size_t)image->width * sizeof(uint32_t);
    uint32_t *raster = malloc(bytes);
    if (!raster) return vt_fail_memory(error, "a strip of pixels", bytes);
    const struct source *source = TIFFClientdata(tiff);
    enum vultus_status status = VULTUS_OK;
    for (uint32_t first = 0; !status && first < height; first += band) {
        uint32_t rows = height - first < band ? height - first : band;
        reader->row_offset = (int)first;
        if (!TIFFRGBAImageGet(reader, raster, (uint32_t)image->width, rows))
            status = fail_tiff(encoded, source->complaint, error);
        else
            copy_rows(raster, image, first, rows);
    }
    free(raster);
    return status;
}

static enum vultus_status read_picture(
    TIFF *tiff, const struct vt_encoded *encoded, struct vt_decoded *out, struct vultus_error *error) {
    uint32_t width = 0, height = 0;
    uint16_t samples = 1, orientation = 1;
    char why[1024] = "";
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    enum vultus_status status = vt_check_dimensions(encoded, width, height, error);
    if (status) return status;
    if (samples > MOST_SAMPLES)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "%s is TIFF with %u samples a pixel; up to %d are read",
            encoded->name, samples, MOST_SAMPLES);
    leave_alpha_alone(tiff);
    TIFFRGBAImage reader;
    if (!TIFFRGBAImageOK(tiff, why) || !TIFFRGBAImageBegin(&reader, tiff, 1, why))
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "%s is TIFF that is not read here: %s", encoded->name, why);
    /* Rows in the order of the file; the orientation is applied as for every format. */
    reader.orientation = reader.req_orientation = ORIENTATION_TOPLEFT;
    status = vt_image_create((int)width, (int)height, &out->image, error);
    if (!status) status = read_bands(tiff, &reader, encoded, &out->image, error);
    TIFFRGBAImageEnd(&reader);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &orientation);
    out->orientation = orientation;
    return status;
}

static enum vultus_status decode_tiff(
    const struct vt_encoded *encoded, struct vt_decoded *out, struct vultus_error *error) {
    struct source source = {.bytes = encoded->bytes, .size = encoded->size};
    TIFF *tiff = open_source(encoded, &source);
    if (!tiff) return fail_tiff(encoded, source.complaint, error);
    enum vultus_status status = read_picture(tiff, encoded, out, error);
    TIFFClose(tiff);
    return status;
}

/* "LIBTIFF, Version 4.5.0" and lines of copyright. */
static void tiff_library(char *text, size_t size) {
    int major = 0, minor = 0, patch = 0;
    sscanf(TIFFGetVersion(), "LIBTIFF, Version %d.%d.%d", &major, &minor, &patch);
    snprintf(text, size, "libtiff %d.%d.%d", major, minor, patch);
}

const struct vt_codec vt_codec_tiff = {decode_tiff, tiff_library};
