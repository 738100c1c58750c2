/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_TACTICS_H
#define VT_TOOLS_TACTICS_H

#include "vultus/vultus.h"

/*
 * Writes a text for people to `path`, whole or not at all: for every step of a plan the candidates that the compiler
 * timed, at each batch size, and which of them it chose.
 */
enum vultus_status vt_tactics_write(
    struct vultus_runtime *runtime, const char *plan, const char *path, struct vultus_error *error);

#endif
