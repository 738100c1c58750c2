/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "plan_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever the reader accepts obeys every rule, and its constants can be read. */
static void parse(const uint8_t *bytes, size_t size) {
    static volatile uint64_t sink;
    struct vt_plan *plan;
    struct vultus_error error;
    if (vt_plan_parse(bytes, size, "input", &plan, &error)) return;
    if (vt_plan_check(plan, &error)) abort();
    for (uint32_t i = 0; i < plan->n_values; i++) {
        const struct vt_plan_value *v = &plan->values[i];
        if (v->storage == VT_STORAGE_CONSTANT) sink = sink + vt_checksum64(plan->weights + v->offset, v->bytes);
    }
    vt_plan_destroy(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *bytes = vt_alloc_aligned(size);
    if (!bytes) return 0;
    if (size) memcpy(bytes, data, size);
    parse(bytes, size);
    /* Random changes never fit the checksums, so these are made to fit. */
    seal_plan(bytes, size);
    parse(bytes, size);
    vt_free_aligned(bytes);
    return 0;
}
