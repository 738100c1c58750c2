/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "server/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Forms whose boundary is "b". */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct vt_form_field fields[VT_FORM_FIELDS];
    struct vultus_error error;
    size_t count = 0;
    const char *begin = (const char *)data, *end = begin + size;
    if (vt_form_read("multipart/form-data; boundary=b", begin, size, fields, &count, &error) < 0) return 0;
    for (size_t i = 0; i < count; i++)
        if (fields[i].name < begin || fields[i].name + fields[i].name_length > end || fields[i].value < begin ||
            fields[i].value + fields[i].length > end)
            abort();
    return 0;
}
