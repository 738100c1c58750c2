/* SPDX-License-Identifier: Apache-2.0
 *
 * conform ENGINE PLAN_FOLDER <LIST >RESULTS: runs ONNX node tests. ENGINE: "interpreter", the unoptimised graph with
 * the reference operators; "plan", built, cached in PLAN_FOLDER, opened and run as `vultus run` does. A line of LIST is
 * MODEL.onnx, a folder with output_0.pb..., and the input files, all separated by tabs. A line of RESULTS is "passed"
 * or a sentence. The first line of RESULTS is the instruction set in use.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vultus/vultus.h>

#include "base/cpu.h"
#include "base/file.h"
#include "base/status.h"
#include "graph/interpreter.h"
#include "onnx/reader.h"

#define MOST_TENSORS 64
#define MEMORY ((size_t)1 << 30)
/* Those of ONNX's own runner (onnx/backend/test/runner). */
#define RELATIVE_TOLERANCE 1e-3
#define ABSOLUTE_TOLERANCE 1e-7

struct test {
    const char *model, *folder, *inputs[MOST_TENSORS];
    size_t n_inputs;
    struct vt_arena arena; /* of what follows */
    struct vt_mapped_file files[2 * MOST_TENSORS];
    size_t n_files;
    struct vt_tensor given[MOST_TENSORS], wanted[MOST_TENSORS], made[MOST_TENSORS];
    size_t n_outputs;
};

/* Tensors point into their files, which stay mapped as long as the test. */
static enum vultus_status read_tensor(
    struct test *t, const char *path, struct vt_tensor *out, struct vultus_error *error) {
    struct vt_mapped_file *file = &t->files[t->n_files];
    enum vultus_status status = vt_map_file(path, file, error);
    if (status) return status;
    t->n_files++;
    struct vt_onnx_reader reader = {
        .source = {.bytes = file->data, .size = file->size, .name = path, .error = error}, .arena = &t->arena};
    const char *name;
    return vt_onnx_read_tensor(&reader, vt_pb_whole(&reader.source), &name, out);
}

static enum vultus_status read_tensors(struct test *t, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; !status && i < t->n_inputs; i++) status = read_tensor(t, t->inputs[i], &t->given[i], error);
    for (size_t i = 0; !status && i < MOST_TENSORS; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/output_%zu.pb", t->folder, i);
        if (!vt_path_exists(path)) break;
        status = read_tensor(t, path, &t->wanted[i], error);
        t->n_outputs++;
    }
    return status;
}

static enum vultus_status check_counts(
    const struct test *t, size_t n_inputs, size_t n_outputs, struct vultus_error *error) {
    if (n_inputs == t->n_inputs && n_outputs == t->n_outputs) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_INVALID, "%zu inputs and %zu outputs where the test has %zu and %zu", n_inputs,
        n_outputs, t->n_inputs, t->n_outputs);
}

/* The test data hold the bits of bfloat16 as uint16. */
static void take_type(struct vt_tensor *tensor, enum vt_dtype wanted) {
    if (tensor->dtype == VT_DTYPE_U16 && wanted == VT_DTYPE_BF16) tensor->dtype = wanted;
}

static enum vultus_status interpret(struct test *t, struct vultus_error *error) {
    struct vt_mapped_file file;
    struct vt_graph *graph = NULL;
    enum vultus_status status = vt_map_file(t->model, &file, error);
    if (status) return status;
    status = vt_onnx_read(file.data, file.size, t->model, NULL, &graph, error);
    if (!status) status = check_counts(t, graph->n_inputs, graph->n_outputs, error);
    for (size_t i = 0; !status && i < t->n_inputs; i++) {
        take_type(&t->given[i], graph->inputs[i]->dtype);
        status = vt_graph_bind_input(graph, graph->inputs[i], t->given[i].dims, t->given[i].rank, error);
    }
    if (!status) status = vt_graph_infer(graph, error);
    if (!status) status = vt_graph_run(graph, t->given, t->made, &t->arena, error);
    vt_graph_destroy(graph);
    vt_unmap_file(&file);
    return status;
}

/* A value without a batch axis has one in front, which is no part of the test. */
static struct vt_tensor without_batch(const struct vultus_tensor_info *info, int rank) {
    struct vt_tensor tensor = {.dtype = vt_dtype_from_name(info->dtype), .rank = info->rank};
    bool extra = info->rank == rank + 1 && info->dims[0] == 1;
    if (extra) tensor.rank--;
    memcpy(tensor.dims, info->dims + extra, (size_t)tensor.rank * sizeof *tensor.dims);
    return tensor;
}

static enum vultus_status run_session(struct test *t, struct vultus_session *session, struct vultus_error *error) {
    const void *inputs[MOST_TENSORS];
    void *outputs[MOST_TENSORS];
    struct vultus_tensor_info info;
    enum vultus_status status = check_counts(t, vultus_session_inputs(session), vultus_session_outputs(session), error);
    for (size_t i = 0; !status && i < t->n_inputs; i++) {
        status = vultus_session_input(session, i, 1, &info, error);
        if (!status && info.bytes != vt_tensor_bytes(&t->given[i]))
            status = vt_fail(error, VULTUS_ERROR_INVALID, "input %zu takes %zu bytes", i, info.bytes);
        inputs[i] = t->given[i].data ? t->given[i].data : (const void *)"";
    }
    for (size_t i = 0; !status && i < t->n_outputs; i++) {
        status = vultus_session_output(session, i, 1, &info, error);
        struct vt_tensor shape = without_batch(&info, t->wanted[i].rank);
        if (!status) status = vt_tensor_alloc(&t->arena, shape.dtype, shape.rank, shape.dims, &t->made[i], error);
        outputs[i] = t->made[i].data;
    }
    return status ? status : vultus_session_run(session, inputs, outputs, 1, error);
}

static enum vultus_status run_plan(struct vultus_runtime *runtime, struct test *t, struct vultus_error *error) {
    const struct vultus_build_options options = {.max_batch = 1};
    struct vultus_session *session = NULL;
    enum vultus_status status = vultus_session_open(runtime, t->model, &options, &session, error);
    if (!status) status = run_session(t, session, error);
    vultus_session_close(session);
    return status;
}

static bool close_enough(double got, double wanted) {
    if (isnan(wanted)) return isnan(got);
    return got == wanted || fabs(got - wanted) <= ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * fabs(wanted);
}

static enum vultus_status compare(
    const struct vt_tensor *got, const struct vt_tensor *wanted, size_t index, struct vultus_error *error) {
    char got_text[160], wanted_text[160];
    if (got->dtype != wanted->dtype || !vt_tensor_same_shape(got, wanted))
        return vt_fail(error, VULTUS_ERROR_MISMATCH, "output %zu is %s, not %s", index,
            vt_tensor_describe(got, got_text, sizeof got_text),
            vt_tensor_describe(wanted, wanted_text, sizeof wanted_text));
    bool by_float = vt_dtype_is_float(got->dtype);
    for (int64_t i = 0; i < vt_tensor_count(got); i++) {
        bool same = by_float ? close_enough(vt_tensor_get(got, i), vt_tensor_get(wanted, i))
                             : vt_tensor_get_int(got, i) == vt_tensor_get_int(wanted, i);
        if (!same)
            return vt_fail(error, VULTUS_ERROR_MISMATCH, "element %lld of output %zu is %.9g, not %.9g", (long long)i,
                index, vt_tensor_get(got, i), vt_tensor_get(wanted, i));
    }
    return VULTUS_OK;
}

/* Splits the line at its tabs. */
static void parse(char *line, struct test *t) {
    line[strcspn(line, "\n")] = '\0';
    t->model = strtok(line, "\t");
    t->folder = strtok(NULL, "\t");
    for (const char *path; t->n_inputs < MOST_TENSORS && (path = strtok(NULL, "\t"));) t->inputs[t->n_inputs++] = path;
}

static enum vultus_status run_test(struct vultus_runtime *runtime, char *line, struct vultus_error *error) {
    static struct test t;
    t = (struct test){0};
    parse(line, &t);
    if (!t.folder) return vt_fail(error, VULTUS_ERROR_INVALID, "the line has no folder");
    vt_arena_init(&t.arena, MEMORY);
    enum vultus_status status = read_tensors(&t, error);
    if (!status) status = runtime ? run_plan(runtime, &t, error) : interpret(&t, error);
    for (size_t i = 0; i < t.n_outputs; i++) take_type(&t.wanted[i], t.made[i].dtype);
    for (size_t i = 0; !status && i < t.n_outputs; i++) status = compare(&t.made[i], &t.wanted[i], i, error);
    for (size_t i = 0; i < t.n_files; i++) vt_unmap_file(&t.files[i]);
    vt_arena_fini(&t.arena);
    return status;
}

int main(int argc, char **argv) {
    static char line[65536];
    struct vultus_runtime *runtime = NULL;
    struct vultus_error error = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: conform interpreter|plan PLAN_FOLDER <LIST\n");
        return 2;
    }
    const struct vultus_runtime_options options = {.threads = 1, .plan_directory = argv[2]};
    if (strcmp(argv[1], "plan") == 0 && vultus_runtime_create(&options, &runtime, &error)) {
        fprintf(stderr, "conform: %s\n", error.text);
        return 1;
    }
    printf("%s\n", vt_cpu_arch_name());
    while (fgets(line, sizeof line, stdin)) {
        printf("%s\n", run_test(runtime, line, &error) ? error.text : "passed");
        fflush(stdout);
    }
    vultus_runtime_destroy(runtime);
    return 0;
}
