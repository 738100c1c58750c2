/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api_internal.h"
#include "base/cpu.h"
#include "config.h"

static json_t *backends_json(void) {
    json_t *list = json_array();
    for (const struct vt_backend *const *b = vt_backends(); *b; b++) {
        struct vt_backend_report report;
        memset(&report, 0, sizeof report);
        (*b)->probe(&report);
        json_array_append_new(list,
            json_pack("{s:s, s:b, s:s, s:s, s:s, s:s}", "name", (*b)->name, "usable", (int)report.usable, "reason",
                report.reason, "arch", report.arch, "device", report.device, "libraries", report.libraries));
    }
    static const char *const absent[] = {"cuda", "tensorrt"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        if (!vt_backend_find(absent[i]))
            json_array_append_new(
                list, json_pack("{s:s, s:b, s:s, s:s, s:s, s:s}", "name", absent[i], "usable", 0, "reason",
                          "this build does not include it", "arch", "", "device", "", "libraries", ""));
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

enum vultus_status vultus_doctor(const struct vultus_runtime *runtime, char **json, struct vultus_error *error) {
    if (!runtime || !json)
        return vt_fail(error, VULTUS_ERROR_INVALID, "vultus_doctor needs a runtime and a place for the text");
    char features[256], model[96], codecs[256];
    vt_cpu_describe(features, sizeof features);
    vt_cpu_model_name(model, sizeof model);
    vt_image_codecs(codecs, sizeof codecs);
    json_t *cpu = json_pack("{s:s, s:s, s:s, s:i, s:i}", "model", model, "features", features, "arch",
        vt_cpu_arch_name(), "processors", vt_cpu_count(), "threads", runtime->threads);
    json_t *object = json_pack("{s:s, s:b, s:o, s:o, s:s, s:{s:b, s:b}, s:o}", "version", VT_VERSION, "compiler",
        (int)VT_HAVE_COMPILER, "cpu", cpu, "backends", backends_json(), "codecs", codecs, "model_pulls", "download",
        (int)VT_HAVE_CURL, "archives", (int)VT_HAVE_MINIZIP, "plan_cache", cache_json(runtime->plan_directory));
    return vt_api_finish_json(object, json, error);
}
