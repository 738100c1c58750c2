/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <openssl/evp.h>
#include <xxhash.h>

enum vultus_status vt_sha256_hex(const void *data, size_t size, char hex[VT_SHA256_HEX], struct vultus_error *error) {
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!EVP_Digest(data, size, digest, &length, EVP_sha256(), NULL) || length != VT_SHA256_BYTES)
        return vt_fail(error, VULTUS_ERROR_BACKEND, "libcrypto could not compute a SHA-256 digest of %zu bytes", size);
    for (int i = 0; i < VT_SHA256_BYTES; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * VT_SHA256_BYTES] = '\0';
    return VULTUS_OK;
}

uint64_t vt_checksum64(const void *data, size_t size) { return XXH3_64bits(data, size); }
