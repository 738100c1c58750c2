/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common.h"
#include "config.h"
#include "config/keys.h"
#include "config/starter.h"
#include "hub/hub.h"
#include "serve.h"
#if VT_HAVE_SERVER
#include "server/server.h"
#endif

/* ---------------------------------------------------------------- configuration */

static int wrong(const char *command, const char *sentence) {
    vt_cli_say("%s", sentence);
    fputc('\n', stderr);
    vt_print_keys_usage(command, stderr);
    return VT_EXIT_USAGE;
}

/* The value of a flag: behind "=", or the next argument. NULL: there is none. */
static const char *value_of(const char *equals, int argc, char **argv, int *i) {
    if (equals) return equals + 1;
    return *i + 1 < argc ? argv[++*i] : NULL;
}

/* Takes one flag, and its value. INVALID says what is wrong with it. */
static enum vultus_status take_flag(struct vt_configuration *configuration, int argc, char **argv, int *i,
    const char **file, struct vultus_error *error) {
    const char *argument = argv[*i], *equals = strchr(argument, '=');
    char name[64];
    snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - argument) : (int)strlen(argument), argument);
    bool is_file = strcmp(name, "--config") == 0;
    enum vt_key key = strncmp(name, "--", 2) == 0 ? vt_key_of_flag(name + 2) : VT_KEY_COUNT;
    if (key == VT_KEY_COUNT && !is_file) {
        const char *near = strncmp(name, "--", 2) == 0 ? vt_key_suggest(name + 2) : NULL;
        return vt_fail(error, VULTUS_ERROR_INVALID, "unknown option %s%s%s%s", name,
            near ? "; did you mean the key " : "", near ? near : "", near ? "?" : "");
    }
    const char *value = value_of(equals, argc, argv, i);
    if (!value) return vt_fail(error, VULTUS_ERROR_INVALID, "%s needs a value", name);
    if (!is_file) return vt_configuration_set(configuration, key, value, VT_FROM_FLAG, name, error);
    *file = value;
    return VULTUS_OK;
}

/* Flags, with the name of the file among them; else that of VULTUS_CONFIG. */
static enum vultus_status read_flags(
    struct vt_configuration *configuration, int argc, char **argv, const char **file, struct vultus_error *error) {
    *file = getenv("VULTUS_CONFIG");
    enum vultus_status status = vt_configuration_init(configuration, error);
    for (int i = 0; !status && i < argc; i++) status = take_flag(configuration, argc, argv, &i, file, error);
    return status;
}

static enum vultus_status read_rest(
    struct vt_configuration *configuration, const char *file, struct vultus_error *error) {
    enum vultus_status status = file && *file ? vt_configuration_read_file(configuration, file, error) : VULTUS_OK;
    return status ? status : vt_configuration_read_environment(configuration, error);
}

/* Flags, the file and the environment; says what is wrong. */
static int read_configuration(struct vt_configuration *configuration, const char *command, int argc, char **argv) {
    const char *file;
    struct vultus_error error;
    if (read_flags(configuration, argc, argv, &file, &error)) return wrong(command, error.text);
    return read_rest(configuration, file, &error) ? vt_cli_fail(&error) : VT_EXIT_OK;
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
    if (!shows && !checks) return wrong("config", "config needs show or check");
    struct vt_configuration configuration = {0};
    int code = read_configuration(&configuration, "config", argc - 1, argv + 1);
    if (code == VT_EXIT_OK && shows) code = show(&configuration);
    vt_configuration_fini(&configuration);
    return code;
}

/* ---------------------------------------------------------------- vultus serve */

#if VT_HAVE_SERVER
/* What the server's settings were read from, to be read again. */
struct arguments {
    int count;
    char **values;
    const char *models; /* folder; NULL: the data folder */
};

static enum vultus_status read_again(void *context, struct vt_configuration *out, struct vultus_error *error) {
    const struct arguments *arguments = context;
    const char *file;
    enum vultus_status status = read_flags(out, arguments->count, arguments->values, &file, error);
    return status ? status : read_rest(out, file, error);
}

/* The starter pack's where none is named; by name those of the models folder, which are pulled where they may be. */
static enum vultus_status find_model(
    void *context, enum vt_role role, const char *name, char **path, struct vultus_error *error) {
    static const char *const starters[VT_ROLES] = {VT_STARTER_DETECTOR, VT_STARTER_RECOGNISER};
    static const char *const functions[VT_ROLES] = {"scrfd", "arcface", "genderage", "mask", "minifasnet"};
    const struct arguments *arguments = context;
    if (!*name && starters[role]) {
        vt_cli_say("taking the starter model %s, which is for trying out (name another with the key %s)",
            starters[role], role == VT_ROLE_DETECTOR ? "det" : "rec");
        return vt_starter_path(starters[role], path, error);
    }
    if (!vt_hub_is_name(name))
        return (*path = strdup(name)) ? VULTUS_OK : vt_fail_memory(error, "a path", strlen(name));
    struct vt_hub_options options = {.folder = arguments->models};
    struct vt_hub *hub = NULL;
    enum vultus_status status = vt_hub_open(&options, &hub, error);
    if (!status) status = vt_hub_resolve(hub, name, functions[role], path, error);
    vt_hub_close(hub);
    return status;
}

static void set_log_level(const char *name) {
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    for (int i = 0; i < 4; i++)
        if (strncasecmp(levels[i], name, strlen(levels[i])) == 0) vultus_set_log(NULL, NULL, (enum vultus_log_level)i);
}

/*
 * Pictures and bodies of megabytes come and go on dozens of threads. glibc would keep what was freed of them once for
 * each of several arenas, and with every large one raise the size from which memory goes back to the system at once.
 */
static void keep_little_memory(void) {
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 2 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
#endif
}

static int serve(const struct vt_configuration *configuration, int argc, char **argv) {
    const char *models = configuration->values[VT_KEY_MODELS].text;
    struct arguments arguments = {argc, argv, *models ? models : NULL};
    struct vt_serve_host host = {&arguments, read_again, find_model};
    struct vultus_error error;
    keep_little_memory();
    set_log_level(configuration->values[VT_KEY_LOG_LEVEL].text);
    return vt_serve(configuration, &host, &error) ? vt_cli_fail(&error) : VT_EXIT_OK;
}
#else
static int serve(const struct vt_configuration *configuration, int argc, char **argv) {
    (void)configuration, (void)argc, (void)argv;
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
    if (code == VT_EXIT_OK) code = serve(&configuration, argc, argv);
    vt_configuration_fini(&configuration);
    return code;
}
