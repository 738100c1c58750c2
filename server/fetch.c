/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch.h"

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { MOST_REDIRECTS = 5, POLL_MS = 1000, SECOND_NS = 1000000000 };

struct vt_fetcher {
    struct vt_fetcher_options options;
    struct curl_slist *headers;
    CURLM *multi;
    pthread_t thread;
    pthread_mutex_t lock;
    struct vt_fetch *arrived; /* under lock */
    bool ending;              /* under lock */
    struct vt_fetch *waiting; /* for their next try; the thread's, as the rest */
    struct vt_fetch *running;
};

/* ---------------------------------------------------------------- headers */

static struct curl_slist *append_header(struct curl_slist *list, const char *name, const char *value, bool *failed) {
    char *line = NULL;
    /* curl takes a header without a value as one to leave out, and with a semicolon as an empty one. */
    if (asprintf(&line, *value ? "%s: %s" : "%s;", name, value) < 0) line = NULL;
    struct curl_slist *longer = line ? curl_slist_append(list, line) : NULL;
    free(line);
    if (!longer) *failed = true;
    return longer ? longer : list;
}

static enum vultus_status read_default_headers(struct vt_fetcher *fetcher, struct vultus_error *error) {
    json_error_t why;
    json_t *object = json_loads(fetcher->options.headers, 0, &why);
    bool failed = !json_is_object(object);
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) {
        const char *text = json_string_value(value);
        if (text && !strpbrk(text, "\r\n"))
            fetcher->headers = append_header(fetcher->headers, name, text, &failed);
        else
            failed = true;
    }
    json_decref(object);
    return failed ? vt_fail(error, VULTUS_ERROR_INVALID,
                        "the headers for fetching urls are no JSON object of texts without line ends")
                  : VULTUS_OK;
}

/* ---------------------------------------------------------------- one try */

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    struct vt_fetch *fetch = context;
    (void)purpose;
    if (!fetch->fetcher->options.allow_private && !vt_is_public_address(&address->addr)) {
        fetch->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t receive(char *data, size_t one, size_t size, void *context) {
    struct vt_fetch *fetch = context;
    (void)one;
    size_t most = fetch->fetcher->options.most_bytes;
    if (size > most - fetch->size) {
        vt_fail(&fetch->error, VULTUS_ERROR_LIMIT, "the url's file has more than %zu bytes", most);
        return 0;
    }
    if (fetch->size + size > fetch->capacity) {
        size_t capacity = 2 * fetch->capacity > fetch->size + size ? 2 * fetch->capacity : fetch->size + size;
        uint8_t *bytes = fetch->hold(fetch, capacity - fetch->capacity) ? realloc(fetch->bytes, capacity) : NULL;
        if (!bytes) {
            vt_fail_memory(&fetch->error, "a fetched picture", capacity);
            return 0;
        }
        fetch->bytes = bytes;
        fetch->capacity = capacity;
    }
    memcpy(fetch->bytes + fetch->size, data, size);
    fetch->size += size;
    return size;
}

/* For a try: nobody waits for it longer than until the deadline. It ends behind that, not just before. */
static long most_ms(const struct vt_fetch *fetch) {
    long most = 1000L * fetch->fetcher->options.timeout_s;
    uint64_t now = vt_now_ns(), left = fetch->deadline_ns > now ? fetch->deadline_ns - now : 0;
    return fetch->deadline_ns && left / 1000000 + 1 < (uint64_t)most ? (long)(left / 1000000) + 1 : most;
}

static void set_options(struct vt_fetch *fetch, CURL *easy, struct curl_slist *headers) {
    const struct vt_fetcher_options *options = &fetch->fetcher->options;
    curl_easy_setopt(easy, CURLOPT_URL, fetch->url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)MOST_REDIRECTS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, most_ms(fetch));
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* a proxy would resolve names where nobody checks the address */
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)options->most_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fetch);
}

static void end_try(struct vt_fetch *fetch) {
    if (fetch->easy) {
        curl_multi_remove_handle(fetch->fetcher->multi, fetch->easy);
        curl_easy_cleanup(fetch->easy);
    }
    curl_slist_free_all(fetch->header_list);
    fetch->easy = fetch->header_list = NULL;
}

static void finish(struct vt_fetch *fetch, enum vultus_status status) {
    end_try(fetch);
    fetch->status = status;
    if (status) {
        free(fetch->bytes);
        fetch->bytes = NULL;
        fetch->size = 0;
    }
    fetch->done(fetch);
}

static void begin_try(struct vt_fetcher *fetcher, struct vt_fetch *fetch) {
    bool failed = false;
    struct curl_slist *own = NULL;
    for (size_t i = 0; i < fetch->n_headers; i++)
        own = append_header(own, fetch->headers[i].name, fetch->headers[i].value, &failed);
    CURL *easy = curl_easy_init();
    fetch->tries++;
    fetch->header_list = own;
    fetch->easy = easy;
    if (!failed && easy) set_options(fetch, easy, fetch->n_headers ? own : fetcher->headers);
    if (failed || !easy || curl_multi_add_handle(fetcher->multi, easy) != CURLM_OK) {
        finish(fetch, vt_fail_memory(&fetch->error, "a connection", 0));
        return;
    }
    fetch->next = fetcher->running;
    fetcher->running = fetch;
}

/* ---------------------------------------------------------------- what became of a try */

/* Whether a later try may go better: servers that are down or out of order, not those that say no. */
static bool is_passing(const struct vt_fetch *fetch, CURLcode code, long http) {
    if (fetch->refused || fetch->size > 0) return false;
    switch (code) {
    case CURLE_HTTP_RETURNED_ERROR: return http != 401 && http != 403 && http != 404;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR: return true;
    default: return false;
    }
}

static void tell_failure(struct vt_fetch *fetch, CURLcode code, long http) {
    if (fetch->error.status) return; /* receive said why */
    if (fetch->refused)
        vt_fail(&fetch->error, VULTUS_ERROR_INVALID, "the url leads to an address that is not public");
    else if (code == CURLE_HTTP_RETURNED_ERROR)
        vt_fail(&fetch->error, VULTUS_ERROR_NOT_FOUND, "the url answers %ld", http);
    else if (code == CURLE_FILESIZE_EXCEEDED)
        vt_fail(&fetch->error, VULTUS_ERROR_LIMIT, "the url's file has more than %zu bytes",
            fetch->fetcher->options.most_bytes);
    else
        vt_fail(&fetch->error, VULTUS_ERROR_IO, "the url cannot be fetched: %s", curl_easy_strerror(code));
}

static void remove_running(struct vt_fetcher *fetcher, const struct vt_fetch *fetch) {
    struct vt_fetch **at = &fetcher->running;
    while (*at != fetch) at = &(*at)->next;
    *at = fetch->next;
}

static void judge(struct vt_fetcher *fetcher, CURL *easy, CURLcode code) {
    struct vt_fetch *fetch = NULL;
    long http = 0;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&fetch);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http);
    remove_running(fetcher, fetch);
    if (code == CURLE_OK) {
        finish(fetch, VULTUS_OK);
        return;
    }
    static const int seconds[] = {1, 2, 4, 5};
    uint64_t again = vt_now_ns() + (uint64_t)seconds[fetch->tries < 4 ? fetch->tries - 1 : 3] * SECOND_NS;
    bool in_time = !fetch->deadline_ns || again < fetch->deadline_ns;
    if (is_passing(fetch, code, http) && fetch->tries < fetcher->options.tries && in_time) {
        end_try(fetch);
        fetch->again_ns = again;
        fetch->next = fetcher->waiting;
        fetcher->waiting = fetch;
        return;
    }
    tell_failure(fetch, code, http);
    finish(fetch, fetch->error.status);
}

/* ---------------------------------------------------------------- the thread */

/* Begins what has arrived and what is due again; returns false when the fetcher ends. */
static bool begin_tries(struct vt_fetcher *fetcher) {
    pthread_mutex_lock(&fetcher->lock);
    struct vt_fetch *arrived = fetcher->arrived;
    fetcher->arrived = NULL;
    bool ending = fetcher->ending;
    pthread_mutex_unlock(&fetcher->lock);
    while (arrived) {
        struct vt_fetch *fetch = arrived;
        arrived = fetch->next;
        begin_try(fetcher, fetch);
    }
    uint64_t now = vt_now_ns();
    for (struct vt_fetch **at = &fetcher->waiting; *at;) {
        struct vt_fetch *fetch = *at;
        if (fetch->again_ns > now) {
            at = &fetch->next;
            continue;
        }
        *at = fetch->next;
        begin_try(fetcher, fetch);
    }
    return !ending;
}

static int poll_time(const struct vt_fetcher *fetcher) {
    uint64_t now = vt_now_ns();
    int least = POLL_MS;
    for (const struct vt_fetch *fetch = fetcher->waiting; fetch; fetch = fetch->next) {
        int64_t ms = ((int64_t)fetch->again_ns - (int64_t)now) / 1000000 + 1;
        if (ms < least) least = ms < 1 ? 1 : (int)ms;
    }
    return least;
}

static void give_up(struct vt_fetch *list) {
    while (list) {
        struct vt_fetch *fetch = list;
        list = fetch->next;
        finish(fetch, vt_fail(&fetch->error, VULTUS_ERROR_IO, "the server stops"));
    }
}

static void *fetch_all(void *context) {
    struct vt_fetcher *fetcher = context;
    while (begin_tries(fetcher)) {
        int running, left;
        curl_multi_perform(fetcher->multi, &running);
        CURLMsg *message;
        while ((message = curl_multi_info_read(fetcher->multi, &left)))
            if (message->msg == CURLMSG_DONE) judge(fetcher, message->easy_handle, message->data.result);
        curl_multi_poll(fetcher->multi, NULL, 0, poll_time(fetcher), NULL);
    }
    give_up(fetcher->running);
    give_up(fetcher->waiting);
    return NULL;
}

/* ---------------------------------------------------------------- from outside */

static void release(struct vt_fetcher *fetcher) {
    curl_slist_free_all(fetcher->headers);
    curl_multi_cleanup(fetcher->multi);
    pthread_mutex_destroy(&fetcher->lock);
    free(fetcher);
    curl_global_cleanup();
}

enum vultus_status vt_fetcher_create(
    const struct vt_fetcher_options *options, struct vt_fetcher **out, struct vultus_error *error) {
    struct vt_fetcher *fetcher = calloc(1, sizeof *fetcher);
    if (!fetcher) return vt_fail_memory(error, "a fetcher", sizeof *fetcher);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    fetcher->options = *options;
    pthread_mutex_init(&fetcher->lock, NULL);
    enum vultus_status status = read_default_headers(fetcher, error);
    fetcher->multi = curl_multi_init();
    if (!status && !fetcher->multi) status = vt_fail_memory(error, "a fetcher", 0);
    if (!status) {
        long most = options->connections, of_one_host = most / 4 > 0 ? most / 4 : 1;
        curl_multi_setopt(fetcher->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, most);
        curl_multi_setopt(fetcher->multi, CURLMOPT_MAX_HOST_CONNECTIONS, of_one_host);
        int code = pthread_create(&fetcher->thread, NULL, fetch_all, fetcher);
        if (code)
            status = vt_fail(error, VULTUS_ERROR_MEMORY, "the fetching thread cannot be started: %s", strerror(code));
    }
    if (status)
        release(fetcher);
    else
        *out = fetcher;
    return status;
}

void vt_fetcher_stop(struct vt_fetcher *fetcher) {
    if (!fetcher) return;
    pthread_mutex_lock(&fetcher->lock);
    bool ended = fetcher->ending;
    fetcher->ending = true;
    pthread_mutex_unlock(&fetcher->lock);
    if (ended) return;
    curl_multi_wakeup(fetcher->multi);
    pthread_join(fetcher->thread, NULL);
}

void vt_fetcher_destroy(struct vt_fetcher *fetcher) {
    if (!fetcher) return;
    vt_fetcher_stop(fetcher);
    release(fetcher);
}

void vt_fetch_start(struct vt_fetcher *fetcher, struct vt_fetch *fetch) {
    fetch->fetcher = fetcher;
    pthread_mutex_lock(&fetcher->lock);
    bool ended = fetcher->ending;
    if (!ended) {
        fetch->next = fetcher->arrived;
        fetcher->arrived = fetch;
        curl_multi_wakeup(fetcher->multi);
    }
    pthread_mutex_unlock(&fetcher->lock);
    if (ended) finish(fetch, vt_fail(&fetch->error, VULTUS_ERROR_IO, "the server stops"));
}
