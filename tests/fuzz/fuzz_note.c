/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hub/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The notes beside models and beside parts of downloads. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct vt_manifest manifest;
    struct vt_part part;
    struct vultus_error error;
    struct vt_arena arena;
    vt_arena_init(&arena, 1 << 20);
    if (!vt_manifest_parse(data, size, "input", &arena, &manifest, &error))
        if (strlen(manifest.sha256) != VT_SHA256_HEX - 1 || !manifest.trust || !manifest.origin) abort();
    if (!vt_part_parse(data, size, "input", &part, &error) && strpbrk(part.validator, "\r\n")) abort();
    vt_arena_fini(&arena);
    return 0;
}
