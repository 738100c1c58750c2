/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_MODULE_H
#define VT_BACKEND_MODULE_H

#include "backend/backend.h"
#include "base/log.h"

/*
 * A back end that is loaded at run time, so that the program starts where its libraries are missing. The module is a
 * shared library that defines VT_MODULE_SYMBOL as a `const struct vt_backend_module`. It must be of the same build as
 * the program: what they hand each other (struct vt_backend, struct vt_plan, struct vt_pool) has no other version.
 *
 * A module brings its own copies of what it needs of the program. It stays loaded for as long as the process lives.
 */

/* The number is that of these structs' form. */
#define VT_MODULE_SYMBOL "vultus_backend_module_2"

/* What a module is told of the program. */
struct vt_module_host {
    void (*log)(enum vt_log_level level, const char *text); /* thread-safe */
    const int *devices;                                     /* ordinals of those in use, at least one */
    int n_devices;
};

struct vt_backend_module {
    const char *build; /* vt_backend_build() where it was built */
    const struct vt_backend *backend;
    void (*begin)(const struct vt_module_host *host); /* called once, before the back end is used; NULL: no need */
};

/* Where a module is, on success malloc'd:
 *     what the environment variable `variable` names, if it is set and not empty, and nothing else;
 *     else `file` in vultus/ beside the running program or library, in ../{libdir}/vultus seen from there, in
 *     {libdir}/vultus of the configured prefix, or, for a program of a build tree, in that tree's `built`.
 * NULL: there is none. */
char *vt_module_find(const char *file, const char *variable, const char *built);

/*
 * Loads it. UNSUPPORTED or MISMATCH say in one sentence why not, naming the file without its folder: no shared library,
 * without the symbol, of another build, or of another back end than `name`.
 */
enum vultus_status vt_module_load(const char *path, const char *name, const struct vt_module_host *host,
    const struct vt_backend **out, struct vultus_error *error);

#endif
