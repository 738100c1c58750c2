/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "fuzz_pixels.h"
#include "image/codec_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One codec (CODEC), whatever the bytes start with. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct vt_encoded encoded = {
        data, size, "input", {.bytes = SIZE_MAX, .pixels = 1 << 20, .dimension = 1 << 14}, 8, 8};
    struct vt_decoded decoded = {.orientation = 1, .reduction = 1};
    struct vultus_error error;
    vt_log_set_level(VT_LOG_ERROR); /* damage is what this is about */
    if (CODEC.decode(&encoded, &decoded, &error) == VULTUS_OK &&
        vt_image_orient(&decoded.image, decoded.orientation, &error) == VULTUS_OK)
        vt_fuzz_use_pixels(&decoded.image);
    vt_image_release(&decoded.image);
    return 0;
}
