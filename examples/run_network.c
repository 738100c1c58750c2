/* SPDX-License-Identifier: Apache-2.0 */
/* Runs any network, ONNX or plan, on a batch of zeros and prints the shapes that come out. */
#include <stdio.h>
#include <stdlib.h>
#include <vultus/vultus.h>

#define MOST_TENSORS 32
#define BATCH 2

typedef enum vultus_status describe_function(const struct vultus_session *session, size_t i, int64_t batch,
    struct vultus_tensor_info *info, struct vultus_error *error);

/* Prints and allocates every input, or every output. */
static int make_buffers(const struct vultus_session *session, const char *what, size_t count,
    describe_function *describe, void *buffers[MOST_TENSORS], struct vultus_error *error) {
    for (size_t i = 0; i < count; i++) {
        struct vultus_tensor_info info;
        if (describe(session, i, BATCH, &info, error) < 0) return -1;
        printf("%s %s: %s", what, info.name, info.dtype);
        for (int d = 0; d < info.rank; d++) printf("%s%lld", d ? " x " : " ", (long long)info.dims[d]);
        putchar('\n');
        if (!(buffers[i] = calloc(1, info.bytes))) return -1;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s MODEL\n", argv[0]);
        return 2;
    }
    struct vultus_runtime *runtime = NULL;
    struct vultus_session *session = NULL;
    struct vultus_error error = {.text = "too many tensors, or out of memory"};
    void *inputs[MOST_TENSORS] = {0}, *outputs[MOST_TENSORS] = {0};
    int code = 1;
    if (vultus_runtime_create(NULL, &runtime, &error) < 0) goto done;
    if (vultus_session_open(runtime, argv[1], NULL, &session, &error) < 0) goto done;
    size_t n_inputs = vultus_session_inputs(session), n_outputs = vultus_session_outputs(session);
    if (n_inputs > MOST_TENSORS || n_outputs > MOST_TENSORS) goto done;
    if (make_buffers(session, "input", n_inputs, vultus_session_input, inputs, &error) < 0) goto done;
    if (make_buffers(session, "output", n_outputs, vultus_session_output, outputs, &error) < 0) goto done;
    if (vultus_session_run(session, (const void *const *)inputs, outputs, BATCH, &error) < 0) goto done;
    printf("ran a batch of %d\n", BATCH);
    code = 0;
done:
    if (code) fprintf(stderr, "%s\n", error.text);
    for (int i = 0; i < MOST_TENSORS; i++) {
        free(inputs[i]);
        free(outputs[i]);
    }
    vultus_session_close(session);
    vultus_runtime_destroy(runtime);
    return code;
}
