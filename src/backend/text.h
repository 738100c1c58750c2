/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_TEXT_H
#define VT_BACKEND_TEXT_H

#include <stddef.h>

/* What drivers and loaders say, made fit for sentences, headers and labels. */

/* Copies up to size - 1 characters; those that are not printable ASCII become '?'. */
void vt_copy_printable(char *target, size_t size, const char *text);

/* What dlopen said last, without folders: "libcuda.so.1: cannot open shared object file: No such file or directory". */
const char *vt_dlopen_failure(char *text, size_t size);

#endif
