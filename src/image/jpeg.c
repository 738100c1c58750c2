/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/log.h"
#include "image/codec_internal.h"

#ifndef JCS_EXTENSIONS
#error "libjpeg-turbo is needed: this libjpeg cannot write BGR"
#endif

enum { ROWS_AT_ONCE = 16, EXIF_MARKER = JPEG_APP0 + 1, LONGEST_MARKER = 65533, LARGEST_REDUCTION = 8 };

/* libjpeg leaves by longjmp: whatever must survive that lives here and is reached through pointers only. */
struct failure {
    struct jpeg_error_mgr manager;
    jmp_buf escape;
    char text[JMSG_LENGTH_MAX]; /* of the error, or of the first warning */
};

static void escape_on_error(j_common_ptr common) {
    struct failure *failure = (struct failure *)common->err;
    common->err->format_message(common, failure->text);
    longjmp(failure->escape, 1);
}

/* Level -1 is a warning about corrupt data, which libjpeg survives; higher levels are traces. */
static void keep_first_warning(j_common_ptr common, int level) {
    struct failure *failure = (struct failure *)common->err;
    if (level >= 0) return;
    if (common->err->num_warnings++ == 0) common->err->format_message(common, failure->text);
}

static struct jpeg_error_mgr *init_failure(struct failure *failure) {
    jpeg_std_error(&failure->manager);
    failure->manager.error_exit = escape_on_error;
    failure->manager.emit_message = keep_first_warning;
    return &failure->manager;
}

struct reader {
    struct jpeg_decompress_struct codec;
    struct failure failure;
    struct jpeg_progress_mgr progress;
    int most_scans;
    uint8_t *cmyk_row;
    struct vt_decoded *out;
};

/*
 * A progressive file of a few bytes can ask for hundreds of scans over all pixels. Real encoders write about ten; this
 * allows 500 for small pictures and fewer for large ones.
 */
static int most_scans_for(uint64_t pixels) {
    uint64_t allowed = UINT64_C(5000000000) / (pixels ? pixels : 1);
    return allowed > 500 ? 500 : allowed < 30 ? 30 : (int)allowed;
}

static void limit_scans(j_common_ptr common) {
    struct reader *reader = (struct reader *)common->client_data;
    if (reader->codec.input_scan_number <= reader->most_scans) return;
    snprintf(reader->failure.text, sizeof reader->failure.text, "more than %d scans", reader->most_scans);
    longjmp(reader->failure.escape, 1);
}

static int find_orientation(const struct jpeg_decompress_struct *codec) {
    static const char exif[6] = "Exif";
    for (const struct jpeg_marker_struct *m = codec->marker_list; m; m = m->next)
        if (m->marker == EXIF_MARKER && m->data_length > sizeof exif && memcmp(m->data, exif, sizeof exif) == 0)
            return vt_exif_orientation(m->data, m->data_length);
    return 1;
}

/* Ink to light without a colour profile. Adobe's encoders store ink inverted and say so by their marker. */
static void convert_cmyk_row(const uint8_t *cmyk, uint8_t *bgr, int width, bool inverted) {
    uint8_t flip = inverted ? 0 : 255;
    for (int x = 0; x < width; x++, cmyk += 4, bgr += 3) {
        unsigned light = cmyk[3] ^ flip;
        for (int k = 0; k < 3; k++) bgr[k] = (uint8_t)(((cmyk[2 - k] ^ flip) * light + 127) / 255);
    }
}

static void read_cmyk_rows(struct reader *reader) {
    struct jpeg_decompress_struct *codec = &reader->codec;
    while (codec->output_scanline < codec->output_height) {
        uint8_t *row = reader->out->image.pixels + codec->output_scanline * reader->out->image.stride;
        JSAMPROW cmyk = reader->cmyk_row;
        jpeg_read_scanlines(codec, &cmyk, 1);
        convert_cmyk_row(cmyk, row, reader->out->image.width, codec->saw_Adobe_marker);
    }
}

static void read_bgr_rows(struct reader *reader) {
    struct jpeg_decompress_struct *codec = &reader->codec;
    JSAMPROW rows[ROWS_AT_ONCE];
    while (codec->output_scanline < codec->output_height) {
        JDIMENSION first = codec->output_scanline, count = codec->output_height - first;
        if (count > ROWS_AT_ONCE) count = ROWS_AT_ONCE;
        for (JDIMENSION i = 0; i < count; i++)
            rows[i] = reader->out->image.pixels + (first + i) * reader->out->image.stride;
        jpeg_read_scanlines(codec, rows, count);
    }
}

/* Chooses what libjpeg converts to; its defaults are the accurate inverse DCT and smooth chroma upsampling. */
static enum vultus_status choose_output(struct reader *reader, const char *name, struct vultus_error *error) {
    struct jpeg_decompress_struct *codec = &reader->codec;
    switch (codec->jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_RGB:
    case JCS_YCbCr: codec->out_color_space = JCS_EXT_BGR; return VULTUS_OK;
    case JCS_CMYK:
    case JCS_YCCK:
        codec->out_color_space = JCS_CMYK;
        reader->cmyk_row = malloc((size_t)codec->image_width * 4); /* enough for reduced ones too */
        return reader->cmyk_row ? VULTUS_OK : vt_fail_memory(error, "a row of pixels", codec->image_width * 4ULL);
    default:
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "%s is JPEG with %d components of an unknown colour space",
            name, codec->num_components);
    }
}

/* The largest reduction that leaves the upright picture enough pixels; the inverse DCT does it almost for nothing. */
static int choose_reduction(const struct vt_encoded *encoded, int width, int height, int orientation) {
    if (encoded->enough_width <= 0 || encoded->enough_height <= 0) return 1;
    bool swaps = vt_orientation_swaps(orientation);
    int upright_width = swaps ? height : width, upright_height = swaps ? width : height;
    for (int reduction = LARGEST_REDUCTION; reduction > 1; reduction /= 2)
        if (upright_width / reduction >= encoded->enough_width || upright_height / reduction >= encoded->enough_height)
            return reduction;
    return 1;
}

static void watch_scans(struct reader *reader) {
    struct jpeg_decompress_struct *codec = &reader->codec;
    reader->most_scans = most_scans_for((uint64_t)codec->image_width * codec->image_height);
    reader->progress.progress_monitor = limit_scans;
    codec->progress = &reader->progress;
    codec->client_data = reader;
}

/* Everything between two longjmp-safe points. */
static enum vultus_status read_picture(
    struct reader *reader, const struct vt_encoded *encoded, struct vultus_error *error) {
    struct jpeg_decompress_struct *codec = &reader->codec;
    struct vt_decoded *out = reader->out;
    jpeg_create_decompress(codec);
    jpeg_mem_src(codec, encoded->bytes, encoded->size);
    jpeg_save_markers(codec, EXIF_MARKER, LONGEST_MARKER);
    jpeg_read_header(codec, TRUE);
    enum vultus_status status = vt_check_dimensions(encoded, codec->image_width, codec->image_height, error);
    if (!status) status = choose_output(reader, encoded->name, error);
    if (status) return status;
    out->width = (int)codec->image_width;
    out->height = (int)codec->image_height;
    out->orientation = find_orientation(codec);
    out->reduction = choose_reduction(encoded, out->width, out->height, out->orientation);
    codec->scale_num = 1;
    codec->scale_denom = (unsigned)out->reduction;

    watch_scans(reader);
    jpeg_start_decompress(codec);
    status = vt_image_create((int)codec->output_width, (int)codec->output_height, &out->image, error);
    if (status) return status;
    if (reader->cmyk_row)
        read_cmyk_rows(reader);
    else
        read_bgr_rows(reader);
    return VULTUS_OK;
}

static enum vultus_status read_guarded(
    struct reader *reader, const struct vt_encoded *encoded, struct vultus_error *error) {
    if (setjmp(reader->failure.escape))
        return vt_fail(
            error, VULTUS_ERROR_FORMAT, "%s is JPEG that cannot be decoded: %s", encoded->name, reader->failure.text);
    return read_picture(reader, encoded, error);
}

static enum vultus_status decode_jpeg(
    const struct vt_encoded *encoded, struct vt_decoded *out, struct vultus_error *error) {
    struct reader reader = {.out = out};
    reader.codec.err = init_failure(&reader.failure);
    enum vultus_status status = read_guarded(&reader, encoded, error);
    long warnings = reader.failure.manager.num_warnings;
    jpeg_destroy_decompress(&reader.codec);
    free(reader.cmyk_row);
    if (!status && warnings)
        vt_log(
            VT_LOG_WARN, "%s is damaged JPEG, what could be read was decoded: %s", encoded->name, reader.failure.text);
    return status;
}

static bool read_simple_header(struct reader *reader, const struct vt_encoded *encoded) {
    struct jpeg_decompress_struct *codec = &reader->codec;
    if (setjmp(reader->failure.escape)) return false;
    jpeg_create_decompress(codec);
    jpeg_mem_src(codec, encoded->bytes, encoded->size);
    jpeg_save_markers(codec, EXIF_MARKER, LONGEST_MARKER);
    jpeg_read_header(codec, TRUE);
    return !codec->progressive_mode && !codec->arith_code && codec->data_precision == 8 &&
           codec->comps_in_scan == codec->num_components && find_orientation(codec) == 1 &&
           (codec->jpeg_color_space == JCS_YCbCr || codec->jpeg_color_space == JCS_GRAYSCALE) &&
           !vt_check_dimensions(encoded, codec->image_width, codec->image_height, NULL);
}

static bool is_simple_jpeg(const struct vt_encoded *encoded, int *width, int *height) {
    struct reader reader = {0};
    reader.codec.err = init_failure(&reader.failure);
    bool simple = read_simple_header(&reader, encoded);
    *width = (int)reader.codec.image_width;
    *height = (int)reader.codec.image_height;
    jpeg_destroy_decompress(&reader.codec);
    return simple;
}

/* Where compressed bytes go: memory that doubles. */
struct writer {
    struct jpeg_compress_struct codec;
    struct failure failure;
    struct jpeg_destination_mgr destination;
    uint8_t *bytes;
    size_t capacity;
};

static void start_writing(j_compress_ptr codec) {
    struct writer *writer = (struct writer *)codec->client_data;
    writer->capacity = 64 << 10;
    writer->bytes = malloc(writer->capacity);
    if (!writer->bytes) ERREXIT1(codec, JERR_OUT_OF_MEMORY, 0);
    writer->destination.next_output_byte = writer->bytes;
    writer->destination.free_in_buffer = writer->capacity;
}

/* libjpeg calls this when the buffer is full, whatever free_in_buffer says. */
static boolean grow_buffer(j_compress_ptr codec) {
    struct writer *writer = (struct writer *)codec->client_data;
    size_t used = writer->capacity;
    uint8_t *grown = realloc(writer->bytes, 2 * used);
    if (!grown) ERREXIT1(codec, JERR_OUT_OF_MEMORY, 0);
    writer->bytes = grown;
    writer->capacity = 2 * used;
    writer->destination.next_output_byte = grown + used;
    writer->destination.free_in_buffer = used;
    return TRUE;
}

static void finish_writing(j_compress_ptr codec) { (void)codec; }

static void write_picture(struct writer *writer, const struct vt_image *image, int quality) {
    struct jpeg_compress_struct *codec = &writer->codec;
    jpeg_create_compress(codec);
    writer->destination = (struct jpeg_destination_mgr){
        .init_destination = start_writing, .empty_output_buffer = grow_buffer, .term_destination = finish_writing};
    codec->dest = &writer->destination;
    codec->client_data = writer;
    codec->image_width = (JDIMENSION)image->width;
    codec->image_height = (JDIMENSION)image->height;
    codec->input_components = 3;
    codec->in_color_space = JCS_EXT_BGR;
    jpeg_set_defaults(codec); /* JFIF, 4:2:0 */
    jpeg_set_quality(codec, quality, TRUE);
    jpeg_start_compress(codec, TRUE);
    while (codec->next_scanline < codec->image_height) {
        JSAMPROW row = image->pixels + codec->next_scanline * image->stride;
        jpeg_write_scanlines(codec, &row, 1);
    }
    jpeg_finish_compress(codec);
}

static enum vultus_status write_guarded(
    struct writer *writer, const struct vt_image *image, int quality, struct vultus_error *error) {
    if (setjmp(writer->failure.escape))
        return vt_fail(error, VULTUS_ERROR_INVALID, "a picture of %d x %d pixels cannot be written as JPEG: %s",
            image->width, image->height, writer->failure.text);
    write_picture(writer, image, quality);
    return VULTUS_OK;
}

enum vultus_status vt_image_encode_jpeg(
    const struct vt_image *image, int quality, uint8_t **bytes, size_t *size, struct vultus_error *error) {
    if (quality < 1 || quality > 100)
        return vt_fail(error, VULTUS_ERROR_INVALID, "JPEG quality %d is outside 1 to 100", quality);
    struct writer writer = {0};
    writer.codec.err = init_failure(&writer.failure);
    enum vultus_status status = write_guarded(&writer, image, quality, error);
    size_t used = writer.capacity - writer.destination.free_in_buffer;
    jpeg_destroy_compress(&writer.codec);
    if (status) {
        free(writer.bytes);
        return status;
    }
    *bytes = writer.bytes;
    *size = used;
    return VULTUS_OK;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

static void jpeg_library(char *text, size_t size) {
    snprintf(text, size, "libjpeg-turbo %s", TEXT(LIBJPEG_TURBO_VERSION));
}

const struct vt_codec vt_codec_jpeg = {decode_jpeg, jpeg_library, is_simple_jpeg};
