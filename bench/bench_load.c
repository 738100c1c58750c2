/* SPDX-License-Identifier: Apache-2.0
 * Milliseconds from a plan file to its first result.
 *
 * usage: bench_load PLAN [THREADS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "common.h"
#include "vultus/vultus.h"

static int give_up(const struct vultus_error *error) {
    fprintf(stderr, "bench_load: %s\n", error->text);
    return 1;
}

int main(int argc, char **argv) {
    enum { MOST = 32 };
    if (argc < 2) {
        fprintf(stderr, "usage: bench_load PLAN [THREADS]\n");
        return 2;
    }
    struct vultus_error error = {VULTUS_OK, "more inputs or outputs than this program has room for"};
    struct vultus_runtime_options options = {.threads = argc > 2 ? atoi(argv[2]) : 0};
    struct vultus_runtime *runtime;
    struct vultus_session *session;
    struct vultus_tensor_info info;
    const void *inputs[MOST];
    void *outputs[MOST];
    double start = now_ms();
    if (vultus_runtime_create(&options, &runtime, &error)) return give_up(&error);
    if (vultus_session_open(runtime, argv[1], NULL, &session, &error)) return give_up(&error);
    if (vultus_session_inputs(session) > MOST || vultus_session_outputs(session) > MOST) return give_up(&error);
    for (size_t i = 0; i < vultus_session_inputs(session); i++) {
        if (vultus_session_input(session, i, 1, &info, &error)) return give_up(&error);
        inputs[i] = calloc(1, info.bytes);
    }
    for (size_t i = 0; i < vultus_session_outputs(session); i++) {
        if (vultus_session_output(session, i, 1, &info, &error)) return give_up(&error);
        outputs[i] = malloc(info.bytes);
    }
    if (vultus_session_run(session, inputs, outputs, 1, &error)) return give_up(&error);
    printf("%.2f\n", now_ms() - start);
    for (size_t i = 0; i < vultus_session_inputs(session); i++) free((void *)inputs[i]);
    for (size_t i = 0; i < vultus_session_outputs(session); i++) free(outputs[i]);
    vultus_session_close(session);
    vultus_runtime_destroy(runtime);
    return 0;
}
