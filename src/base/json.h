/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_JSON_H
#define VT_BASE_JSON_H

#include <jansson.h>

/* A string of any bytes: those that are not UTF-8 become U+FFFD. NULL when out of memory. */
json_t *vt_json_text(const char *text);

#endif
