/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_KEYS_H
#define VT_SERVER_KEYS_H

#include <stdbool.h>

#include "base/status.h"

/* INVALID: the text is not a list of SHA-256 sums in hexadecimal, with commas or blanks between them. */
enum vultus_status vt_keys_check(const char *setting, const char *sums, struct vultus_error *error);

/* Whether the sum of `key` (NULL: none) is in the list. The time it takes does not depend on what is equal. */
bool vt_key_fits(const char *sums, const char *key);

#endif
