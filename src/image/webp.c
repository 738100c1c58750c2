/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "image/codec_internal.h"

static const char *describe(VP8StatusCode code) {
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY: return "libwebp is out of memory";
    case VP8_STATUS_BITSTREAM_ERROR: return "damaged data";
    case VP8_STATUS_UNSUPPORTED_FEATURE: return "a feature that libwebp does not know";
    case VP8_STATUS_NOT_ENOUGH_DATA: return "it ends too early";
    default: return "libwebp refuses it";
    }
}

static enum vultus_status fail_webp(const struct vt_encoded *encoded, const char *why, struct vultus_error *error) {
    return vt_fail(error, VULTUS_ERROR_FORMAT, "%s is WebP that cannot be decoded: %s", encoded->name, why);
}

/* Whatever is wrong with EXIF, the picture stands. */
static int find_orientation(const WebPDemuxer *demuxer) {
    WebPChunkIterator chunk;
    if (!WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) return 1;
    int orientation = vt_exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
    WebPDemuxReleaseChunkIterator(&chunk);
    return orientation;
}

/* The frame at its place on the black canvas. Colours are as stored, whatever their alpha. */
static enum vultus_status decode_frame(
    const struct vt_encoded *encoded, const WebPIterator *frame, struct vt_image *canvas, struct vultus_error *error) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return fail_webp(encoded, "libwebp is of another version", error);
    if (frame->x_offset < 0 || frame->y_offset < 0 || frame->width > canvas->width - frame->x_offset ||
        frame->height > canvas->height - frame->y_offset)
        return fail_webp(encoded, "its first frame lies outside the picture", error);
    size_t offset = (size_t)frame->y_offset * canvas->stride + 3 * (size_t)frame->x_offset;
    config.output.colorspace = MODE_BGR;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = canvas->pixels + offset;
    config.output.u.RGBA.stride = (int)canvas->stride;
    config.output.u.RGBA.size = canvas->stride * (size_t)canvas->height - offset;
    VP8StatusCode code = WebPGetFeatures(frame->fragment.bytes, frame->fragment.size, &config.input);
    if (code == VP8_STATUS_OK && (config.input.width != frame->width || config.input.height != frame->height))
        code = VP8_STATUS_BITSTREAM_ERROR;
    if (code == VP8_STATUS_OK) code = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? VULTUS_OK : fail_webp(encoded, describe(code), error);
}

static enum vultus_status decode_demuxed(
    const struct vt_encoded *encoded, const WebPDemuxer *demuxer, struct vt_decoded *out, struct vultus_error *error) {
    uint32_t width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH),
             height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT);
    enum vultus_status status = vt_check_dimensions(encoded, width, height, error);
    if (status) return status;
    WebPIterator frame;
    if (!WebPDemuxGetFrame(demuxer, 1, &frame)) return fail_webp(encoded, "it has no frame", error);
    status = vt_image_create((int)width, (int)height, &out->image, error);
    if (!status) status = decode_frame(encoded, &frame, &out->image, error);
    WebPDemuxReleaseIterator(&frame);
    if (!status) out->orientation = find_orientation(demuxer);
    return status;
}

static enum vultus_status decode_webp(
    const struct vt_encoded *encoded, struct vt_decoded *out, struct vultus_error *error) {
    const WebPData data = {encoded->bytes, encoded->size};
    WebPDemuxer *demuxer = WebPDemux(&data);
    if (!demuxer) return fail_webp(encoded, "its chunks are damaged or incomplete", error);
    enum vultus_status status = decode_demuxed(encoded, demuxer, out, error);
    WebPDemuxDelete(demuxer);
    return status;
}

static void webp_library(char *text, size_t size) {
    int version = WebPGetDecoderVersion();
    snprintf(text, size, "libwebp %d.%d.%d", version >> 16, version >> 8 & 255, version & 255);
}

const struct vt_codec vt_codec_webp = {decode_webp, webp_library};
