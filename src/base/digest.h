/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_DIGEST_H
#define VT_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define VT_SHA256_BYTES 32
#define VT_SHA256_HEX (2 * VT_SHA256_BYTES + 1)

/* SHA-256 (OpenSSL's libcrypto) as lower-case hexadecimal with a final NUL. */
enum vultus_status vt_sha256_hex(const void *data, size_t size, char hex[VT_SHA256_HEX], struct vultus_error *error);

/* XXH3, 64 bits: fast, for detecting corruption, not for security. */
uint64_t vt_checksum64(const void *data, size_t size);

#endif
