/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "bench_photos.h"
#include "common.h"
#include "serve.h"

#define ANY_NUMBER ((size_t)-1)

const struct vt_command vt_commands[] = {
    {VT_BUILD, "build", "MODEL.onnx", "Compile an ONNX model into a plan tuned for this machine", 1, 1, vt_cli_build},
    {VT_INFO, "info", "FILE.onnx|FILE.plan", "Describe a model or a plan", 1, 1, vt_cli_info},
    {VT_RUN, "run", "FILE.onnx|FILE.plan", "Run any network on .npy files", 1, 1, vt_cli_run},
    {VT_EXTRACT, "extract", "PHOTO...|DIR|-", "Find faces in photos and compute their embeddings", 1, ANY_NUMBER,
        vt_cli_extract},
    {VT_DRAW, "draw", "PHOTO", "Draw boxes, landmarks, scores and sizes into a photo", 1, 1, vt_cli_draw},
    {VT_MATCH, "match", "A.jpg B.jpg", "Compare the largest faces of two photos", 2, 2, vt_cli_match},
    {VT_EMBED, "embed", "CROP...", "Compute embeddings of aligned 112x112 crops", 1, ANY_NUMBER, vt_cli_embed},
    {VT_COMPARE, "compare", "FILE.onnx|FILE.plan", "Hold a network's outputs against a reference's", 1, 1,
        vt_cli_compare},
    {VT_BENCH, "bench", "FILE.onnx|FILE.plan|PHOTO...", "Time a network, or the whole path of photos", 1, ANY_NUMBER,
        vt_cli_bench},
    {VT_MODELS, "models", "list|pull NAME|verify [NAME]|remove NAME|import FILE",
        "Fetch, check and remove models by name", 1, ANY_NUMBER, vt_cli_models},
    {VT_DOCTOR, "doctor", "", "Show back ends, processor, libraries and the plan folder", 0, 0, vt_cli_doctor},
    {.name = "serve",
        .operands = "",
        .summary = "Answer HTTP requests: faces and embeddings of photos",
        .run_keys = vt_cli_serve},
    {.name = "config",
        .operands = "show|check",
        .summary = "Show or check the server's settings",
        .run_keys = vt_cli_config},
    {0},
};

static int wrong_usage(const struct vt_command *command, const char *why) {
    vt_cli_say("%s", why);
    fputc('\n', stderr);
    if (command)
        vt_print_command_usage(command, stderr);
    else
        vt_print_usage(stderr);
    return VT_EXIT_USAGE;
}

static void set_log_level(const char *name) {
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    for (int i = 0; name && i < 4; i++)
        if (strcmp(levels[i], name) == 0) vultus_set_log(NULL, NULL, (enum vultus_log_level)i);
}

/* Commands whose first operand is a model take one by name too. */
static int run_with_model(const struct vt_command *command, struct vt_options *options) {
    char *named = strdup(options->operands[0]);
    if (!named) return vt_cli_fail_memory();
    char *path = vt_cli_resolve(options, named, NULL);
    if (!path) return command->bit == VT_COMPARE ? VT_EXIT_NOT_COMPARED : VT_EXIT_FAILURE;
    options->operands[0] = path;
    int code = command->run(options);
    free(path);
    return code;
}

static int run_command(const struct vt_command *command, int argc, char **argv) {
    struct vt_options options;
    char why[256];
    int code;
    if (!vt_options_parse(command, argc, argv, &options, why, sizeof why)) {
        code = wrong_usage(command, why);
    } else if (options.help) {
        vt_print_command_usage(command, stdout);
        code = VT_EXIT_OK;
    } else {
        set_log_level(options.log);
        bool takes_model = command->bit & (VT_BUILD | VT_INFO | VT_RUN | VT_BENCH | VT_COMPARE);
        if (command->bit == VT_BENCH && vt_bench_wants_photos(&options)) takes_model = false;
        code = takes_model ? run_with_model(command, &options) : command->run(&options);
    }
    vt_options_fini(&options);
    return code;
}

static void print_command_usage(const struct vt_command *command) {
    if (command->run_keys)
        vt_print_keys_usage(command->name, stdout);
    else
        vt_print_command_usage(command, stdout);
}

static int dispatch(int argc, char **argv) {
    if (argc < 2) return wrong_usage(NULL, "a command is missing");
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (strcmp(name, "help") == 0 && argc == 2)) {
        vt_print_usage(stdout);
        return VT_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0) {
        printf("vultus %s\n", vultus_version());
        return VT_EXIT_OK;
    }
    bool help = strcmp(name, "help") == 0;
    if (help) name = argv[2];
    const struct vt_command *command = vt_command_find(name);
    if (command && help) {
        print_command_usage(command);
        return VT_EXIT_OK;
    }
    if (command && command->run_keys) return command->run_keys(argc - 2, argv + 2);
    if (command) return run_command(command, argc - 2, argv + 2);
    char why[256];
    const char *suggestion = vt_command_suggest(name);
    snprintf(why, sizeof why, "there is no command \"%.64s\"%s%s%s", name, suggestion ? "; did you mean " : "",
        suggestion ? suggestion : "", suggestion ? "?" : "");
    return wrong_usage(NULL, why);
}

int main(int argc, char **argv) {
    signal(SIGXFSZ, SIG_IGN); /* a file over the size limit is an error of writing, to be told like any other */
    int code = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        vt_cli_say("cannot write to standard output: %s", strerror(errno));
        return VT_EXIT_FAILURE;
    }
    return code;
}
