/* SPDX-License-Identifier: Apache-2.0 */
#include "pass/affine.h"
#include "pass/pass.h"

static enum vultus_status fold(struct vt_rewrite *rewrite, struct vt_node *node) {
    struct vt_channel_affine affine;
    bool found = false, folded = false;
    if (node->op == VT_OP_BATCH_NORM || node->op == VT_OP_AFFINE) return VULTUS_OK;
    enum vultus_status status = vt_affine_read(rewrite, node, &affine, &found);
    if (status || !found) return status;
    status = vt_affine_fold_into_producer(rewrite, node, &affine, &folded);
    if (!status && !folded) status = vt_affine_fold_into_consumers(rewrite, node, &affine, &folded);
    /* Only pictures: channels of other shapes gain nothing from a vector of factors. */
    if (status || folded || affine.x->rank != 4) return status;
    return vt_affine_make_node(rewrite, node, &affine);
}

enum vultus_status vt_pass_fold_scale(struct vt_graph *graph, size_t *changed, struct vultus_error *error) {
    return vt_rewrite_graph(graph, fold, changed, error);
}
