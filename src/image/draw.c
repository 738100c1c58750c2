/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "image/font.h"
#include "image/ops.h"

/* A rectangle of pixels, the right and lower ends excluded. */
struct span {
    int left, top, right, bottom;
};

static int clamp_to_int(double value, int least, int most) {
    return value <= least ? least : value >= most ? most : (int)value;
}

/* The part of [left, right) x [top, bottom) that lies inside the picture. */
static struct span clip(const struct vt_image *image, double left, double top, double right, double bottom) {
    return (struct span){clamp_to_int(left, 0, image->width), clamp_to_int(top, 0, image->height),
        clamp_to_int(right, 0, image->width), clamp_to_int(bottom, 0, image->height)};
}

static uint8_t *pixel_at(const struct vt_image *image, int x, int y) {
    return image->pixels + (size_t)y * image->stride + 3 * (size_t)x;
}

static void set_pixel(uint8_t *pixel, struct vt_colour colour) {
    pixel[0] = colour.b;
    pixel[1] = colour.g;
    pixel[2] = colour.r;
}

static uint8_t mix(uint8_t below, uint8_t above, double coverage) {
    return (uint8_t)lrint(below + (above - below) * coverage);
}

static void blend_pixel(uint8_t *pixel, struct vt_colour colour, double coverage) {
    pixel[0] = mix(pixel[0], colour.b, coverage);
    pixel[1] = mix(pixel[1], colour.g, coverage);
    pixel[2] = mix(pixel[2], colour.r, coverage);
}

/* How much of a pixel `distance` away from the middle of a round shape lies inside its radius. */
static double coverage_at(double distance, double radius) { return fmin(1, fmax(0, radius + 0.5 - distance)); }

void vt_fill_rectangle(struct vt_image *image, int x1, int y1, int x2, int y2, struct vt_colour colour) {
    struct span span = clip(image, x1, y1, x2 + 1.0, y2 + 1.0);
    for (int y = span.top; y < span.bottom; y++)
        for (int x = span.left; x < span.right; x++) set_pixel(pixel_at(image, x, y), colour);
}

/* Corners far outside the picture are drawn as if they were just outside it. */
static int near_picture(int coordinate, int size) {
    enum { FAR = 1 << 20 };
    return coordinate < -FAR ? -FAR : coordinate > size + FAR ? size + FAR : coordinate;
}

void vt_draw_rectangle(struct vt_image *image, int x1, int y1, int x2, int y2, int thickness, struct vt_colour colour) {
    thickness = thickness < 1 ? 1 : near_picture(thickness, 0);
    int outside = thickness / 2, inside = thickness - 1 - outside;
    x1 = near_picture(x1, image->width), x2 = near_picture(x2, image->width);
    y1 = near_picture(y1, image->height), y2 = near_picture(y2, image->height);
    vt_fill_rectangle(image, x1 - outside, y1 - outside, x2 + outside, y1 + inside, colour);
    vt_fill_rectangle(image, x1 - outside, y2 - inside, x2 + outside, y2 + outside, colour);
    vt_fill_rectangle(image, x1 - outside, y1 - outside, x1 + inside, y2 + outside, colour);
    vt_fill_rectangle(image, x2 - inside, y1 - outside, x2 + outside, y2 + outside, colour);
}

void vt_draw_disc(struct vt_image *image, double x, double y, double radius, struct vt_colour colour) {
    if (!isfinite(x) || !isfinite(y) || !isfinite(radius)) return;
    struct span span =
        clip(image, floor(x - radius - 1), floor(y - radius - 1), ceil(x + radius + 2), ceil(y + radius + 2));
    for (int py = span.top; py < span.bottom; py++)
        for (int px = span.left; px < span.right; px++)
            blend_pixel(pixel_at(image, px, py), colour, coverage_at(hypot(px - x, py - y), radius));
}

/* Squared distance of (x, y) to the segment a-b, both in the font's grid. */
static double squared_distance(double x, double y, const char *a, const char *b) {
    double ax = vt_font_x(a), ay = vt_font_y(a), dx = vt_font_x(b) - ax, dy = vt_font_y(b) - ay;
    double length = dx * dx + dy * dy;
    double t = length > 0 ? fmin(1, fmax(0, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
    double rx = x - ax - t * dx, ry = y - ay - t * dy;
    return rx * rx + ry * ry;
}

/* Distance of a point of the grid to the nearest stroke. */
static double stroke_distance(const char *strokes, double x, double y) {
    double nearest = INFINITY;
    for (const char *p = strokes; *p; p += *p == ' ' ? 1 : 2) {
        if (*p == ' ' || p[2] == ' ' || p[2] == '\0') continue;
        double distance = squared_distance(x, y, p, p + 2);
        if (distance < nearest) nearest = distance;
    }
    return sqrt(nearest);
}

static void draw_glyph(struct vt_image *image, double x, double y, double scale, double radius,
    const struct vt_glyph *glyph, struct vt_colour colour) {
    double reach = radius + 1;
    struct span span = clip(image, floor(x - reach), floor(y - VT_FONT_CAP_HEIGHT * scale - reach),
        ceil(x + glyph->width * scale + reach), ceil(y + VT_FONT_DESCENT * scale + reach));
    for (int py = span.top; py < span.bottom; py++)
        for (int px = span.left; px < span.right; px++) {
            double distance = stroke_distance(glyph->strokes, (px - x) / scale, (y - py) / scale) * scale;
            double coverage = coverage_at(distance, radius);
            if (coverage > 0) blend_pixel(pixel_at(image, px, py), colour, coverage);
        }
}

static void draw_strokes(
    struct vt_image *image, double x, double y, double size, double radius, struct vt_colour colour, const char *text) {
    double scale = size / VT_FONT_CAP_HEIGHT;
    for (; *text && x < image->width; text++) {
        const struct vt_glyph *glyph = vt_font_glyph(*text);
        draw_glyph(image, x, y, scale, radius, glyph, colour);
        x += (glyph->width + VT_FONT_GAP) * scale;
    }
}

static double stroke_radius(double size) { return fmax(0.5, size / 24); }

void vt_draw_text(struct vt_image *image, int x, int y, double size, struct vt_colour colour, const char *text) {
    if (size > 0 && isfinite(size)) draw_strokes(image, x, y, size, stroke_radius(size), colour, text);
}

void vt_draw_outlined_text(struct vt_image *image, int x, int y, double size, struct vt_colour colour,
    struct vt_colour outline, const char *text) {
    if (size > 0 && isfinite(size)) draw_strokes(image, x, y, size, stroke_radius(size) + 1, outline, text);
    vt_draw_text(image, x, y, size, colour, text);
}

int vt_text_width(double size, const char *text) {
    int units = 0;
    for (const char *c = text; *c; c++) units += vt_font_glyph(*c)->width + (c[1] ? VT_FONT_GAP : 0);
    return clamp_to_int(ceil(units * size / VT_FONT_CAP_HEIGHT), 0, INT_MAX);
}

void vt_copy_image(const struct vt_image *source, struct vt_image *target, int x, int y) {
    struct span span = clip(target, x, y, (double)x + source->width, (double)y + source->height);
    for (int row = span.top; row < span.bottom; row++)
        if (span.right > span.left)
            memcpy(pixel_at(target, span.left, row), pixel_at(source, span.left - x, row - y),
                3 * (size_t)(span.right - span.left));
}
