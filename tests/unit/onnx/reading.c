/* SPDX-License-Identifier: Apache-2.0 */
#include "reading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct reading read_model(struct encoder *graph, int64_t opset) {
    struct reading reading = {.model = model_of(graph, opset)};
    reading.status =
        vt_onnx_read(reading.model.bytes, reading.model.size, "hand.onnx", NULL, &reading.graph, &reading.error);
    return reading;
}

void reading_fini(struct reading *reading) {
    vt_graph_destroy(reading->graph);
    encoder_fini(&reading->model);
}

void expect_parts(const char *text, const char *parts) {
    char part[256];
    while (*parts) {
        size_t length = strcspn(parts, "|");
        assert_true(length < sizeof part);
        memcpy(part, parts, length);
        part[length] = '\0';
        if (!strstr(text, part)) fail_msg("'%s' is not in:\n%s", part, text);
        parts += length + (parts[length] == '|');
    }
}

struct reading read_good(struct encoder *graph, int64_t opset) {
    struct reading reading = read_model(graph, opset);
    if (reading.status) fail_msg("reading failed: %s", reading.error.text);
    return reading;
}

void read_bad(struct encoder *graph, int64_t opset, enum vultus_status status, const char *parts) {
    struct reading reading = read_model(graph, opset);
    if (!reading.status) fail_msg("the model was accepted, expected was a failure with '%s'", parts);
    expect_parts(reading.error.text, "hand.onnx: ");
    expect_parts(reading.error.text, parts);
    assert_int_equal(reading.status, status);
    assert_int_equal(reading.error.status, status);
    assert_null(reading.graph);
    reading_fini(&reading);
}

void expect_graph(struct reading *reading, const char *parts) {
    struct vt_strbuf buffer = {0};
    if (vt_graph_infer(reading->graph, &reading->error)) fail_msg("inference failed: %s", reading->error.text);
    vt_graph_dump(reading->graph, &buffer);
    assert_false(buffer.failed);
    expect_parts(buffer.text, parts);
    vt_strbuf_fini(&buffer);
}
