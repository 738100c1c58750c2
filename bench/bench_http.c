/* SPDX-License-Identifier: Apache-2.0
 * Sends one or more ready-made HTTP/1.1 requests over and over and measures the answers, with one thread and little
 * work of its own: one write and few reads for each.
 *
 * usage: bench_http PORT CONNECTIONS SECONDS RATE REQUEST_FILE...
 *
 * RATE 0: each connection sends as soon as it has its answer. Otherwise requests fall due that often a second, at
 * random (exponential gaps, always the same ones), or, with a = before RATE, evenly; times count from when a request
 * was due, and one that finds no free connection waits for one. The first tenth of the time warms up and is not
 * counted, and neither is what is answered behind its end, which is waited for, so that the server is idle afterwards.
 * Prints one JSON object; `answered` are all good answers, counted or not.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 8192, EVENTS = 256, MOST_CONNECTIONS = 4096, DRAIN_SECONDS = 60 };

struct request {
    char *bytes;
    size_t size;
};

struct connection {
    int descriptor;
    bool busy, has_head, keeps;
    const struct request *request;
    size_t sent, head_size, body_left;
    unsigned status;
    double due;
    char head[HEAD_BYTES];
};

struct load {
    uint16_t port;
    int poll;
    struct connection *connections;
    int n_connections;
    struct request *requests;
    int n_requests, next_request;
    bool evenly;
    double rate, start, counted_from, end, next_due;
    uint64_t random;
    double *times; /* milliseconds of good answers */
    size_t n_times, capacity, refused, failed, answered, in_flight;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what) {
    fprintf(stderr, "bench_http: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Seconds until the next request falls due. */
static double gap(struct load *load) {
    if (load->evenly) return 1 / load->rate;
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    double uniform = ((double)(load->random >> 11) + 0.5) / 9007199254740992.0;
    return -log(uniform) / load->rate;
}

/* ---------------------------------------------------------------- connections */

static void watch(struct load *load, struct connection *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(load->poll, operation, c->descriptor, &event) < 0) die("epoll_ctl");
}

static void connect_one(struct load *load, struct connection *c) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(load->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->descriptor < 0 || connect(c->descriptor, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
    setsockopt(c->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->descriptor, F_SETFL, O_NONBLOCK);
    c->busy = false;
    watch(load, c, EPOLL_CTL_ADD, EPOLLIN);
}

static void reconnect(struct load *load, struct connection *c) {
    close(c->descriptor);
    connect_one(load, c);
}

/* ---------------------------------------------------------------- one request */

static void count(struct load *load, const struct connection *c, bool answered) {
    double t = now();
    load->in_flight--;
    if (answered && c->status == 200) load->answered++;
    if (t < load->counted_from || t > load->end) return;
    if (!answered || (c->status != 200 && c->status != 503 && c->status != 429)) {
        load->failed++;
    } else if (c->status != 200) {
        load->refused++;
    } else {
        if (load->n_times == load->capacity) {
            load->capacity = load->capacity ? 2 * load->capacity : 4096;
            load->times = realloc(load->times, load->capacity * sizeof *load->times);
            if (!load->times) die("memory");
        }
        load->times[load->n_times++] = (t - c->due) * 1e3;
    }
}

/* False: the other side has closed. */
static bool send_more(struct load *load, struct connection *c) {
    while (c->sent < c->request->size) {
        ssize_t n = send(c->descriptor, c->request->bytes + c->sent, c->request->size - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            watch(load, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return true;
        }
        if (n < 0) return false;
        c->sent += (size_t)n;
    }
    watch(load, c, EPOLL_CTL_MOD, EPOLLIN);
    return true;
}

static void begin(struct load *load, struct connection *c, double due) {
    c->request = &load->requests[load->next_request++ % load->n_requests];
    c->busy = true;
    c->has_head = false;
    c->sent = c->head_size = 0;
    c->status = 0;
    c->due = due;
    load->in_flight++;
    if (send_more(load, c)) return;
    count(load, c, false);
    reconnect(load, c);
}

static void read_head(struct connection *c, const char *end) {
    c->head[c->head_size] = '\0';
    const char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->has_head = true;
    c->status = (unsigned)strtoul(c->head + strcspn(c->head, " "), NULL, 10);
    c->keeps = !strcasestr(c->head, "\r\nconnection: close");
    size_t body = length ? strtoull(length + 17, NULL, 10) : 0, here = c->head_size - (size_t)(end - c->head);
    c->body_left = body > here ? body - here : 0;
}

enum progress { WAITS, IS_DONE, IS_LOST };

static enum progress read_more(struct connection *c) {
    static char rest[1 << 18];
    for (;;) {
        char *to = c->has_head ? rest : c->head + c->head_size;
        size_t room = c->has_head ? sizeof rest : HEAD_BYTES - 1 - c->head_size;
        if (room == 0) return IS_LOST;
        ssize_t n = recv(c->descriptor, to, room, 0);
        if (n < 0 && errno == EAGAIN) return WAITS;
        if (n <= 0) return IS_LOST;
        if (c->has_head) {
            c->body_left -= (size_t)n < c->body_left ? (size_t)n : c->body_left;
        } else {
            c->head_size += (size_t)n;
            const char *end = memmem(c->head, c->head_size, "\r\n\r\n", 4);
            if (end) read_head(c, end + 4);
        }
        if (c->has_head && c->body_left == 0) return IS_DONE;
    }
}

static void handle(struct load *load, struct connection *c, uint32_t events) {
    if (c->busy && (events & EPOLLOUT) && !send_more(load, c)) events |= EPOLLHUP;
    enum progress progress = c->busy || !(events & EPOLLIN) ? read_more(c) : IS_LOST;
    if (progress == WAITS && !(events & (EPOLLHUP | EPOLLERR))) return;
    if (c->busy) count(load, c, progress == IS_DONE);
    if (progress != IS_DONE || !c->keeps || c->sent < c->request->size)
        reconnect(load, c);
    else
        c->busy = false;
}

/* ---------------------------------------------------------------- the run */

/* Starts what is due on connections that are free. */
static void start_due(struct load *load) {
    double t = now();
    for (int i = 0; i < load->n_connections; i++) {
        if (load->connections[i].busy) continue;
        if (load->rate > 0 && load->next_due > t) return;
        begin(load, &load->connections[i], load->rate > 0 ? load->next_due : now());
        if (load->rate > 0) load->next_due += gap(load);
    }
}

static struct timespec timespec_of(double seconds) {
    double positive = seconds > 0 ? seconds : 0;
    return (struct timespec){.tv_sec = (time_t)positive, .tv_nsec = (long)((positive - floor(positive)) * 1e9)};
}

static void wait_until(struct load *load, double until) {
    struct epoll_event events[EVENTS];
    struct timespec wait = timespec_of(until - now());
    int n = epoll_pwait2(load->poll, events, EVENTS, &wait, NULL);
    for (int i = 0; i < n; i++) handle(load, events[i].data.ptr, events[i].events);
}

static void run(struct load *load) {
    while (now() < load->end) {
        start_due(load);
        bool waits = load->rate > 0 && load->in_flight < (size_t)load->n_connections;
        wait_until(load, waits && load->next_due < load->end ? load->next_due : load->end);
    }
    while (load->in_flight > 0 && now() < load->end + DRAIN_SECONDS) wait_until(load, load->end + DRAIN_SECONDS);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double part(const struct load *load, double fraction) {
    return load->n_times ? load->times[(size_t)(fraction * (double)(load->n_times - 1) + 0.5)] : 0;
}

static void report(struct load *load) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double seconds = load->end - load->counted_from;
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
    qsort(load->times, load->n_times, sizeof *load->times, compare);
    printf("{\"ok\": %zu, \"answered\": %zu, \"refused\": %zu, \"failed\": %zu, \"seconds\": %.3f, \"per_second\": "
           "%.2f, \"p50\": %.3f, \"p99\": %.3f, \"client_cpu_seconds\": %.3f}\n",
        load->n_times, load->answered, load->refused, load->failed, seconds, (double)load->n_times / seconds,
        part(load, 0.5), part(load, 0.99), cpu);
}

static struct request read_request(const char *path) {
    struct request request = {0};
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) < 0) die(path);
    request.size = (size_t)ftell(file);
    rewind(file);
    request.bytes = malloc(request.size + 1);
    if (!request.bytes || fread(request.bytes, 1, request.size, file) != request.size) die(path);
    fclose(file);
    return request;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: bench_http PORT CONNECTIONS SECONDS RATE REQUEST_FILE...\n");
        return 2;
    }
    struct load load = {.port = (uint16_t)atoi(argv[1]),
        .n_connections = atoi(argv[2]),
        .evenly = argv[4][0] == '=',
        .rate = atof(argv[4] + (argv[4][0] == '='))};
    if (load.n_connections < 1 || load.n_connections > MOST_CONNECTIONS) return 2;
    load.random = 88172645463325252u;
    load.n_requests = argc - 5;
    load.requests = calloc((size_t)load.n_requests, sizeof *load.requests);
    load.connections = calloc((size_t)load.n_connections, sizeof *load.connections);
    load.poll = epoll_create1(EPOLL_CLOEXEC);
    if (!load.requests || !load.connections || load.poll < 0) die("start");
    for (int i = 0; i < load.n_requests; i++) load.requests[i] = read_request(argv[5 + i]);
    for (int i = 0; i < load.n_connections; i++) connect_one(&load, &load.connections[i]);
    load.start = load.next_due = now();
    load.end = load.start + atof(argv[3]);
    load.counted_from = load.start + 0.1 * atof(argv[3]);
    run(&load);
    report(&load);
    for (int i = 0; i < load.n_connections; i++) close(load.connections[i].descriptor);
    for (int i = 0; i < load.n_requests; i++) free(load.requests[i].bytes);
    free(load.requests);
    free(load.connections);
    free(load.times);
    return 0;
}
