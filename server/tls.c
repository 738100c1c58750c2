/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <microhttpd.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { MOST_PEM_BYTES = 1 << 20 };

static enum vultus_status read_pem(const char *path, char **out, struct vultus_error *error) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    enum vultus_status status = vt_read_file(path, MOST_PEM_BYTES, &bytes, &size, error);
    if (status) return status;
    *out = strndup((const char *)bytes, size);
    OPENSSL_cleanse(bytes, size);
    free(bytes);
    return *out ? VULTUS_OK : vt_fail_memory(error, "a PEM file", size);
}

enum vultus_status vt_tls_read(
    const char *certificate, const char *key, struct vt_tls *out, struct vultus_error *error) {
    *out = (struct vt_tls){0};
    if (!*certificate && !*key) return VULTUS_OK;
    if (!*certificate || !*key)
        return vt_fail(error, VULTUS_ERROR_INVALID, "tls_certificate and tls_key need each other; %s is missing",
            *certificate ? "tls_key" : "tls_certificate");
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
            "tls_certificate is set, but libmicrohttpd %s was built without TLS", MHD_get_version());
    enum vultus_status status = read_pem(certificate, &out->certificate, error);
    if (!status) status = read_pem(key, &out->key, error);
    if (status) vt_tls_release(out);
    return status;
}

void vt_tls_release(struct vt_tls *tls) {
    if (tls->key) OPENSSL_cleanse(tls->key, strlen(tls->key));
    free(tls->certificate);
    free(tls->key);
    *tls = (struct vt_tls){0};
}
