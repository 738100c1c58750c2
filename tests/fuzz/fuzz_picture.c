/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/log.h"
#include "image/ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct vt_image_limits limits = {.pixels = 1 << 20, .dimension = 1 << 14};
    vt_log_set_level(VT_LOG_ERROR); /* damage is what this is about */
    struct vt_image picture;
    struct vultus_error error;
    if (vt_image_decode(data, size, "input", &limits, &picture, &error)) return 0;
    letterbox(&picture, 0);
    letterbox(&picture, 0.5);
    vt_image_release(&picture);
    return 0;
}
