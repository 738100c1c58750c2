/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "server/wanted.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bodies of /extract in msgpack. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct vt_arena arena;
    struct vt_value value;
    struct vultus_error error;
    struct vt_problems problems = {0};
    struct vt_wanted wanted = {0};
    vt_arena_init(&arena, 0);
    if (!vt_value_from_msgpack(&arena, (const char *)data, size, &value, &error) &&
        !vt_wanted_read(&arena, &value, VT_BODY_MSGPACK, 100, &wanted, &problems, &error))
        for (size_t i = 0; problems.count == 0 && i < wanted.count; i++) {
            const uint8_t *text = (const uint8_t *)wanted.pictures[i].text;
            if (wanted.pictures[i].length > 0 && (text < data || text + wanted.pictures[i].length > data + size))
                abort();
        }
    vt_strbuf_fini(&problems.json);
    vt_arena_fini(&arena);
    return 0;
}
