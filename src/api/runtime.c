/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "backend/devices.h"
#include "base/cpu.h"
#include "base/log.h"
#include "config.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/starter.h"
#include "plan/store.h"

const char *vultus_version(void) { return VT_VERSION; }

const char *vultus_status_name(enum vultus_status status) { return vt_status_name(status); }

void vultus_free(void *memory) { free(memory); }

enum vultus_status vultus_starter_model(const char *name, char **path, struct vultus_error *error) {
    if (!name || !path)
        return vt_fail(error, VULTUS_ERROR_INVALID, "vultus_starter_model needs a name and a place for the path");
    return vt_starter_path(name, path, error);
}

static vultus_log_function *log_function;

static void forward_log(enum vt_log_level level, const char *text, void *context) {
    log_function((enum vultus_log_level)level, text, context);
}

void vultus_set_log(vultus_log_function *function, void *context, enum vultus_log_level most_verbose) {
    log_function = function;
    vt_log_set_sink(function ? forward_log : NULL, context);
    vt_log_set_level((enum vt_log_level)most_verbose);
}

#define MOST_THREADS 1024

/* The option, else $VULTUS_THREADS, else every processor. */
static enum vultus_status choose_threads(int wanted, int *threads, struct vultus_error *error) {
    const char *text = getenv("VULTUS_THREADS");
    if (wanted == 0 && text && *text) {
        char *end;
        long value = strtol(text, &end, 10);
        if (*end || value < 1 || value > MOST_THREADS)
            return vt_fail(error, VULTUS_ERROR_INVALID, "VULTUS_THREADS is \"%s\"; it must be a number from 1 to %d",
                text, MOST_THREADS);
        wanted = (int)value;
    }
    if (wanted < 0 || wanted > MOST_THREADS)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "%d threads were asked for; 1 to %d are possible", wanted, MOST_THREADS);
    *threads = wanted ? wanted : vt_cpu_count();
    return VULTUS_OK;
}

/* The options', else the environment's. */
static enum vultus_status read_order(
    const struct vultus_runtime_options *options, struct vultus_runtime *runtime, struct vultus_error *error) {
    const char *text = vt_setting_text(VT_SETTING_BACKENDS, options->backends);
    const char *strict = options->backends ? NULL : vt_setting_text(VT_SETTING_STRICT, NULL);
    int64_t on = 0;
    if (strict && !vt_key_read_switch(strict, &on))
        return vt_fail(error, VULTUS_ERROR_INVALID, "VULTUS_STRICT is \"%.32s\"; it takes on or off", strict);
    runtime->strict = options->strict || on;
    const char *devices = vt_setting_text(VT_SETTING_DEVICES, options->devices);
    struct vt_device_list list;
    enum vultus_status status = vt_device_list_read(devices ? devices : "auto", &list, error);
    if (!status) status = vt_use_devices(&list, error);
    if (status) return status;
    if (!text) text = VT_DEFAULT_ORDER;
    runtime->order_is_default = strcmp(text, VT_DEFAULT_ORDER) == 0;
    return vt_backend_order_read(text, &runtime->order, error);
}

enum vultus_status vultus_runtime_create(
    const struct vultus_runtime_options *options, struct vultus_runtime **out, struct vultus_error *error) {
    static const struct vultus_runtime_options defaults;
    if (!options) options = &defaults;
    struct vultus_runtime *runtime = calloc(1, sizeof *runtime);
    if (!runtime) return vt_fail_memory(error, "a runtime", sizeof *runtime);
    pthread_mutex_init(&runtime->catalogue_lock, NULL);
    pthread_mutex_init(&runtime->choice_lock, NULL);
    runtime->limits = (struct vt_image_limits){
        options->max_picture_bytes, options->max_picture_pixels, options->max_picture_dimension};
    enum vultus_status status = vt_cpu_check_mask(error);
    if (!status) status = read_order(options, runtime, error);
    if (!status) status = choose_threads(options->threads, &runtime->threads, error);
    if (!status) status = vt_pool_create(runtime->threads, &runtime->pool, error);
    const char *catalogue = vt_setting_text(VT_SETTING_CATALOGUE, NULL);
    if (!status && catalogue) status = vt_catalogue_open(catalogue, &runtime->catalogue, error);
    if (!status && options->plan_directory) {
        runtime->plan_directory = strdup(options->plan_directory);
        if (!runtime->plan_directory) status = vt_fail_memory(error, "a path", strlen(options->plan_directory));
    } else if (!status) {
        runtime->plan_directory = vt_store_default_directory(NULL);
    }
    if (status) {
        vultus_runtime_destroy(runtime);
        return status;
    }
    *out = runtime;
    return VULTUS_OK;
}

void vultus_runtime_destroy(struct vultus_runtime *runtime) {
    if (!runtime) return;
    vt_pool_destroy(runtime->pool);
    vt_catalogue_destroy(runtime->catalogue);
    pthread_mutex_destroy(&runtime->catalogue_lock);
    pthread_mutex_destroy(&runtime->choice_lock);
    free(runtime->plan_directory);
    free(runtime);
}

/* Parsing the compiled-in catalogue takes half a millisecond: programs that run plans need not wait for it. */
enum vultus_status vt_api_find_model(struct vultus_runtime *runtime, const char *sha256, const char *name,
    const struct vt_catalogue_entry **entry, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    pthread_mutex_lock(&runtime->catalogue_lock);
    if (!runtime->catalogue) status = vt_catalogue_open(NULL, &runtime->catalogue, error);
    pthread_mutex_unlock(&runtime->catalogue_lock);
    *entry = status ? NULL : vt_catalogue_find(runtime->catalogue, sha256, name);
    return status;
}

int vultus_runtime_threads(const struct vultus_runtime *runtime) { return runtime->threads; }
