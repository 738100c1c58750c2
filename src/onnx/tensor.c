/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "onnx/reader.h"

enum tensor_field {
    TENSOR_DIMS = 1,
    TENSOR_DATA_TYPE = 2,
    TENSOR_SEGMENT = 3,
    TENSOR_FLOAT_DATA = 4,
    TENSOR_INT32_DATA = 5,
    TENSOR_INT64_DATA = 7,
    TENSOR_NAME = 8,
    TENSOR_RAW_DATA = 9,
    TENSOR_DOUBLE_DATA = 10,
    TENSOR_UINT64_DATA = 11,
    TENSOR_DATA_LOCATION = 14,
};

struct tensor_proto {
    const char *name;
    int64_t data_type, data_location;
    struct vt_pb raw;
    bool has_raw, has_segment;
};

/* TensorProto.DataLocation */
enum { DATA_DEFAULT, DATA_EXTERNAL };

static enum vultus_status read_fields(
    const struct vt_onnx_reader *reader, struct vt_pb message, struct tensor_proto *out) {
    struct vt_pb_field field;
    enum vultus_status status;
    while (!(status = vt_pb_next(&message, &field)) && field.number) {
        switch (field.number) {
        case TENSOR_DATA_TYPE: status = vt_pb_int(&field, &out->data_type); break;
        case TENSOR_NAME: status = vt_pb_text(&field, reader->arena, &out->name); break;
        case TENSOR_DATA_LOCATION: status = vt_pb_int(&field, &out->data_location); break;
        case TENSOR_SEGMENT: out->has_segment = true; break;
        case TENSOR_RAW_DATA:
            out->has_raw = true;
            status = vt_pb_message(&field, &out->raw);
            break;
        default: break;
        }
        if (status) break;
    }
    return status;
}

static enum vultus_status set_type(
    const struct vt_onnx_reader *reader, const struct tensor_proto *proto, struct vt_tensor *out) {
    if ((proto->data_location != DATA_DEFAULT && proto->data_location != DATA_EXTERNAL) ||
        (proto->data_location == DATA_EXTERNAL && proto->has_raw))
        return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT,
            "tensor '%.100s' has data location %lld%s, known are 0 (here) and 1 (another file)", proto->name,
            (long long)proto->data_location, proto->has_raw ? " and data of its own" : "");
    if (proto->has_segment)
        return vt_onnx_fail(reader, VULTUS_ERROR_UNSUPPORTED,
            "tensor '%.100s' is stored in segments, which is not supported", proto->name);
    out->dtype = vt_dtype_from_onnx(proto->data_type);
    if (out->dtype == VT_DTYPE_NONE)
        return vt_onnx_fail(reader, VULTUS_ERROR_UNSUPPORTED,
            "tensor '%.100s' has element type %lld, which is not supported", proto->name, (long long)proto->data_type);
    return VULTUS_OK;
}

static enum vultus_status set_dims(const struct vt_onnx_reader *reader, const struct tensor_proto *proto,
    const struct vt_pb *message, struct vt_tensor *out) {
    struct vt_pb_numbers dims;
    enum vultus_status status = vt_pb_numbers(message, TENSOR_DIMS, VT_PB_VARINT, reader->arena, &dims);
    if (status) return status;
    if (dims.count > VT_MAX_RANK)
        return vt_onnx_fail(reader, VULTUS_ERROR_UNSUPPORTED,
            "tensor '%.100s' has %zu dimensions, at most %d are supported", proto->name, dims.count, VT_MAX_RANK);
    out->rank = (int)dims.count;
    if (dims.count) memcpy(out->dims, dims.items, dims.count * sizeof out->dims[0]);
    if (!vt_dims_valid(out->rank, out->dims, out->dtype, NULL))
        return vt_onnx_fail(
            reader, VULTUS_ERROR_FORMAT, "tensor '%.100s' has dimensions that are negative or too large", proto->name);
    return VULTUS_OK;
}

/* Files are little-endian, as every machine we run on. Constants are never written to. */
static enum vultus_status take_bytes(
    const struct vt_onnx_reader *reader, const uint8_t *bytes, size_t size, struct vt_tensor *out) {
    if ((uintptr_t)bytes % vt_dtype_size(out->dtype) == 0 && size) {
        out->data = (void *)(uintptr_t)bytes;
        return VULTUS_OK;
    }
    out->data = vt_arena_alloc(reader->arena, size);
    if (!out->data) return vt_onnx_memory_fail(reader);
    if (size) memcpy(out->data, bytes, size);
    return VULTUS_OK;
}

static enum vultus_status take_raw(
    const struct vt_onnx_reader *reader, const struct tensor_proto *proto, struct vt_tensor *out) {
    size_t size = (size_t)(proto->raw.end - proto->raw.cursor), expected = vt_tensor_bytes(out);
    if (size == expected) return take_bytes(reader, proto->raw.cursor, size, out);
    return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT, "tensor '%.100s' needs %zu bytes of data but has %zu", proto->name,
        expected, size);
}

static enum vultus_status take_external(
    struct vt_onnx_reader *reader, const struct tensor_proto *proto, struct vt_pb message, struct vt_tensor *out) {
    const uint8_t *bytes = NULL;
    size_t size = vt_tensor_bytes(out);
    enum vultus_status status = vt_onnx_read_external(reader, message, proto->name, size, &bytes);
    return status ? status : take_bytes(reader, bytes, size, out);
}

/* The field that holds elements of a type, and how. Types narrower than 32 bits are widened to int32 there. */
static uint32_t data_field(enum vt_dtype dtype, enum vt_pb_wire *wire) {
    *wire = VT_PB_VARINT;
    switch (dtype) {
    case VT_DTYPE_F32: *wire = VT_PB_FIXED32; return TENSOR_FLOAT_DATA;
    case VT_DTYPE_F64: *wire = VT_PB_FIXED64; return TENSOR_DOUBLE_DATA;
    case VT_DTYPE_I64: return TENSOR_INT64_DATA;
    case VT_DTYPE_U64:
    case VT_DTYPE_U32: return TENSOR_UINT64_DATA;
    default: return TENSOR_INT32_DATA;
    }
}

static size_t number_size(enum vt_pb_wire wire) { return wire == VT_PB_FIXED32 ? 4 : 8; }

/* The low bytes of each decoded number; little-endian. */
static void narrow(const struct vt_pb_numbers *numbers, struct vt_tensor *out) {
    size_t to = vt_dtype_size(out->dtype), from = number_size(numbers->wire);
    for (size_t i = 0; i < numbers->count; ++i)
        memcpy((char *)out->data + i * to, (const char *)numbers->items + i * from, to);
}

static enum vultus_status take_numbers(const struct vt_onnx_reader *reader, const struct tensor_proto *proto,
    const struct vt_pb *message, struct vt_tensor *out) {
    enum vt_pb_wire wire;
    struct vt_pb_numbers numbers;
    uint32_t field = data_field(out->dtype, &wire);
    enum vultus_status status = vt_pb_numbers(message, field, wire, reader->arena, &numbers);
    if (status) return status;
    size_t expected = (size_t)vt_tensor_count(out);
    if (numbers.count != expected)
        return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT, "tensor '%.100s' needs %zu elements of data but has %zu",
            proto->name, expected, numbers.count);
    if (expected && number_size(wire) == vt_dtype_size(out->dtype)) {
        out->data = numbers.items;
        return VULTUS_OK;
    }
    out->data = vt_arena_alloc(reader->arena, vt_tensor_bytes(out));
    if (!out->data) return vt_onnx_memory_fail(reader);
    narrow(&numbers, out);
    return VULTUS_OK;
}

enum vultus_status vt_onnx_read_tensor(
    struct vt_onnx_reader *reader, struct vt_pb message, const char **name, struct vt_tensor *out) {
    struct tensor_proto proto = {.name = ""};
    *out = (struct vt_tensor){.dtype = VT_DTYPE_NONE};
    enum vultus_status status = read_fields(reader, message, &proto);
    if (!status) status = set_type(reader, &proto, out);
    if (!status) status = set_dims(reader, &proto, &message, out);
    if (status) return status;
    *name = proto.name;
    if (proto.data_location == DATA_EXTERNAL) return take_external(reader, &proto, message, out);
    return proto.has_raw ? take_raw(reader, &proto, out) : take_numbers(reader, &proto, &message, out);
}
