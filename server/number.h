/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_NUMBER_H
#define VT_SERVER_NUMBER_H

#include <stddef.h>

#define VT_NUMBER_SIZE 40

/*
 * Writes the shortest decimal text that reads back as the same double, and of those the nearest, as JSON: "0.125",
 * "1.0", "1e-7"; NaN and infinities as NaN, Infinity and -Infinity. Returns its length; `text` has VT_NUMBER_SIZE bytes
 * and is not terminated.
 */
size_t vt_write_number(char *text, double value);

#endif
