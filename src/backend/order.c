/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/order.h"

#include <stdio.h>
#include <string.h>

/* What words stand for; the first three are the names. */
static const struct {
    const char *word;
    const char *names[VT_MOST_BACKENDS];
} words[] = {
    {"tensorrt", {"tensorrt"}},
    {"cuda", {"cuda"}},
    {"cpu", {"cpu"}},
    {"trt", {"tensorrt", "cuda", "cpu"}},
    {"onnx", {"cuda", "cpu"}},
};
enum { N_WORDS = sizeof words / sizeof *words };

bool vt_backend_order_has(const struct vt_backend_order *order, const char *name) {
    for (size_t i = 0; i < order->count; i++)
        if (strcmp(order->names[i], name) == 0) return true;
    return false;
}

/* False: there is no such word. */
static bool add_word(struct vt_backend_order *order, const char *word, size_t length) {
    int w = 0;
    while (w < N_WORDS && (strlen(words[w].word) != length || strncmp(words[w].word, word, length) != 0)) w++;
    if (w == N_WORDS) return false;
    for (int i = 0; i < VT_MOST_BACKENDS && words[w].names[i]; i++)
        if (!vt_backend_order_has(order, words[w].names[i])) order->names[order->count++] = words[w].names[i];
    return true;
}

enum vultus_status vt_backend_order_read(const char *text, struct vt_backend_order *out, struct vultus_error *error) {
    struct vt_backend_order order = {.count = 0};
    for (const char *at = text;;) {
        at += strspn(at, " ");
        size_t part = strcspn(at, ","), length = part;
        while (length > 0 && at[length - 1] == ' ') length--;
        if (!add_word(&order, at, length))
            return vt_fail(error, VULTUS_ERROR_INVALID,
                "the order of back ends is \"%.64s\"; it takes tensorrt, cuda and cpu, separated by commas", text);
        if (!at[part]) break;
        at += part + 1;
    }
    *out = order;
    return VULTUS_OK;
}

void vt_backend_probe(const char *name, struct vt_backend_report *report) {
    const struct vt_backend *backend = vt_backend_find(name);
    *report = (struct vt_backend_report){.absent = true, .reason = "this build does not include it"};
    if (!backend) return;
    *report = (struct vt_backend_report){.usable = false};
    backend->probe(report);
}

void vt_backend_choose(const struct vt_backend_order *order, struct vt_backend_choice *out) {
    *out = (struct vt_backend_choice){.n_skipped = 0};
    for (size_t i = 0; i < order->count && !out->backend; i++) {
        struct vt_backend_report report;
        vt_backend_probe(order->names[i], &report);
        if (report.usable) {
            out->backend = vt_backend_find(order->names[i]);
        } else {
            struct vt_backend_skipped *skipped = &out->skipped[out->n_skipped++];
            *skipped = (struct vt_backend_skipped){.name = order->names[i], .absent = report.absent};
            memcpy(skipped->reason, report.reason, sizeof skipped->reason);
        }
    }
}

void vt_backend_describe_skipped(const struct vt_backend_choice *choice, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < choice->n_skipped && used < size; i++)
        used += (size_t)snprintf(
            text + used, size - used, "%s%s (%s)", i ? ", " : "", choice->skipped[i].name, choice->skipped[i].reason);
}
