/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_IMAGE_FONT_H
#define VT_IMAGE_FONT_H

/*
 * A stroke font on a grid of 1/12 of the capitals' height. A glyph's strokes are polylines separated by spaces, each
 * point two characters: x from '0' = 0 to ':' = 10, y upwards from 'a' = -4 over 'e' = 0 (the baseline) and 'm' = 8
 * (small letters) to 'q' = 12 (capitals).
 */
enum { VT_FONT_CAP_HEIGHT = 12, VT_FONT_DESCENT = 4, VT_FONT_GAP = 3 };

struct vt_glyph {
    int width; /* without the gap to the next glyph */
    const char *strokes;
};

/* The glyph of a printable ASCII character; '?' for everything else. */
const struct vt_glyph *vt_font_glyph(char character);

static inline int vt_font_x(const char *point) { return point[0] - '0'; }
static inline int vt_font_y(const char *point) { return point[1] - 'e'; }

#endif
