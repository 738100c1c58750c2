/* SPDX-License-Identifier: Apache-2.0 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "common.h"

enum { BAR = 24 };

void vt_cli_download_end(struct vt_cli_download *shown) {
    if (shown->shown) fputs("\r\033[K", stderr);
    *shown = (struct vt_cli_download){0};
}

static void show_bar(const char *file, uint64_t done, uint64_t total, double rate) {
    char bar[BAR + 1];
    int filled = total ? (int)(BAR * (double)done / (double)total) : 0;
    for (int i = 0; i < BAR; i++) bar[i] = i < filled ? '#' : '.';
    bar[BAR] = '\0';
    fprintf(stderr, "\r\033[K%s [%s] %.1f", file, bar, (double)done * 1e-6);
    if (total) fprintf(stderr, "/%.1f", (double)total * 1e-6);
    fprintf(stderr, " MB, %.1f MB/s", rate * 1e-6);
    if (total && rate > 0) {
        unsigned long left = (unsigned long)((double)(total - done) / rate + 0.5);
        fprintf(stderr, ", %lu:%02lu left", left / 60, left % 60);
    }
    fflush(stderr);
}

/* A terminal gets a line that is rewritten, everything else a line now and then. */
static void show_download(void *context, const char *file, uint64_t done, uint64_t total) {
    struct vt_cli_download *shown = context;
    bool terminal = isatty(STDERR_FILENO) == 1;
    uint64_t now = vt_now_ns(), pause = terminal ? 100000000u : 10000000000u;
    if (!shown->running || done < shown->start_bytes)
        *shown = (struct vt_cli_download){.running = true, .start_ns = now, .last_ns = now, .start_bytes = done};
    if (now - shown->last_ns < pause || (total && done > total)) return;
    shown->last_ns = now;
    double rate = (double)(done - shown->start_bytes) / ((double)(now - shown->start_ns) * 1e-9);
    shown->shown = terminal;
    if (terminal)
        show_bar(file, done, total, rate);
    else if (total)
        vt_cli_say("%s: %.1f of %.1f MB, %.1f MB/s", file, (double)done * 1e-6, (double)total * 1e-6, rate * 1e-6);
    else
        vt_cli_say("%s: %.1f MB, %.1f MB/s", file, (double)done * 1e-6, rate * 1e-6);
}

static void say_note(void *context, const char *sentence) {
    vt_cli_download_end(context);
    vt_cli_say("%s", sentence);
}

/* Asks on a terminal; elsewhere there is nobody to accept. */
static bool ask_licence(void *context, const char *name, const struct vt_licence *licence) {
    char answer[16] = "";
    (void)context;
    if (isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1) return false;
    fprintf(stderr, "%s is under the licence %s.\n", name, licence->id);
    if (*licence->text) fprintf(stderr, "%s\n", licence->text);
    if (*licence->url) fprintf(stderr, "%s\n", licence->url);
    fprintf(stderr, "Type \"yes\" to accept it: ");
    fflush(stderr);
    return fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0;
}

struct vt_hub *vt_cli_hub_open(const struct vt_options *options, bool ask, struct vt_cli_download *shown) {
    struct vt_hub_options wanted = {.folder = options->models,
        .accepted = options->accept_licence,
        .stall_seconds = options->timeout,
        .events = {.context = shown, .progress = show_download, .note = say_note, .accept = ask ? ask_licence : NULL}};
    struct vt_hub *hub = NULL;
    struct vultus_error error;
    if (vt_hub_open(&wanted, &hub, &error) < 0) vt_cli_fail(&error);
    return hub;
}

char *vt_cli_resolve(const struct vt_options *options, char *named, const char *function) {
    if (!named || !vt_hub_is_name(named)) return named;
    struct vt_cli_download shown = {0};
    struct vt_hub *hub = vt_cli_hub_open(options, false, &shown);
    struct vultus_error error;
    char *path = NULL;
    enum vultus_status status = hub ? vt_hub_resolve(hub, named, function, &path, &error) : VULTUS_OK;
    vt_cli_download_end(&shown);
    if (status < 0) vt_cli_fail(&error);
    vt_hub_close(hub);
    free(named);
    return path;
}
