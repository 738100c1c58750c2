/* SPDX-License-Identifier: Apache-2.0 */
#include "builder.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/strbuf.h"

enum { MOST_ARGUMENTS = 20, NUMBER_SIZE = 32, MOST_OUTPUT = 65536 };

struct command_line {
    char threads[NUMBER_SIZE], batch[NUMBER_SIZE], size[NUMBER_SIZE];
    const char *arguments[MOST_ARGUMENTS];
    int count;
};

static void add(struct command_line *line, const char *flag, const char *value) {
    line->arguments[line->count++] = flag;
    if (value) line->arguments[line->count++] = value;
}

static void write_command(
    const struct vt_builder *builder, const struct vt_plan_wanted *wanted, struct command_line *line) {
    *line = (struct command_line){0};
    add(line, "vultus", "build");
    add(line, "--json", NULL);
    add(line, "--precision", wanted->precision);
    add(line, "--backend", wanted->backend);
    snprintf(line->threads, sizeof line->threads, "%d", builder->threads);
    add(line, "--threads", line->threads);
    snprintf(line->batch, sizeof line->batch, "%d", wanted->max_batch);
    add(line, "--max-batch", line->batch);
    snprintf(line->size, sizeof line->size, "%dx%d", wanted->width, wanted->height);
    if (wanted->width) add(line, "--input-size", line->size);
    if (builder->plans) add(line, "--plans", builder->plans);
    add(line, "--", wanted->model);
}

/* In the child, where only what is safe in a signal handler may be called. */
static void become_builder(const struct command_line *line, const int output[2], const int messages[2]) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(output[1], STDOUT_FILENO);
    dup2(messages[1], STDERR_FILENO);
    execv("/proc/self/exe", (char *const *)line->arguments);
    _exit(127);
}

/* ---------------------------------------------------------------- what the child says */

/* Progress is for the server's own log; other lines are kept, the last of them tells what went wrong. */
static void sort_lines(struct vt_strbuf *messages, char last[VULTUS_ERROR_TEXT]) {
    static const char ours[] = "vultus: ", progress[] = "vultus: building ";
    char *line = messages->text, *end;
    for (; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        if (strncmp(line, progress, sizeof progress - 1) == 0)
            fprintf(stderr, "%s\n", line);
        else
            snprintf(
                last, VULTUS_ERROR_TEXT, "%s", line + (strncmp(line, ours, sizeof ours - 1) ? 0 : sizeof ours - 1));
    }
    size_t rest = line ? messages->length - (size_t)(line - messages->text) : 0;
    if (line) memmove(messages->text, line, rest + 1);
    messages->length = rest;
}

/* False at the end of the pipe. */
static bool take_output(int descriptor, struct vt_strbuf *to) {
    char bytes[4096];
    ssize_t n = read(descriptor, bytes, sizeof bytes);
    if (n > 0 && to->length < MOST_OUTPUT) vt_strbuf_append(to, bytes, (size_t)n);
    return n > 0 || (n < 0 && errno == EINTR);
}

static void listen_to(int output, int messages, struct vt_strbuf *said, char last[VULTUS_ERROR_TEXT]) {
    struct vt_strbuf lines = {0};
    struct pollfd pipes[2] = {{.fd = output, .events = POLLIN}, {.fd = messages, .events = POLLIN}};
    while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
        if (poll(pipes, 2, -1) < 0 && errno != EINTR) break;
        if (pipes[0].revents && !take_output(output, said)) pipes[0].fd = -1;
        if (pipes[1].revents && !take_output(messages, &lines)) pipes[1].fd = -1;
        for (int i = 0; i < 2; i++) pipes[i].revents = 0;
        sort_lines(&lines, last);
    }
    vt_strbuf_fini(&lines);
}

static enum vultus_status read_result(const struct vt_strbuf *said, char **plan, struct vultus_error *error) {
    json_t *result = said->length && !said->failed ? json_loadb(said->text, said->length, 0, NULL) : NULL;
    const char *path = json_string_value(json_object_get(result, "path"));
    *plan = path ? strdup(path) : NULL;
    json_decref(result);
    return *plan ? VULTUS_OK : vt_fail(error, VULTUS_ERROR_BACKEND, "the process that builds plans named no plan");
}

static enum vultus_status judge(const struct vt_plan_wanted *wanted, int ended, const char *last,
    const struct vt_strbuf *said, char **plan, struct vultus_error *error) {
    if (WIFEXITED(ended) && WEXITSTATUS(ended) == 0) return read_result(said, plan, error);
    if (WIFSIGNALED(ended))
        return vt_fail(error, VULTUS_ERROR_BACKEND, "building the plan of %s was ended by signal %d (%s)",
            wanted->model, WTERMSIG(ended), strsignal(WTERMSIG(ended)));
    return vt_fail(error, VULTUS_ERROR_INVALID, "%s", *last ? last : "the process that builds plans could not be run");
}

/* ---------------------------------------------------------------- the child */

static enum vultus_status run_child(struct vt_builder *builder, const struct command_line *line, const int output[2],
    const int messages[2], struct vt_strbuf *said, char last[VULTUS_ERROR_TEXT], int *ended,
    struct vultus_error *error) {
    pid_t child = atomic_load(&builder->stopped) ? -1 : fork();
    if (child < 0)
        return vt_fail(error, VULTUS_ERROR_BACKEND, "no process can be started to build a plan: %s",
            atomic_load(&builder->stopped) ? "the server stops" : strerror(errno));
    if (child == 0) become_builder(line, output, messages);
    atomic_store(&builder->child, child);
    if (atomic_load(&builder->stopped)) kill(child, SIGKILL);
    close(output[1]);
    close(messages[1]);
    listen_to(output[0], messages[0], said, last);
    /* Its number is forgotten before it can be given to another process. */
    waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT);
    atomic_store(&builder->child, 0);
    while (waitpid(child, ended, 0) < 0 && errno == EINTR) continue;
    return VULTUS_OK;
}

static bool open_pipes(int output[2], int messages[2]) {
    if (pipe2(output, O_CLOEXEC) < 0) return false;
    if (pipe2(messages, O_CLOEXEC) == 0) return true;
    close(output[0]);
    close(output[1]);
    return false;
}

enum vultus_status vt_builder_run(
    struct vt_builder *builder, const struct vt_plan_wanted *wanted, char **plan, struct vultus_error *error) {
    struct command_line line;
    struct vt_strbuf said = {0};
    char last[VULTUS_ERROR_TEXT] = "";
    int output[2], messages[2], ended = 0;
    write_command(builder, wanted, &line);
    if (!open_pipes(output, messages))
        return vt_fail(error, VULTUS_ERROR_IO, "no pipe to a process that builds a plan: %s", strerror(errno));
    enum vultus_status status = run_child(builder, &line, output, messages, &said, last, &ended, error);
    if (status) {
        close(output[1]);
        close(messages[1]);
    }
    close(output[0]);
    close(messages[0]);
    if (!status) status = judge(wanted, ended, last, &said, plan, error);
    vt_strbuf_fini(&said);
    return status;
}

void vt_builder_stop(struct vt_builder *builder) {
    atomic_store(&builder->stopped, true);
    int child = atomic_load(&builder->child);
    if (child) kill(child, SIGKILL);
}
