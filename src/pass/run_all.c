/* SPDX-License-Identifier: Apache-2.0 */
#include "pass/pass.h"

static vt_pass *const passes[] = {
    vt_pass_eliminate,
    vt_pass_fold_constants,
    vt_pass_recognise_group_norm,
    vt_pass_fold_batch_norm,
    vt_pass_fold_scale,
    vt_pass_hoist_activation,
    vt_pass_canonicalise,
    vt_pass_fuse_tail,
};

/* Every rewrite removes a node, moves it forward, joins some or brings it into its final form, so rounds end; this is
 * for our own bugs. */
#define MOST_ROUNDS 1000

enum vultus_status vt_pass_run_all(struct vt_graph *graph, struct vultus_error *error) {
    enum vultus_status status = vt_graph_infer(graph, error);
    size_t changed = 1;
    for (int round = 0; !status && changed > 0; round++) {
        changed = 0;
        if (round == MOST_ROUNDS)
            return vt_fail(error, VULTUS_ERROR_LIMIT, "passes over %zu nodes did not settle in %d rounds",
                graph->n_nodes, MOST_ROUNDS);
        for (size_t i = 0; !status && i < sizeof passes / sizeof *passes; i++)
            status = passes[i](graph, &changed, error);
        if (!status && changed == 0) status = vt_pass_join_convolutions(graph, &changed, error);
    }
    return status;
}
