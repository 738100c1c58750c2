/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/strbuf.h"
#include "common.h"
#include "tensor/npy.h"

struct run {
    struct vultus_session *session;
    struct vt_arena arena; /* of all tensors */
    size_t n_inputs, n_outputs;
    struct vt_tensor *inputs, *outputs;
    int64_t batch;
};

static void describe_shape(int rank, const int64_t *dims, struct vt_strbuf *text) {
    vt_strbuf_puts(text, "[");
    for (int d = 0; d < rank; d++) vt_strbuf_printf(text, "%s%lld", d ? "," : "", (long long)dims[d]);
    vt_strbuf_puts(text, "]");
}

static enum vultus_status find_input(
    const struct run *run, const char *name, size_t length, size_t *index, struct vultus_error *error) {
    struct vt_strbuf names = {0};
    for (size_t i = 0; i < run->n_inputs; i++) {
        struct vultus_tensor_info info;
        enum vultus_status status = vultus_session_input(run->session, i, 1, &info, error);
        if (status < 0) {
            vt_strbuf_fini(&names);
            return status;
        }
        if (strlen(info.name) == length && memcmp(info.name, name, length) == 0) {
            vt_strbuf_fini(&names);
            *index = i;
            return VULTUS_OK;
        }
        vt_strbuf_printf(&names, "%s%s", i ? ", " : "", info.name);
    }
    enum vultus_status status = vt_fail(error, VULTUS_ERROR_INVALID, "the network has no input \"%.*s\"; it has: %s",
        (int)length, name, names.text ? names.text : "none");
    vt_strbuf_fini(&names);
    return status;
}

static enum vultus_status load_inputs(
    struct run *run, const struct vt_text_list *arguments, struct vultus_error *error) {
    for (size_t a = 0; a < arguments->count; a++) {
        const char *argument = arguments->items[a], *equals = strchr(argument, '=');
        size_t index = 0;
        enum vultus_status status = find_input(run, argument, (size_t)(equals - argument), &index, error);
        if (status == VULTUS_OK) status = vt_npy_read(equals + 1, &run->arena, &run->inputs[index], error);
        if (status < 0) return status;
    }
    return VULTUS_OK;
}

/* Every input must be there, of the session's element type and shape, all for one batch. */
static enum vultus_status check_inputs(struct run *run, struct vultus_error *error) {
    for (size_t i = 0; i < run->n_inputs; i++) {
        const struct vt_tensor *given = &run->inputs[i];
        struct vultus_tensor_info info;
        enum vultus_status status = vultus_session_input(run->session, i, run->batch ? run->batch : 1, &info, error);
        if (status < 0) return status;
        if (given->dtype == VT_DTYPE_NONE)
            return vt_fail(
                error, VULTUS_ERROR_INVALID, "input %s is missing: add --input %s=FILE.npy", info.name, info.name);
        if (!run->batch && given->rank > 0 && given->rank == info.rank) {
            run->batch = given->dims[0];
            status = vultus_session_input(run->session, i, run->batch, &info, error);
            if (status < 0) return status;
        }
        if (strcmp(info.dtype, vt_dtype_name(given->dtype)) == 0 && info.rank == given->rank &&
            memcmp(info.dims, given->dims, (size_t)info.rank * sizeof *info.dims) == 0)
            continue;
        struct vt_strbuf wanted = {0};
        char have[256];
        describe_shape(info.rank, info.dims, &wanted);
        status = vt_fail(error, VULTUS_ERROR_INVALID, "input %s takes %s%s, not %s", info.name, info.dtype,
            wanted.text ? wanted.text : "", vt_tensor_describe(given, have, sizeof have));
        vt_strbuf_fini(&wanted);
        return status;
    }
    return VULTUS_OK;
}

static enum vultus_status run_batch(struct run *run, struct vultus_error *error) {
    const void **in = vt_arena_alloc_array(&run->arena, run->n_inputs, sizeof *in);
    void **out = vt_arena_alloc_array(&run->arena, run->n_outputs, sizeof *out);
    if (!in || !out) return vt_fail_memory(error, "pointers", run->n_inputs + run->n_outputs);
    for (size_t i = 0; i < run->n_inputs; i++) in[i] = run->inputs[i].data;
    for (size_t i = 0; i < run->n_outputs; i++) {
        struct vultus_tensor_info info;
        enum vultus_status status = vultus_session_output(run->session, i, run->batch, &info, error);
        if (status == VULTUS_OK)
            status = vt_tensor_alloc(
                &run->arena, vt_dtype_from_name(info.dtype), info.rank, info.dims, &run->outputs[i], error);
        if (status < 0) return status;
        out[i] = run->outputs[i].data;
    }
    return vultus_session_run(run->session, in, out, run->batch, error);
}

/* ONNX names may hold anything; files get letters, digits and "._-". */
static char *output_path(const char *folder, const char *name, size_t index) {
    char file[128];
    size_t n = 0;
    for (; name[n] && n < sizeof file - 32; n++)
        file[n] = isalnum((unsigned char)name[n]) || strchr("._-", name[n]) ? name[n] : '_';
    if (n == 0 || file[0] == '.')
        snprintf(file, sizeof file, "output_%zu.npy", index);
    else
        snprintf(file + n, sizeof file - n, ".npy");
    return vt_path_join(folder, file);
}

static void print_summary(const char *name, const struct vt_tensor *t, const char *path) {
    char shape[256];
    int64_t count = vt_tensor_count(t);
    double least = 0, most = 0;
    for (int64_t i = 0; i < count; i++) {
        double value = vt_tensor_get(t, i);
        if (i == 0 || value < least) least = value;
        if (i == 0 || value > most) most = value;
    }
    printf("%s: %s, from %.6g to %.6g%s%s\n", name, vt_tensor_describe(t, shape, sizeof shape), least, most,
        path ? ", " : "", path ? path : "");
}

static enum vultus_status write_outputs(struct run *run, const char *folder, struct vultus_error *error) {
    if (folder) {
        enum vultus_status status = vt_make_directories(folder, error);
        if (status < 0) return status;
    }
    for (size_t i = 0; i < run->n_outputs; i++) {
        struct vultus_tensor_info info;
        enum vultus_status status = vultus_session_output(run->session, i, run->batch, &info, error);
        if (status < 0) return status;
        char *path = folder ? output_path(folder, info.name, i) : NULL;
        if (folder && !path) return vt_fail_memory(error, "a path", strlen(folder));
        if (path) status = vt_npy_write(path, &run->outputs[i], error);
        if (status == VULTUS_OK) print_summary(info.name, &run->outputs[i], path);
        free(path);
        if (status < 0) return status;
    }
    return VULTUS_OK;
}

static enum vultus_status run_network(struct run *run, const struct vt_options *options, struct vultus_error *error) {
    run->n_inputs = vultus_session_inputs(run->session);
    run->n_outputs = vultus_session_outputs(run->session);
    run->inputs = vt_arena_alloc_array(&run->arena, run->n_inputs, sizeof *run->inputs);
    run->outputs = vt_arena_alloc_array(&run->arena, run->n_outputs, sizeof *run->outputs);
    if (!run->inputs || !run->outputs) return vt_fail_memory(error, "tensors", run->n_inputs + run->n_outputs);
    enum vultus_status status = load_inputs(run, &options->inputs, error);
    if (status == VULTUS_OK) status = check_inputs(run, error);
    if (status == VULTUS_OK) status = run_batch(run, error);
    if (status == VULTUS_OK) status = write_outputs(run, options->output_dir, error);
    return status;
}

int vt_cli_run(const struct vt_options *options) {
    struct vultus_runtime *runtime = vt_cli_runtime(options);
    if (!runtime) return VT_EXIT_FAILURE;
    struct vt_cli_progress progress = {0};
    struct vultus_build_options build = vt_cli_build_options(options, options->operands[0], &progress);
    struct vultus_error error;
    struct run run = {0};
    vt_arena_init(&run.arena, 0);
    enum vultus_status status = vultus_session_open(runtime, options->operands[0], &build, &run.session, &error);
    vt_cli_progress_end(&progress);
    if (status == VULTUS_OK) status = run_network(&run, options, &error);
    int code = status < 0 ? vt_cli_fail(&error) : VT_EXIT_OK;
    vultus_session_close(run.session);
    vt_arena_fini(&run.arena);
    vultus_runtime_destroy(runtime);
    return code;
}
