/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api_internal.h"
#include "base/cpu.h"
#include "config.h"

/* One that the order does not name is not asked for, as loading its libraries takes time. */
static json_t *backend_json(const struct vultus_runtime *runtime, const char *name) {
    struct vt_backend_report report = {.reason = "the order of back ends does not name it"};
    bool local = strcmp(name, "cpu") == 0;
    if (local || vt_backend_order_has(&runtime->order, name)) vt_backend_probe(name, &report);
    return json_pack("{s:s, s:b, s:s, s:s, s:s, s:s}", "name", name, "usable", (int)report.usable, "reason",
        report.reason, "arch", report.arch, "device", report.device, "libraries", report.libraries);
}

static json_t *backends_json(const struct vultus_runtime *runtime) {
    static const char *const names[VT_MOST_BACKENDS] = {"cpu", "cuda", "tensorrt"};
    json_t *list = json_array();
    for (int i = 0; i < VT_MOST_BACKENDS; i++) json_array_append_new(list, backend_json(runtime, names[i]));
    return list;
}

/* How many plans the cache holds and their bytes. */
static json_t *cache_json(const char *directory) {
    uint64_t bytes = 0, plans = 0;
    DIR *d = directory ? opendir(directory) : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t length = strlen(e->d_name);
        struct stat info;
        if (length < 5 || strcmp(e->d_name + length - 5, ".plan") != 0) continue;
        if (fstatat(dirfd(d), e->d_name, &info, 0) != 0) continue;
        plans++;
        bytes += (uint64_t)info.st_size;
    }
    if (d) closedir(d);
    return json_pack("{s:o, s:b, s:I, s:I}", "directory", vt_json_text(directory ? directory : ""), "exists", d != NULL,
        "plans", (json_int_t)plans, "bytes", (json_int_t)bytes);
}

enum vultus_status vultus_doctor(struct vultus_runtime *runtime, char **json, struct vultus_error *error) {
    if (!runtime || !json)
        return vt_fail(error, VULTUS_ERROR_INVALID, "vultus_doctor needs a runtime and a place for the text");
    char features[256], model[96], codecs[256];
    vt_cpu_describe(features, sizeof features);
    vt_cpu_model_name(model, sizeof model);
    vt_image_codecs(codecs, sizeof codecs);
    json_t *cpu = json_pack("{s:s, s:s, s:s, s:i, s:i}", "model", model, "features", features, "arch",
        vt_cpu_arch_name(), "processors", vt_cpu_count(), "threads", runtime->threads);
    json_t *object = json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:s, s:{s:b, s:b}, s:o}", "version", VT_VERSION,
        "compiler", (int)VT_HAVE_COMPILER, "cpu", cpu, "backends", backends_json(runtime), "backend_order",
        vt_api_order_json(runtime), "nvidia", vt_api_nvidia_json(runtime), "codecs", codecs, "model_pulls", "download",
        (int)VT_HAVE_CURL, "archives", (int)VT_HAVE_MINIZIP, "plan_cache", cache_json(runtime->plan_directory));
    return vt_api_finish_json(object, json, error);
}
