/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/text.h"

#include <dlfcn.h>
#include <string.h>

void vt_copy_printable(char *target, size_t size, const char *text) {
    size_t length = 0;
    for (; length + 1 < size && text[length]; length++)
        target[length] = text[length] >= ' ' && text[length] <= '~' ? text[length] : '?';
    if (size) target[length] = '\0';
}

const char *vt_dlopen_failure(char *text, size_t size) {
    const char *said = dlerror();
    if (!said) said = "unknown failure";
    /* It begins with the path as far as the first colon. */
    const char *colon = strchr(said, ':'), *name = said;
    for (const char *c = said; colon && c < colon; c++)
        if (*c == '/') name = c + 1;
    vt_copy_printable(text, size, name);
    return text;
}
