/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "config/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Files of settings. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct vt_configuration configuration = {0};
    struct vultus_error error;
    if (vt_configuration_init(&configuration, &error)) abort();
    struct vt_strbuf printed = {0};
    if (!vt_configuration_read_text(&configuration, (const char *)data, size, "input", &error))
        vt_configuration_print(&configuration, &printed);
    vt_strbuf_fini(&printed);
    vt_configuration_fini(&configuration);
    return 0;
}
