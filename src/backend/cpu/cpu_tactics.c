/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/cpu/cpu.h"

const struct vt_cpu_tactic *vt_cpu_tactic_at(size_t i) {
    static const struct vt_cpu_tactic *const *const tables[] = {vt_cpu_conv_tactics, vt_cpu_gemm_tactics,
        vt_cpu_plane_tactics, vt_cpu_onednn_tactics, vt_cpu_reference_tactics};
    for (size_t table = 0; table < sizeof tables / sizeof *tables; table++)
        for (const struct vt_cpu_tactic *const *tactic = tables[table]; *tactic; tactic++)
            if (i-- == 0) return *tactic;
    return NULL;
}

const struct vt_cpu_tactic *vt_cpu_tactic_find(const char *name) {
    const struct vt_cpu_tactic *tactic;
    for (size_t i = 0; (tactic = vt_cpu_tactic_at(i)); i++)
        if (strcmp(tactic->name, name) == 0) return tactic;
    return NULL;
}
