/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_GRAPH_INTERPRETER_H
#define VT_GRAPH_INTERPRETER_H

#include "graph/graph.h"

/*
 * Runs a graph node by node with the reference operators: the oracle. inputs[i] belongs to graph->inputs[i]; outputs[i]
 * gets graph->outputs[i], allocated from `arena`. Dead intermediates are released as it goes; the arena's limit bounds
 * what each node may take, too. Uses the values' `index`, so one graph runs on one thread at a time.
 */
enum vultus_status vt_graph_run(const struct vt_graph *graph, const struct vt_tensor *inputs, struct vt_tensor *outputs,
    struct vt_arena *arena, struct vultus_error *error);

#endif
