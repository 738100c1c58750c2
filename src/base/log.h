/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_LOG_H
#define VT_BASE_LOG_H

/* Levels of the log; messages above the configured level cost one comparison. */
enum vt_log_level { VT_LOG_ERROR, VT_LOG_WARN, VT_LOG_INFO, VT_LOG_DEBUG };

typedef void vt_log_sink(enum vt_log_level level, const char *text, void *context);

/* Process-wide; set before threads start. By default "vultus: level: text" goes to stderr, up to WARN. */
void vt_log_set_level(enum vt_log_level level);
void vt_log_set_sink(vt_log_sink *sink, void *context);

/* Thread-safe. One line without a trailing newline. */
void vt_log(enum vt_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
