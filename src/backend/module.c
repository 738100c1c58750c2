/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/module.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/text.h"
#include "base/file.h"
#include "config.h"

/* malloc'd folder of the program, or of the shared library that this code is in; NULL: not known. */
static char *own_folder(void) {
    Dl_info info;
    struct link_map *map;
    if (!dladdr1((const void *)vt_module_find, &info, (void **)&map, RTLD_DL_LINKMAP)) return NULL;
    /* Of the program itself the loader knows only what it was called, which may be anything in the current folder. */
    char *path = realpath(*map->l_name ? map->l_name : "/proc/self/exe", NULL);
    char *folder = path ? vt_path_directory(path) : NULL;
    free(path);
    return folder;
}

/* malloc'd {first}/{second}/{file} if there is such a file. */
static char *existing(const char *first, const char *second, const char *file) {
    char *folder = vt_path_join(first, second), *path = folder ? vt_path_join(folder, file) : NULL;
    free(folder);
    if (path && vt_path_exists(path)) return path;
    free(path);
    return NULL;
}

/* Nobody else's folder is taken for the build tree: the program has to lie in it. */
static bool is_in_build_tree(const char *folder) {
    size_t length = strlen(VT_BUILD_DIR);
    return strncmp(folder, VT_BUILD_DIR, length) == 0 && folder[length] == '/';
}

/* A bare name would make the loader look in the system's folders. */
static char *named_module(const char *name) {
    char *path = realpath(name, NULL);
    if (path) return path;
    return strchr(name, '/') ? strdup(name) : vt_path_join(".", name);
}

char *vt_module_find(const char *file, const char *variable, const char *built) {
    const char *named = getenv(variable);
    if (named && *named) return named_module(named);
    char *folder = own_folder(), *found = NULL;
    if (folder) found = existing(folder, "vultus", file);
    if (folder && !found) found = existing(folder, "../" VT_LIBRARY_FOLDER "/vultus", file);
    if (!found) found = existing(VT_LIBRARY_DIR, "vultus", file);
    if (folder && !found && is_in_build_tree(folder)) found = existing(VT_BUILD_DIR, built, file);
    free(folder);
    return found;
}

static enum vultus_status check(
    const struct vt_backend_module *module, const char *file, const char *name, struct vultus_error *error) {
    char build[64], backend[32];
    vt_copy_printable(build, sizeof build, module->build ? module->build : "unknown");
    if (strcmp(build, vt_backend_build()) != 0)
        return vt_fail(error, VULTUS_ERROR_MISMATCH,
            "the module %s is of build %s, this program is %s: install the one that was built with it", file, build,
            vt_backend_build());
    if (module->backend && module->backend->name && strcmp(module->backend->name, name) == 0) return VULTUS_OK;
    vt_copy_printable(
        backend, sizeof backend, module->backend && module->backend->name ? module->backend->name : "no name");
    return vt_fail(error, VULTUS_ERROR_MISMATCH, "the module %s is for back end %s instead of %s", file, backend, name);
}

enum vultus_status vt_module_load(const char *path, const char *name, const struct vt_module_host *host,
    const struct vt_backend **out, struct vultus_error *error) {
    const char *file = vt_path_basename(path);
    char why[160];
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return vt_fail(
            error, VULTUS_ERROR_UNSUPPORTED, "the module cannot be loaded: %s", vt_dlopen_failure(why, sizeof why));
    const struct vt_backend_module *module = dlsym(library, VT_MODULE_SYMBOL);
    enum vultus_status status =
        module
            ? check(module, file, name, error)
            : vt_fail(error, VULTUS_ERROR_MISMATCH,
                  "the module %s has no " VT_MODULE_SYMBOL ": it is of another version, or no module of vultus", file);
    if (status) {
        dlclose(library);
        return status;
    }
    if (module->begin) module->begin(host);
    *out = module->backend;
    return VULTUS_OK;
}
