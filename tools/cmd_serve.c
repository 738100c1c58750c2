/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common.h"
#include "config.h"
#include "config/keys.h"
#include "serve.h"
#if VT_HAVE_SERVER
#include "server/server.h"
#endif

/* ---------------------------------------------------------------- configuration */

static int wrong(const char *command, const char *format, const char *a, const char *b) {
    vt_cli_say(format, a, b);
    fputc('\n', stderr);
    vt_print_keys_usage(command, stderr);
    return VT_EXIT_USAGE;
}

/* The value of a flag: behind "=", or the next argument. NULL: there is none. */
static const char *value_of(const char *equals, int argc, char **argv, int *i) {
    if (equals) return equals + 1;
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static int take_flag(
    struct vt_configuration *configuration, const char *command, int argc, char **argv, int *i, const char **file) {
    const char *argument = argv[*i], *equals = strchr(argument, '=');
    char name[64];
    snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - argument) : (int)strlen(argument), argument);
    bool is_file = strcmp(name, "--config") == 0;
    enum vt_key key = strncmp(name, "--", 2) == 0 ? vt_key_of_flag(name + 2) : VT_KEY_COUNT;
    if (key == VT_KEY_COUNT && !is_file) {
        const char *near = strncmp(name, "--", 2) == 0 ? vt_key_suggest(name + 2) : NULL;
        return wrong(command, near ? "unknown option %s; did you mean the key %s?" : "unknown option %s%s", name,
            near ? near : "");
    }
    const char *value = value_of(equals, argc, argv, i);
    if (!value) return wrong(command, "%s needs a value%s", name, "");
    if (is_file) {
        *file = value;
        return VT_EXIT_OK;
    }
    struct vultus_error error;
    if (vt_configuration_set(configuration, key, value, VT_FROM_FLAG, name, &error) < 0)
        return wrong(command, "%s%s", error.text, "");
    return VT_EXIT_OK;
}

/* Flags, the file that --config or VULTUS_CONFIG names, and the environment. */
static int read_configuration(struct vt_configuration *configuration, const char *command, int argc, char **argv) {
    const char *file = getenv("VULTUS_CONFIG");
    struct vultus_error error;
    if (vt_configuration_init(configuration, &error) < 0) return vt_cli_fail(&error);
    for (int i = 0; i < argc; i++) {
        int code = take_flag(configuration, command, argc, argv, &i, &file);
        if (code) return code;
    }
    if (file && *file && vt_configuration_read_file(configuration, file, &error) < 0) return vt_cli_fail(&error);
    if (vt_configuration_read_environment(configuration, &error) < 0) return vt_cli_fail(&error);
    return VT_EXIT_OK;
}

void vt_print_keys_usage(const char *command, FILE *stream) {
    bool config = strcmp(command, "config") == 0;
    fprintf(stream, "usage: vultus %s [options]\n\n%s.\n\n", config ? "config show|check" : command,
        config ? "Show the server's effective settings with where each is from, or only check them"
               : "Answer HTTP requests: faces and embeddings of photos");
    fprintf(stream, "  %-32s %s\n", "--config FILE", "settings from a YAML file (else $VULTUS_CONFIG)");
    for (int k = 0; k < VT_KEY_COUNT; k++) {
        const struct vt_key_info *info = vt_key_info((enum vt_key)k);
        char flag[64], left[96];
        vt_key_flag_name((enum vt_key)k, flag, sizeof flag);
        snprintf(left, sizeof left, "%s %s", flag, info->argument);
        bool short_value = strlen(info->fallback) > 0 && strlen(info->fallback) < 16;
        fprintf(stream, "  %-32s %s%s%s%s\n", left, info->meaning, short_value ? " (" : "",
            short_value ? info->fallback : "", short_value ? ")" : "");
    }
    fprintf(stream, "  %-32s %s\n", "-h, --help", "show this text");
}

/* "--help" or "-h" anywhere. */
static bool wants_help(int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

/* ---------------------------------------------------------------- vultus config */

static int show(const struct vt_configuration *configuration) {
    struct vt_strbuf text = {0};
    vt_configuration_print(configuration, &text);
    bool failed = text.failed;
    if (!failed) fputs(text.text, stdout);
    vt_strbuf_fini(&text);
    return failed ? vt_cli_fail_memory() : VT_EXIT_OK;
}

int vt_cli_config(int argc, char **argv) {
    if (wants_help(argc, argv)) {
        vt_print_keys_usage("config", stdout);
        return VT_EXIT_OK;
    }
    bool shows = argc > 0 && strcmp(argv[0], "show") == 0, checks = argc > 0 && strcmp(argv[0], "check") == 0;
    if (!shows && !checks) return wrong("config", "config needs %s%s", "show or check", "");
    struct vt_configuration configuration = {0};
    int code = read_configuration(&configuration, "config", argc - 1, argv + 1);
    if (code == VT_EXIT_OK && shows) code = show(&configuration);
    vt_configuration_fini(&configuration);
    return code;
}

/* ---------------------------------------------------------------- vultus serve */

#if VT_HAVE_SERVER
static const char *text_of(const struct vt_configuration *configuration, enum vt_key key) {
    const char *text = configuration->values[key].text;
    return *text ? text : NULL;
}

static int number_of(const struct vt_configuration *configuration, enum vt_key key) {
    return (int)configuration->values[key].integer;
}

/* Path of a model, malloc'd; on failure says why and returns NULL. */
static char *find_model(const struct vt_configuration *configuration, enum vt_key key) {
    bool detector = key == VT_KEY_DETECTOR;
    struct vt_options options = {.models = text_of(configuration, VT_KEY_MODELS)};
    enum vt_setting setting = detector ? VT_SETTING_DETECTOR : VT_SETTING_RECOGNISER;
    return vt_cli_resolve(&options, vt_cli_model(setting, text_of(configuration, key)), detector ? "scrfd" : "arcface");
}

struct serving {
    struct vultus_runtime *runtime;
    struct vultus_pipeline *pipeline;
    char *detector, *recogniser;
};

static enum vultus_status open_models(
    const struct vt_configuration *configuration, struct serving *s, struct vultus_error *error) {
    struct vultus_runtime_options runtime = {
        .threads = number_of(configuration, VT_KEY_THREADS),
        .plan_directory = text_of(configuration, VT_KEY_PLANS),
        .max_picture_bytes = (size_t)configuration->values[VT_KEY_MAX_PICTURE_BYTES].integer,
        .max_picture_pixels = configuration->values[VT_KEY_MAX_PICTURE_PIXELS].integer,
    };
    struct vt_cli_progress progress[2] = {0};
    struct vt_options none = {
        .precision = text_of(configuration, VT_KEY_PRECISION), .max_batch = number_of(configuration, VT_KEY_MAX_BATCH)};
    struct vultus_pipeline_options options = {
        .detector = s->detector,
        .recogniser = s->recogniser,
        .detector_build = vt_cli_build_options(&none, s->detector, &progress[0]),
        .recogniser_build = vt_cli_build_options(&none, s->recogniser, &progress[1]),
        .batching = {true, number_of(configuration, VT_KEY_MAX_BATCH),
            number_of(configuration, VT_KEY_MAX_BATCH_DELAY_US)},
    };
    options.detector_build.width = configuration->values[VT_KEY_INPUT_SIZE].width;
    options.detector_build.height = configuration->values[VT_KEY_INPUT_SIZE].height;
    enum vultus_status status = vultus_runtime_create(&runtime, &s->runtime, error);
    if (!status) status = vultus_pipeline_open(s->runtime, &options, &s->pipeline, error);
    vt_cli_progress_end(&progress[0]);
    vt_cli_progress_end(&progress[1]);
    return status;
}

static void set_log_level(const char *name) {
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    for (int i = 0; i < 4; i++)
        if (strncasecmp(levels[i], name, strlen(levels[i])) == 0) vultus_set_log(NULL, NULL, (enum vultus_log_level)i);
}

static int serve(const struct vt_configuration *configuration) {
    set_log_level(configuration->values[VT_KEY_LOG_LEVEL].text);
    struct serving s = {.detector = find_model(configuration, VT_KEY_DETECTOR)};
    struct vultus_error error;
    int code = VT_EXIT_FAILURE;
    if (s.detector) s.recogniser = find_model(configuration, VT_KEY_RECOGNISER);
    vt_serve_block_signals();
    if (s.recogniser) {
        enum vultus_status status = open_models(configuration, &s, &error);
        if (!status) status = vt_serve(configuration, s.runtime, s.pipeline, &error);
        code = status ? vt_cli_fail(&error) : VT_EXIT_OK;
    }
    vultus_pipeline_close(s.pipeline);
    vultus_runtime_destroy(s.runtime);
    free(s.detector);
    free(s.recogniser);
    return code;
}
#else
static int serve(const struct vt_configuration *configuration) {
    (void)configuration;
    vt_cli_say("this build has no server (libmicrohttpd, msgpack-c and libcurl are needed)");
    return VT_EXIT_FAILURE;
}
#endif

int vt_cli_serve(int argc, char **argv) {
    if (wants_help(argc, argv)) {
        vt_print_keys_usage("serve", stdout);
        return VT_EXIT_OK;
    }
    struct vt_configuration configuration = {0};
    int code = read_configuration(&configuration, "serve", argc, argv);
    if (code == VT_EXIT_OK) code = serve(&configuration);
    vt_configuration_fini(&configuration);
    return code;
}
