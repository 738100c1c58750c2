/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <string.h>

#include "base/digest.h"

enum { DIGITS = VT_SHA256_HEX - 1 };

static const char separators[] = ", \t\n";

enum vultus_status vt_keys_check(const char *setting, const char *sums, struct vultus_error *error) {
    for (const char *at = sums + strspn(sums, separators); *at;) {
        size_t length = strcspn(at, separators), digits = strspn(at, "0123456789abcdefABCDEF");
        if (length != DIGITS || digits < length)
            return vt_fail(error, VULTUS_ERROR_INVALID,
                "%s holds something of %zu characters; it takes SHA-256 sums of %d hexadecimal digits", setting, length,
                DIGITS);
        at += length;
        at += strspn(at, separators);
    }
    return VULTUS_OK;
}

bool vt_key_fits(const char *sums, const char *key) {
    char sum[VT_SHA256_HEX], listed[DIGITS];
    bool fits = false;
    if (!key || vt_sha256_hex(key, strlen(key), sum, NULL)) return false;
    for (const char *at = sums + strspn(sums, separators); strlen(at) >= DIGITS;) {
        for (int i = 0; i < DIGITS; i++) listed[i] = (char)tolower((unsigned char)at[i]);
        fits |= CRYPTO_memcmp(sum, listed, DIGITS) == 0;
        at += DIGITS;
        at += strspn(at, separators);
    }
    return fits;
}
