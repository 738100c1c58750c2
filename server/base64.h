/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_BASE64_H
#define VT_SERVER_BASE64_H

#include <stdint.h>

#include "base/status.h"
#include "base/strbuf.h"

/* Appends `size` bytes in the standard alphabet, padded. */
void vt_base64_encode(const uint8_t *bytes, size_t size, struct vt_strbuf *out);

/*
 * Decodes as clients of InsightFace-REST expect: what stands before the last comma ("data:image/png;base64,") is
 * dropped, bytes outside the alphabet are passed over, and reading ends at the padding. Wrong padding is FORMAT. On
 * success the caller frees *out.
 */
enum vultus_status vt_base64_decode(
    const char *text, size_t length, uint8_t **out, size_t *size, struct vultus_error *error);

#endif
