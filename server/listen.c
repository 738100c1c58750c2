/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_PASSED = 3, BACKLOG = 1024 };

/* The socket that the service manager opened for this process, or -1. */
static int passed_socket(void) {
    const char *process = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (!process || !count || strtol(process, NULL, 10) != getpid() || strtol(count, NULL, 10) < 1) return -1;
    fcntl(FIRST_PASSED, F_SETFD, FD_CLOEXEC);
    return FIRST_PASSED;
}

static int open_socket(const struct addrinfo *address) {
    int one = 1, descriptor = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
    if (descriptor < 0) return -1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(descriptor, address->ai_addr, address->ai_addrlen) == 0 && listen(descriptor, BACKLOG) == 0)
        return descriptor;
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

static uint16_t port_of(int descriptor) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name = {0};
    socklen_t size = sizeof name;
    if (getsockname(descriptor, &name.any, &size) < 0) return 0;
    return ntohs(name.any.sa_family == AF_INET6 ? name.v6.sin6_port : name.v4.sin_port);
}

enum vultus_status vt_listen(
    const char *host, uint16_t port, int *descriptor, uint16_t *actual_port, struct vultus_error *error) {
    *descriptor = passed_socket();
    if (*descriptor < 0) {
        char service[8];
        struct addrinfo *list,
            hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
        snprintf(service, sizeof service, "%u", port);
        int code = getaddrinfo(*host ? host : NULL, service, &hints, &list);
        if (code)
            return vt_fail(error, VULTUS_ERROR_INVALID, "host \"%s\" is no address: %s", host, gai_strerror(code));
        *descriptor = open_socket(list);
        int reason = errno;
        freeaddrinfo(list);
        if (*descriptor < 0)
            return vt_fail(error, VULTUS_ERROR_IO, "cannot listen on %s, port %u: %s", host, port, strerror(reason));
    }
    *actual_port = port_of(*descriptor);
    return VULTUS_OK;
}

void vt_notify_manager(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof address.sun_path) return;
    size_t length = strlen(path);
    memcpy(address.sun_path, path, length);
    if (*path == '@') address.sun_path[0] = '\0';
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return;
    /* Nothing depends on whether the manager hears it. */
    ssize_t sent = sendto(descriptor, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
    (void)sent;
    close(descriptor);
}
