/* SPDX-License-Identifier: Apache-2.0 */
#include "export.h"

json_t *vt_next_record(FILE *lines, char **line, size_t *capacity) {
    ssize_t length = getline(line, capacity, lines);
    return length > 0 ? json_loadb(*line, (size_t)length, 0, NULL) : NULL;
}
