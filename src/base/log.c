/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

#define LINE_BYTES 1024

static void write_to_stderr(enum vt_log_level level, const char *text, void *context) {
    static const char *const names[] = {"error", "warn", "info", "debug"};
    (void)context;
    fprintf(stderr, "vultus: %s: %s\n", names[level], text);
}

static atomic_int most_verbose = VT_LOG_WARN;
static vt_log_sink *current_sink = write_to_stderr;
static void *sink_context;

void vt_log_set_level(enum vt_log_level level) {
    atomic_store_explicit(&most_verbose, (int)level, memory_order_relaxed);
}

void vt_log_set_sink(vt_log_sink *sink, void *context) {
    current_sink = sink ? sink : write_to_stderr;
    sink_context = sink ? context : NULL;
}

void vt_log(enum vt_log_level level, const char *format, ...) {
    if ((int)level > atomic_load_explicit(&most_verbose, memory_order_relaxed)) return;
    char text[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) text[0] = '\0';
    va_end(arguments);
    current_sink(level, text, sink_context);
}
