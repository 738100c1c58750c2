/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "backend/module.h"

/* A module that no program takes: BUILD and SYMBOL are of another one, or there is no back end in it. */

extern const struct vt_backend_module SYMBOL;
__attribute__((visibility("default"))) const struct vt_backend_module SYMBOL = {.build = BUILD, .backend = NULL};
