/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "onnx/onnx.h"

#define MEMORY ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What inference says of known sizes must be a tensor that can exist. */
static void check_shapes(const struct vt_graph *graph) {
    for (const struct vt_node *node = graph->first; node; node = node->next) {
        int64_t dims[VT_MAX_RANK];
        for (size_t i = 0; i < node->n_outputs; ++i) {
            const struct vt_value *out = node->outputs[i];
            if (vt_value_static_dims(out, dims) && !vt_dims_valid(out->rank, dims, out->dtype, NULL)) abort();
        }
    }
}

/* Reads, infers symbolically, fixes the inputs and infers again; prints what came out. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* Names of external data are looked up for real, where little can be found. */
    const struct vt_onnx_limits limits = {
        .arena_bytes = MEMORY, .nodes = 4096, .external_bytes = 1 << 20, .folder = "/proc/self/fdinfo"};
    const int64_t sizes[VT_MAX_RANK] = {1, 3, 64, 48, 2, 2, 2, 2};
    struct vt_graph *graph;
    struct vultus_error error;
    char hex[VT_SHA256_HEX];
    vt_onnx_probe(data, size);
    vt_onnx_sha256(data, size, "input", limits.folder, hex, NULL);
    if (vt_onnx_read(data, size, "input", &limits, &graph, &error)) return 0;
    enum vultus_status status = vt_graph_infer(graph, &error);
    if (!status) check_shapes(graph);
    for (size_t i = 0; !status && i < graph->n_inputs; ++i)
        if (graph->inputs[i]->rank >= 0)
            vt_graph_bind_input(graph, graph->inputs[i], sizes, graph->inputs[i]->rank, &error);
    if (!status && !vt_graph_infer(graph, &error)) check_shapes(graph);
    struct vt_strbuf buffer = {0};
    vt_graph_dump(graph, &buffer);
    vt_strbuf_fini(&buffer);
    if (graph->arena.used > MEMORY) abort();
    vt_graph_destroy(graph);
    return 0;
}
