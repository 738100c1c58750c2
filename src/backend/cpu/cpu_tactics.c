/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/cpu/cpu.h"

/* Best guesses first. */
static const struct {
    const struct vt_cpu_tactic *const *tactics; /* NULL-terminated */
    const char *provider;
} tables[] = {{vt_cpu_conv_tactics, "own"}, {vt_cpu_conv_transpose_tactics, "own"}, {vt_cpu_gemm_tactics, "own"},
    {vt_cpu_plane_tactics, "own"}, {vt_cpu_onednn_tactics, "oneDNN"}, {vt_cpu_reference_tactics, "reference"}};
#define N_TABLES (sizeof tables / sizeof *tables)

const struct vt_cpu_tactic *vt_cpu_tactic_at(size_t i) {
    for (size_t table = 0; table < N_TABLES; table++)
        for (const struct vt_cpu_tactic *const *tactic = tables[table].tactics; *tactic; tactic++)
            if (i-- == 0) return *tactic;
    return NULL;
}

const struct vt_cpu_tactic *vt_cpu_tactic_find(const char *name) {
    const struct vt_cpu_tactic *tactic;
    for (size_t i = 0; (tactic = vt_cpu_tactic_at(i)); i++)
        if (strcmp(tactic->name, name) == 0) return tactic;
    return NULL;
}

bool vt_cpu_describe_tactic(const char *name, struct vt_tactic_info *info) {
    for (size_t table = 0; table < N_TABLES; table++)
        for (const struct vt_cpu_tactic *const *tactic = tables[table].tactics; *tactic; tactic++) {
            if (strcmp((*tactic)->name, name) != 0) continue;
            *info = (struct vt_tactic_info){(*tactic)->class, tables[table].provider};
            return true;
        }
    return false;
}
