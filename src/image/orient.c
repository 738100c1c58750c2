/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <string.h>

#include "image/codec_internal.h"

/* What an orientation asks for: swap rows and columns first, then mirror columns, then rows. */
struct turn {
    bool transpose, mirror, flip;
};
static const struct turn turns[9] = {
    [2] = {false, true, false},
    [3] = {false, true, true},
    [4] = {false, false, true},
    [5] = {true, false, false},
    [6] = {true, true, false},
    [7] = {true, true, true},
    [8] = {true, false, true},
};

void vt_orientation_mirrors(int orientation, bool *columns, bool *rows) {
    struct turn turn = orientation >= 2 && orientation <= 8 ? turns[orientation] : turns[0];
    *columns = turn.mirror;
    *rows = turn.flip;
}

static void swap_pixels(uint8_t *a, uint8_t *b) {
    uint8_t kept[3];
    memcpy(kept, a, 3);
    memcpy(a, b, 3);
    memcpy(b, kept, 3);
}

static void mirror_rows(struct vt_image *image) {
    for (int y = 0; y < image->height; y++) {
        uint8_t *row = image->pixels + (size_t)y * image->stride;
        for (int left = 0, right = image->width - 1; left < right; left++, right--)
            swap_pixels(row + 3 * (size_t)left, row + 3 * (size_t)right);
    }
}

static void flip_rows(struct vt_image *image) {
    for (int top = 0, bottom = image->height - 1; top < bottom; top++, bottom--) {
        uint8_t *a = image->pixels + (size_t)top * image->stride, *b = image->pixels + (size_t)bottom * image->stride;
        for (size_t i = 0; i < 3 * (size_t)image->width; i++) {
            uint8_t kept = a[i];
            a[i] = b[i];
            b[i] = kept;
        }
    }
}

/* In square tiles, so that both pictures are walked within a few cache lines. */
static void transpose(const struct vt_image *source, struct vt_image *target) {
    enum { TILE = 32 };
    for (int y0 = 0; y0 < source->height; y0 += TILE)
        for (int x0 = 0; x0 < source->width; x0 += TILE)
            for (int y = y0; y < source->height && y < y0 + TILE; y++)
                for (int x = x0; x < source->width && x < x0 + TILE; x++)
                    memcpy(target->pixels + (size_t)x * target->stride + 3 * (size_t)y,
                        source->pixels + (size_t)y * source->stride + 3 * (size_t)x, 3);
}

enum vultus_status vt_image_orient(struct vt_image *image, int orientation, struct vultus_error *error) {
    if (orientation < 2 || orientation > 8) return VULTUS_OK;
    struct turn turn = turns[orientation];
    if (turn.transpose) {
        struct vt_image upright;
        enum vultus_status status = vt_image_create(image->height, image->width, &upright, error);
        if (status) return status;
        transpose(image, &upright);
        vt_image_release(image);
        *image = upright;
    }
    if (turn.mirror) mirror_rows(image);
    if (turn.flip) flip_rows(image);
    return VULTUS_OK;
}
