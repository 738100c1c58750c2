/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_FETCH_H
#define VT_SERVER_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "wanted.h"

/*
 * Fetches urls, many at a time, in a thread of its own. Certificates are verified, a few redirects followed, http and
 * https alone spoken. The address is checked when a connection is opened, so a name that changes its address in
 * between, or a redirect, does not lead anywhere else.
 */
struct vt_fetcher;

struct vt_fetcher_options {
    bool allow_private;  /* addresses that are not public: loopback, private, link-local, ... */
    int timeout_s;       /* for one try */
    int connections;     /* at the same time */
    int tries;           /* of what fails for now */
    size_t most_bytes;   /* of one answer */
    const char *headers; /* JSON object of those that are sent where a fetch brings none */
};

enum vultus_status vt_fetcher_create(
    const struct vt_fetcher_options *options, struct vt_fetcher **out, struct vultus_error *error);
/* Fetches under way fail, and so do all that are started later. NULL is fine. */
void vt_fetcher_stop(struct vt_fetcher *fetcher);
/* Stops it, if that was not done. NULL is fine. */
void vt_fetcher_destroy(struct vt_fetcher *fetcher);

/* Zero it, set the first fields, and leave it in place until `done` is called. */
struct vt_fetch {
    const char *url;
    const struct vt_header *headers;
    size_t n_headers;
    uint64_t deadline_ns;                 /* 0: none; no try begins after it or goes on */
    void (*done)(struct vt_fetch *fetch); /* called by the fetcher's thread, or by vt_fetch_start; must not block */
    bool (*hold)(struct vt_fetch *fetch, size_t bytes); /* before memory is taken; false: there is no more */

    enum vultus_status status; /* what became of it */
    struct vultus_error error;
    bool refused;   /* the address is not allowed */
    uint8_t *bytes; /* on success; the caller frees them */
    size_t size;

    size_t capacity; /* private, as the rest */
    int tries;
    uint64_t again_ns;
    void *easy, *header_list;
    struct vt_fetcher *fetcher;
    struct vt_fetch *next;
};
void vt_fetch_start(struct vt_fetcher *fetcher, struct vt_fetch *fetch);

struct sockaddr;
/* Whether an address is a public one of the internet. Exposed for tests. */
bool vt_is_public_address(const struct sockaddr *address);

#endif
