/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "fuzz_pixels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A picture of whatever format, whole, and reduced where its format can be. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct vt_image_limits limits = {.pixels = 1 << 20, .dimension = 1 << 14};
    vt_log_set_level(VT_LOG_ERROR); /* damage is what this is about */
    struct vt_image_scale scales[2] = {{0}, {.enough_width = 8, .enough_height = 8}};
    for (int i = 0; i < 2; i++) {
        struct vt_image picture;
        struct vultus_error error;
        if (vt_image_decode_scaled(data, size, "input", &limits, &scales[i], &picture, &error)) continue;
        vt_fuzz_use_pixels(&picture);
        vt_image_release(&picture);
    }
    return 0;
}
