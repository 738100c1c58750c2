/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "listen.h"
#include "reload.h"
#include "server_internal.h"

enum { DRAIN_POLL_MS = 20 };

static void awaited_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

/* Threads started from now on do not get them. */
static void block_signals(void) {
    sigset_t signals;
    awaited_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static enum vultus_status start_fetcher(struct vt_server *server, struct vultus_error *error) {
    struct vt_fetcher_options options = {.allow_private = vt_setting_integer(server, VT_KEY_FETCH_PRIVATE),
        .timeout_s = (int)vt_setting_integer(server, VT_KEY_FETCH_TIMEOUT),
        .connections = (int)vt_setting_integer(server, VT_KEY_FETCH_CONNECTIONS),
        .tries = (int)vt_setting_integer(server, VT_KEY_FETCH_TRIES),
        .most_bytes = (size_t)vt_setting_integer(server, VT_KEY_MAX_PICTURE_BYTES),
        .headers = vt_setting_string(server, VT_KEY_FETCH_HEADERS)};
    return vt_fetcher_create(&options, &server->fetcher, error);
}

static enum vultus_status start_runtime(struct vt_server *server, struct vultus_error *error) {
    const char *plans = vt_setting_string(server, VT_KEY_PLANS);
    struct vultus_runtime_options options = {.threads = (int)vt_setting_integer(server, VT_KEY_THREADS),
        .plan_directory = *plans ? plans : NULL,
        .backends = vt_setting_string(server, VT_KEY_BACKENDS),
        .strict = vt_setting_integer(server, VT_KEY_STRICT),
        .devices = vt_setting_string(server, VT_KEY_DEVICES),
        .max_picture_bytes = (size_t)vt_setting_integer(server, VT_KEY_MAX_PICTURE_BYTES),
        .max_picture_pixels = vt_setting_integer(server, VT_KEY_MAX_PICTURE_PIXELS)};
    enum vultus_status status = vultus_runtime_create(&options, &server->runtime, error);
    if (!status) status = vultus_choose_backend(server->runtime, &server->backends, error);
    if (!status) vultus_gpus(server->runtime, NULL, 0); /* loads what reads them before a request waits for it */
    return status;
}

static enum vultus_status start(struct vt_server *server, struct vultus_error *error) {
    const char *host = vt_setting_string(server, VT_KEY_HOST);
    uint16_t port = (uint16_t)vt_setting_integer(server, VT_KEY_PORT);
    enum vultus_status status = vt_reload_init(server, error);
    if (!status) status = vt_images_root_open(vt_setting_string(server, VT_KEY_IMAGES_ROOT), &server->images, error);
    if (!status) status = start_runtime(server, error);
    if (!status) status = vt_models_start(server, error);
    if (!status) status = vt_workers_create((int)vt_setting_integer(server, VT_KEY_WORKERS), &server->workers, error);
    if (!status) status = start_fetcher(server, error);
    if (!status) status = vt_listen(host, port, &server->listening, &server->port, error);
    if (!status) status = vt_http_start(server, error);
    return status;
}

static void tell_address(struct vt_server *server) {
    const char *host = vt_setting_string(server, VT_KEY_HOST), *scheme = vt_server_scheme(server);
    struct vt_models *models = vt_models_take(server);
    fprintf(stderr, "vultus: serving %s://%s:%u (%s, %s)\n", scheme, host, server->port, models->info.detector,
        models->info.recogniser);
    fprintf(stderr, "vultus: try  curl -s -F file=@PHOTO.jpg %s://%s:%u/multipart/draw_detections -o faces.jpg\n",
        scheme, host, server->port);
    vt_models_release(server, models);
}

/* Until one that ends the server. */
static void wait_for_signal(struct vt_server *server) {
    sigset_t signals;
    int received = SIGHUP;
    awaited_signals(&signals);
    while (received == SIGHUP)
        if (sigwait(&signals, &received) == 0 && received == SIGHUP) vt_reload(server);
}

/* Requests in work are answered, or given up when the time is over. */
static void drain(struct vt_server *server) {
    vt_models_stop(server);
    uint64_t until = vt_now_ns() + (uint64_t)vt_setting_integer(server, VT_KEY_DRAIN_TIMEOUT) * 1000000000;
    vt_http_drain(server);
    while (atomic_load(&server->requests_in_work) > 0 && vt_now_ns() < until)
        nanosleep(&(struct timespec){.tv_nsec = DRAIN_POLL_MS * 1000000}, NULL);
}

/* Fetches end first, which hands their pictures to the workers; these end when all is done; then nobody is suspended.
 */
static void stop(struct vt_server *server) {
    atomic_store(&server->stopping, true);
    vt_fetcher_stop(server->fetcher);
    vt_workers_stop(server->workers);
    vt_http_stop(server);
    vt_fetcher_destroy(server->fetcher);
    vt_workers_destroy(server->workers);
    if (server->listening >= 0) close(server->listening);
    vt_images_root_close(&server->images);
    vt_models_end(server);
    vultus_runtime_destroy(server->runtime);
    vt_reload_end(server);
}

enum vultus_status vt_serve(
    const struct vt_configuration *configuration, const struct vt_serve_host *host, struct vultus_error *error) {
    static struct vt_server server;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    server = (struct vt_server){.settings = configuration->values,
        .host = host,
        .listening = -1,
        .start_ns = vt_now_ns(),
        .images = {.descriptor = -1},
        .id_seed = (uint64_t)now.tv_sec ^ (uint64_t)now.tv_nsec << 8 ^ (uint64_t)getpid() << 16};
    block_signals();
    enum vultus_status status = start(&server, error);
    if (!status) {
        tell_address(&server);
        vt_notify_manager("READY=1");
        wait_for_signal(&server);
        vt_notify_manager("STOPPING=1");
        drain(&server);
    }
    stop(&server);
    return status;
}
