/* SPDX-License-Identifier: Apache-2.0 */
#include "config/starter.h"

#include <config.h> /* of the build; this room has another */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

bool vt_is_starter(const char *name) {
    return strcmp(name, VT_STARTER_DETECTOR) == 0 || strcmp(name, VT_STARTER_RECOGNISER) == 0;
}

/* Sets *out to the model's path in `folder`, or to NULL when it is not there. */
static enum vultus_status look_in(const char *folder, const char *name, char **out, struct vultus_error *error) {
    size_t size = strlen(folder) + strlen(name) + sizeof "/.onnx";
    char *path = malloc(size);
    if (!path) return vt_fail_memory(error, "a path", size);
    snprintf(path, size, "%s/%s.onnx", folder, name);
    *out = vt_path_exists(path) ? path : NULL;
    if (!*out) free(path);
    return VULTUS_OK;
}

enum vultus_status vt_starter_path_from(const char *program, const char *name, char **out, struct vultus_error *error) {
    if (!vt_is_starter(name))
        return vt_fail(error, VULTUS_ERROR_INVALID, "\"%s\" is no starter model; those are %s and %s", name,
            VT_STARTER_DETECTOR, VT_STARTER_RECOGNISER);
    char beside[PATH_MAX + 64];
    int length = (int)(vt_path_basename(program) - program);
    snprintf(beside, sizeof beside, "%.*s../share/" VT_STARTER_FOLDER, length, program);
    const char *folders[] = {beside, VT_DATA_DIR "/" VT_STARTER_FOLDER, VT_SOURCE_DIR "/models/starter"};
    char *found = NULL;
    /* A program whose folder is unknown must not look into the current one. */
    for (size_t i = length > 0 ? 0 : 1; !found && i < sizeof folders / sizeof *folders; i++) {
        enum vultus_status status = look_in(folders[i], name, &found, error);
        if (status) return status;
    }
    if (!found)
        return vt_fail(error, VULTUS_ERROR_NOT_FOUND, "there is no %s.onnx in %s, %s or %s", name, folders[0],
            folders[1], folders[2]);
    *out = found;
    return VULTUS_OK;
}

enum vultus_status vt_starter_path(const char *name, char **out, struct vultus_error *error) {
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    return vt_starter_path_from(program, name, out, error);
}
