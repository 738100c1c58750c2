/* SPDX-License-Identifier: Apache-2.0
 *
 * Data that a tensor keeps in a file beside the model. The names of those files come from the model, so that they are
 * confined to its folder.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/strbuf.h"
#include "onnx/reader.h"

/* onnx.proto3: where TensorProtos are, and what says that their data are elsewhere. */
enum {
    MODEL_GRAPH = 7,
    MODEL_FUNCTION = 25,
    FUNCTION_NODE = 7,
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    NODE_ATTRIBUTE = 5,
    ATTRIBUTE_TENSOR = 5
};
enum { TENSOR_EXTERNAL_DATA = 13 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

/* Looked through one after the other. */
#define MOST_FILES 1024

struct location {
    const char *name;
    uint64_t offset, length;
    bool has_length;
};

static bool read_number(const char *text, uint64_t *out) {
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    *out = number;
    return text[0] >= '0' && text[0] <= '9' && !*end && !errno;
}

/* A StringStringEntryProto. Keys other than these (checksum) change nothing. */
static enum vultus_status read_entry(
    const struct vt_pb_field *entry, struct vt_arena *arena, struct location *out, bool *is_number) {
    struct vt_pb message;
    struct vt_pb_field field;
    const char *key = "", *value = "";
    enum vultus_status status = vt_pb_message(entry, &message);
    while (!status && !(status = vt_pb_next(&message, &field)) && field.number) {
        if (field.number == ENTRY_KEY) status = vt_pb_text(&field, arena, &key);
        if (field.number == ENTRY_VALUE) status = vt_pb_text(&field, arena, &value);
    }
    *is_number = true;
    if (strcmp(key, "location") == 0) out->name = value;
    if (strcmp(key, "offset") == 0) *is_number = read_number(value, &out->offset);
    if (strcmp(key, "length") == 0) {
        *is_number = read_number(value, &out->length);
        out->has_length = true;
    }
    return status;
}

static enum vultus_status map_file(
    struct vt_onnx_reader *reader, const char *name, struct vt_graph_file **out, const char *tensor_name) {
    size_t count = 0;
    for (*out = reader->graph->files; *out; *out = (*out)->next, ++count)
        if (strcmp((*out)->name, name) == 0) return VULTUS_OK;
    if (count == MOST_FILES)
        return vt_onnx_fail(
            reader, VULTUS_ERROR_LIMIT, "the model keeps its data in more than %d other files", MOST_FILES);
    struct vt_graph_file *file = vt_arena_alloc(reader->arena, sizeof *file);
    if (!file) return vt_onnx_memory_fail(reader);
    struct vultus_error reason = {0};
    enum vultus_status status = vt_map_file_beneath(reader->folder, name, &file->file, &reason);
    if (status)
        return vt_onnx_fail(reader, status, "tensor '%.100s' keeps its data elsewhere: %s", tensor_name, reason.text);
    file->name = name;
    file->next = reader->graph->files;
    reader->graph->files = file;
    if (file->file.size > reader->most_external_bytes - reader->external_bytes)
        return vt_onnx_fail(reader, VULTUS_ERROR_LIMIT, "the files of external data have more than %zu bytes in all",
            reader->most_external_bytes);
    reader->external_bytes += file->file.size;
    /* What is not aligned in them is copied. */
    if (!vt_add_size(reader->arena->limit, file->file.size, &reader->arena->limit)) reader->arena->limit = SIZE_MAX;
    *out = file;
    return VULTUS_OK;
}

enum vultus_status vt_onnx_read_external(
    struct vt_onnx_reader *reader, struct vt_pb message, const char *tensor_name, size_t size, const uint8_t **data) {
    struct vt_pb_field field;
    struct location location = {.name = ""};
    struct vt_graph_file *file;
    enum vultus_status status;
    while (!(status = vt_pb_next(&message, &field)) && field.number) {
        bool is_number = true;
        if (field.number == TENSOR_EXTERNAL_DATA) status = read_entry(&field, reader->arena, &location, &is_number);
        if (!status && !is_number)
            status = vt_onnx_fail(reader, VULTUS_ERROR_FORMAT,
                "tensor '%.100s': offset and length of its external data must be numbers", tensor_name);
        if (status) break;
    }
    if (!status && !reader->folder)
        status = vt_onnx_fail(reader, VULTUS_ERROR_UNSUPPORTED,
            "tensor '%.100s' keeps its data in another file, and this model has no folder", tensor_name);
    if (!status) status = map_file(reader, location.name, &file, tensor_name);
    if (status) return status;
    bool fits = location.offset <= file->file.size && size <= file->file.size - location.offset;
    if (!fits || (location.has_length && location.length != size))
        return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT,
            "tensor '%.100s' needs %zu bytes; its external data are %llu at %llu of the %zu bytes of '%.100s'",
            tensor_name, size, (unsigned long long)(location.has_length ? location.length : size),
            (unsigned long long)location.offset, file->file.size, location.name);
    *data = size ? file->file.data + location.offset : NULL;
    return VULTUS_OK;
}

/* ------------------------------------------------------------ the digest of a model with all its files */

struct digests {
    struct vt_arena arena;
    const char *folder;
    const char *names[MOST_FILES];
    size_t n_names;
    struct vt_strbuf text; /* a digest a line */
    struct vultus_error *error;
};

static enum vultus_status add_file(struct digests *d, const char *name) {
    struct vt_mapped_file file;
    char hex[VT_SHA256_HEX];
    for (size_t i = 0; i < d->n_names; ++i)
        if (strcmp(d->names[i], name) == 0) return VULTUS_OK;
    if (d->n_names == MOST_FILES) return VULTUS_OK; /* reading the model will refuse it */
    d->names[d->n_names++] = name;
    enum vultus_status status = vt_map_file_beneath(d->folder, name, &file, d->error);
    if (status) return status;
    status = vt_sha256_hex(file.data, file.size, hex, d->error);
    if (!status) vt_strbuf_printf(&d->text, "%s %s\n", name, hex);
    vt_unmap_file(&file);
    return status;
}

/* Visits TensorProtos along a path of field numbers that ends with 0; *parsed tells whether all could be read. */
static enum vultus_status visit(struct digests *d, struct vt_pb message, const int *path, bool *parsed) {
    struct vt_pb_field field;
    enum vultus_status status = VULTUS_OK;
    while (!status && *parsed) {
        struct vt_pb inner;
        *parsed = !vt_pb_next(&message, &field);
        if (!*parsed || !field.number) break;
        bool is_entry = !*path && field.number == TENSOR_EXTERNAL_DATA;
        bool is_part = *path && field.number == (uint32_t)*path;
        struct location location = {0};
        bool is_number;
        if (is_entry) *parsed = !read_entry(&field, &d->arena, &location, &is_number);
        if (is_part) *parsed = !vt_pb_message(&field, &inner);
        if (is_entry && *parsed && location.name) status = add_file(d, location.name);
        if (is_part && *parsed) status = visit(d, inner, path + 1, parsed);
    }
    return status;
}

enum vultus_status vt_onnx_sha256(const uint8_t *bytes, size_t size, const char *name, const char *folder,
    char hex[VT_SHA256_HEX], struct vultus_error *error) {
    static const int initializers[] = {MODEL_GRAPH, GRAPH_INITIALIZER, 0};
    static const int attributes[] = {MODEL_GRAPH, GRAPH_NODE, NODE_ATTRIBUTE, ATTRIBUTE_TENSOR, 0};
    static const int functions[] = {MODEL_FUNCTION, FUNCTION_NODE, NODE_ATTRIBUTE, ATTRIBUTE_TENSOR, 0};
    const struct vt_pb_source source = {.bytes = bytes, .size = size, .name = name};
    enum vultus_status status = vt_sha256_hex(bytes, size, hex, error);
    struct digests *d = calloc(1, sizeof *d);
    if (status || !d) {
        free(d);
        return status ? status : vt_fail_memory(error, "a digest", sizeof *d);
    }
    bool parsed = true;
    d->folder = folder;
    d->error = error;
    vt_strbuf_printf(&d->text, "%s\n", hex);
    status = visit(d, vt_pb_whole(&source), initializers, &parsed);
    if (!status && parsed) status = visit(d, vt_pb_whole(&source), attributes, &parsed);
    if (!status && parsed) status = visit(d, vt_pb_whole(&source), functions, &parsed);
    if (!status && d->text.failed) status = vt_fail_memory(error, "a digest", sizeof *d);
    if (!status && parsed && d->n_names) status = vt_sha256_hex(d->text.text, strlen(d->text.text), hex, error);
    vt_arena_fini(&d->arena);
    vt_strbuf_fini(&d->text);
    free(d);
    return status;
}
