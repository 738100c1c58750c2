/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/catalogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted has no NULL texts, names that can be files' names, and packs that exist. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct vt_catalogue *catalogue;
    struct vultus_error error;
    if (vt_catalogue_parse((const char *)data, size, "input", &catalogue, &error)) return 0;
    for (size_t i = 0; i < vt_catalogue_count(catalogue); i++) {
        const struct vt_catalogue_entry *e = vt_catalogue_at(catalogue, i);
        if (!vt_catalogue_is_name(e->name) || strchr(e->name, '/') || !e->page || !e->origin || !e->licence) abort();
        if (vt_catalogue_model(catalogue, e->name) != e || e->width < 1 || !(e->std[0] > 0)) abort();
        for (size_t k = 0; k < e->packs.count; k++)
            if (!vt_catalogue_pack(catalogue, e->packs.items[k])) abort();
        for (size_t k = 0; k < e->urls.count; k++)
            if (strncmp(e->urls.items[k], "http", 4)) abort();
    }
    vt_catalogue_destroy(catalogue);
    return 0;
}
