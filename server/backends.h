/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_BACKENDS_H
#define VT_SERVER_BACKENDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/strbuf.h"
#include "vultus/vultus.h"

struct vt_server;
struct vt_models;

/* Which back end answers, and which of the order were passed over and why. */
struct vt_backends {
    const char *used;
    struct {
        const char *name;
        char reason[VULTUS_ERROR_TEXT];
    } skipped[VULTUS_MOST_BACKENDS];
    size_t n_skipped;
};

/* Notes that a back end was passed over. */
void vt_backends_skip(struct vt_backends *backends, const char *name, const char *reason);

/* As it is now: the one that the models were opened with may have failed since, which is counted once. */
void vt_backends_now(struct vt_server *server, struct vt_models *models, struct vt_backends *out);

/* Value of the header X-Backend-Skipped: "cuda (the NVIDIA driver finds no device on this machine), ..."; "": none. */
void vt_backends_header(const struct vt_backends *backends, char *text, size_t size);

/* {"order": [...], "strict": ..., "used": ..., "skipped": [{"name": ..., "reason": ...}]} */
void vt_backends_write(const struct vt_server *server, const struct vt_backends *backends, struct vt_strbuf *out);

/* vultus_backend_usable, vultus_backend_skipped_info, and what is read of GPUs, for Prometheus. */
void vt_backends_measure(const struct vt_server *server, const struct vt_backends *backends, struct vt_strbuf *out);

#endif
