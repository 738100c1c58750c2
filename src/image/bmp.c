/* SPDX-License-Identifier: Apache-2.0
 * Windows bitmaps, read without a library: BITMAPCOREHEADER, and BITMAPINFOHEADER with its later versions.
 */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "image/codec_internal.h"

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40, INFO_HEADER_WITH_MASKS = 52, LONGEST_HEADER = 124 };
enum compression { COMPRESSION_NONE, COMPRESSION_RLE8, COMPRESSION_RLE4, COMPRESSION_BITFIELDS };

/* A colour's bits in a pixel of 16 or 32. */
struct channel {
    uint32_t mask;
    int shift;
};

struct bitmap {
    const uint8_t *bytes;
    size_t size;
    const char *name;
    int64_t width, height; /* height < 0: rows from top to bottom */
    unsigned bits;
    uint32_t compression;
    size_t pixels; /* offset */
    struct channel blue, green, red;
    uint8_t palette[256][3]; /* BGR; black where the file has none */
};

static unsigned u16(const uint8_t *p) { return (unsigned)p[0] | (unsigned)p[1] << 8; }
static uint32_t u32(const uint8_t *p) { return u16(p) | (uint32_t)u16(p + 2) << 16; }

static enum vultus_status fail_bmp(const struct bitmap *bitmap, const char *why, struct vultus_error *error) {
    return vt_fail(error, VULTUS_ERROR_FORMAT, "%s is BMP that cannot be decoded: %s", bitmap->name, why);
}

static struct channel channel_of(uint32_t mask) { return (struct channel){mask, mask ? __builtin_ctz(mask) : 0}; }

/* The channel's value scaled to 0..255. */
static uint8_t value_of(struct channel channel, uint32_t pixel) {
    uint64_t value = (pixel & channel.mask) >> channel.shift, most = channel.mask >> channel.shift;
    return most ? (uint8_t)((value * 255 + most / 2) / most) : 0;
}

static bool is_known_layout(const struct bitmap *b) {
    switch (b->compression) {
    case COMPRESSION_NONE:
        return b->bits == 1 || b->bits == 4 || b->bits == 8 || b->bits == 16 || b->bits == 24 || b->bits == 32;
    case COMPRESSION_RLE8: return b->bits == 8 && b->height > 0;
    case COMPRESSION_RLE4: return b->bits == 4 && b->height > 0;
    case COMPRESSION_BITFIELDS: return b->bits == 16 || b->bits == 32;
    default: return false;
    }
}

/* Of `header` bytes after the file's header. */
static enum vultus_status read_palette(struct bitmap *b, size_t header, uint32_t wanted, struct vultus_error *error) {
    if (b->bits > 8) return VULTUS_OK;
    size_t entry = header == CORE_HEADER ? 3 : 4, at = FILE_HEADER + header;
    uint32_t most = 1u << b->bits, count = wanted == 0 || wanted > most ? most : wanted;
    if (at + entry * count > b->size) return fail_bmp(b, "its palette is cut off", error);
    for (uint32_t i = 0; i < count; i++) memcpy(b->palette[i], b->bytes + at + entry * i, 3);
    return VULTUS_OK;
}

static void set_masks(struct bitmap *b, uint32_t red, uint32_t green, uint32_t blue) {
    b->red = channel_of(red);
    b->green = channel_of(green);
    b->blue = channel_of(blue);
}

/* Masks follow the plain header or are part of a longer one: the same place. */
static enum vultus_status read_masks(struct bitmap *b, struct vultus_error *error) {
    const uint8_t *masks = b->bytes + FILE_HEADER + INFO_HEADER;
    if (b->compression != COMPRESSION_BITFIELDS) {
        if (b->bits == 16)
            set_masks(b, 0x7c00, 0x3e0, 0x1f);
        else
            set_masks(b, 0xff0000, 0xff00, 0xff);
        return VULTUS_OK;
    }
    if (b->size < FILE_HEADER + INFO_HEADER_WITH_MASKS) return fail_bmp(b, "its masks are cut off", error);
    set_masks(b, u32(masks), u32(masks + 4), u32(masks + 8));
    return VULTUS_OK;
}

static enum vultus_status read_header(struct bitmap *b, struct vultus_error *error) {
    if (b->size < FILE_HEADER + CORE_HEADER) return fail_bmp(b, "its header is cut off", error);
    const uint8_t *header = b->bytes + FILE_HEADER;
    uint32_t length = u32(header), palette = 0;
    if ((length != CORE_HEADER && length < INFO_HEADER) || length > LONGEST_HEADER || b->size < FILE_HEADER + length)
        return fail_bmp(b, "its header is damaged or of an unknown kind", error);
    b->pixels = u32(b->bytes + 10);
    if (length == CORE_HEADER) {
        b->width = u16(header + 4);
        b->height = u16(header + 6);
        b->bits = u16(header + 10);
    } else {
        b->width = (int32_t)u32(header + 4);
        b->height = (int32_t)u32(header + 8);
        b->bits = u16(header + 14);
        b->compression = u32(header + 16);
        palette = u32(header + 32);
    }
    if (!is_known_layout(b))
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "%s is BMP of %u bits a pixel and compression %u, which is not "
            "read here",
            b->name, b->bits, b->compression);
    enum vultus_status status = read_masks(b, error);
    return status ? status : read_palette(b, length, palette, error);
}

/* The row of the picture, from the top, that is the n-th in the file. */
static uint8_t *row_of(const struct bitmap *b, struct vt_image *image, int64_t n) {
    return image->pixels + (size_t)(b->height < 0 ? n : b->height - 1 - n) * image->stride;
}

static void unpack_row(const struct bitmap *b, const uint8_t *in, uint8_t *out) {
    for (int64_t x = 0; x < b->width; x++, out += 3) {
        if (b->bits <= 8) {
            unsigned per_byte = 8 / b->bits, place = (unsigned)(x % per_byte);
            unsigned index = in[x / per_byte] >> (8 - b->bits * (place + 1)) & ((1u << b->bits) - 1);
            memcpy(out, b->palette[index], 3);
        } else if (b->bits == 24) {
            memcpy(out, in + 3 * x, 3);
        } else {
            uint32_t pixel = b->bits == 16 ? u16(in + 2 * x) : u32(in + 4 * x);
            out[0] = value_of(b->blue, pixel);
            out[1] = value_of(b->green, pixel);
            out[2] = value_of(b->red, pixel);
        }
    }
}

static void read_rows(const struct bitmap *b, size_t row_bytes, struct vt_image *image) {
    for (int64_t n = 0; n < image->height; n++)
        unpack_row(b, b->bytes + b->pixels + (size_t)n * row_bytes, row_of(b, image, n));
}

/* Where a run-length code paints next; rows count from the bottom. */
struct pen {
    int64_t x, y;
};

static void paint(const struct bitmap *b, struct vt_image *image, struct pen *pen, unsigned index) {
    if (pen->x < b->width && pen->y < b->height) memcpy(row_of(b, image, pen->y) + 3 * pen->x, b->palette[index], 3);
    pen->x++;
}

/* Index i of a run whose bytes hold one index of 8 bits or two of 4. */
static unsigned index_in(const struct bitmap *b, const uint8_t *bytes, unsigned i) {
    return b->bits == 8 ? bytes[i] : i % 2 ? bytes[i / 2] & 15u : bytes[i / 2] >> 4;
}

/* Run-length codes: (n, c) n times c; (0, 0) next row; (0, 1) end; (0, 2, dx, dy) move; (0, n) n indices as they are.
 */
static enum vultus_status read_runs(const struct bitmap *b, struct vt_image *image, struct vultus_error *error) {
    struct pen pen = {0, 0};
    const uint8_t *in = b->bytes + b->pixels, *end = b->bytes + b->size;
    while (pen.y < b->height) {
        if (end - in < 2) return fail_bmp(b, "its pixels are cut off", error);
        unsigned count = in[0], code = in[1];
        in += 2;
        if (count) {
            uint8_t repeated[1] = {(uint8_t)code};
            for (unsigned i = 0; i < count; i++) paint(b, image, &pen, index_in(b, repeated, b->bits == 8 ? 0 : i % 2));
        } else if (code == 0) {
            pen = (struct pen){0, pen.y + 1};
        } else if (code == 1) {
            break;
        } else if (code == 2) {
            if (end - in < 2) return fail_bmp(b, "its pixels are cut off", error);
            pen = (struct pen){pen.x + in[0], pen.y + in[1]};
            in += 2;
        } else {
            size_t bytes = b->bits == 8 ? code : (code + 1) / 2, padded = bytes + bytes % 2;
            if ((size_t)(end - in) < bytes) return fail_bmp(b, "its pixels are cut off", error);
            for (unsigned i = 0; i < code; i++) paint(b, image, &pen, index_in(b, in, i));
            in += (size_t)(end - in) < padded ? bytes : padded;
        }
    }
    return VULTUS_OK;
}

static enum vultus_status decode_bmp(
    const struct vt_encoded *encoded, struct vt_decoded *out, struct vultus_error *error) {
    struct bitmap b = {.bytes = encoded->bytes, .size = encoded->size, .name = encoded->name};
    enum vultus_status status = read_header(&b, error);
    int64_t height = b.height < 0 ? -b.height : b.height;
    if (!status) status = vt_check_dimensions(encoded, b.width > 0 ? (uint64_t)b.width : 0, (uint64_t)height, error);
    if (status) return status;
    bool runs = b.compression == COMPRESSION_RLE8 || b.compression == COMPRESSION_RLE4;
    size_t row_bytes = ((size_t)b.width * b.bits + 31) / 32 * 4;
    if (!vt_range_inside(b.pixels, runs ? 0 : row_bytes * (size_t)height, b.size))
        return fail_bmp(&b, "its pixels are cut off", error);
    status = vt_image_create((int)b.width, (int)height, &out->image, error);
    if (status) return status;
    if (runs) return read_runs(&b, &out->image, error);
    read_rows(&b, row_bytes, &out->image);
    return VULTUS_OK;
}

static void bmp_library(char *text, size_t size) { snprintf(text, size, "BMP"); }

const struct vt_codec vt_codec_bmp = {decode_bmp, bmp_library};
