/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_TLS_H
#define VT_SERVER_TLS_H

#include "base/status.h"

/* PEM texts; both NULL: plain HTTP is spoken. */
struct vt_tls {
    char *certificate, *key;
};

/* Reads the files ("" for none). INVALID: there is one of them alone; UNSUPPORTED: the library speaks no TLS. */
enum vultus_status vt_tls_read(
    const char *certificate, const char *key, struct vt_tls *out, struct vultus_error *error);
/* Overwrites the key. */
void vt_tls_release(struct vt_tls *tls);

#endif
