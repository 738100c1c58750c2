/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

json_t *vt_json_text(const char *text) {
    json_t *whole = json_string(text);
    if (whole) return whole;
    size_t length = strlen(text), used = 0;
    char *clean = malloc(3 * length + 1);
    if (!clean) return NULL;
    while (*text) {
        size_t take = 4; /* longest UTF-8 sequence */
        json_t *valid = NULL;
        for (; take > 0; take--)
            if (strnlen(text, take) == take && (valid = json_stringn(text, take))) break;
        json_decref(valid);
        memcpy(clean + used, take ? text : "\xEF\xBF\xBD", take ? take : 3);
        used += take ? take : 3;
        text += take ? take : 1;
    }
    json_t *string = json_stringn(clean, used);
    free(clean);
    return string;
}
