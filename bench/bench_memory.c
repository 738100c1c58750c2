/* SPDX-License-Identifier: Apache-2.0
 * The most memory that is resident while several sessions of one plan, each of its own runtime, run a batch at a time.
 *
 * usage: bench_memory PLAN [SESSIONS] [BATCH] [THREADS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "vultus/vultus.h"

enum { MOST_SESSIONS = 16, MOST_OPERANDS = 32 };

struct caller {
    struct vultus_runtime *runtime;
    struct vultus_session *session;
    void *inputs[MOST_OPERANDS], *outputs[MOST_OPERANDS];
};

static int open_caller(struct caller *c, const char *plan, int threads, int64_t batch, struct vultus_error *error) {
    struct vultus_runtime_options options = {.threads = threads};
    struct vultus_tensor_info info;
    int status = vultus_runtime_create(&options, &c->runtime, error);
    if (status == VULTUS_OK) status = vultus_session_open(c->runtime, plan, NULL, &c->session, error);
    size_t inputs = status == VULTUS_OK ? vultus_session_inputs(c->session) : 0;
    size_t outputs = status == VULTUS_OK ? vultus_session_outputs(c->session) : 0;
    if (inputs > MOST_OPERANDS || outputs > MOST_OPERANDS) return VULTUS_ERROR_LIMIT;
    for (size_t i = 0; status == VULTUS_OK && i < inputs + outputs; i++) {
        status = i < inputs ? vultus_session_input(c->session, i, batch, &info, error)
                            : vultus_session_output(c->session, i - inputs, batch, &info, error);
        void *memory = status == VULTUS_OK ? calloc(1, info.bytes) : NULL;
        if (status == VULTUS_OK && !memory) status = VULTUS_ERROR_MEMORY;
        *(i < inputs ? &c->inputs[i] : &c->outputs[i - inputs]) = memory;
    }
    return status;
}

static void close_caller(struct caller *c) {
    vultus_session_close(c->session);
    vultus_runtime_destroy(c->runtime);
    for (size_t i = 0; i < MOST_OPERANDS; i++) {
        free(c->inputs[i]);
        free(c->outputs[i]);
    }
}

/* proc(5): the peak of the resident set, in kB. */
static long most_resident(void) {
    char line[256];
    long kilobytes = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld", &kilobytes) == 1) break;
    if (file) fclose(file);
    return kilobytes;
}

int main(int argc, char **argv) {
    int sessions = argc > 2 ? atoi(argv[2]) : 1, batch = argc > 3 ? atoi(argv[3]) : 1;
    int threads = argc > 4 ? atoi(argv[4]) : 0;
    if (argc < 2 || sessions < 1 || sessions > MOST_SESSIONS || batch < 1) {
        fprintf(stderr, "usage: bench_memory PLAN [SESSIONS] [BATCH] [THREADS]\n");
        return 2;
    }
    static struct caller callers[MOST_SESSIONS];
    struct vultus_error error = {VULTUS_OK, "no memory, or more inputs or outputs than this program has room for"};
    int status = VULTUS_OK;
    for (int i = 0; status == VULTUS_OK && i < sessions; i++)
        status = open_caller(&callers[i], argv[1], threads, batch, &error);
    for (int run = 0; status == VULTUS_OK && run < 2 * sessions; run++) {
        struct caller *c = &callers[run % sessions];
        status = vultus_session_run(c->session, (const void *const *)c->inputs, c->outputs, batch, &error);
    }
    if (status == VULTUS_OK)
        printf("%ld\n", most_resident());
    else
        fprintf(stderr, "bench_memory: %s\n", error.text);
    for (int i = 0; i < sessions; i++) close_caller(&callers[i]);
    return status == VULTUS_OK ? 0 : 1;
}
