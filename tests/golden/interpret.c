/* SPDX-License-Identifier: Apache-2.0
 *
 * interpret MODEL.onnx OUTPUT_DIRECTORY [INPUT.npy...]: runs the unoptimised graph with the reference operators, the
 * inputs in the model's order, and writes OUTPUT_DIRECTORY/0.npy, 1.npy... in the order of its outputs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "graph/interpreter.h"
#include "onnx/onnx.h"
#include "tensor/npy.h"

#define LARGEST_TENSOR_BYTES ((size_t)4 << 30)

struct program {
    struct vt_mapped_file file;
    struct vt_graph *graph;
    struct vt_arena arena;
    struct vt_tensor *inputs, *outputs;
};

static enum vultus_status open_model(struct program *p, const char *path, struct vultus_error *error) {
    enum vultus_status status = vt_map_file(path, &p->file, error);
    if (status) return status;
    char *folder = vt_path_directory(path);
    const struct vt_onnx_limits limits = {.folder = folder};
    status = vt_onnx_read(p->file.data, p->file.size, path, &limits, &p->graph, error);
    free(folder);
    return status;
}

static enum vultus_status bind_inputs(struct program *p, char **paths, size_t count, struct vultus_error *error) {
    if (count != p->graph->n_inputs)
        return vt_fail(error, VULTUS_ERROR_INVALID, "the model has %zu inputs, not %zu", p->graph->n_inputs, count);
    p->inputs = vt_arena_alloc_array(&p->arena, count + 1, sizeof *p->inputs);
    p->outputs = vt_arena_alloc_array(&p->arena, p->graph->n_outputs + 1, sizeof *p->outputs);
    if (!p->inputs || !p->outputs) return vt_fail_memory(error, "the tensors", (count + 1) * sizeof *p->inputs);
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; !status && i < count; i++) {
        status = vt_npy_read(paths[i], &p->arena, &p->inputs[i], error);
        if (!status)
            status = vt_graph_bind_input(p->graph, p->graph->inputs[i], p->inputs[i].dims, p->inputs[i].rank, error);
    }
    return status ? status : vt_graph_infer(p->graph, error);
}

/* What inference promised must hold for what came out. */
static enum vultus_status check_inference(const struct program *p, struct vultus_error *error) {
    for (size_t i = 0; i < p->graph->n_outputs; i++) {
        const struct vt_value *value = p->graph->outputs[i];
        const struct vt_tensor *out = &p->outputs[i];
        bool same = out->dtype == value->dtype && out->rank == value->rank;
        for (int axis = 0; same && axis < out->rank; axis++) {
            int64_t dim = 0;
            same = !vt_dim_is_constant(value->dims[axis], &dim) || dim == out->dims[axis];
        }
        char text[128];
        if (!same)
            return vt_fail(error, VULTUS_ERROR_INVALID, "output %s is %s, which is not what was inferred", value->name,
                vt_tensor_describe(out, text, sizeof text));
    }
    return VULTUS_OK;
}

static enum vultus_status write_outputs(const struct program *p, const char *directory, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; !status && i < p->graph->n_outputs; i++) {
        char name[32];
        snprintf(name, sizeof name, "%zu.npy", i);
        char *path = vt_path_join(directory, name);
        status = path ? vt_npy_write(path, &p->outputs[i], error) : vt_fail_memory(error, "a path", sizeof name);
        free(path);
    }
    return status;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: interpret MODEL.onnx OUTPUT_DIRECTORY [INPUT.npy...]\n");
        return 2;
    }
    struct program p = {0};
    struct vultus_error error = {0};
    vt_arena_init(&p.arena, LARGEST_TENSOR_BYTES);
    enum vultus_status status = open_model(&p, argv[1], &error);
    if (!status) status = bind_inputs(&p, argv + 3, (size_t)argc - 3, &error);
    if (!status) status = vt_graph_run(p.graph, p.inputs, p.outputs, &p.arena, &error);
    if (!status) status = check_inference(&p, &error);
    if (!status) status = write_outputs(&p, argv[2], &error);
    if (status) fprintf(stderr, "interpret: %s\n", error.text);
    vt_graph_destroy(p.graph);
    vt_unmap_file(&p.file);
    vt_arena_fini(&p.arena);
    return status ? 1 : 0;
}
