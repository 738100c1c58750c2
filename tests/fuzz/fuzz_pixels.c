/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_pixels.h"

#include <stdlib.h>

#include "image/ops.h"

enum { CANVAS = 64 };

/* Whatever is decoded can be letterboxed, or is too narrow, and every number of the result was written. */
static void letterbox(const struct vt_image *picture, double margin) {
    static const struct vt_normalisation normalisation = {{0, 0, 0}, {1, 1, 1}, true};
    static float planes[3 * CANVAS * CANVAS];
    for (int i = 0; i < 3 * CANVAS * CANVAS; i++) planes[i] = -1;
    struct vultus_error error;
    if (vt_letterbox_to_planes(picture, margin, CANVAS, CANVAS, &normalisation, NULL, planes, NULL, &error)) return;
    for (int i = 0; i < 3 * CANVAS * CANVAS; i++)
        if (!(planes[i] >= 0 && planes[i] <= 255)) abort();
}

void vt_fuzz_use_pixels(const struct vt_image *picture) {
    letterbox(picture, 0);
    letterbox(picture, 0.5);
}
