/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "base/file.h"
#include "base/status.h"
#include "export.h"

/* Bytes on their way to the file; the first failure stays. */
struct stream {
    struct vt_atomic_file file;
    msgpack_sbuffer buffer;
    msgpack_packer packer;
};

static int pack_value(msgpack_packer *packer, const json_t *value);

static int pack_text(msgpack_packer *packer, const char *text, size_t length) {
    return msgpack_pack_str(packer, length) | msgpack_pack_str_body(packer, text, length);
}

static int pack_object(msgpack_packer *packer, const json_t *object) {
    const char *key;
    json_t *item;
    int failed = msgpack_pack_map(packer, json_object_size(object));
    json_object_foreach((json_t *)object, key, item) failed |=
        pack_text(packer, key, strlen(key)) | pack_value(packer, item);
    return failed;
}

static int pack_array(msgpack_packer *packer, const json_t *array) {
    int failed = msgpack_pack_array(packer, json_array_size(array));
    for (size_t i = 0; i < json_array_size(array); i++) failed |= pack_value(packer, json_array_get(array, i));
    return failed;
}

/* Numbers with a fraction are float32 in records too. */
static int pack_value(msgpack_packer *packer, const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: return pack_object(packer, value);
    case JSON_ARRAY: return pack_array(packer, value);
    case JSON_STRING: return pack_text(packer, json_string_value(value), json_string_length(value));
    case JSON_INTEGER: return msgpack_pack_int64(packer, json_integer_value(value));
    case JSON_REAL: return msgpack_pack_float(packer, (float)json_real_value(value));
    case JSON_TRUE: return msgpack_pack_true(packer);
    case JSON_FALSE: return msgpack_pack_false(packer);
    case JSON_NULL: break;
    }
    return msgpack_pack_nil(packer);
}

static enum vultus_status write_records(FILE *lines, struct stream *stream, struct vultus_error *error) {
    char *line = NULL;
    size_t capacity = 0;
    enum vultus_status status = VULTUS_OK;
    for (json_t *record; status == VULTUS_OK && (record = vt_next_record(lines, &line, &capacity));) {
        msgpack_sbuffer_clear(&stream->buffer);
        if (pack_value(&stream->packer, record))
            status = vt_fail_memory(error, "a record", stream->buffer.size);
        else
            status = vt_atomic_file_write(&stream->file, stream->buffer.data, stream->buffer.size, error);
        json_decref(record);
    }
    free(line);
    return status;
}

enum vultus_status vt_export_msgpack(FILE *lines, const char *out, struct vultus_error *error) {
    struct stream stream;
    enum vultus_status status = vt_atomic_file_open(out, &stream.file, error);
    if (status < 0) return status;
    msgpack_sbuffer_init(&stream.buffer);
    msgpack_packer_init(&stream.packer, &stream.buffer, msgpack_sbuffer_write);
    status = write_records(lines, &stream, error);
    msgpack_sbuffer_destroy(&stream.buffer);
    if (status == VULTUS_OK) return vt_atomic_file_commit(&stream.file, error);
    vt_atomic_file_discard(&stream.file);
    return status;
}
