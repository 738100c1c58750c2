/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/base64.h"
#include "server/wanted.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bodies of /extract in JSON, and what a 422 answer says of them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct vt_arena arena;
    struct vt_value value;
    struct vt_json_problem problem = {0};
    struct vultus_error error;
    struct vt_problems problems = {0};
    struct vt_wanted wanted = {0};
    vt_arena_init(&arena, 0);
    enum vultus_status status = vt_value_from_json(&arena, (const char *)data, size, &value, &problem, &error);
    if (!status) status = vt_wanted_read(&arena, &value, VT_BODY_JSON, 100, &wanted, &problems, &error);
    for (size_t i = 0; !status && problems.count == 0 && i < wanted.count; i++) {
        uint8_t *bytes;
        size_t length;
        if (wanted.pictures[i].base64 &&
            !vt_base64_decode(wanted.pictures[i].text, wanted.pictures[i].length, &bytes, &length, &error))
            free(bytes);
    }
    for (size_t i = 0; i < wanted.n_headers; i++)
        if (strpbrk(wanted.headers[i].name, "\r\n") || strpbrk(wanted.headers[i].value, "\r\n")) abort();
    if (problems.count > 0 && !problems.json.text) abort();
    vt_strbuf_fini(&problems.json);
    vt_arena_fini(&arena);
    return 0;
}
