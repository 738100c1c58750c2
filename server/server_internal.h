/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_SERVER_INTERNAL_H
#define VT_SERVER_SERVER_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "config/keys.h"
#include "fetch.h"
#include "images_root.h"
#include "metrics.h"
#include "models.h"
#include "request.h"
#include "vultus/vultus.h"

struct vt_server {
    /* VT_KEY_COUNT values in force, by key. They change when they are read again; old ones live as long as the server.
     */
    const struct vt_key_value *_Atomic settings;
    struct vt_reloaded *reloaded; /* private to reload.c, as the lock */
    pthread_mutex_t reloading;
    const struct vt_serve_host *host;
    struct vultus_runtime *runtime;
    struct vultus_backends backends; /* as they were chosen at the start */
    struct vt_model_keeper keeper;
    struct vt_workers *workers;
    struct vt_fetcher *fetcher;
    struct vt_images_root images;
    struct vt_metrics metrics;
    struct MHD_Daemon *daemon;
    int listening; /* socket */
    uint16_t port;
    uint64_t start_ns;
    _Atomic size_t requests_in_work, bytes_held;
    _Atomic bool draining, stopping; /* stopping: what is not done is given up */
    _Atomic uint64_t next_id;
    uint64_t id_seed;
};

static inline const struct vt_key_value *vt_setting(const struct vt_server *server, enum vt_key key) {
    return &atomic_load(&server->settings)[key];
}
static inline int64_t vt_setting_integer(const struct vt_server *server, enum vt_key key) {
    return vt_setting(server, key)->integer;
}
static inline const char *vt_setting_string(const struct vt_server *server, enum vt_key key) {
    return vt_setting(server, key)->text;
}

static inline const char *vt_server_scheme(const struct vt_server *server) {
    return *vt_setting_string(server, VT_KEY_TLS_CERTIFICATE) ? "https" : "http";
}

/* The HTTP side (http.c): listens and answers until it is stopped. */
enum vultus_status vt_http_start(struct vt_server *server, struct vultus_error *error);
/* No new connections; those that are open are closed after their answer. */
void vt_http_drain(struct vt_server *server);
void vt_http_stop(struct vt_server *server);
/* Wakes the connection whose request is finished. */
void vt_http_resume(struct vt_request *request);

#endif
