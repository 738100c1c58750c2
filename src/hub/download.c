/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/download.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "config.h"
#include "hub/manifest.h"

enum { MOST_REDIRECTS = 8, ATTEMPTS = 3, FIRST_PAUSE_US = 500000, BUFFER = 1 << 18 };

enum {
    HTTP_OK = 200,
    HTTP_PARTIAL = 206,
    HTTP_NOT_FOUND = 404,
    HTTP_GONE = 410,
    HTTP_RANGE = 416,
    HTTP_BUSY = 429,
    HTTP_SERVER = 500
};

/* What the headers of the last response say. */
struct answer {
    char validator[VT_VALIDATOR_TEXT], modified[VT_VALIDATOR_TEXT];
    uint64_t range_start, range_total; /* of Content-Range */
    bool has_range, is_page;
};

/* One request. */
struct transfer {
    const struct vt_download *d;
    CURL *curl;
    struct curl_slist *headers;
    const char *note; /* path of the note beside the part */
    struct vt_part part;
    struct answer answer;
    int descriptor;
    uint64_t have;             /* bytes of the part that count */
    bool resumed, started;     /* it was asked for a range; bytes of the file have come */
    enum vultus_status status; /* of what went wrong inside the callbacks */
    struct vultus_error *error;
};

/* ---------------------------------------------------------------- what the server says */

/* The header's value without blanks around it, if the line is that header. */
static bool header_value(const char *line, size_t length, const char *name, char *out, size_t size) {
    size_t n = strlen(name);
    if (length <= n || strncasecmp(line, name, n) || line[n] != ':') return false;
    const char *from = line + n + 1, *to = line + length;
    while (from < to && (*from == ' ' || *from == '\t')) from++;
    while (to > from && strchr(" \t\r\n", to[-1])) to--;
    if ((size_t)(to - from) >= size) return false;
    memcpy(out, from, (size_t)(to - from));
    out[to - from] = '\0';
    return true;
}

static size_t take_header(char *line, size_t size, size_t count, void *context) {
    struct transfer *t = context;
    struct answer *a = &t->answer;
    size_t length = size * count;
    char value[VT_VALIDATOR_TEXT];
    unsigned long long start, end, total;
    if (length > 5 && strncasecmp(line, "HTTP/", 5) == 0) *a = (struct answer){0};
    /* Only strong validators may be used for ranges (RFC 9110, 13.1.5 and 14.2). */
    if (header_value(line, length, "etag", value, sizeof value) && strncmp(value, "W/", 2))
        memcpy(a->validator, value, sizeof value);
    header_value(line, length, "last-modified", a->modified, sizeof a->modified);
    if (header_value(line, length, "content-range", value, sizeof value) &&
        sscanf(value, "bytes %llu-%llu/%llu", &start, &end, &total) == 3) {
        a->has_range = true;
        a->range_start = start;
        a->range_total = total;
    }
    if (header_value(line, length, "content-type", value, sizeof value))
        a->is_page = strncasecmp(value, "text/html", 9) == 0;
    return length;
}

static long response_code(const struct transfer *t) {
    long code = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    return code;
}

static enum vultus_status check_total(const struct transfer *t, uint64_t total) {
    const struct vt_download *d = t->d;
    if (d->bytes && total && total != d->bytes)
        return vt_fail(t->error, VULTUS_ERROR_MISMATCH, "%s has %llu bytes, and should have %llu", d->url,
            (unsigned long long)total, (unsigned long long)d->bytes);
    if (total > d->limit)
        return vt_fail(t->error, VULTUS_ERROR_LIMIT, "%s has %llu bytes, over the limit of %llu", d->url,
            (unsigned long long)total, (unsigned long long)d->limit);
    return VULTUS_OK;
}

/* ---------------------------------------------------------------- bytes */

static enum vultus_status fail_write(const struct transfer *t) {
    return vt_fail(t->error, VULTUS_ERROR_IO, "%s: cannot write: %s", t->d->part, strerror(errno));
}

/* The whole comes from its beginning: what was there before does not count. */
static enum vultus_status begin_anew(struct transfer *t) {
    curl_off_t total = -1;
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
    t->part = (struct vt_part){.total = total > 0 ? (uint64_t)total : 0};
    t->have = 0;
    enum vultus_status status = check_total(t, t->part.total);
    if (status) return status;
    if (ftruncate(t->descriptor, 0) != 0) return fail_write(t);
    const char *validator = *t->answer.validator ? t->answer.validator : t->answer.modified;
    snprintf(t->part.url, sizeof t->part.url, "%s", t->d->url);
    memcpy(t->part.validator, validator, sizeof t->part.validator);
    return vt_part_write(t->note, &t->part, t->error);
}

static enum vultus_status begin(struct transfer *t) {
    if (t->answer.is_page)
        return vt_fail(t->error, VULTUS_ERROR_FORMAT, "%s answers with a page (text/html), not with a file", t->d->url);
    if (response_code(t) != HTTP_PARTIAL) return begin_anew(t);
    const struct answer *a = &t->answer;
    if (!t->resumed || !a->has_range || a->range_start != t->have || (t->part.total && a->range_total != t->part.total))
        return vt_fail(t->error, VULTUS_ERROR_FORMAT, "%s answers with another range than bytes %llu to the end",
            t->d->url, (unsigned long long)t->have);
    return check_total(t, a->range_total);
}

static enum vultus_status append(struct transfer *t, const char *bytes, size_t size) {
    uint64_t limit = t->d->bytes ? t->d->bytes : t->d->limit;
    if (size > limit || t->have > limit - size)
        return vt_fail(t->error, VULTUS_ERROR_LIMIT, "%s sends more than the %llu bytes that it should have", t->d->url,
            (unsigned long long)limit);
    while (size) {
        ssize_t written = pwrite(t->descriptor, bytes, size, (off_t)t->have);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return fail_write(t);
        bytes += written;
        size -= (size_t)written;
        t->have += (uint64_t)written;
    }
    return VULTUS_OK;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
    struct transfer *t = context;
    long code = response_code(t);
    if (code != HTTP_OK && code != HTTP_PARTIAL) return size * count; /* the text of a refusal */
    if (!t->started) t->status = begin(t);
    t->started = true;
    if (!t->status) t->status = append(t, bytes, size * count);
    return t->status ? 0 : size * count;
}

static int show_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t sent_total, curl_off_t sent) {
    const struct transfer *t = context;
    const struct vt_hub_events *e = t->d->events;
    (void)total, (void)now, (void)sent_total, (void)sent;
    uint64_t whole = t->part.total ? t->part.total : t->d->bytes;
    if (e->progress && t->started) e->progress(e->context, t->d->name, t->have, whole);
    return 0;
}

/* ---------------------------------------------------------------- one request */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static void start_curl(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

static bool set_options(struct transfer *t) {
    const struct vt_download *d = t->d;
    CURL *c = t->curl;
    char range[32];
    snprintf(range, sizeof range, "%llu-", (unsigned long long)t->have);
    const char *redirects = strncmp(d->url, "https:", 6) == 0 ? "https" : "http,https";
    CURLcode code = CURLE_OK;
#define SET(option, value) (code = code ? code : curl_easy_setopt(c, option, value))
    SET(CURLOPT_URL, d->url);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, redirects);
    SET(CURLOPT_FOLLOWLOCATION, 1L);
    SET(CURLOPT_MAXREDIRS, (long)MOST_REDIRECTS);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_CONNECTTIMEOUT, (long)d->stall_seconds);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
    SET(CURLOPT_LOW_SPEED_TIME, (long)d->stall_seconds);
    SET(CURLOPT_BUFFERSIZE, (long)BUFFER);
    SET(CURLOPT_USERAGENT, "vultus/" VT_VERSION);
    SET(CURLOPT_HTTPHEADER, t->headers);
    if (t->resumed) SET(CURLOPT_RANGE, range);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, show_progress);
    SET(CURLOPT_XFERINFODATA, t);
#undef SET
    return code == CURLE_OK;
}

static CURLcode request(struct transfer *t) {
    pthread_once(&curl_once, start_curl);
    char line[VT_VALIDATOR_TEXT + 16];
    snprintf(line, sizeof line, "If-Range: %s", t->part.validator);
    if (t->resumed && !(t->headers = curl_slist_append(NULL, line))) return CURLE_OUT_OF_MEMORY;
    t->curl = curl_easy_init();
    return t->curl && set_options(t) ? curl_easy_perform(t->curl) : CURLE_FAILED_INIT;
}

/* How a request ended that the callbacks had nothing against. */
static enum vultus_status judge(const struct transfer *t, CURLcode code, bool *again) {
    const struct vt_download *d = t->d;
    long response = t->curl ? response_code(t) : 0;
    *again = false;
    switch (code) {
    case CURLE_OK: break;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_OPERATION_TIMEDOUT: *again = true; /* fall through */
    default:
        if (code == CURLE_OPERATION_TIMEDOUT)
            return vt_fail(t->error, VULTUS_ERROR_IO, "%s: nothing came for %d seconds", d->url, d->stall_seconds);
        return vt_fail(t->error, VULTUS_ERROR_IO, "%s: %s", d->url, curl_easy_strerror(code));
    }
    if (response == HTTP_NOT_FOUND || response == HTTP_GONE)
        return vt_fail(t->error, VULTUS_ERROR_NOT_FOUND, "%s: the server has no such file (%ld)", d->url, response);
    *again = response == HTTP_BUSY || response >= HTTP_SERVER || (response == HTTP_RANGE && t->resumed);
    if (response != HTTP_OK && response != HTTP_PARTIAL)
        return vt_fail(t->error, VULTUS_ERROR_IO, "%s: the server answers %ld", d->url, response);
    if (t->have == 0 || (t->part.total && t->have != t->part.total))
        return vt_fail(t->error, VULTUS_ERROR_FORMAT, "%s: %llu bytes came of %llu", d->url,
            (unsigned long long)t->have, (unsigned long long)t->part.total);
    return VULTUS_OK;
}

/* ---------------------------------------------------------------- the whole */

/* How much of the part can be continued from this address: its size, or 0. */
static uint64_t usable_bytes(const struct transfer *t, struct vt_part *part) {
    struct stat about;
    if (vt_part_read(t->note, part, NULL) || fstat(t->descriptor, &about) != 0) return 0;
    if (strcmp(part->url, t->d->url) || !*part->validator) return 0;
    uint64_t size = (uint64_t)about.st_size;
    return part->total && size > part->total ? 0 : size;
}

/* One attempt; *again tells whether another may help. */
static enum vultus_status attempt(struct transfer *t, bool *again) {
    t->have = usable_bytes(t, &t->part);
    *again = false;
    if (t->have && t->have == t->part.total) return VULTUS_OK;
    t->resumed = t->have > 0;
    t->started = false;
    t->status = VULTUS_OK;
    t->answer = (struct answer){0};
    if (!t->resumed) t->part = (struct vt_part){0};
    uint64_t before = t->have;
    CURLcode code = request(t);
    enum vultus_status status = t->status ? t->status : judge(t, code, again);
    bool gone = t->resumed && t->curl && response_code(t) == HTTP_RANGE; /* the part is no beginning of that file */
    if (gone && ftruncate(t->descriptor, 0) != 0) *again = false;
    curl_easy_cleanup(t->curl);
    curl_slist_free_all(t->headers);
    t->curl = NULL;
    t->headers = NULL;
    vt_log(VT_LOG_DEBUG, "%s: from byte %llu, now %llu", t->d->url, (unsigned long long)before,
        (unsigned long long)t->have);
    return status;
}

static enum vultus_status fetch(struct transfer *t) {
    enum vultus_status status = VULTUS_OK;
    bool again = true;
    for (int i = 0; again && i < ATTEMPTS; i++) {
        if (i) usleep(FIRST_PAUSE_US << (i - 1));
        status = attempt(t, &again);
    }
    return status;
}

/* Fetches and checks; a continued file that is wrong may be one of two halves, so it is fetched once more. */
static enum vultus_status fetch_right(struct transfer *t) {
    const struct vt_download *d = t->d;
    char digest[VT_SHA256_HEX];
    struct vt_part part;
    bool continued = usable_bytes(t, &part) > 0;
    enum vultus_status status = fetch(t);
    if (!status) status = vt_check_file(d->part, d->url, d->sha256, d->bytes, digest, t->error);
    if (status != VULTUS_ERROR_MISMATCH) return status;
    if (ftruncate(t->descriptor, 0) != 0) return fail_write(t);
    if (!continued) return status;
    status = fetch(t);
    if (!status) status = vt_check_file(d->part, d->url, d->sha256, d->bytes, digest, t->error);
    return status;
}

enum vultus_status vt_download(const struct vt_download *download, struct vultus_error *error) {
    struct transfer t = {.d = download, .error = error};
    size_t length = strlen(download->part);
    char *note = malloc(length + sizeof ".json");
    if (!note) return vt_fail_memory(error, "a path", length);
    snprintf(note, length + sizeof ".json", "%s.json", download->part);
    t.note = note;
    enum vultus_status status = VULTUS_OK;
    t.descriptor = open(download->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (t.descriptor < 0)
        status = vt_fail(error, VULTUS_ERROR_IO, "%s: cannot open: %s", download->part, strerror(errno));
    else
        status = fetch_right(&t);
    struct stat about;
    bool empty = status && t.descriptor >= 0 && fstat(t.descriptor, &about) == 0 && about.st_size == 0;
    if (t.descriptor >= 0) close(t.descriptor);
    if (empty) vt_download_discard(download->part);
    free(note);
    return status;
}
