/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <string.h>

#include "base/checked.h"
#include "image/codec_internal.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY_BYTES = 12 };

struct tiff {
    const uint8_t *bytes;
    size_t size;
    bool big_endian;
};

static bool read_u16(const struct tiff *tiff, size_t offset, unsigned *value) {
    if (!vt_range_inside(offset, 2, tiff->size)) return false;
    const uint8_t *p = tiff->bytes + offset;
    *value = tiff->big_endian ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
    return true;
}

static bool read_u32(const struct tiff *tiff, size_t offset, uint32_t *value) {
    unsigned first, second;
    if (!read_u16(tiff, offset, &first) || !read_u16(tiff, offset + 2, &second)) return false;
    *value = tiff->big_endian ? (uint32_t)first << 16 | second : (uint32_t)second << 16 | first;
    return true;
}

/* TIFF 6.0: byte order, 42, offset of the first directory; a directory is a count and entries of tag, type, count,
 * value. */
int vt_exif_orientation(const uint8_t *block, size_t size) {
    static const char prefix[6] = "Exif";
    size_t skipped = size >= sizeof prefix && memcmp(block, prefix, sizeof prefix) == 0 ? sizeof prefix : 0;
    struct tiff tiff = {block + skipped, size - skipped, false};
    if (tiff.size < 8) return 1;
    if (memcmp(tiff.bytes, "MM", 2) == 0)
        tiff.big_endian = true;
    else if (memcmp(tiff.bytes, "II", 2) != 0)
        return 1;
    unsigned magic, entries;
    uint32_t directory;
    if (!read_u16(&tiff, 2, &magic) || magic != 42 || !read_u32(&tiff, 4, &directory) ||
        !read_u16(&tiff, directory, &entries))
        return 1;
    for (unsigned i = 0; i < entries; i++) {
        size_t entry = (size_t)directory + 2 + (size_t)i * ENTRY_BYTES;
        unsigned tag, type, value;
        uint32_t count;
        if (!read_u16(&tiff, entry, &tag)) return 1;
        if (tag != TAG_ORIENTATION) continue;
        if (!read_u16(&tiff, entry + 2, &type) || type != TYPE_SHORT || !read_u32(&tiff, entry + 4, &count) ||
            count != 1 || !read_u16(&tiff, entry + 8, &value))
            return 1;
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}
