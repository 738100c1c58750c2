/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

#include "image/codec_internal.h"

/* Rows of an interlaced picture come in four passes. */
enum { PASSES = 4 };
static const struct { int first, step; } passes[PASSES] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}};

struct source {
    const uint8_t *bytes;
    size_t size, at;
};

static int read_bytes(GifFileType *gif, GifByteType *out, int wanted) {
    struct source *source = gif->UserData;
    size_t left = source->size - source->at, count = (size_t)wanted < left ? (size_t)wanted : left;
    if (count) memcpy(out, source->bytes + source->at, count);
    source->at += count;
    return (int)count;
}

static enum vultus_status fail_gif(const struct vt_encoded *encoded, int code, struct vultus_error *error) {
    const char *why = GifErrorString(code);
    return vt_fail(
        error, VULTUS_ERROR_FORMAT, "%s is GIF that cannot be decoded: %s", encoded->name, why ? why : "damaged data");
}

/* Goes to the first frame, past whatever else there is. */
static enum vultus_status find_frame(GifFileType *gif, const struct vt_encoded *encoded, struct vultus_error *error) {
    for (;;) {
        GifRecordType record;
        if (DGifGetRecordType(gif, &record) == GIF_ERROR) return fail_gif(encoded, gif->Error, error);
        if (record == IMAGE_DESC_RECORD_TYPE) break;
        if (record == TERMINATE_RECORD_TYPE)
            return vt_fail(error, VULTUS_ERROR_FORMAT, "%s is GIF without a picture in it", encoded->name);
        GifByteType *block;
        int code;
        if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) return fail_gif(encoded, gif->Error, error);
        while (block)
            if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) return fail_gif(encoded, gif->Error, error);
    }
    return DGifGetImageDesc(gif) == GIF_ERROR ? fail_gif(encoded, gif->Error, error) : VULTUS_OK;
}

/* Indices to colours; an index that the palette does not have is black. */
static void paint_row(const GifFileType *gif, const GifPixelType *row, int y, struct vt_image *canvas) {
    const GifImageDesc *frame = &gif->Image;
    const ColorMapObject *palette = frame->ColorMap ? frame->ColorMap : gif->SColorMap;
    if (y + frame->Top >= canvas->height) return;
    uint8_t *out = canvas->pixels + (size_t)(y + frame->Top) * canvas->stride + 3 * (size_t)frame->Left;
    for (int x = 0; x < frame->Width && x + frame->Left < canvas->width; x++, out += 3) {
        if (row[x] >= palette->ColorCount) continue;
        const GifColorType *colour = &palette->Colors[row[x]];
        out[0] = colour->Blue;
        out[1] = colour->Green;
        out[2] = colour->Red;
    }
}

static enum vultus_status read_frame(
    GifFileType *gif, const struct vt_encoded *encoded, struct vt_image *canvas, struct vultus_error *error) {
    const GifImageDesc *frame = &gif->Image;
    GifPixelType *row = malloc((size_t)frame->Width);
    if (!row) return vt_fail_memory(error, "a row of pixels", (unsigned long long)frame->Width);
    int code = GIF_OK;
    for (int pass = frame->Interlace ? 0 : PASSES - 1; code != GIF_ERROR && pass < PASSES; pass++) {
        int first = frame->Interlace ? passes[pass].first : 0, step = frame->Interlace ? passes[pass].step : 1;
        for (int y = first; code != GIF_ERROR && y < frame->Height; y += step) {
            code = DGifGetLine(gif, row, frame->Width);
            if (code != GIF_ERROR) paint_row(gif, row, y, canvas);
        }
    }
    free(row);
    return code == GIF_ERROR ? fail_gif(encoded, gif->Error, error) : VULTUS_OK;
}

/* What the first frame does not cover stays black. */
static enum vultus_status decode_opened(
    GifFileType *gif, const struct vt_encoded *encoded, struct vt_decoded *out, struct vultus_error *error) {
    int width = gif->SWidth, height = gif->SHeight;
    enum vultus_status status = find_frame(gif, encoded, error);
    const GifImageDesc *frame = &gif->Image;
    /* Old encoders leave the size of the screen out. */
    if (!status && (width == 0 || height == 0)) {
        width = frame->Left + frame->Width;
        height = frame->Top + frame->Height;
    }
    if (!status) status = vt_check_dimensions(encoded, (uint64_t)width, (uint64_t)height, error);
    if (!status) status = vt_check_dimensions(encoded, (uint64_t)frame->Width, (uint64_t)frame->Height, error);
    if (!status && !frame->ColorMap && !gif->SColorMap)
        status = vt_fail(error, VULTUS_ERROR_FORMAT, "%s is GIF without a palette", encoded->name);
    if (!status) status = vt_image_create(width, height, &out->image, error);
    return status ? status : read_frame(gif, encoded, &out->image, error);
}

static enum vultus_status decode_gif(
    const struct vt_encoded *encoded, struct vt_decoded *out, struct vultus_error *error) {
    struct source source = {encoded->bytes, encoded->size, 0};
    int code = 0;
    GifFileType *gif = DGifOpen(&source, read_bytes, &code);
    if (!gif) return fail_gif(encoded, code, error);
    enum vultus_status status = decode_opened(gif, encoded, out, error);
    DGifCloseFile(gif, &code);
    return status;
}

static void gif_library(char *text, size_t size) {
    snprintf(text, size, "giflib %d.%d.%d", GIFLIB_MAJOR, GIFLIB_MINOR, GIFLIB_RELEASE);
}

const struct vt_codec vt_codec_gif = {decode_gif, gif_library};
